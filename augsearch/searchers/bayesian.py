"""Tuun's search: Bayesian optimisation over policies.

Whose part is whose: the space and the acquisition functions are scikit-optimize's; the features, the Gaussian
process and the choice of a batch are this project's, because scikit-optimize's own surrogates on the 30 raw
dimensions cost seconds to minutes for each batch and are little better than random search there.
"""

from __future__ import annotations

import numpy as np
from skopt.acquisition import gaussian_ei, gaussian_lcb, gaussian_pi

from augsearch.ops import Floats
from augsearch.searchers.base import Scores, Trial, training_seed
from augsearch.searchers.space import Points, PolicySpace
from augsearch.searchers.surrogate import Batch, GaussianProcess

_RANDOM, _MUTANTS, _OFFSPRING, _PARENTS = 1000, 1500, 500, 5
_GENERATIONS, _ELITE, _KEPT, _ELITE_MUTANTS, _ELITE_OFFSPRING = 3, 50, 1000, 600, 300
_CANDIDATE_STREAM = 1


class BayesianSearcher(Scores):
    """`initial` random trials, then batches chosen by an acquisition function.

    Args:
        acquisition: "LCB", "EI" or "PI".
        kappa: LCB's weight of the standard deviation.
    """

    def __init__(
        self, space: PolicySpace, seed: int, *, initial: int = 20, acquisition: str = "LCB", kappa: float = 1.96
    ) -> None:
        super().__init__()
        self.space = space
        self.seed = seed
        self.initial = initial
        self.acquisition = acquisition
        self.kappa = kappa
        self._asked: list[Points] = []  # one row each

    def ask(self, n: int) -> list[Trial]:
        first = len(self.trials)
        drawn = [self.space.sample(1, [self.seed, i]) for i in range(first, min(first + n, self.initial))]
        rest = n - len(drawn)
        if rest and len(self.finished()) < 2:  # nothing to fit a surrogate to
            drawn += [self.space.sample(1, [self.seed, i]) for i in range(first + len(drawn), first + n)]
        elif rest:
            chosen = self._propose(rest, pending=drawn)
            drawn += [chosen[i : i + 1] for i in range(rest)]
        new = [
            Trial(first + k, self.space.policy(points, 0), training_seed(self.seed, first + k))
            for k, points in enumerate(drawn)
        ]
        self.trials += new
        self._asked += drawn
        return new

    def ranking(self) -> list[int]:
        """By the surrogate's mean, which averages the noise of single trainings away."""
        done = self.finished()
        if len(done) < self.initial:
            return super().ranking()
        points, loss = self._observed()
        mean, _ = GaussianProcess(self.space.features(points), loss).predict(self.space.features(points))
        scored = {i: mean[k] for k, i in enumerate(sorted(self.told))}
        return sorted(done, key=lambda i: (scored[i], i))

    def _observed(self) -> tuple[Points, Floats]:
        """Every told trial with its loss (minus the score); a failed one counts as the worst seen."""
        ids = sorted(self.told)
        scores = [self.told[i] for i in ids]
        worst = min(score for score in scores if score is not None)
        loss = -np.array([worst if score is None else score for score in scores])
        return Points.concatenate([self._asked[i] for i in ids]), loss

    def _propose(self, n: int, pending: list[Points]) -> Points:
        points, loss = self._observed()
        process = GaussianProcess(self.space.features(points), loss)
        pending = [self._asked[t.id] for t in self.trials if t.id not in self.told] + pending
        candidates = Points.concatenate([*pending, self._candidates(process, points, loss)])
        batch = process.batch(self.space.features(candidates))
        for i in range(len(pending)):
            batch.believe(i)
        free = np.arange(len(candidates)) >= len(pending)
        chosen: list[int] = []
        for _ in range(n):
            value = np.where(free, self._desirability(batch, float(loss.min())), -np.inf)
            chosen.append(int(value.argmax()))
            free[chosen[-1]] = False
            batch.believe(chosen[-1])
        return candidates[chosen]

    def _candidates(self, process: GaussianProcess, points: Points, loss: Floats) -> Points:
        """Policies worth a look: random ones and relatives of the best trials, bred for a low confidence bound.

        In 30 dimensions random candidates and one step from the best trials leave most of what the surrogate
        already knows unused; a few generations find it.
        """
        space, told = self.space, len(self.told)
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, _CANDIDATE_STREAM, told]))
        parents = points[np.argsort(loss, kind="stable")[:_PARENTS]]
        fresh = space.sample(_RANDOM, [self.seed, _CANDIDATE_STREAM, told])
        pool = [fresh, space.mutants(parents, _MUTANTS, rng), space.offspring(parents, _OFFSPRING, rng)]
        for _ in range(_GENERATIONS):
            everyone = Points.concatenate(pool)
            mean, deviation = process.predict(space.features(everyone))
            order = np.argsort(mean - self.kappa * deviation, kind="stable")
            elite = everyone[order[:_ELITE]]
            pool = [
                everyone[order[:_KEPT]],
                space.mutants(elite, _ELITE_MUTANTS, rng),
                space.offspring(elite, _ELITE_OFFSPRING, rng),
            ]
        return Points.concatenate(pool)

    def _desirability(self, batch: Batch, lowest: float) -> Floats:
        """Higher is better, for each candidate."""
        nothing = np.zeros((1, 1))  # scikit-optimize passes it on to predict, which knows its candidates
        value: Floats
        if self.acquisition == "LCB":
            value = -gaussian_lcb(nothing, batch, kappa=self.kappa)
        elif self.acquisition == "EI":
            value = gaussian_ei(nothing, batch, y_opt=lowest)
        else:
            value = gaussian_pi(nothing, batch, y_opt=lowest)
        return value
