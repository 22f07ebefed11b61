"""Population based training (Jaderberg et al., 2017) and its use for augmentation, PBA (Ho et al., ICML 2019).

A population is trained in rounds. After each, a member of the worst quarter goes on from the weights of a member
of the best quarter (exploit), with that member's hyperparameters changed a little (explore); the others go on as they are.
A trial is one member in one round, so a trial continues its parent's training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from augsearch.policy import Augmentation, Operation, Policy, Schedule, SubPolicy
from augsearch.policy.ops import find
from augsearch.search.searcher import Round, Scores, Trial, training_seed

Levels = NDArray[np.int64]

_QUANTILE = 0.25
_COPIES = 2  # of every operation in a policy (Ho et al., section 3.2)
_RESAMPLE = 0.2
_TOP_LEVELS = (10, 9)  # of a probability, in tenths, and of a magnitude
_EXPLOIT, _EXPLORE = 1, 2  # streams of random numbers


def quantile_size(scored: int) -> int:
    """The number of members that are exchanged: a quarter, rounded up, at most half; none of one alone."""
    return min(math.ceil(_QUANTILE * scored), scored // 2)


def truncation_selection(scores: Mapping[int, float | None], rng: np.random.Generator) -> dict[int, int]:
    """{member to replace: member to copy}: each of the worst gets one of the best, drawn uniformly.

    scores: for each member, None where its training failed; such a member is always replaced, if any has a score.
    Among equal scores the member with the lower number counts as the better, so that a tied population exchanges too.
    """
    scored = {member: score for member, score in scores.items() if score is not None}
    ranked = sorted(scored, key=lambda member: (-scored[member], member))
    size = quantile_size(len(ranked))
    failed = [member for member in scores if member not in scored]
    best = ranked[: max(size, 1)]
    losers = sorted(failed + ranked[len(ranked) - size :]) if ranked else []
    return {loser: best[int(rng.integers(len(best)))] for loser in losers}


class Levelled(Protocol):
    """A space of hyperparameters, each held as whole levels."""

    def start(self) -> Levels:
        """The levels that every member begins with."""
        ...

    def explore(self, levels: Levels, rng: np.random.Generator) -> Levels:
        """The levels of a copy, changed a little."""
        ...

    def policy(self, levels: Levels) -> Policy:
        """The policy that levels stand for."""
        ...


@dataclass(frozen=True)
class PbaSpace:
    """Every operation twice, each with a probability (0..10, tenths) and a magnitude (0..9): 60 levels for PBA's 15."""

    operations: tuple[str, ...]

    @property
    def _top(self) -> Levels:
        return np.tile(_TOP_LEVELS, _COPIES * len(self.operations))

    def start(self) -> Levels:
        """No augmentation: training begins easy."""
        return np.zeros_like(self._top)

    def explore(self, levels: Levels, rng: np.random.Generator) -> Levels:
        """Change each level: with probability .2 draw it again, else move it by up to 3 within its range (algorithm 2)."""
        top = self._top
        anew = rng.integers(0, top + 1)
        moved = np.clip(levels + rng.integers(0, 4, len(top)) * rng.choice([-1, 1], len(top)), 0, top)
        return np.where(rng.random(len(top)) < _RESAMPLE, anew, moved)

    def policy(self, levels: Levels) -> Policy:
        """The policy of levels in PBA's order: (probability, magnitude) of each operation, then all a second time."""
        pairs = levels.reshape(-1, 2)
        entries = zip(self.operations * _COPIES, pairs.tolist(), strict=True)
        return Policy(
            tuple(SubPolicy((_operation(name, *pair),)) for name, pair in entries),
            "pba",
            "count",
        )


def _operation(name: str, probability: int, magnitude: int) -> Operation:
    return Operation(name, probability / 10, float(magnitude) if find(name).magnitude else 0.0)


class PopulationSearcher(Scores):
    """Asks for the members of one round after the other; a round needs the scores of the one before.

    Args:
        population_size: 2 or more.
        epochs, perturbation_interval: of the training as a whole, and from one exchange to the next.
    """

    def __init__(self, space: Levelled, seed: int, *, population_size: int, epochs: int, perturbation_interval: int) -> None:
        super().__init__()
        self.space = space
        self.seed = seed
        self.population_size = population_size
        self.epochs = epochs
        self.perturbation_interval = perturbation_interval
        self._rounds = math.ceil(epochs / perturbation_interval)
        self.levels: list[Levels] = []
        """The levels of each trial."""
        self.exchanges: list[dict[int, int]] = []
        """For each round {member: the member whose state at the end of the round before it copied}."""

    def ask(self, n: int) -> list[Trial]:
        """Propose up to n members of the present round; none until the round before is scored, or after the last."""
        new: list[Trial] = []
        while len(new) < n and self._ready():
            new.append(self._next())
        return new

    def _ready(self) -> bool:
        done, member = divmod(len(self.trials), self.population_size)
        return done < self._rounds and (member > 0 or len(self.told) == len(self.trials))

    def _next(self) -> Trial:
        trial_id = len(self.trials)
        done, member = divmod(trial_id, self.population_size)
        if member == 0:
            self.exchanges.append(self._exchange(done))
        levels, parent = self._continued(done, member)
        # the seed is the trial's own: a copy does not see the images in its source's order
        until = min((done + 1) * self.perturbation_interval, self.epochs)
        trial = Trial(trial_id, {"policy": self.space.policy(levels)}, training_seed(self.seed, trial_id), parent, until)
        self.trials.append(trial)
        self.levels.append(levels)
        return trial

    def _exchange(self, done: int) -> dict[int, int]:
        if done == 0:
            return {}
        last = {member: self.told[self._id(done - 1, member)] for member in range(self.population_size)}
        return truncation_selection(last, np.random.default_rng([self.seed, _EXPLOIT, done]))

    def _continued(self, done: int, member: int) -> tuple[Levels, int | None]:
        """The levels of a member in a round, and the trial that it goes on from."""
        if done == 0:
            return self.space.start(), None
        source = self.exchanges[done].get(member)
        if source is None:
            before = self._id(done - 1, member)
            return self.levels[before], self._last_good(before)
        copied = self._id(done - 1, source)
        rng = np.random.default_rng([self.seed, _EXPLORE, done, member])
        return self.space.explore(self.levels[copied], rng), copied

    def _last_good(self, trial_id: int | None) -> int | None:
        """The trial, or where it failed the latest of its ancestors that did not."""
        while trial_id is not None and self.told[trial_id] is None:
            trial_id = self.trials[trial_id].parent
        return trial_id

    def _id(self, done: int, member: int) -> int:
        return done * self.population_size + member

    def ranking(self) -> list[int]:
        """The trials of the last round first: theirs are the members that were trained longest."""

        def place(trial_id: int) -> tuple[int, float, int]:
            score = self.told[trial_id]
            assert score is not None
            return -(trial_id // self.population_size), -score, trial_id

        return sorted(self.finished(), key=place)

    def augmentation(self, trial_id: int) -> Augmentation | None:
        """The schedule that the trial's weights were trained with."""
        return schedule_of(self.lineage(trial_id))

    def rounds(self) -> list[Round]:
        """The rounds begun so far, oldest first."""
        size = self.population_size
        return [
            Round(tuple(range(k * size, (k + 1) * size)), self.trials[k * size].until or 0, exchanges)
            for k, exchanges in enumerate(self.exchanges)
        ]

    def lineage(self, trial_id: int) -> list[Trial]:
        """The trials that the trial's weights went through, oldest first."""
        chain: list[Trial] = []
        at: int | None = trial_id
        while at is not None:
            chain.append(self.trials[at])
            at = self.trials[at].parent
        return chain[::-1]


def schedule_of(lineage: Sequence[Trial]) -> Schedule:
    """The policies that a lineage was trained with, over its epochs."""
    parts, start = [], 0
    for trial in lineage:
        assert trial.policy is not None
        assert trial.until is not None
        parts.append((trial.until - start, trial.policy))
        start = trial.until
    return Schedule.of(parts)
