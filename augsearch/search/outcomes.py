"""Trials of a study and their values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from augsearch.errors import SearchError
from augsearch.search.searcher import Trial
from augsearch.search.space_searcher import SpaceSearcher


@dataclass(frozen=True)
class Evaluation:
    """A trial that is over."""

    params: dict[str, Any]
    value: float | None
    """None: it failed."""
    failure: str | None = None
    """Why it failed."""


@dataclass(frozen=True)
class Result:
    """The best trial of a study, and all trials that are over, known points among them."""

    best_params: dict[str, Any]
    best_value: float
    trials: tuple[Evaluation, ...]
    exhausted: bool
    """Whether every point of a finite space has been asked for."""

    @property
    def failures(self) -> tuple[Evaluation, ...]:
        """The trials that failed."""
        return tuple(trial for trial in self.trials if trial.value is None)


class Outcomes:
    """The trials of a searcher with their values, by its direction."""

    def __init__(self, searcher: SpaceSearcher, direction: str) -> None:
        self.direction = direction
        self._searcher = searcher
        self._over: dict[int, Evaluation] = {}

    def tell(self, trial: Trial | int, value: object, failure: str | None = None) -> Evaluation:
        """Take a trial's value, any number; None or NaN: it failed, for the reason `failure`.

        Raises:
            SearchError: a trial that was never asked for or has a value already, or a value that is no number.
        """
        i = trial.id if isinstance(trial, Trial) else trial
        if not 0 <= i < len(self._searcher.trials):
            raise SearchError(f"trial {i}: never asked for; {len(self._searcher.trials)} were")
        if i in self._over:
            raise SearchError(f"trial {i}: has been told already: {self._over[i].value}")
        number = _number(value, f"trial {i}")
        if number is None:
            failure = failure or ("no value" if value is None else f"its value was {value}")
        self._over[i] = Evaluation(self._searcher.trials[i].params, number, failure if number is None else None)
        self._searcher.tell(i, number if number is None or self.direction == "maximize" else -number)
        return self._over[i]

    def add(self, params: Mapping[str, Any], value: object, failure: str | None = None) -> Trial:
        """Take a point that is known from elsewhere, as a trial that is over.

        Raises:
            SettingsError: parameters that this space cannot give.
            SearchError: a value that is no number.
        """
        _number(value, "known point")
        given = {name: each.item() if isinstance(each, np.generic) else each for name, each in params.items()}
        trial = self._searcher.add(self._searcher.space.row(given), given)
        self.tell(trial, value, failure)
        return trial

    @property
    def running(self) -> list[Trial]:
        """Trials that were asked for and have no value yet."""
        return [trial for trial in self._searcher.trials if trial.id not in self._over]

    @property
    def exhausted(self) -> bool:
        """Whether every point of a finite space has been asked for."""
        return self._searcher.exhausted

    @property
    def best(self) -> Trial:
        """The trial with the best value. Raises SearchError while there is none."""
        ids = self._searcher.finished()
        if not ids:
            reasons = [f"; the first: {over.failure}" for over in self._over.values()][:1]
            raise SearchError(f"no trial has a value yet; {len(self._over)} were told as failed{''.join(reasons)}")
        return self._searcher.trials[max(ids, key=lambda i: (self._searcher.told[i], -i))]

    @property
    def result(self) -> Result:
        """The best trial and all that are over. Raises SearchError while none has a value."""
        best = self._over[self.best.id]
        assert best.value is not None
        return Result(best.params, best.value, tuple(over for _, over in sorted(self._over.items())), self.exhausted)


def _number(value: Any, place: str) -> float | None:
    """The value as a number, whichever library made it; None where it is None, NaN or infinite."""
    if value is None:
        return None
    try:
        number = float(value.item() if hasattr(value, "item") else value)
    except OverflowError:  # a whole number beyond all floats
        return None
    except (TypeError, ValueError):
        raise SearchError(f"{place}: value {value!r}; must be a number, or None for a failed trial") from None
    return number if math.isfinite(number) else None
