"""SEARCHERS: every search by name; one file each, one protocol (`augsearch.search.searcher`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from augsearch.errors import SettingsError
from augsearch.policy import Policy
from augsearch.policy.ops import Floats
from augsearch.search.bayesian import BayesianSearcher
from augsearch.search.population import PbaSpace, PopulationSearcher
from augsearch.search.random import RandomSearcher
from augsearch.search.searcher import Searcher, Trial, training_seed
from augsearch.search.space import Block, PolicyBlock, Space, policy_space, read_space
from augsearch.settings import SearchSettings, Settings, override


@dataclass(frozen=True)
class Earlier:
    """What an earlier search knows: rows of this search's space, best first, and their scores."""

    rows: Floats  # (M, D)
    scores: Floats  # (M,)


def _tuun(space: Space, seed: int, settings: SearchSettings, earlier: Earlier | None) -> Searcher:
    warm = settings.warm_start
    return BayesianSearcher(
        space,
        seed,
        n_initial_points=settings.n_initial_points,
        acq_func=settings.acq_func,
        kappa=settings.kappa,
        first=list(earlier.rows[: warm.top]) if earlier else (),
        source=(earlier.rows, earlier.scores) if earlier and warm.stack else None,
    )


def _random(space: Space, seed: int, settings: SearchSettings, earlier: Earlier | None) -> Searcher:
    return RandomSearcher(space, seed)


def _pba(space: Space, seed: int, settings: SearchSettings, earlier: Earlier | None) -> Searcher:
    pba = settings.pba
    assert pba.train is not None  # `Settings.population` fills it in
    return PopulationSearcher(
        PbaSpace(pba.operations),
        seed,
        population_size=pba.population_size,
        epochs=pba.train.epochs,
        perturbation_interval=pba.perturbation_interval,
        bandit=pba.explore == "pb2",
    )


SEARCHERS: dict[str, Callable[[Space, int, SearchSettings, Earlier | None], Searcher]] = {
    "tuun": _tuun,
    "random": _random,
    "pba": _pba,
}


def space_of(settings: SearchSettings) -> Space:
    """Policies, settings by dotted key, or both side by side.

    Raises:
        SettingsError: `search.space` is none, or there is nothing to search.
    """
    blocks: list[Block] = []
    if settings.sub_policies:
        blocks.append(PolicyBlock(settings.operations, settings.sub_policies, settings.operations_each, settings.draw))
    if settings.space:
        blocks += read_space(settings.space).blocks
    if not blocks:
        raise SettingsError("search: sub_policies is 0 and space is empty; there is nothing to search")
    return Space(blocks)


def check_space(settings: Settings) -> None:
    """Try some trials' settings; a SettingsError names the one that cannot be. One's own script takes any."""
    space, rng = space_of(settings.search), np.random.default_rng(0)
    if settings.search.own_script:
        return
    for row in [np.zeros(space.columns), np.ones(space.columns), *space.sample(30, rng)]:
        override(settings, {name: value for name, value in space.decode(row).items() if name != "policy"})


def make(method: str, settings: SearchSettings, seed: int, earlier: Earlier | None = None) -> Searcher:
    """The search of that name over the settings' space; each method draws numbers of its own from the seed."""
    return SEARCHERS[method](space_of(settings), training_seed(seed, *method.encode()), settings, earlier)


def known_earlier(settings: SearchSettings, tried: Sequence[tuple[Policy, float]]) -> Earlier | None:
    """An earlier search's (policy, score) pairs as rows of this space; policies that do not fit are left out."""
    space = space_of(settings)
    block = space.blocks[0]
    if len(space.blocks) > 1 or not isinstance(block, PolicyBlock):
        return None
    fitting = [(row, score) for policy, score in tried if (row := block.encode(policy)) is not None]
    if not fitting:
        return None
    fitting.sort(key=lambda pair: -pair[1])
    return Earlier(np.array([row for row, _ in fitting]), np.array([score for _, score in fitting]))


__all__ = [
    "SEARCHERS",
    "Earlier",
    "PopulationSearcher",
    "Searcher",
    "Space",
    "Trial",
    "check_space",
    "known_earlier",
    "make",
    "policy_space",
    "read_space",
]
