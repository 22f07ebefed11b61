"""Rows that are worth a look, bred from the best trials."""

from __future__ import annotations

import numpy as np

from augsearch.policy.ops import Floats
from augsearch.search.space import Space
from augsearch.search.surrogate import GaussianProcess

_RANDOM, _MUTANTS, _OFFSPRING, _PARENTS = 1000, 1500, 500, 5
_GENERATIONS, _ELITE, _KEPT, _ELITE_MUTANTS, _ELITE_OFFSPRING = 3, 50, 1000, 600, 300


def breed(space: Space, process: GaussianProcess, rows: Floats, loss: Floats, kappa: float, rng: np.random.Generator) -> Floats:
    """Rows (M, D): random ones and relatives of the best of the given (N, D), bred for a low confidence bound.

    In 30 dimensions random candidates and one step from the best trials leave most of what the surrogate already
    knows unused; a few generations find it.
    """
    parents = rows[np.argsort(loss, kind="stable")[:_PARENTS]]
    new = [space.sample(_RANDOM, rng), space.mutants(parents, _MUTANTS, rng), space.offspring(parents, _OFFSPRING, rng)]
    everyone, bound = np.zeros((0, space.columns)), np.zeros(0)
    for _ in range(_GENERATIONS):
        everyone = np.vstack([everyone, *new])
        mean, deviation = process.predict(space.features(everyone[len(bound) :]))
        bound = np.r_[bound, mean - kappa * deviation]
        order = np.argsort(bound, kind="stable")[:_KEPT]
        everyone, bound = everyone[order], bound[order]
        elite = everyone[:_ELITE]
        new = [space.mutants(elite, _ELITE_MUTANTS, rng), space.offspring(elite, _ELITE_OFFSPRING, rng)]
    return np.vstack([everyone, *new])
