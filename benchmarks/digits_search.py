"""Tuun against random search on the embedded example, from the first proposal to the test split.

    OMP_NUM_THREADS=1 python -m benchmarks.digits_search          # about an hour on one core; goes on where it was

Each seed is a whole search by each method with the settings of params.yaml, by the same code as the pipeline's: the trials,
the best few confirmed on fresh seeds, the chosen policy trained again on six more and evaluated on test. The data stay the
same; a gain is the difference of two methods' means on the same seed. The seeds begin at 1000; nothing was tuned on them.

Every finished search is a line of benchmarks/digits_search.jsonl; benchmarks/digits_search.md is made from them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from augsearch import policy
from augsearch.data.prepare import prepare
from augsearch.data.prepared import load_info, save
from augsearch.environment import commit, hardware, versions
from augsearch.evidence.scores import Estimate, estimate
from augsearch.evidence.testing import Testing
from augsearch.execute import Evaluator, SerialExecutor, evaluate
from augsearch.files import replacing, write_text
from augsearch.job import Bench, Work
from augsearch.objective import TrainerObjective
from augsearch.outcome import Result
from augsearch.policy import Policy
from augsearch.search.batching import Synchronous
from augsearch.search.loop import search
from augsearch.search.methods import make
from augsearch.search.searcher import Searcher, Trial, training_seed
from augsearch.settings import Settings, load
from augsearch.store import Store
from augsearch.workspace import Workspace
from benchmarks import records

HERE = Path(__file__).parent
METHODS = ("tuun", "random")
RETRAININGS = 6
_RETRAINING = 2_000_000  # in the paths of training seeds, as the pipeline keeps them apart


@dataclass
class Timed:
    """A searcher, and the seconds that it thinks."""

    searcher: Searcher
    seconds: float = field(default=0.0)

    def ask(self, n: int) -> list[Trial]:
        return list(self._timed(self.searcher.ask, n))

    def tell(self, trial_id: int, score: float | None) -> None:
        self._timed(self.searcher.tell, trial_id, score)

    def ranking(self) -> list[int]:
        return list(self._timed(self.searcher.ranking))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.searcher, name)

    def _timed(self, function: Any, *arguments: Any) -> Any:
        clock = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            self.seconds += time.perf_counter() - clock


def one_search(method: str, settings: Settings, evaluator: Evaluator) -> dict[str, Any]:
    """The chosen policy, what led to it, and its scores on fresh seeds."""
    objective = TrainerObjective(settings, load_info(evaluator.executor.bench.workspace.info), "cpu")
    searcher, started, chosen = Timed(make(method, settings)), time.perf_counter(), settings.search
    outcome = search(
        searcher,
        objective,
        Synchronous(chosen.batch),
        evaluator,
        method=method,
        trials=chosen.trials,
        confirm=chosen.confirm,
        seed=settings.seed,
    )
    seconds = time.perf_counter() - started
    assert isinstance(outcome.augmentation, Policy)  # what these methods search
    return {
        **retrain(outcome.augmentation, objective, evaluator),
        "chosen": outcome.chosen,
        "confirmed": {i: [round(s, 6) for s in scores] for i, scores in outcome.confirmations.items()},
        "scores": [None if e.score is None else round(e.score, 6) for e in outcome.trials],
        "thinking": round(searcher.seconds, 3),
        "seconds": round(seconds, 2),
        "policy": policy.to_dict(outcome.augmentation),
    }


def retrain(chosen: Policy, objective: TrainerObjective, evaluator: Evaluator) -> dict[str, list[float]]:
    """Accuracy on val and test of models trained on seeds that no search has used, the same for every method."""
    seeds = [training_seed(objective.settings.seed, _RETRAINING, k) for k in range(RETRAININGS)]
    jobs = [objective.job(chosen, {}, seed, keeps="weights") for seed in seeds]
    trained = _results([Work(f"retrain {k}", (job,)) for k, job in enumerate(jobs)], evaluator)
    workspace = evaluator.executor.bench.workspace
    for job in jobs:
        with replacing(workspace.weights / f"{job.key}.pt") as temporary:
            temporary.write_bytes(evaluator.store.file(job.key, "weights").read_bytes())
    tests = [Testing(job.key, job.data, job.network, job.recipe, "cpu") for job in jobs]
    tested = _results([Work(f"test {k}", (test,)) for k, test in enumerate(tests)], evaluator)
    matrices = [np.array(result.confusion) for result in tested]  # type: ignore[attr-defined]  # of `Testing`
    return {
        "val": [round(objective.scores(result)["accuracy"], 6) for result in trained],
        "test": [round(float(m.trace() / m.sum()), 6) for m in matrices],
    }


def _results(works: list[Work], evaluator: Evaluator) -> list[Result]:
    outcomes = {done.work: done.outcomes[0] for done in evaluate(works, evaluator)}
    assert all(isinstance(outcome, Result) for outcome in outcomes.values())  # none fails with these settings
    return [outcomes[work] for work in works]  # type: ignore[misc]  # checked above


def settings_of(params: Path, seed: int) -> Settings:
    """The file's settings with that seed. Only the last epoch is evaluated: that changes no score and halves the cost."""
    settings = load(params)
    train = settings.train.model_copy(update={"evaluate_every": settings.train.epochs})
    return settings.model_copy(update={"seed": seed, "train": train})


def run(seeds: Iterable[int], params: Path, raw: Path, root: Path) -> None:
    """Append what is missing to `raw`, a record for each seed and method; trainings are kept in a store under `root`."""
    origin = {"commit": commit(), "hardware": hardware(), "versions": versions()}
    workspace = Workspace(root)
    save(*prepare(load(params).dataset), workspace.data)
    with Store.open(workspace.store) as store:
        evaluator = Evaluator(store, SerialExecutor(Bench(workspace)))
        done = {(r["seed"], r["method"]) for r in records.read(raw)}
        wanted = [(seed, method) for seed in seeds for method in METHODS if (seed, method) not in done]
        for count, (seed, method) in enumerate(wanted, 1):
            one = one_search(method, settings_of(params, seed), evaluator)
            records.append(raw, {"seed": seed, "method": method, **one, **origin})
            print(
                f"{count}/{len(wanted)}: seed {seed}, {method}: test {100 * np.mean(one['test']):.2f} %, "
                f"val {100 * np.mean(one['val']):.2f} %; {one['seconds']:.0f} s, of it {one['thinking']:.2f} in ask and tell",
                flush=True,
            )


# --- the table ----------------------------------------------------------------------------------------------------


def report(params: Path, raw: Path) -> str:
    """The Markdown that is published."""
    done = {(r["seed"], r["method"]): r for r in records.read(raw)}
    seeds = sorted({seed for seed, _ in done if all((seed, method) in done for method in METHODS)})
    if len(seeds) < 2:
        sys.exit(f"{raw}: {len(seeds)} complete seeds; the table needs 2 or more")
    search = load(params).search
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
    parser.add_argument("--params", type=Path, default=HERE.parent / "params.yaml")
    parser.add_argument("--raw", type=Path, default=HERE / "digits_search.jsonl")
    parser.add_argument("--store", type=Path, default=Path(".augsearch/benchmark"), help="where trainings are kept")
    parser.add_argument("--report", action="store_true", help="only make the table again from the raw file")
    arguments = parser.parse_args()
    if not arguments.report:
        run(range(arguments.first, arguments.first + arguments.seeds), arguments.params, arguments.raw, arguments.store)
    write_text(arguments.raw.with_suffix(".md"), report(arguments.params, arguments.raw))


if __name__ == "__main__":
    main()
