"""The search: ask, evaluate, tell, until the budget is spent; then the best few again on fresh seeds.

    outcome = search(searcher, objective, Synchronous(8), evaluator, trials=60, confirm=ConfirmSettings(), seed=0)
    outcome.augmentation, outcome.settings

To resume, the same questions are asked again: what the store knows is answered at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from augsearch.errors import SearchError
from augsearch.execute import Evaluator, evaluate
from augsearch.job import Outcome, Work
from augsearch.objective import Objective
from augsearch.outcome import Failure
from augsearch.policy import Augmentation
from augsearch.search.batching import Batching
from augsearch.search.searcher import Searcher, Trial, training_seed
from augsearch.search.settings import ConfirmSettings

_CONFIRMATION = 1_000_000  # in the path of a training seed, far from every trial's number


@dataclass(frozen=True)
class Ended:
    """A trial that ended, with its outcome."""

    trial: Trial
    outcome: Outcome
    score: float | None
    """The score that the searcher got; None for a failure."""
    stored: bool = False
    """Whether the outcome came from the store, so that nothing ran."""


@dataclass
class SearchOutcome:
    """The choice of a search, with its trials and confirmations."""

    method: str
    searcher: Searcher
    chosen: int
    augmentation: Augmentation | None
    settings: dict[str, Any]
    trials: list[Ended]
    confirmations: dict[int, list[float]] = field(default_factory=dict)
    """The scores of the best few on fresh seeds; a failed one counts as the worst score seen."""
    confirming: dict[str, float] = field(default_factory=dict)
    """Cost of the confirmations: trainings, epochs, seconds."""


class Observer(Protocol):
    """Receives every outcome of a search, such as a log or MLflow; nothing is read from it."""

    def begin(self, method: str, searcher: Searcher, trials: int) -> None:
        """The search begins; `trials` is its budget."""
        ...

    def ended(self, ended: Ended) -> None:
        """A trial ended."""
        ...

    def confirmed(self, trial: int, repeat: int, outcome: Outcome) -> None:
        """A confirmation ended."""
        ...

    def chosen(self, outcome: SearchOutcome) -> None:
        """The search is over."""
        ...


def search(
    searcher: Searcher,
    objective: Objective,
    batching: Batching,
    evaluator: Evaluator,
    observers: Sequence[Observer] = (),
    *,
    method: str = "search",
    trials: int,
    confirm: ConfirmSettings,
    seed: int,
    max_consecutive_failures: int = 5,
) -> SearchOutcome:
    """Run a search to its end, or go on with one that was interrupted.

    Args:
        searcher: proposes trials; fresh, as it was when the search began.
        objective: how a proposal is evaluated.
        batching: decides when how many trials are proposed.
        trials: the budget.
        confirm: how one trial is chosen from the best few.
        seed: confirmations' seeds follow from it.

    Raises:
        SearchError: no trial has a score, or too many failed in a row.
        WorkerError: a worker was lost; what was finished is stored.
    """
    run = _Run(searcher, objective, batching, evaluator, observers, method, trials, max_consecutive_failures)
    run.to_the_end()
    top = searcher.ranking()[: confirm.top if confirm.seeds else 1]
    if not top:
        first = next(e.outcome.message for e in run.ended.values() if isinstance(e.outcome, Failure))
        raise SearchError(f"{method}: all {len(run.ended)} trials failed; the first: {first}")
    outcome = _choose(run, top, confirm, seed)
    for observer in observers:
        observer.chosen(outcome)
    return outcome


class _Run:
    """A search between its first and its last trial."""

    def __init__(
        self,
        searcher: Searcher,
        objective: Objective,
        batching: Batching,
        evaluator: Evaluator,
        observers: Sequence[Observer],
        method: str,
        budget: int,
        max_consecutive_failures: int,
    ) -> None:
        self.searcher = searcher
        self.objective = objective
        self.batching = batching
        self.evaluator = evaluator
        self.observers = observers
        self.method = method
        self.budget = budget
        self.max_consecutive_failures = max_consecutive_failures
        self.asked: list[Trial] = []
        self.ended: dict[int, Ended] = {}
        self._running: dict[Work, list[Trial]] = {}
        self._failures = 0
        self._recorded = 0  # trials whose end a recorded proposal knew of

    def to_the_end(self) -> None:
        """Spend the budget."""
        for observer in self.observers:
            observer.begin(self.method, self.searcher, self.budget)
        self._replay()
        for work in list(self._running):
            self.evaluator.submit(work)
        self._ask()
        for done in self.evaluator.completed():
            self._tell(done.work, done.outcomes, done.stored)
            self._ask()

    def _replay(self) -> None:
        """Repeat the proposals of an asynchronous search, by the record of what was known at each of them."""
        for ended in self.batching.history()[: self.budget]:
            for trial_id in ended:
                work = next(w for w, trials in self._running.items() if trials[0].id == trial_id)
                outcomes = self.evaluator.known(work)
                if outcomes is None:  # tried again, such as with more time: from here on another search
                    return
                self._tell(work, outcomes, stored=True)
                self._recorded += 1
            self._propose(1)

    def _ask(self) -> None:
        """Ask for as many trials as the batching wants, within the budget and while the searcher proposes any."""
        while wanted := self.batching.wanted(len(self._running), self.evaluator.free):
            self.batching.record(len(self.asked), list(self.ended)[self._recorded :])
            self._recorded = len(self.ended)
            works = self._propose(min(wanted, self.budget - len(self.asked)))
            for work in works:
                self.evaluator.submit(work)
            if not works:
                return

    def _propose(self, n: int) -> list[Work]:
        trials = self.searcher.ask(n) if n > 0 else []
        self.asked += trials
        works = self.objective.works(trials, self.method)
        self._running.update({work: group for group, work in works})
        return [work for _, work in works]

    def _tell(self, work: Work, outcomes: Sequence[Outcome], stored: bool) -> None:
        for trial, outcome in zip(self._running.pop(work), outcomes, strict=True):
            ended = Ended(trial, outcome, self.objective.score(outcome), stored)
            self.ended[trial.id] = ended
            self.searcher.tell(trial.id, ended.score)
            for observer in self.observers:
                observer.ended(ended)
            self._count_failures(outcome)

    def _count_failures(self, outcome: Outcome) -> None:
        self._failures = self._failures + 1 if isinstance(outcome, Failure) else 0
        if isinstance(outcome, Failure) and self._failures >= self.max_consecutive_failures:
            raise SearchError(
                f"{self.method}: stopped after {self._failures} failed trials in a row "
                f"(search.max_consecutive_failures); the last: {outcome.message}"
            )


def _choose(run: _Run, top: Sequence[int], confirm: ConfirmSettings, seed: int) -> SearchOutcome:
    """Evaluate the best few again on fresh seeds, and take the one with the best mean."""
    again = dict(_confirmed(run, top, confirm, seed))
    scores = [ended.score for ended in run.ended.values() if ended.score is not None]
    lowest = min(0.0, *scores, 0.0)  # for a confirmation that failed
    repeats = {i: [lowest if (s := run.objective.score(again[i, k])) is None else s for k in range(confirm.seeds)] for i in top}
    chosen = max(top, key=lambda i: float(np.mean(repeats[i]))) if confirm.seeds else top[0]
    cost = {
        "trainings": len(again),
        "epochs": sum(outcome.epochs for outcome in again.values()),
        "seconds": sum(outcome.seconds for outcome in again.values()),
    }
    return SearchOutcome(
        run.method,
        run.searcher,
        chosen,
        run.searcher.augmentation(chosen),
        run.asked[chosen].settings,
        [run.ended[i] for i in sorted(run.ended)],
        repeats,
        cost,
    )


def _confirmed(run: _Run, top: Sequence[int], confirm: ConfirmSettings, seed: int) -> Iterator[tuple[tuple[int, int], Outcome]]:
    """((trial, repeat), outcome) of every confirmation."""
    pairs: dict[Work, tuple[int, int]] = {}
    for i in top:
        trial = run.asked[i]
        for k in range(confirm.seeds):
            job = run.objective.job(trial.policy, trial.settings, training_seed(seed, _CONFIRMATION, i, k))
            pairs[Work(f"{run.method} {i} again {k}", (job,))] = (i, k)
    for done in evaluate(pairs, run.evaluator):
        (outcome,) = done.outcomes
        for observer in run.observers:
            observer.confirmed(*pairs[done.work], outcome)
        yield pairs[done.work], outcome
