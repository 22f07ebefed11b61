"""Tuun against random search on the embedded example, from the first proposal to the test part.

    OMP_NUM_THREADS=1 python -m benchmarks.digits_search          # about an hour on one core; goes on where it was

    OMP_NUM_THREADS=1 python -m benchmarks.digits_search --screen 20   # and Tuun with a screening rung of 20 epochs

Each seed is a whole search by each method with the settings of params.yaml: the trials, the best few confirmed on
fresh seeds, the chosen policy trained again on six more and judged on test. The data stay the same; a gain is the
difference of two methods' means on the same seed. The seeds begin at 1000; nothing was tuned on them. A search that
screens gets as many more trials as make the same number of epochs.

Every finished search is a line of the journal benchmarks/digits_search.jsonl; benchmarks/digits_search.md is made from them.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from augsearch import policy
from augsearch.data.prepare import prepare
from augsearch.data.prepared import load_info, load_split, save
from augsearch.environment import commit, hardware
from augsearch.errors import AugsearchError
from augsearch.evidence.results import Estimate, estimate
from augsearch.files import write_text
from augsearch.journal import Journal, read_records
from augsearch.policy import Policy
from augsearch.screening import promoted, screening_seed, shortened
from augsearch.search import methods
from augsearch.search.searcher import Trial, training_seed
from augsearch.settings import Settings, load
from augsearch.training.metrics import evaluation
from augsearch.training.trainer import predict
from augsearch.training.training import normalisation, run_trial, train_policy, training_fingerprint

HERE = Path(__file__).parent
METHODS = ("tuun", "random")
RETRAININGS = 6
_SPACE = {"sub_policies", "operations_each", "operations", "draw"}
_DECISIVE = _SPACE | {"objective", "trials", "batch", "n_initial_points", "confirm", "acq_func", "kappa"}
_CONFIRMATION, _RETRAINING = 1_000_000, 2_000_000  # in the paths of training seeds, as the pipeline keeps them apart


class Search:
    """One search by one method, in this process, and where its time went."""

    def __init__(self, method: str, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.searcher = methods.make(method.partition(",")[0], settings.search, settings.seed)
        self.policies: dict[int, Policy | None] = {}
        self.scores: list[float] = []
        self.promoted: dict[int, float] = {}
        self.thinking = 0.0
        """Seconds in ask, tell and ranking."""

    def run(self) -> dict[str, Any]:
        """Search and choose as the pipeline does; the chosen trial, its policy and what led to it."""
        started = time.perf_counter()
        while left := self.settings.search.trials - len(self.scores):
            new = self._ask(min(self.settings.search.batch, left))
            self._judge(new)
            self._tell(new)
        confirmed = {i: self._again(i) for i in self._top()}
        chosen = max(confirmed, key=lambda i: float(np.mean(confirmed[i])))
        found = self.policies[chosen]
        assert found is not None
        return {
            "chosen": chosen,
            "confirmed": confirmed,
            "scores": self.scores,
            "promoted": self.promoted,
            "thinking": round(self.thinking, 3),
            "seconds": round(time.perf_counter() - started, 2),
            "policy": policy.to_dict(found),
        }

    def _judge(self, trials: list[Trial]) -> None:
        """Scores at full length; with a screening rung the screening's, and those of the promoted apart."""
        screen = self.settings.search.screen
        if screen.epochs is None:
            self.scores += [self._trial(trial.id, trial.seed, self.settings) for trial in trials]
            return
        short = shortened(self.settings)
        screened = {trial.id: self._trial(trial.id, screening_seed(trial), short) for trial in trials}
        self.scores += screened.values()
        best = promoted(screened, screen.promote)
        self.promoted |= {trial.id: self._trial(trial.id, trial.seed, self.settings) for trial in trials if trial.id in best}

    def _ask(self, n: int) -> list[Trial]:
        clock = time.perf_counter()
        trials = self.searcher.ask(n)
        self.thinking += time.perf_counter() - clock
        self.policies.update({trial.id: trial.policy for trial in trials})
        return trials

    def _tell(self, trials: list[Trial]) -> None:
        clock = time.perf_counter()
        for trial in trials:
            self.searcher.tell(trial.id, self.scores[trial.id])
        self.thinking += time.perf_counter() - clock

    def _top(self) -> list[int]:
        clock = time.perf_counter()
        ranking = sorted(self.promoted, key=lambda i: (-self.promoted[i], i)) or self.searcher.ranking()
        self.thinking += time.perf_counter() - clock
        return ranking[: self.settings.search.confirm.top]

    def _again(self, trial: int) -> list[float]:
        repeats = range(self.settings.search.confirm.seeds)
        seeds = [training_seed(self.settings.seed, _CONFIRMATION, trial, k) for k in repeats]
        return [self._trial(trial, seed, self.settings) for seed in seeds]

    def _trial(self, trial: int, seed: int, settings: Settings) -> float:
        result = run_trial(self.policies[trial], seed, settings, self.folder, "cpu")
        if result.score is None:
            raise AugsearchError(f"trial {trial}: {result.failure}")  # none fails with these settings
        return round(result.score, 6)


def retrain(found: Policy, settings: Settings, folder: Path) -> dict[str, list[float]]:
    """Accuracy on val and test of models trained on seeds that no search has used, the same for every method."""
    info, test = load_info(folder / "dataset.json"), load_split(folder, "test")
    scores: dict[str, list[float]] = {"val": [], "test": []}
    for k in range(RETRAININGS):
        trained = train_policy(found, training_seed(settings.seed, _RETRAINING, k), settings, folder, "cpu")
        predicted = predict(trained.model, test, settings.train, normalisation(info))
        scores["val"].append(round(trained.accuracy[-1], 6))
        scores["test"].append(round(evaluation(predicted, test.labels, len(info.classes)).accuracy, 6))
    return scores


def settings_of(params: Path, seed: int) -> Settings:
    """The file's settings with that seed. Only the last epoch is judged: that changes no score and halves the cost."""
    settings = load(params)
    train = settings.train.model_copy(update={"evaluate_every": settings.train.epochs})
    return settings.model_copy(update={"seed": seed, "train": train})


def screening(settings: Settings, epochs: int) -> Settings:
    """With a screening rung, and as many whole batches of trials as the epochs of the search without it allow."""
    search = settings.search
    screen = search.screen.model_copy(update={"epochs": epochs})
    passed = len(promoted(dict.fromkeys(range(search.batch), 0.0), screen.promote))
    for_a_batch = search.batch * epochs + passed * settings.train.epochs
    trials = search.trials * settings.train.epochs // for_a_batch * search.batch
    return settings.model_copy(update={"search": search.model_copy(update={"screen": screen, "trials": trials})})


def run(seeds: Iterable[int], screened: int | None, params: Path, raw: Path) -> None:
    """Append what is missing to `raw`, a journal with a record for each seed and method."""
    methods = {method: settings_of(params, 0) for method in METHODS}
    if screened is not None:
        methods[f"tuun, {screened} epochs"] = screening(methods["tuun"], screened)
    origin = {"commit": commit(), "hardware": hardware(), "versions": versions()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parts, info = prepare(load(params).dataset)
        save(parts, info, folder)
        settings = settings_of(params, 0)
        mark = training_fingerprint(settings, info, search=settings.search.model_dump(include=_DECISIVE))
        with Journal.open(raw, mark) as journal:
            done = {(r["seed"], r["method"]) for r in journal.records}
            wanted = [(seed, method) for seed in seeds for method in methods if (seed, method) not in done]
            for count, (seed, method) in enumerate(wanted, 1):
                settings = methods[method].model_copy(update={"seed": seed})
                found = Search(method, settings, folder).run()
                retrained = retrain(policy.from_dict(found["policy"]), settings, folder)  # type: ignore[arg-type]  # no schedule
                journal.append({"seed": seed, "method": method, **retrained, **found, **origin})
                print(
                    f"{count}/{len(wanted)}: seed {seed}, {method}: test {100 * np.mean(retrained['test']):.2f} %, "
                    f"val {100 * np.mean(retrained['val']):.2f} %; {found['seconds']:.0f} s, "
                    f"of these {found['thinking']:.2f} in ask and tell",
                    flush=True,
                )


def versions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-optimize"))
    return f"Python {platform.python_version()}, {packages}"


# --- the table ----------------------------------------------------------------------------------------------------


def report(params: Path, raw: Path) -> str:
    """The Markdown that is published."""
    done = {(r["seed"], r["method"]): r for r in read_records(raw)}
    seeds = sorted({seed for seed, _ in done if all((seed, method) in done for method in METHODS)})
    if len(seeds) < 2:
        sys.exit(f"{raw}: {len(seeds)} complete seeds; the table needs 2 or more")
    search = load(params).search
    screened = sorted({method for _, method in done} - set(METHODS))
    lines = [
        "# Tuun against random search on the embedded example",
        "",
        f"{len(seeds)} seeds ({seeds[0]} to {seeds[-1]}); for each method {search.trials} trials (batch {search.batch}, "
        f"initial {search.n_initial_points}), "
        f"the best {search.confirm.top} confirmed on {search.confirm.seeds} fresh seeds, the chosen "
        f"policy trained again on {RETRAININGS} more. Accuracy in percent, mean over the seeds; the gain is paired by seed, "
        "with its 95 % interval (Student's t).",
        "",
        "| of the retrained models | Tuun | random search | gain, points | wins : ties : losses |",
        "|---|---|---|---|---|",
        *(_row(part, [[done[seed, method] for seed in seeds] for method in METHODS]) for part in ("test", "val")),
        "",
        "| | seconds of a search, median | of these in ask, tell and ranking | share, median (highest) |",
        "|---|---|---|---|",
        *(_times(label, [done[seed, method] for seed in seeds]) for method, label in zip(METHODS, _LABELS, strict=True)),
        "",
        "| seed | Tuun, test | random, test | gain | Tuun, val | random, val | gain |",
        "|---|---|---|---|---|---|---|",
        *(_seed_row(seed, *(done[seed, method] for method in METHODS)) for seed in seeds),
        "",
        *(line for method in screened for line in _screening_rows(method, done)),
        "`python -m benchmarks.digits_search`, one core. Every search with its scores and its policy: `digits_search.jsonl`.",
        "",
        *(f"- {key}: {'; '.join(sorted({done[s, m][key] for s in seeds for m in METHODS}))}" for key in _ORIGIN),
    ]
    return "\n".join(lines) + "\n"


_LABELS = ("Tuun", "random search")
_ORIGIN = ("commit", "hardware", "versions")


def _means(part: str, searches: list[dict[str, Any]]) -> np.ndarray:
    return np.array([np.mean(search[part]) for search in searches])


def _row(part: str, searches: list[list[dict[str, Any]]]) -> str:
    ours, theirs = (_means(part, of_method) for of_method in searches)
    gain, won = estimate(ours - theirs), np.sign(np.round(ours - theirs, 9)).tolist()
    name = {"test": "test", "val": "validation"}[part]
    counts = " : ".join(str(won.count(sign)) for sign in (1, 0, -1))
    return f"| {name} | {_spread(ours)} | {_spread(theirs)} | {_points(gain)} | {counts} |"


def _spread(values: np.ndarray) -> str:
    return f"{100 * values.mean():.2f} (sd {100 * values.std(ddof=1):.2f})"


def _points(gain: Estimate) -> str:
    return f"{100 * gain.mean:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]"


def _screening_rows(method: str, done: dict[tuple[int, str], dict[str, Any]]) -> list[str]:
    seeds = sorted(seed for seed, other in done if other == method and (seed, "tuun") in done)
    if len(seeds) < 2:
        return []
    pairs = [[done[seed, name] for seed in seeds] for name in (method, "tuun")]
    trials = len(pairs[0][0]["scores"])
    epochs = method.removeprefix("tuun, ")
    return [
        f"With a screening rung of {epochs} (`search.screen`), {trials} trials at as many epochs in all; {len(seeds)} seeds:",
        "",
        "| of the retrained models | with screening | without | gain, points | wins : ties : losses |",
        "|---|---|---|---|---|",
        *(_row(part, pairs) for part in ("test", "val")),
        "",
    ]


def _times(label: str, searches: list[dict[str, Any]]) -> str:
    shares = [search["thinking"] / search["seconds"] for search in searches]
    whole, part = (statistics.median(search[key] for search in searches) for key in ("seconds", "thinking"))
    return f"| {label} | {whole:.1f} | {part:.2f} | {100 * statistics.median(shares):.1f} % ({100 * max(shares):.1f} %) |"


def _seed_row(seed: int, ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    cells = []
    for part in ("test", "val"):
        a, b = (100 * float(np.mean(search[part])) for search in (ours, theirs))
        cells.append(f"{a:.2f} | {b:.2f} | {a - b:+.2f}")
    return f"| {seed} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=1000, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--screen", type=int, metavar="EPOCHS", help="also Tuun with a screening rung of so many epochs")
    parser.add_argument("--params", type=Path, default=HERE.parent / "params.yaml")
    parser.add_argument("--raw", type=Path, default=HERE / "digits_search.jsonl")
    parser.add_argument("--report", action="store_true", help="only make the table again from the raw file")
    arguments = parser.parse_args()
    if not arguments.report:
        run(range(arguments.first, arguments.first + arguments.seeds), arguments.screen, arguments.params, arguments.raw)
    write_text(arguments.raw.with_suffix(".md"), report(arguments.params, arguments.raw))


if __name__ == "__main__":
    main()
