"""Progress for people: a line for each training that ends, with the best so far and the time left.

It logs to whatever logger it is given: Prefect's in a flow, any other in a script.
"""

from __future__ import annotations

import time
from logging import Logger, LoggerAdapter
from typing import Any

from augsearch.evidence.retraining import Model
from augsearch.job import Outcome
from augsearch.objective import Objective, Unit
from augsearch.outcome import Failure
from augsearch.policy.pictures import describe
from augsearch.search.loop import Ended, SearchOutcome
from augsearch.search.searcher import Searcher

AnyLogger = Logger | LoggerAdapter[Any]


class _Clock:
    """The time left, by what ran since the first look."""

    def __init__(self) -> None:
        self._started, self._ran = time.perf_counter(), 0

    def left(self, trainings: int) -> str:
        """After one more training that ran: minutes and seconds until `trainings` more have."""
        self._ran += 1
        seconds = trainings * (time.perf_counter() - self._started) / self._ran
        return f"{int(seconds // 60)}:{int(seconds % 60):02d} left"


class SearchProgress:
    """Logs a search's trials; of a population, its rounds."""

    def __init__(self, log: AnyLogger, unit: Unit) -> None:
        self._log, self._unit = log, unit
        self._stored = 0
        self._scores: dict[int, float] = {}
        self._done = 0

    def begin(self, method: str, searcher: Searcher, trials: int) -> None:
        """Start the clock."""
        self._method, self._searcher, self._trials = method, searcher, trials
        self._clock = _Clock()

    def ended(self, ended: Ended) -> None:
        """Log the trial, or the whole round of a population; stored trials in one line together."""
        self._done += 1
        if ended.score is not None:
            self._scores[ended.trial.id] = ended.score
        if ended.stored:
            self._stored += 1
            return
        if self._stored:
            self._log.info(f"{self._method}: {self._stored} of {self._trials} trials are in the store and do not run again")
            self._stored = 0
        left = self._clock.left(self._trials - self._done)
        if rounds := self._searcher.rounds():
            if self._done % len(rounds[-1].trials) == 0:
                self._log.info(f"{self._method} to epoch {rounds[-1].until}: {self._round(rounds[-1].trials)}; {left}")
            return
        printed = "".join(f"\n    | {line}" for line in getattr(ended.outcome, "output", ()))
        self._log.info(f"{self._method} {self._done}/{self._trials}: {self._trial(ended)}; {self._best()}; {left}{printed}")

    def _trial(self, ended: Ended) -> str:
        if isinstance(ended.outcome, Failure):
            return f"trial {ended.trial.id} failed ({ended.outcome.message})"
        return f"trial {ended.trial.id} {self._unit.show(self._scores[ended.trial.id])}"

    def _best(self) -> str:
        best = max(self._scores, key=lambda i: self._scores[i], default=None)
        return "none yet" if best is None else f"best {self._unit.show(self._scores[best])} (trial {best})"

    def _round(self, trials: tuple[int, ...]) -> str:
        scores = [self._scores[i] for i in trials if i in self._scores]
        if not scores:
            return "every member failed"
        failed = f", {len(trials) - len(scores)} failed" if len(scores) < len(trials) else ""
        return f"best {self._unit.show(max(scores))}, mean {self._unit.show(sum(scores) / len(scores))}{failed}"

    def confirmed(self, trial: int, repeat: int, outcome: Outcome) -> None:
        """Log nothing: the choice follows soon."""

    def chosen(self, outcome: SearchOutcome) -> None:
        """Log the choice, and whether the space was used up before the budget."""
        if len(outcome.trials) < self._trials:
            self._log.info(f"{outcome.method}: the space has no more than these {len(outcome.trials)} trials")
        settings = f"; {outcome.settings}" if outcome.settings else ""
        self._log.info(f"{outcome.method}: chose {outcome.chosen}: {describe(outcome.augmentation)}{settings}")


class RetrainProgress:
    """Logs each model of the final table as it ends."""

    def __init__(self, log: AnyLogger) -> None:
        self._log, self._clock, self._done = log, _Clock(), 0

    def __call__(self, model: Model, objective: Objective, total: int) -> None:
        self._done += 1
        if model.stored:
            return
        score = objective.unit.show(objective.scores(model.result)[objective.measure])
        left = self._clock.left(total - self._done)
        self._log.info(f"retrain {self._done}/{total}: {model.arm} {model.repeat} {score}; {left}")
