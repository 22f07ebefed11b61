"""A search in progress: its searcher, journal and tracking, and the trial tasks that feed them.

The journal is the only memory. A search that is resumed asks its searcher the same questions in the same order;
a trial that the journal knows is read, the others run. In batch mode the order follows from the ids; in async
mode the journal also holds each asking.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from augsearch import datasets, policy, searchers
from augsearch.config import Settings, override
from augsearch.datasets import Card
from augsearch.errors import SearchError
from augsearch.files import write_text
from augsearch.journal import Journal, read_records
from augsearch.pictures import describe, policy_grid
from augsearch.policy import Policy
from augsearch.report.importance import strengths
from augsearch.searchers import Earlier, Searcher, Trial
from augsearch.searchers.base import training_seed
from augsearch.trials import TrialResult, as_record, training_fingerprint
from tasks import paths
from tasks.slots import Slots
from tasks.tracking import Tracker, tracked_policies
from tasks.trials import trial_task

# Left out of a journal's fingerprint: more trials, for one, extend a search.
_CHANGES_NO_PROPOSAL = {"methods", "trials", "confirm", "warm_start", "trial_seconds", "failures_in_a_row"}
_CONFIRMATION = 1_000_000  # in the path of a training seed, far from every trial's number


@dataclass
class Outcome:
    """What a search found, and what it cost."""

    policy: Policy | None
    settings: dict[str, Any]
    chosen: int
    trials: list[dict[str, Any]]
    confirmations: dict[int, list[float]] = field(default_factory=dict)


@contextmanager
def open_search(method: str, settings: Settings, slots: Sequence[str]) -> Iterator[RunningSearch]:
    """Continue or begin the search of that method; on leaving, journal and tracking are closed."""
    card = datasets.load_card(paths.DATA / "card.json")
    earlier = _earlier(settings) if method != "random" else None
    space = settings.search.model_dump(
        exclude={"methods", "trials", "confirm", "warm_start", "trial_seconds", "failures_in_a_row"}
    )
    known = [earlier.rows.tolist(), earlier.scores.tolist(), settings.search.warm_start.model_dump()] if earlier else None
    mark = training_fingerprint(settings, card, method=method, search=space, earlier=known)
    log = get_run_logger()
    with Journal.open(paths.JOURNALS / f"{method}.jsonl", mark, log.warning) as journal:
        tracker = Tracker(card.name, f"search {method}", mark, {"method": method, "kind": "search"})
        try:
            yield RunningSearch(method, settings, card, journal, tracker, Slots(trial_task, slots), earlier)
        except BaseException:
            tracker.interrupted()
            raise


def _earlier(settings: Settings) -> Earlier | None:
    """What `search.warm_start` names, as far as it fits this search's space."""
    warm = settings.search.warm_start
    if warm.journal is not None:
        records = read_records(warm.journal)
        tried = [(r["policy"], r["score"]) for r in records if r.get("policy") and r["score"] is not None]
    elif warm.experiment is not None:
        tried = tracked_policies(warm.experiment)
    else:
        return None
    policies = [(policy.from_dict(data), score) for data, score in tried]
    found = searchers.known_earlier(settings.search, [(p, score) for p, score in policies if isinstance(p, Policy)])
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
        card: Card,
        journal: Journal,
        tracker: Tracker,
        slots: Slots,
        earlier: Earlier | None,
    ) -> None:
        self.method = method
        self.settings = settings
        self.journal = journal
        self.tracker = tracker
        self.slots = slots
        self.searcher: Searcher = searchers.make(method, settings.search, settings.seed, earlier)
        self.results: dict[int, TrialResult] = {}
        self._asked: dict[int, Trial] = {}
        self._recorded = {r["trial"]: _result(r) for r in journal.records if "trial" in r}
        self._confirmed = {(r["confirms"], r["repeat"]): _result(r) for r in journal.records if "confirms" in r}
        self._examples = datasets.load_part(paths.DATA, "train").images[:8]
        self._log = get_run_logger()
        self._clock, self._ran, self._failed_in_a_row = time.perf_counter(), 0, 0
        if self._recorded:
            count = min(len(self._recorded), settings.search.trials)
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
        """Trials in the journal are read, the others run; then the searcher is told, in order."""
        for trial in trials:
            if trial.id in self._recorded:
                self._finish(trial, self._recorded[trial.id])
            else:
                self.slots.add(trial.id, self._call(f"{self.method} {trial.id}", trial, trial.seed))
        for trial_id, result in self.slots.finished():
            self._record(self._asked[trial_id], result)
        for trial in trials:
            self.searcher.tell(trial.id, self.results[trial.id].score)

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
        result = _or_failure(result)
        found = trial.policy and policy.to_dict(trial.policy)
        record = {"trial": trial.id, "seed": trial.seed, **as_record(result), "policy": found, "settings": trial.settings}
        self.journal.append(record)
        self._ran += 1
        self._finish(trial, result)
        self._report(trial, result)
        self._failed_in_a_row = self._failed_in_a_row + 1 if result.score is None else 0
        if self._failed_in_a_row >= self.settings.search.failures_in_a_row:
            raise SearchError(
                f"{self.method}: stopped after {self._failed_in_a_row} failed trials in a row "
                f"(search.failures_in_a_row); the last: {result.failure}"
            )

    def choose(self) -> Outcome:
        """The best few trials again on fresh seeds, then the one with the best mean; the search is then over."""
        confirm = self.settings.search.confirm
        top = self.searcher.ranking()[: confirm.top if confirm.seeds else 1]
        if not top:
            reason = next((r.failure for r in self.results.values() if r.failure), "no reason known")
            raise SearchError(f"{self.method}: all {len(self._asked)} trials failed; the first: {reason}")
        pairs = [(i, k) for i in top for k in range(confirm.seeds) if (i, k) not in self._confirmed]
        seeds = {(i, k): training_seed(self.settings.seed, _CONFIRMATION, i, k) for i, k in pairs}
        for i, k in pairs:
            self.slots.add((i, k), self._call(f"{self.method} {i} again {k}", self._asked[i], seeds[i, k]))
        for (i, k), ended in self.slots.finished():
            result = _or_failure(ended)
            self.journal.append({"confirms": i, "repeat": k, "seed": seeds[i, k], **as_record(result)})
            self._confirmed[i, k] = result
        repeats = {i: [self._confirmed[i, k].score or 0.0 for k in range(confirm.seeds)] for i in top}
        chosen = max(top, key=lambda i: float(np.mean(repeats[i]))) if confirm.seeds else top[0]
        return self._conclude(chosen, repeats)

    def _conclude(self, chosen: int, repeats: dict[int, list[float]]) -> Outcome:
        found, settings = self._asked[chosen].policy, self._asked[chosen].settings
        objective = self.settings.search.objective
        for i, scores in repeats.items():
            if scores:
                self.tracker.child_metric(str(i), f"confirmed_{objective}", float(np.mean(scores)))
        best = max(result.score for result in self.results.values() if result.score is not None)
        confirmed = {f"confirmed_{objective}": float(np.mean(repeats[chosen]))} if repeats[chosen] else {}
        if found is not None:
            self.tracker.dictionary(policy.to_dict(found), "policy.json")
        self.tracker.finish(
            params={"trials": self.settings.search.trials, "chosen_trial": chosen},
            metrics={f"val_{objective}": best, **confirmed},
            tags={"policy": describe(found), "settings": json.dumps(settings)},
        )
        self._log.info(f"{self.method}: chose trial {chosen}: {describe(found)}" + (f"; {settings}" if settings else ""))
        trials = [
            {"trial": i, "score": r.score, "seconds": r.seconds, "epochs": len(r.accuracy), "failure": r.failure}
            for i, r in sorted(self.results.items())
        ]
        return Outcome(found, settings, chosen, trials, repeats)

    def _call(self, name: str, trial: Trial, seed: int) -> dict[str, Any]:
        settings = override(self.settings, trial.settings) if trial.settings else self.settings
        return {"name": name, "policy": trial.policy, "seed": seed, "settings": settings}

    def _finish(self, trial: Trial, result: TrialResult) -> None:
        self.results[trial.id] = result
        if str(trial.id) in self.tracker.logged:
            return
        found = trial.policy
        fixed = {"policy": describe(found), "seed": trial.seed, "trial": trial.id, "method": self.method}
        self.tracker.child(
            str(trial.id),
            name=f"{self.method} {trial.id}",
            started=result.started,
            seconds=result.seconds,
            params=fixed | trial.settings | self._strengths(found),
            metrics={"seconds": result.seconds} | self._scores(result),
            curves={"epoch_val_accuracy": result.accuracy},
            tags={"method": self.method, "kind": "trial"} | ({"failure": result.failure} if result.failure else {}),
            policy=None if found is None else policy.to_dict(found),
            picture=None if found is None else policy_grid(found, self._examples, side=48),
        )

    def _strengths(self, found: Policy | None) -> dict[str, float]:
        """How strongly the policy uses each operation: numbers, so that MLflow can draw trials as parallel coordinates."""
        used = {} if found is None else strengths(found)
        return {f"strength.{name.replace(':', '.')}": round(used.get(name, 0.0), 3) for name in self.settings.search.operations}

    def _scores(self, result: TrialResult) -> dict[str, float]:
        """The accuracy, and the objective where that is another."""
        if result.score is None:
            return {}
        return {"val_accuracy": result.accuracy[-1], f"val_{self.settings.search.objective}": result.score}

    def _report(self, trial: Trial, result: TrialResult) -> None:
        """One line for people: how far, how good, how long still."""
        scores = {i: r.score for i, r in self.results.items() if r.score is not None}
        total, done = self.settings.search.trials, len(self.results)
        best = max(scores, key=lambda i: scores[i], default=None)
        now = f"{100 * result.score:.1f} %" if result.score is not None else f"failed ({result.failure})"
        so_far = f"best {100 * scores[best]:.1f} % (trial {best})" if best is not None else "none yet"
        left = (total - done) * (time.perf_counter() - self._clock) / self._ran
        self._log.info(f"{self.method} {done}/{total}: trial {trial.id} {now}; {so_far}; {_minutes(left)} left")


def _result(record: dict[str, Any]) -> TrialResult:
    accuracy, recall = tuple(record["accuracy"]), tuple(record["recall"])
    return TrialResult(record["score"], accuracy, record["seconds"], record["started"], record["failure"], recall)


def _or_failure(result: TrialResult | BaseException) -> TrialResult:
    """A task that raised is a failed trial; a process that died is not the trial's fault, and ends the search."""
    if isinstance(result, TrialResult):
        return result
    if isinstance(result, BrokenProcessPool):
        raise SearchError(
            "a slot's process died, often because memory ran out: fewer slots.per_device need less; "
            "what was finished is kept, and `dvc repro` goes on from there"
        )
    return TrialResult(None, (), 0.0, time.time(), f"{type(result).__name__}: {result}")


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


@task(cache_policy=NO_CACHE)
def save_searches(outcomes: Mapping[str, Outcome]) -> None:
    """The found policies and settings, and the scores that the search curve is drawn from."""
    found = {method: outcome.policy for method, outcome in outcomes.items() if outcome.policy is not None}
    for method, best in found.items():
        policy.save(best, paths.POLICIES / f"{method}.json")
    for file in paths.POLICIES.glob("*.json"):
        if file.stem not in found:
            file.unlink()
    settings = {method: outcome.settings for method, outcome in outcomes.items()}
    write_text(paths.FOUND_SETTINGS, json.dumps(settings, indent=1) + "\n")
    summary = {
        method: {
            "chosen": outcome.chosen,
            "trials": outcome.trials,
            "confirmations": {str(i): scores for i, scores in outcome.confirmations.items()},
        }
        for method, outcome in outcomes.items()
    }
    write_text(paths.SEARCHES, json.dumps(summary, indent=1) + "\n")
