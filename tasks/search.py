"""A search in progress: its searcher, journal and tracking, and the trial tasks that feed them.

The journal is the only memory. A search that is resumed asks its searcher the same questions in the same order;
a trial that the journal knows is read, the others run. In batch mode the order follows from the ids; in async
mode the journal also holds each asking.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from prefect import get_run_logger

from augsearch import policy, screening
from augsearch.data.prepared import load_info, load_split
from augsearch.errors import SearchError
from augsearch.evidence.report.importance import strengths
from augsearch.journal import Journal, read_records
from augsearch.policy import Policy
from augsearch.policy.pictures import describe, example_images, policy_grid
from augsearch.script import command
from augsearch.script.run import script_fingerprint
from augsearch.search import methods
from augsearch.search.methods import Earlier
from augsearch.search.searcher import Searcher, Trial, training_seed
from augsearch.settings import Settings, override
from augsearch.training.training import TrialResult, as_record, by_epoch, training_fingerprint
from tasks import paths
from tasks.outcomes import Outcome
from tasks.slots import Slots
from tasks.tracking import Tracker, tracked_policies
from tasks.trials import trial_task

# Left out of a journal's fingerprint: more trials, for one, extend a search.
_CHANGES_NO_PROPOSAL = {"methods", "trials", "confirm", "warm_start", "trial_timeout", "max_consecutive_failures", "pba"}
_CONFIRMATION = 1_000_000  # in the path of a training seed, far from every trial's number


@contextmanager
def open_search(method: str, settings: Settings, slots: Sequence[str]) -> Iterator[RunningSearch]:
    """Continue or begin a search that judges policies one by one; on leaving, journal and tracking are closed."""
    subject, mark_of = _subject(settings)
    earlier = _earlier(settings) if method != "random" else None
    space = settings.search.model_dump(exclude=_CHANGES_NO_PROPOSAL)
    known = [earlier.rows.tolist(), earlier.scores.tolist(), settings.search.warm_start.model_dump()] if earlier else None
    mark = mark_of(method=method, search=space, earlier=known)
    log = get_run_logger()
    with Journal.open(paths.JOURNALS / f"{method}.jsonl", mark, log.warning) as journal:
        tracker = Tracker(subject, f"search {method}", mark, {"method": method, "kind": "search"})
        try:
            yield RunningSearch(method, settings, journal, tracker, Slots(trial_task, slots), paths.LOGS / mark[:8], earlier)
        except BaseException:  # an interruption too is noted, and goes on its way
            tracker.interrupted()
            raise


def _subject(settings: Settings) -> tuple[str, Callable[..., str]]:
    """What is searched for, by name, and how its journals' fingerprints are made."""
    if settings.search.own_script:
        return command.name(settings.search.objective), partial(script_fingerprint, settings)
    info = load_info(paths.DATA / "dataset.json")
    return info.name, partial(training_fingerprint, settings, info)


def _earlier(settings: Settings) -> Earlier | None:
    """What `search.warm_start` names, as far as it fits this search's space."""
    warm = settings.search.warm_start
    if warm.journal is not None:
        records = read_records(warm.journal)
        trials = [r for r in records if "trial" in r]  # at full length: a screening's score is of another kind
        tried = [(r["policy"], r["score"]) for r in trials if r["policy"] and r["score"] is not None]
    elif warm.experiment is not None:
        tried = tracked_policies(warm.experiment)
    else:
        return None
    policies = [(policy.from_dict(data), score) for data, score in tried]
    found = methods.known_earlier(settings.search, [(p, score) for p, score in policies if isinstance(p, Policy)])
    source = warm.journal or warm.experiment
    fitting = len(found.rows) if found else 0
    get_run_logger().info(f"warm start: {fitting} of {len(tried)} trials of {source} fit this search's space")
    return found


class RunningSearch:
    """One search between its first and its last trial. `judge` runs trials; `choose` ends it."""

    def __init__(
        self,
        method: str,
        settings: Settings,
        journal: Journal,
        tracker: Tracker,
        slots: Slots,
        logs: Path,
        earlier: Earlier | None,
    ) -> None:
        self.method = method
        self.settings = settings
        self.journal = journal
        self.tracker = tracker
        self.slots = slots
        self.logs = logs
        self.searcher: Searcher = methods.make(method, settings.search, settings.seed, earlier)
        self.results: dict[int, TrialResult] = {}
        self.screened: dict[int, TrialResult] = {}
        self._asked: dict[int, Trial] = {}
        self._recorded = {r["trial"]: read_result(r) for r in journal.records if "trial" in r}
        self._screened_before = {r["screens"]: read_result(r) for r in journal.records if "screens" in r}
        self._confirmed = {(r["confirms"], r["repeat"]): read_result(r) for r in journal.records if "confirms" in r}
        own = settings.search.own_script  # whose images only the script knows
        self._examples = example_images(8) if own else load_split(paths.DATA, "train").images[:8]
        self._log = get_run_logger()
        self._clock, self._ran, self._failed_in_a_row = time.perf_counter(), 0, 0
        if begun := self._screened_before or self._recorded:
            count = min(len(begun), settings.search.trials)
            self._log.info(f"{method}: {count} of {settings.search.trials} trials are in the journal and do not run again")

    def run(self) -> None:
        """All trials of the budget."""
        if self.settings.search.mode == "batch":
            while trials := self._ask(self.settings.search.batch):
                self._judge_batch(trials)
        else:
            self._judge_as_slots_fall_free()

    def _ask(self, n: int) -> list[Trial]:
        """The next trials, n or what is left of the budget."""
        n = min(n, self.settings.search.trials - len(self._asked))
        trials = self.searcher.ask(n) if n > 0 else []
        self._asked.update({trial.id: trial for trial in trials})
        return trials

    def _judge_batch(self, trials: Sequence[Trial]) -> None:
        """Train them, at full length or as the screening says; then the searcher is told, in order."""
        if self.settings.search.screen.epochs is None:
            self._train(trials)
            told = self.results
        else:
            self._screen(trials)
            told = self.screened
        for trial in trials:
            self.searcher.tell(trial.id, told[trial.id].score)

    def _screen(self, trials: Sequence[Trial]) -> None:
        """A shortened training of each, then the best of them at full length."""
        for trial in trials:
            if trial.id in self._screened_before:
                self.screened[trial.id] = self._screened_before[trial.id]
            else:
                call = self._call(f"{self.method} {trial.id} screening", trial, screening.screening_seed(trial))
                self.slots.add(trial.id, call | {"settings": screening.shortened(call["settings"])})
        for trial_id, result in self.slots.finished():
            self._record_screening(self._asked[trial_id], or_failure(result))
        scores = {trial.id: self.screened[trial.id].score for trial in trials}
        best = screening.promoted(scores, self.settings.search.screen.promote)
        # one in the journal was promoted from a smaller last batch, before the search was extended
        self._train([trial for trial in trials if trial.id in best or trial.id in self._recorded])
        for trial in trials:
            if trial.id not in self.results:
                self._track(trial, self.screened[trial.id])

    def _train(self, trials: Sequence[Trial]) -> None:
        """Trials in the journal are read, the others run."""
        for trial in trials:
            if trial.id in self._recorded:
                self._finish(trial, self._recorded[trial.id])
            else:
                self.slots.add(trial.id, self._call(f"{self.method} {trial.id}", trial, trial.seed))
        for trial_id, result in self.slots.finished():
            self._record(self._asked[trial_id], result)

    def _judge_as_slots_fall_free(self) -> None:
        """Replay the journal's askings and endings, start again what was running, then keep every slot busy."""
        for record in list(self.journal.records):
            if "asked" in record:
                self._ask(1)
            elif "trial" in record and record["trial"] in self._asked:
                self._finish(self._asked[record["trial"]], self._recorded[record["trial"]])
                self.searcher.tell(record["trial"], self.results[record["trial"]].score)
        for trial in self._asked.values():
            if trial.id not in self.results:
                self.slots.add(trial.id, self._call(f"{self.method} {trial.id}", trial, trial.seed))
        self._fill()
        for trial_id, result in self.slots.finished():
            self._record(self._asked[trial_id], result)
            self.searcher.tell(trial_id, self.results[trial_id].score)
            self._fill()

    def _fill(self) -> None:
        """A new trial for every free slot, each asking on record before it starts."""
        while self.slots.free() and (trials := self._ask(1)):
            self.journal.append({"asked": trials[0].id})
            self.slots.add(trials[0].id, self._call(f"{self.method} {trials[0].id}", trials[0], trials[0].seed))

    def _record(self, trial: Trial, result: TrialResult | BaseException) -> None:
        """A trial that has just ended: to the journal first, then to everybody else."""
        result = or_failure(result)
        self.journal.append({"trial": trial.id, "seed": trial.seed, **as_record(result), **_tried(trial)})
        self._ran += trial.id not in self.screened
        self._finish(trial, result)
        self._report(trial, result, "at full length " if trial.id in self.screened else "")
        self._count_failures(result)

    def _record_screening(self, trial: Trial, result: TrialResult) -> None:
        seed = screening.screening_seed(trial)
        self.journal.append({"screens": trial.id, "seed": seed, **as_record(result), **_tried(trial)})
        self._ran += 1
        self.screened[trial.id] = result
        self._report(trial, result, "screened ")
        self._count_failures(result)

    def _count_failures(self, result: TrialResult) -> None:
        self._failed_in_a_row = self._failed_in_a_row + 1 if result.score is None else 0
        if self._failed_in_a_row >= self.settings.search.max_consecutive_failures:
            raise SearchError(
                f"{self.method}: stopped after {self._failed_in_a_row} failed trials in a row "
                f"(search.max_consecutive_failures); the last: {result.failure}"
            )

    def choose(self) -> Outcome:
        """The best few trials again on fresh seeds, then the one with the best mean; the search is then over."""
        confirm = self.settings.search.confirm
        top = self._ranking()[: confirm.top if confirm.seeds else 1]
        if not top:
            results = [*self.screened.values(), *self.results.values()]
            reason = next((r.failure for r in results if r.failure), "no reason known")
            raise SearchError(f"{self.method}: all {len(self._asked)} trials failed; the first: {reason}")
        pairs = [(i, k) for i in top for k in range(confirm.seeds) if (i, k) not in self._confirmed]
        seeds = {(i, k): training_seed(self.settings.seed, _CONFIRMATION, i, k) for i, k in pairs}
        for i, k in pairs:
            self.slots.add((i, k), self._call(f"{self.method} {i} again {k}", self._asked[i], seeds[i, k]))
        for (i, k), ended in self.slots.finished():
            result = or_failure(ended)
            self.journal.append({"confirms": i, "repeat": k, "seed": seeds[i, k], **as_record(result)})
            self._confirmed[i, k] = result
        lowest = min(0.0, *(result.score for result in self.results.values() if result.score is not None))  # for a failed one
        repeats = {
            i: [lowest if (score := self._confirmed[i, k].score) is None else score for k in range(confirm.seeds)] for i in top
        }
        chosen = max(top, key=lambda i: float(np.mean(repeats[i]))) if confirm.seeds else top[0]
        return self._conclude(chosen, repeats)

    def _ranking(self) -> list[int]:
        """Ids, best first; after screening only of the trials that were promoted, by their scores at full length."""
        if self.settings.search.screen.epochs is None:
            return self.searcher.ranking()
        scores = {i: result.score for i, result in self.results.items() if result.score is not None}
        return sorted(scores, key=lambda i: (-scores[i], i))

    def _conclude(self, chosen: int, repeats: dict[int, list[float]]) -> Outcome:
        found, settings = self._asked[chosen].policy, self._asked[chosen].settings
        measure = self.settings.search.measure
        for i, scores in repeats.items():
            if scores:
                self.tracker.child_metric(str(i), f"confirmed_{measure}", float(np.mean(scores)))
        best = max(result.score for result in self.results.values() if result.score is not None)
        confirmed = {f"confirmed_{measure}": float(np.mean(repeats[chosen]))} if repeats[chosen] else {}
        if found is not None:
            self.tracker.dictionary(policy.to_dict(found), "policy.json")
        self.tracker.finish(
            params={"trials": self.settings.search.trials, "chosen_trial": chosen},
            metrics={f"val_{measure}": best, **confirmed},
            tags={"policy": describe(found), "settings": json.dumps(settings)},
        )
        self._log.info(f"{self.method}: chose trial {chosen}: {describe(found)}" + (f"; {settings}" if settings else ""))
        again = [self._confirmed[i, k] for i, scores in repeats.items() for k in range(len(scores))]
        cost = {"trainings": len(again), "epochs": sum(r.epochs for r in again), "seconds": sum(r.seconds for r in again)}
        return Outcome(found, settings, chosen, [self._summary(i) for i in sorted(self._asked)], repeats, cost)

    def _summary(self, trial: int) -> dict[str, Any]:
        """A trial's scores and what its trainings took, screening and full length."""
        full, screened = self.results.get(trial), self.screened.get(trial)
        trainings = [r for r in (screened, full) if r]
        return {
            "trial": trial,
            "score": full and full.score,
            "screened": screened and screened.score,
            "seconds": sum(r.seconds for r in trainings),
            "epochs": sum(r.epochs for r in trainings),
            "failure": next((r.failure for r in (screened, full) if r and r.failure), None),
        }

    def _call(self, name: str, trial: Trial, seed: int) -> dict[str, Any]:
        changes = {} if self.settings.search.own_script else trial.settings
        settings = override(self.settings, changes) if changes else self.settings
        log = self.logs / f"{name.replace(' ', '-')}.log"
        return {"name": name, "policy": trial.policy, "seed": seed, "settings": settings, "params": trial.settings, "log": log}

    def _finish(self, trial: Trial, result: TrialResult) -> None:
        self.results[trial.id] = result
        self._track(trial, result)

    def _track(self, trial: Trial, result: TrialResult) -> None:
        """A trial that is over, with its last training: a child run, unless it has one."""
        if str(trial.id) in self.tracker.logged:
            return
        found = trial.policy
        fixed = {"policy": describe(found), "seed": trial.seed, "trial": trial.id, "method": self.method}
        self.tracker.child(
            str(trial.id),
            name=f"{self.method} {trial.id}",
            started=result.started,
            seconds=result.seconds,
            params=fixed
            | {f"params.{name}" if name in fixed else name: value for name, value in trial.settings.items()}
            | self._strengths(found),
            metrics={"seconds": result.seconds, "epochs": result.epochs} | self._scores(trial, result),
            curves=curve(result.accuracy, self.settings),
            tags={"method": self.method, "kind": "trial"} | _why(result),
            policy=None if found is None else policy.to_dict(found),
            picture=None if found is None else policy_grid(found, self._examples, side=48),
        )

    def _strengths(self, found: Policy | None) -> dict[str, float]:
        """How strongly the policy uses each operation: numbers, so that MLflow can draw trials as parallel coordinates."""
        if found is None:
            return {}
        used = strengths(found)
        return {f"strength.{name.replace(':', '.')}": round(used.get(name, 0.0), 3) for name in self.settings.search.operations}

    def _scores(self, trial: Trial, result: TrialResult) -> dict[str, float]:
        """The accuracy, and the objective where that is another; a screening's apart, as they do not compare; of one's own
        script, its score."""
        measure, screened = self.settings.search.measure, self.screened.get(trial.id)
        known = {} if screened is None or screened.score is None else {f"screened_{measure}": screened.score}
        if result is screened or result.score is None:
            return known
        accuracy = {} if self.settings.search.own_script else {"val_accuracy": result.accuracy[-1]}
        return known | accuracy | {f"val_{measure}": result.score}

    def _report(self, trial: Trial, result: TrialResult, how: str = "") -> None:
        """One line for people: how far, how good, how long still."""
        scores = {i: r.score for i, r in self.results.items() if r.score is not None}
        total, done = self.settings.search.trials, len(self.screened or self.results)
        best = max(scores, key=lambda i: scores[i], default=None)
        now = f"{how}{self._shown(result.score)}" if result.score is not None else f"failed ({result.failure})"
        so_far = f"best {self._shown(scores[best])} (trial {best})" if best is not None else "none yet"
        left = (total - done) * (time.perf_counter() - self._clock) / max(self._ran, 1)
        printed = "".join(f"\n    | {line}" for line in result.output)
        self._log.info(f"{self.method} {done}/{total}: trial {trial.id} {now}; {so_far}; {_minutes(left)} left{printed}")

    def _shown(self, score: float) -> str:
        return f"{score:.4g}" if self.settings.search.own_script else f"{100 * score:.1f} %"


def _tried(trial: Trial) -> dict[str, Any]:
    """For the journal."""
    return {"policy": trial.policy and policy.to_dict(trial.policy), "settings": trial.settings}


def curve(accuracy: Sequence[float], settings: Settings) -> dict[str, dict[int, float]]:
    """For MLflow: the validation accuracy by epoch, or what one's own script reported, one after the other."""
    if settings.search.own_script:
        return {"epoch_val_score": dict(enumerate(accuracy, 1))}
    return {"epoch_val_accuracy": by_epoch(accuracy, settings.train)}


def read_result(record: dict[str, Any]) -> TrialResult:
    accuracy, recall, output = tuple(record["accuracy"]), tuple(record["recall"]), tuple(record.get("output", ()))
    known = record["score"], accuracy, record["seconds"], record["started"], record["failure"], recall
    return TrialResult(*known, record["epochs"], output)


def _why(result: TrialResult) -> dict[str, str]:
    """Tags of a failed trial."""
    if result.failure is None:
        return {}
    return {"failure": result.failure} | ({"output": "\n".join(result.output)} if result.output else {})


def or_failure(result: TrialResult | BaseException) -> TrialResult:
    """A task that raised is a failed trial; a process that died is not the trial's fault, and ends the search."""
    if isinstance(result, TrialResult):
        return result
    if isinstance(result, BrokenProcessPool):
        raise SearchError(
            "a slot's process died, often because memory ran out: fewer workers.per_device need less; "
            "what was finished is kept, and `dvc repro` goes on from there"
        )
    return TrialResult(None, (), 0.0, time.time(), f"{type(result).__name__}: {result}")


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
