"""The base of all searches over a `Space`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from augsearch.policy.ops import Floats
from augsearch.search.searcher import Scores, Trial, training_seed
from augsearch.search.space import Params, Space

_DRAWS = 100  # before the points that are left are listed


class SpaceSearcher(Scores, ABC):
    """Trials with their rows, and random trials of which no two have equal parameters while there are others."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self.space = space
        self.seed = seed
        self.rows: list[Floats] = []
        """The row (D,) of each trial, in the order of ids."""
        self._seen: set[bytes] = set()

    @abstractmethod
    def ask(self, n: int) -> list[Trial]:
        """The next n trials; fewer once every point of a finite space has been asked for."""

    @property
    def exhausted(self) -> bool:
        """Whether every point of a finite space (of at most 5000) has been asked for."""
        return self.space.every_row is not None and len(self._seen) >= len(self.space.every_row)

    def add(self, row: Floats, params: Params | None = None) -> Trial:
        """A new trial of a row (D,), as if it had been asked for; params: in place of those that the row decodes to."""
        params = self.space.decode(row) if params is None else params
        trial = Trial(len(self.trials), params, training_seed(self.seed, len(self.trials)))
        self.trials.append(trial)
        self.rows.append(row)
        self._seen.update(self.space.keys(row[None]))
        return trial

    def _random_trials(self, n: int) -> list[Trial]:
        """At most n new trials, each of a random row."""
        new: list[Trial] = []
        while len(new) < n and (row := self._random_row()) is not None:
            new.append(self.add(row))
        return new

    def _random_row(self) -> Floats | None:
        """A row for the next trial whose parameters no trial has; None when there are none left.

        Each trial has a generator of its own: how trials are batched does not change them.
        """
        rng = np.random.default_rng([self.seed, len(self.rows)])
        for _ in range(_DRAWS):
            rows = self.space.sample(1, rng)
            if len(self._unseen(rows)):
                break
        else:
            rows = rows if self.space.every_row is None else self._unseen(self.space.every_row)
        row: Floats | None = rows[int(rng.integers(len(rows)))] if len(rows) else None
        return row

    def _unseen(self, rows: Floats) -> Floats:
        """Those of the rows (N, D) whose parameters no trial has, each once, in their order."""
        first: dict[bytes, int] = {}
        for i, key in enumerate(self.space.keys(rows)):
            first.setdefault(key, i)
        return rows[[i for key, i in first.items() if key not in self._seen]]
