"""A search in progress: its searcher, journal and tracking, and the trial tasks that feed them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from augsearch import datasets, policy, searchers
from augsearch.config import Settings
from augsearch.datasets import Card
from augsearch.errors import SearchError
from augsearch.files import write_text
from augsearch.journal import Journal
from augsearch.pictures import describe, policy_grid
from augsearch.policy import Policy
from augsearch.searchers import Searcher, Trial
from augsearch.searchers.base import training_seed
from augsearch.trials import TrialResult, as_record, run_trial, training_fingerprint
from tasks import paths
from tasks.slots import on_slots
from tasks.tracking import Tracker

_CONFIRMATION = 1_000_000  # in the path of a training seed, far from every trial's number


@task(name="trial", task_run_name="{name}", cache_policy=NO_CACHE)
def trial_task(name: str, policy: Policy, seed: int, settings: Settings, device: str) -> TrialResult:
    """One training of one policy on one slot."""
    return run_trial(policy, seed, settings, paths.DATA, device)


@dataclass
class Outcome:
    """What a search found, and what it cost."""

    policy: Policy
    chosen: int
    trials: list[dict[str, Any]]
    confirmations: dict[int, list[float]] = field(default_factory=dict)


@contextmanager
def open_search(method: str, settings: Settings) -> Iterator[RunningSearch]:
    """Continue or begin the search of that method; on leaving, journal and tracking are closed."""
    card = datasets.load_card(paths.DATA / "card.json")
    space = settings.search.model_dump(exclude={"methods", "trials", "confirm"})  # more trials extend a search
    mark = training_fingerprint(settings, card, method=method, search=space)
    log = get_run_logger()
    with Journal.open(paths.JOURNALS / f"{method}.jsonl", mark, log.warning) as journal:
        tracker = Tracker(card.name, f"search {method}", mark, {"method": method, "kind": "search"})
        running = RunningSearch(method, settings, card, journal, tracker)
        try:
            yield running
        except BaseException:
            tracker.interrupted()
            raise


class RunningSearch:
    def __init__(self, method: str, settings: Settings, card: Card, journal: Journal, tracker: Tracker) -> None:
        self.method = method
        self.settings = settings
        self.journal = journal
        self.tracker = tracker
        self.searcher: Searcher = searchers.make(method, settings.search, settings.seed)
        self.results: dict[int, TrialResult] = {}
        self._asked: dict[int, Trial] = {}
        self._recorded = {r["trial"]: _result(r) for r in journal.records if "trial" in r}
        self._confirmed = {(r["confirms"], r["repeat"]): _result(r) for r in journal.records if "confirms" in r}
        self._examples = datasets.load_part(paths.DATA, "train").images[:8]
        self._log = get_run_logger()
        self._clock, self._ran = time.perf_counter(), 0
        if self._recorded:
            count = min(len(self._recorded), settings.search.trials)
            self._log.info(f"{method}: {count} of {settings.search.trials} trials are in the journal and do not run again")

    def next_batch(self) -> list[Trial]:
        """The next batch to judge; empty when the budget is spent."""
        left = self.settings.search.trials - len(self._asked)
        trials = self.searcher.ask(min(self.settings.search.batch, left)) if left else []
        self._asked.update({trial.id: trial for trial in trials})
        return trials

    def run(self, trials: Sequence[Trial], slots: Sequence[str]) -> None:
        """Judge a batch: trials in the journal are read, the others run; then the searcher is told, in order."""
        new = [trial for trial in trials if trial.id not in self._recorded]
        for trial in trials:
            if trial.id in self._recorded:
                self._finish(trial, self._recorded[trial.id])
        calls = [self._call(f"{self.method} {trial.id}", trial.policy, trial.seed) for trial in new]
        for index, result in on_slots(trial_task, calls, slots):
            trial = new[index]
            result = _or_failure(result)
            self.journal.append(
                {"trial": trial.id, "seed": trial.seed, **as_record(result), "policy": policy.to_dict(trial.policy)}
            )
            self._ran += 1
            self._finish(trial, result)
            self._report(trial, result)
        for trial in trials:
            self.searcher.tell(trial.id, self.results[trial.id].score)

    def choose(self, slots: Sequence[str]) -> Outcome:
        """The best few trials again on fresh seeds, then the one with the best mean; the search is then over."""
        confirm = self.settings.search.confirm
        top = self.searcher.ranking()[: confirm.top if confirm.seeds else 1]
        if not top:
            raise SearchError(f"{self.method}: all {len(self._asked)} trials failed; the last: {self._last_failure()}")
        pairs = [(i, k) for i in top for k in range(confirm.seeds) if (i, k) not in self._confirmed]
        seeds = {(i, k): training_seed(self.settings.seed, _CONFIRMATION, i, k) for i, k in pairs}
        calls = [self._call(f"{self.method} {i} again {k}", self._asked[i].policy, seeds[i, k]) for i, k in pairs]
        for index, result in on_slots(trial_task, calls, slots):
            i, k = pairs[index]
            result = _or_failure(result)
            self.journal.append({"confirms": i, "repeat": k, "seed": seeds[i, k], **as_record(result)})
            self._confirmed[i, k] = result
        repeats = {i: [self._confirmed[i, k].score or 0.0 for k in range(confirm.seeds)] for i in top}
        chosen = max(top, key=lambda i: float(np.mean(repeats[i]))) if confirm.seeds else top[0]
        return self._conclude(chosen, repeats)

    def _conclude(self, chosen: int, repeats: dict[int, list[float]]) -> Outcome:
        found = self._asked[chosen].policy
        for i, scores in repeats.items():
            if scores:
                self.tracker.child_metric(str(i), f"confirmed_{self.settings.search.objective}", float(np.mean(scores)))
        best = max(result.score or 0.0 for result in self.results.values())
        confirmed = {f"confirmed_{self.settings.search.objective}": float(np.mean(repeats[chosen]))} if repeats[chosen] else {}
        self.tracker.dictionary(policy.to_dict(found), "policy.json")
        self.tracker.finish(
            params={"trials": self.settings.search.trials, "chosen_trial": chosen},
            metrics={f"val_{self.settings.search.objective}": best, **confirmed},
            tags={"policy": describe(found)},
        )
        self._log.info(f"{self.method}: chose trial {chosen}: {describe(found)}")
        trials = [
            {"trial": i, "score": r.score, "seconds": r.seconds, "epochs": len(r.accuracy), "failure": r.failure}
            for i, r in sorted(self.results.items())
        ]
        return Outcome(found, chosen, trials, repeats)

    def _call(self, name: str, found: Policy, seed: int) -> dict[str, Any]:
        return {"name": name, "policy": found, "seed": seed, "settings": self.settings}

    def _finish(self, trial: Trial, result: TrialResult) -> None:
        self.results[trial.id] = result
        if str(trial.id) in self.tracker.logged:
            return
        self.tracker.child(
            str(trial.id),
            name=f"{self.method} {trial.id}",
            started=result.started,
            seconds=result.seconds,
            params={"policy": describe(trial.policy), "seed": trial.seed, "trial": trial.id, "method": self.method},
            metrics={"seconds": result.seconds} | self._scores(result),
            curves={"epoch_val_accuracy": result.accuracy},
            tags={"method": self.method, "kind": "trial"} | ({"failure": result.failure} if result.failure else {}),
            policy=policy.to_dict(trial.policy),
            picture=policy_grid(trial.policy, self._examples, side=48),
        )

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

    def _last_failure(self) -> str:
        return next((r.failure for r in reversed(self.results.values()) if r.failure), "no reason known")


def _result(record: dict[str, Any]) -> TrialResult:
    return TrialResult(record["score"], tuple(record["accuracy"]), record["seconds"], record["started"], record["failure"])


def _or_failure(result: TrialResult | BaseException) -> TrialResult:
    """A task that raised, or whose process died, is a failed trial."""
    if isinstance(result, TrialResult):
        return result
    return TrialResult(None, (), 0.0, time.time(), f"{type(result).__name__}: {result}")


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


@task(cache_policy=NO_CACHE)
def save_searches(outcomes: Mapping[str, Outcome]) -> None:
    """The found policies, and the scores that the search curve is drawn from."""
    for method, outcome in outcomes.items():
        policy.save(outcome.policy, paths.POLICIES / f"{method}.json")
    for file in paths.POLICIES.glob("*.json"):
        if file.stem not in outcomes:
            file.unlink()
    summary = {
        method: {
            "chosen": outcome.chosen,
            "trials": outcome.trials,
            "confirmations": {str(i): scores for i, scores in outcome.confirmations.items()},
        }
        for method, outcome in outcomes.items()
    }
    write_text(paths.SEARCHES, json.dumps(summary, indent=1) + "\n")
