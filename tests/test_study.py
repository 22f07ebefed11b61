"""Study and minimize: any black box."""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import augsearch
from augsearch.errors import SearchError, SettingsError
from augsearch.policy import Policy
from augsearch.search import methods
from augsearch.search.bayesian import BayesianSearcher
from augsearch.search.settings import TUUN_OPERATIONS, SearchSettings
from augsearch.search.space import PolicyBlock, Space, policy_space
from augsearch.settings import Settings

UNIT = {"_type": "uniform", "_value": [0, 1]}


def branin(p: Any) -> float:
    x, y = p["x"], p["y"]
    return float((y - 5.1 / (4 * np.pi**2) * x * x + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


BRANIN = {"x": {"_type": "uniform", "_value": [-5, 10]}, "y": {"_type": "uniform", "_value": [0, 15]}}


@pytest.mark.parametrize("acq_func", ["EI", "LCB", "PI", "TS"])
def test_minimize_finds_branins_minimum(acq_func: str) -> None:
    result = augsearch.minimize(branin, BRANIN, trials=48, batch=4, acq_func=acq_func)
    assert result.best_value < 0.5  # the minimum is 0.398; the best of 48 random points is near 1.5
    assert result.best_value == branin(result.best_params)
    assert len(result.trials) == 48


def slope(p: Any) -> float:
    return float((p["x"] - 0.3) ** 2 + abs(p["y"] - 0.6))


@cache
def tried(acq_func: str, factor: float, offset: float) -> list[float]:
    """Every number that a search of `slope` in other units tries."""
    result = augsearch.minimize(
        lambda p: factor * (slope(p) + offset),
        {"x": UNIT, "y": UNIT},
        trials=12,
        batch=4,
        n_initial_points=6,
        acq_func=acq_func,
    )
    return [value for trial in result.trials for value in trial.params.values()]


@pytest.mark.parametrize("acq_func", ["EI", "LCB", "PI", "TS"])
@settings(max_examples=4, deadline=None)
@given(factor=st.floats(1e-9, 1e9), offset=st.floats(-100, 100))
def test_proposals_do_not_depend_on_the_unit_of_the_objective(acq_func: str, factor: float, offset: float) -> None:
    assert tried(acq_func, factor, offset) == pytest.approx(tried(acq_func, 1, 0), abs=1e-6)


@pytest.mark.parametrize("acq_func", ["EI", "PI"])
def test_a_larger_xi_explores_more(acq_func: str) -> None:
    def spread(xi: float) -> float:
        study = augsearch.Study({"x": UNIT}, "minimize", n_initial_points=8, acq_func=acq_func, xi=xi)
        for trial in study.ask(8):
            study.tell(trial.id, (trial.params["x"] - 0.5) ** 2)
        return float(np.mean([abs(trial.params["x"] - 0.5) for trial in study.ask(4)]))

    assert spread(0.01) < spread(1.0)


def test_minimize_does_not_mind_dozens_of_idle_dimensions() -> None:
    space = BRANIN | {f"idle{i}": UNIT for i in range(18)}
    assert augsearch.minimize(branin, space, trials=48, batch=8).best_value < 0.7


def test_study_maximises_with_failures_and_late_answers() -> None:
    study = augsearch.Study({"x": UNIT}, seed=3, n_initial_points=4)
    waiting = study.ask(3)
    for _ in range(8):
        waiting += study.ask(2)
        for trial in waiting[:2]:
            x = trial.params["x"]
            study.tell(trial.id, math.nan if x > 0.9 else -((x - 0.7) ** 2))
        waiting = waiting[2:]
    assert study.best.params["x"] == pytest.approx(0.7, abs=0.05)
    assert len(study.result.trials) == 16
    with pytest.raises(SearchError, match="trial 99: never asked for"):
        study.tell(99, 1.0)


def test_study_says_when_there_is_nothing() -> None:
    study = augsearch.Study({"x": UNIT})
    study.tell(study.ask()[0].id, None)
    with pytest.raises(SearchError, match="no trial has a value yet; 1 were told as failed"):
        _ = study.best
    with pytest.raises(SettingsError, match="direction: 'up'"):
        augsearch.Study({"x": UNIT}, direction="up")  # type: ignore[arg-type]


GRID = {"x": {"_type": "randint", "_value": [1, 12]}, "y": {"_type": "quniform", "_value": [0, 1, 0.1]}}


@pytest.mark.parametrize("method", ["tuun", "random"])
def test_no_point_of_a_finite_space_is_tried_twice_and_the_search_ends_with_the_last(method: Any) -> None:
    def f(p: Any) -> float:
        return float((p["x"] - 7) ** 2 + 10 * abs(p["y"] - 0.4))

    def tried(trials: int, batch: int = 8) -> tuple[int, bool]:
        result = augsearch.minimize(f, GRID, trials=trials, batch=batch, method=method)
        return len({tuple(trial.params.values()) for trial in result.trials}), result.exhausted

    assert tried(40) == (40, False)
    assert tried(200) == (121, True)
    if method == "tuun":
        assert augsearch.minimize(f, GRID, trials=30).best_value == 0


def test_asking_for_more_than_is_left() -> None:
    study = augsearch.Study({"x": {"_type": "choice", "_value": ["a", "b", "c"]}, "y": {"_type": "uniform", "_value": [1, 1]}})
    trials = study.ask(2)
    assert not study.exhausted
    trials += study.ask(5)  # nothing is told yet
    assert sorted(trial.params["x"] for trial in trials) == ["a", "b", "c"]
    assert {trial.params["y"] for trial in trials} == {1}
    assert study.exhausted and study.ask() == []


def surface(policy: Policy) -> float:
    return sum(o.probability * (o.name in ("Rotate", "ShearX")) for s in policy.sub_policies for o in s.operations)


def test_a_policy_encodes_to_the_row_that_decodes_to_it() -> None:
    block = PolicyBlock(TUUN_OPERATIONS)
    space = Space([block])
    found = space.decode(space.sample(1, np.random.default_rng(0))[0])["policy"]
    row = block.encode(found)
    assert row is not None
    assert space.decode(row)["policy"] == found
    assert PolicyBlock(TUUN_OPERATIONS, 4).encode(found) is None


def test_warm_start_tries_the_earlier_best_first_and_a_source_that_agrees_helps() -> None:
    settings = SearchSettings(trials=24, n_initial_points=8)
    space = policy_space(TUUN_OPERATIONS)
    rng = np.random.default_rng(0)
    earlier = space.sample(60, rng)
    tried = [(space.decode(row)["policy"], surface(space.decode(row)["policy"])) for row in earlier]
    known = methods.known_earlier(settings, tried)
    assert known is not None
    assert list(known.scores) == sorted(known.scores, reverse=True)

    def best(source: tuple[np.ndarray, np.ndarray] | None, first: int, seed: int) -> float:
        assert known is not None
        searcher = BayesianSearcher(space, seed, n_initial_points=8, first=list(known.rows[:first]), source=source)
        scores = []
        while len(scores) < 24:
            for trial in searcher.ask(4):
                assert trial.policy is not None
                scores.append(surface(trial.policy))
                searcher.tell(trial.id, scores[-1])
        return max(scores)

    unrelated = (known.rows, rng.permutation(known.scores))
    cold, warm, misled = (
        np.mean([best(source, 0, seed) for seed in range(4)]) for source in (None, (known.rows, known.scores), unrelated)
    )
    assert warm > cold
    assert misled > cold - 0.5  # the gate leaves an unrelated source out
    searcher = BayesianSearcher(space, 0, n_initial_points=8, first=list(known.rows[:2]))
    assert [surface(t.policy) for t in searcher.ask(2) if t.policy] == pytest.approx(list(known.scores[:2]), abs=1e-3)


def test_a_setting_that_cannot_be_searched_is_named() -> None:
    def check(space: dict[str, Any]) -> None:
        methods.check_space(Settings(search=SearchSettings(space=space)))

    check({"train.lr": {"_type": "loguniform", "_value": [0.01, 0.2]}})
    with pytest.raises(SettingsError, match="search.space: train.rate: unknown"):
        check({"train.rate": UNIT})
    with pytest.raises(SettingsError, match="train.epochs: 0; must be greater"):
        check({"train.epochs": {"_type": "randint", "_value": [0, 3]}})
