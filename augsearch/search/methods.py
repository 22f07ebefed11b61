"""SEARCHERS: every search method by name; and how the settings' searches are run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from augsearch.data.prepared import load_info
from augsearch.errors import AugsearchError, SettingsError
from augsearch.execute import Evaluator
from augsearch.fingerprint import fingerprint
from augsearch.objective import Objective, PopulationObjective, objective_of
from augsearch.policy import Policy, from_dict
from augsearch.policy.ops import Floats
from augsearch.search.batching import Asynchronous, Batching, Synchronous
from augsearch.search.bayesian import BayesianSearcher
from augsearch.search.loop import Ended, Observer, SearchOutcome, search
from augsearch.search.population import PbaSpace, PopulationSearcher
from augsearch.search.random import RandomSearcher
from augsearch.search.searcher import Searcher, training_seed
from augsearch.search.settings import ConfirmSettings, SearchSettings
from augsearch.search.space import Block, PolicyBlock, Space, read_space
from augsearch.settings import Settings
from augsearch.workspace import Workspace


@dataclass(frozen=True)
class Earlier:
    """The trials of an earlier search, as rows of this search's space, best first, and their scores."""

    rows: Floats  # (M, D)
    scores: Floats  # (M,)


def _tuun(settings: Settings, seed: int, earlier: Earlier | None) -> Searcher:
    search, warm = settings.search, settings.search.warm_start
    return BayesianSearcher(
        space_of(search),
        seed,
        n_initial_points=search.initial_points,
        acq_func=search.acq_func,
        kappa=search.kappa,
        xi=search.xi,
        first=list(earlier.rows[: warm.top]) if earlier else (),
        source=(earlier.rows, earlier.scores) if earlier and warm.stack else None,
    )


def _random(settings: Settings, seed: int, earlier: Earlier | None) -> Searcher:
    return RandomSearcher(space_of(settings.search), seed)


def _pba(settings: Settings, seed: int, earlier: Earlier | None) -> Searcher:
    pba = settings.search.pba
    return PopulationSearcher(
        PbaSpace(pba.operations),
        seed,
        population_size=pba.population_size,
        epochs=settings.population_train.epochs,
        perturbation_interval=pba.perturbation_interval,
    )


SEARCHERS: dict[str, Callable[[Settings, int, Earlier | None], Searcher]] = {"tuun": _tuun, "random": _random, "pba": _pba}


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


def make(method: str, settings: Settings, earlier: Earlier | None = None) -> Searcher:
    """The searcher of that name over the settings' space; each method draws numbers of its own from the seed."""
    return SEARCHERS[method](settings, training_seed(settings.seed, *method.encode()), earlier)


def run_search(
    method: str,
    settings: Settings,
    workspace: Workspace,
    evaluator: Evaluator,
    observers: Sequence[Observer] = (),
    expert: Policy | None = None,
) -> SearchOutcome:
    """Run one of the settings' searches, or go on with it.

    Args:
        expert: the expert policy, which a population's images go through first where `search.pba.expert` is set.

    Raises:
        SearchError, WorkerError: see `augsearch.search.loop.search`.
    """
    platform = evaluator.executor.bench.device.partition(":")[0]
    if method == "pba":
        return _run_population(settings, workspace, evaluator, observers, expert, platform)
    objective = objective_of(settings, workspace, platform)
    earlier = _earlier(settings, workspace) if method == "tuun" else None
    chosen = settings.search
    return search(
        make(method, settings, earlier),
        objective,
        _batching(method, settings, objective, evaluator),
        evaluator,
        observers,
        method=method,
        trials=chosen.trials,
        confirm=chosen.confirm,
        seed=settings.seed,
        max_consecutive_failures=chosen.max_consecutive_failures,
    )


def _run_population(
    settings: Settings,
    workspace: Workspace,
    evaluator: Evaluator,
    observers: Sequence[Observer],
    expert: Policy | None,
    platform: str,
) -> SearchOutcome:
    """A population is searched in rounds, whatever `search.mode` says, and chosen by its last scores."""
    pba = settings.search.pba
    info = load_info(workspace.info)
    objective = PopulationObjective(settings, info, platform, expert if pba.expert else None)
    searcher = make("pba", settings)
    cleaner = _CheckpointCleaner(objective, evaluator, pba.population_size)
    rounds = -(-settings.population_train.epochs // pba.perturbation_interval)
    return search(
        searcher,
        objective,
        Synchronous(pba.population_size),
        evaluator,
        [*observers, cleaner],
        method="pba",
        trials=rounds * pba.population_size,
        confirm=ConfirmSettings(top=1, seeds=0),
        seed=settings.seed,
        max_consecutive_failures=pba.population_size,
    )


class _CheckpointCleaner:
    """Deletes the checkpoints that no member will go on from."""

    def __init__(self, objective: PopulationObjective, evaluator: Evaluator, population_size: int) -> None:
        self._objective = objective
        self._store = evaluator.store
        self._size = population_size
        self._round: list[Ended] = []

    def begin(self, method: str, searcher: Searcher, trials: int) -> None:
        pass

    def ended(self, ended: Ended) -> None:
        self._round.append(ended)
        if len(self._round) == self._size:
            # those of this round, and of the ancestors that its failed members will go back to
            needed = {e.trial.id for e in self._round} | {e.trial.parent for e in self._round if e.score is None}
            self._forget(needed)
            self._round = []

    def confirmed(self, trial: int, repeat: int, outcome: object) -> None:
        pass

    def chosen(self, outcome: SearchOutcome) -> None:
        self._forget(set())

    def _forget(self, needed: set[int | None]) -> None:
        for trial, key in self._objective.keys.items():
            if trial not in needed:
                self._store.forget(key, "checkpoint")


def search_key(method: str, settings: Settings, objective: Objective) -> str:
    """Names a search by all that its proposals and scores depend on, its budget excepted: that may be extended."""
    search = settings.search
    decisive = {"mode", "sub_policies", "operations_each", "operations", "draw", "space", "trial_timeout"}
    if method == "tuun":
        decisive |= {"n_initial_points", "acq_func", "kappa", "xi", "warm_start"}
    own: dict[str, object] = search.model_dump(include=decisive)
    if method == "pba":
        own = search.pba.model_dump() | {"expert_policy": settings.expert_policy}
        own["train"] = settings.population_train.model_dump()
    return fingerprint(
        method=method, seed=settings.seed, search=own, measure=objective.measure, job=objective.job(None, {}, 0).key
    )


def _batching(method: str, settings: Settings, objective: Objective, evaluator: Evaluator) -> Batching:
    if settings.search.mode == "batch":
        return Synchronous(settings.search.batch)
    return Asynchronous(evaluator.store, search_key(method, settings, objective))


def _earlier(settings: Settings, workspace: Workspace) -> Earlier | None:
    """The search that `search.warm_start` names, as far as its policies fit this search's space.

    Raises:
        SettingsError: no such file, or it holds no such search.
    """
    warm = settings.search.warm_start
    if warm.search is None:
        return None
    path = workspace.resolve(warm.search)
    try:
        trials = json.loads(path.read_text())[warm.method]["trials"]
        tried = [(from_dict(t["policy"]), float(t["score"])) for t in trials if t["policy"] and t["score"] is not None]
    except (OSError, ValueError, KeyError, TypeError, AugsearchError) as error:
        raise SettingsError(
            f"search.warm_start.search: {path}: {type(error).__name__}: {error}; must be a models/search.json with a search by "
            f"{warm.method!r}"
        ) from None
    return known_earlier(settings.search, [(p, score) for p, score in tried if isinstance(p, Policy)])


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
