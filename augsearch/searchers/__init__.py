"""SEARCHERS: every search by name; one file each, one protocol (`augsearch.searchers.base`)."""

from __future__ import annotations

from collections.abc import Callable

from augsearch.config import SearchSettings
from augsearch.searchers.base import Searcher, Trial, training_seed
from augsearch.searchers.bayesian import BayesianSearcher
from augsearch.searchers.random import RandomSearcher
from augsearch.searchers.space import PolicySpace


def _tuun(space: PolicySpace, seed: int, settings: SearchSettings) -> Searcher:
    return BayesianSearcher(space, seed, initial=settings.initial, acquisition=settings.acquisition, kappa=settings.kappa)


def _random(space: PolicySpace, seed: int, settings: SearchSettings) -> Searcher:
    return RandomSearcher(space, seed)


SEARCHERS: dict[str, Callable[[PolicySpace, int, SearchSettings], Searcher]] = {"tuun": _tuun, "random": _random}


def make(method: str, settings: SearchSettings, seed: int) -> Searcher:
    """The search of that name over the settings' space; each method draws numbers of its own from the seed."""
    space = PolicySpace(settings.operations, settings.sub_policies, settings.operations_each, settings.draw)
    return SEARCHERS[method](space, training_seed(seed, *method.encode()), settings)


__all__ = ["SEARCHERS", "PolicySpace", "Searcher", "Trial", "make"]
