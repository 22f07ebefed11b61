"""Random search: the baseline that every other search has to beat at the same budget."""

from __future__ import annotations

import numpy as np

from augsearch.policy.ops import Floats
from augsearch.search.searcher import Scores, Trial, training_seed
from augsearch.search.space import Space


class RandomSearcher(Scores):
    """Every trial is drawn uniformly from the space."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self.space = space
        self.seed = seed

    def ask(self, n: int) -> list[Trial]:
        first = len(self.trials)
        new = [
            # one generator for each trial: how trials are batched does not change them
            Trial(
                i,
                self.space.decode(self.space.sample(1, np.random.default_rng([self.seed, i]))[0]),
                training_seed(self.seed, i),
            )
            for i in range(first, first + n)
        ]
        self.trials += new
        return new

    def _drawn(self, i: int) -> Floats:
        row: Floats = self.space.sample(1, np.random.default_rng([self.seed, i]))[0]
        return row
