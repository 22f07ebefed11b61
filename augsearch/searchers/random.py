"""Random search: the baseline that every other search has to beat at the same budget."""

from __future__ import annotations

from augsearch.searchers.base import Scores, Trial, training_seed
from augsearch.searchers.space import PolicySpace


class RandomSearcher(Scores):
    """Every trial is drawn uniformly from the space."""

    def __init__(self, space: PolicySpace, seed: int) -> None:
        super().__init__()
        self.space = space
        self.seed = seed

    def ask(self, n: int) -> list[Trial]:
        first = len(self.trials)
        # one generator for each trial: how trials are batched does not change them
        new = [
            Trial(i, self.space.policy(self.space.sample(1, [self.seed, i]), 0), training_seed(self.seed, i))
            for i in range(first, first + n)
        ]
        self.trials += new
        return new
