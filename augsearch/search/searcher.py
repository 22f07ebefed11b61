"""The protocol of every search: ask for trials, tell their scores, name the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from augsearch.policy import Augmentation, Policy


@dataclass(frozen=True)
class Trial:
    """One set of parameters to evaluate."""

    id: int
    """Counted from 0 in the order of asking."""
    params: dict[str, Any]
    """Values by name; the augmentation policy under "policy", settings of the pipeline under their dotted key."""
    seed: int
    """Seed of the training."""
    parent: int | None = None
    """The trial whose weights it begins with; None: fresh ones."""
    until: int | None = None
    """The epoch up to which it is trained; None: to the end."""

    @property
    def policy(self) -> Policy | None:
        """The augmentation policy; None for a search over settings alone."""
        return self.params.get("policy")

    @property
    def settings(self) -> dict[str, Any]:
        """The searched settings, by dotted key, without the policy."""
        return {name: value for name, value in self.params.items() if name != "policy"}


class Searcher(Protocol):
    """A search method; the same seed and the same scores give the same proposals.

    Proposals depend on the trials asked for and the scores known so far, taken in the order of their ids: within a batch it
    does not matter which trial ends first.
    """

    def ask(self, n: int) -> list[Trial]:
        """Propose up to n trials, conditioned on pending ones. Returns fewer if scores are needed first, or nothing is left."""
        ...

    def tell(self, trial_id: int, score: float | None) -> None:
        """Take a trial's score, higher is better; None: it failed."""
        ...

    def ranking(self) -> list[int]:
        """Ids of the trials that have a score, best first, as far as the searcher can tell."""
        ...

    def augmentation(self, trial_id: int) -> Augmentation | None:
        """The augmentation of a trial's network over its whole training; None for a search over settings alone."""
        ...

    def lineage(self, trial_id: int) -> list[Trial]:
        """The trials that a trial's weights went through, oldest first, itself the last."""
        ...

    def rounds(self) -> list[Round]:
        """The rounds between exchanges, oldest first; empty where trials do not continue one another."""
        ...


@dataclass(frozen=True)
class Round:
    """Trials that were trained side by side, and who then copied whom."""

    trials: tuple[int, ...]
    until: int
    """The epoch at which it ended."""
    exchanges: dict[int, int]
    """{member: the member whose weights of the round before it began with}."""


def training_seed(seed: int, *path: int) -> int:
    """A seed for one training, different for every path of numbers."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0])


class Scores:
    """Trials asked for, and their scores: what all searchers share."""

    def __init__(self) -> None:
        self.trials: list[Trial] = []
        self.told: dict[int, float | None] = {}

    def tell(self, trial_id: int, score: float | None) -> None:
        """Record a trial's score, higher is better; None: it failed.

        Raises:
            KeyError: a trial that was never asked for.
            ValueError: a score that is NaN or infinite.
        """
        if not 0 <= trial_id < len(self.trials):
            raise KeyError(f"trial {trial_id} was never asked for")
        if score is not None and not np.isfinite(score):
            raise ValueError(f"trial {trial_id}: score {score}; must be finite, or None for a failed trial")
        self.told[trial_id] = score

    def finished(self) -> list[int]:
        """Ids with a score, in order."""
        return [i for i in sorted(self.told) if self.told[i] is not None]

    def ranking(self) -> list[int]:
        """Ids of the trials that have a score, best first; of equal scores the lower id."""

        def loss(trial_id: int) -> float:
            score = self.told[trial_id]
            assert score is not None
            return -score

        return sorted(self.finished(), key=lambda i: (loss(i), i))

    def augmentation(self, trial_id: int) -> Augmentation | None:
        """The trial's policy."""
        return self.trials[trial_id].policy

    def lineage(self, trial_id: int) -> list[Trial]:
        """The trial alone: it continues no other."""
        return [self.trials[trial_id]]

    def rounds(self) -> list[Round]:
        """Nothing: trials do not continue one another."""
        return []
