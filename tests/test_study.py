"""Study and minimize: any black box."""

import math
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skopt.space import Categorical, Integer

import augsearch
from augsearch.check import check as check_settings
from augsearch.errors import AugsearchError, SearchError, SettingsError
from augsearch.policy import Policy
from augsearch.search import methods
from augsearch.search.bayesian import BayesianSearcher
from augsearch.search.settings import TUUN_OPERATIONS, SearchSettings
from augsearch.search.space import PolicyBlock, Space, policy_space
from augsearch.settings import Settings
from tests.test_notation import tuun_space

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
@example(factor=2.0**-1000, offset=0)
@example(factor=2.0**1000, offset=0)
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


def test_study_says_when_there_is_nothing() -> None:
    study = augsearch.Study({"x": UNIT})
    study.tell(study.ask()[0].id, None)
    with pytest.raises(SearchError, match="no trial has a value yet; 1 were told as failed; the first: no value"):
        _ = study.best
    with pytest.raises(SearchError, match="6 were told as failed; the first: ZeroDivisionError: division by zero"):
        augsearch.minimize(lambda p: 1 / 0, {"x": UNIT}, trials=6)


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


def parabola(p: Any) -> float:
    return float((p["x"] - 0.3) ** 2)


def test_an_exception_of_f_loses_nothing_and_the_study_goes_on_as_it_would_have(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenError(Exception):
        pass

    calls = 0

    def f(p: dict[str, Any]) -> float:
        nonlocal calls
        calls += 1
        if calls == 10:
            raise BrokenError("the disk is full")
        return parabola({"x": p.pop("x")})  # and takes its parameters apart

    with pytest.raises(BrokenError) as caught:
        augsearch.minimize(f, {"x": UNIT}, trials=14, batch=4, n_initial_points=4)
    study = caught.value.study  # type: ignore[attr-defined]
    assert len(study.result.trials) == 10
    assert [trial.failure for trial in study.result.failures] == ["BrokenError: the disk is full"]
    assert study.result.best_value == parabola(study.result.best_params)
    resumed = study.optimize(f, 4, batch=4)

    calls = 0
    caught_too = augsearch.minimize(f, {"x": UNIT}, trials=14, batch=4, n_initial_points=4, catch=BrokenError)
    assert caught_too == resumed
    assert "trial 9 failed: BrokenError: the disk is full" in caplog.text


@pytest.mark.parametrize(
    ("value", "failure"),
    [
        (None, "no value"),
        (math.nan, "its value was nan"),
        (-math.inf, "its value was -inf"),
        (10**400, "its value was 1000000"),
        (np.float32("nan"), "its value was nan"),
    ],
)
def test_what_is_no_number_is_a_failed_trial(value: object, failure: str) -> None:
    study = augsearch.Study({"x": UNIT}, "minimize")
    result = study.optimize(lambda p: value if p["x"] > 0.5 else 1.0, 8)
    assert all((trial.failure or "").startswith(failure) for trial in result.trials if trial.params["x"] > 0.5)
    assert len(result.failures) > 1
    assert result.best_value == 1


@pytest.mark.parametrize(
    "value", [0.25, np.float32(0.25), np.array(0.25), np.array([0.25]), torch.tensor(0.25, requires_grad=True)]
)
def test_numbers_of_any_library_are_values(value: object) -> None:
    study = augsearch.Study({"x": UNIT})
    study.tell(study.ask()[0], value)
    assert study.result.best_value == 0.25


def test_tell_refuses_what_would_be_lost_or_misread() -> None:
    study = augsearch.Study({"x": UNIT})
    trial = study.ask()[0]
    with pytest.raises(SearchError, match="trial 0: value {'loss': 1}; must be a number"):
        study.tell(trial, {"loss": 1})
    study.tell(trial, 0.5)
    with pytest.raises(SearchError, match="trial 0: has been told already: 0.5"):
        study.tell(trial, 0.6)
    with pytest.raises(SearchError, match="trial 99: never asked for"):
        study.tell(99, 1.0)


CONDITIONAL = {
    "x": UNIT,
    "depth": {"_type": "randint", "_value": [1, 9]},
    "lr": {"_type": "loguniform", "_value": [1e-4, 1]},
    "layer": {
        "_type": "choice",
        "_value": [{"_name": "none"}, {"_name": "conv", "kernel": {"_type": "choice", "_value": [3, 5]}}],
    },
}


def test_known_points_guide_the_search_and_are_not_tried_again() -> None:
    space = {"x": {"_type": "randint", "_value": [0, 1000]}}

    def f(p: Any) -> float:
        return abs(p["x"] - 700) / 100

    known = [({"x": np.int64(x)}, f({"x": x})) for x in (100, 300, 600, 650, 720, 800, 990)]
    result = augsearch.minimize(f, space, trials=6, known=known, n_initial_points=5)
    assert [trial.params["x"] for trial in result.trials[:7]] == [100, 300, 600, 650, 720, 800, 990]
    tried = [trial.params["x"] for trial in result.trials[7:]]
    assert len({*tried} - {100, 300, 600, 650, 720, 800, 990}) == 6
    assert result.best_value < 0.1  # the best known is 0.2


def test_a_known_point_may_have_the_parameters_of_an_option() -> None:
    study = augsearch.Study(CONDITIONAL, "minimize")
    params = {"x": 0.25, "depth": 8, "lr": 1e-4, "layer": {"_name": "conv", "kernel": 5}}
    study.add(params, 1.0)
    study.add(params | {"layer": {"_name": "none"}}, 0.5)
    study.add(params | {"x": 1}, None, "it ran out of memory")
    assert study.result.best_params == params | {"layer": {"_name": "none"}}
    assert [trial.failure for trial in study.result.failures] == ["it ran out of memory"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": 1.5}, "x: 1.5; must fit uniform \\[0.0, 1.0\\]"),
        ({"x": "0.5"}, "x: '0.5'; must fit uniform"),
        ({"depth": 9}, "depth: 9; must fit randint \\[1, 9\\]"),
        ({"depth": 2.5}, "depth: 2.5; must fit randint"),
        ({"lr": -1.0}, "lr: -1.0; must fit loguniform"),
        ({"layer": "conv"}, "layer: 'conv'; must be one of"),
        ({"layer": {"_name": "conv", "kernel": 4}}, "kernel: 4; must be one of \\[3, 5\\]"),
        ({"layer": {"_name": "none", "kernel": 3}}, "layer: {'_name': 'none', 'kernel': 3}; must be one of"),
        ({"rate": 1}, "rate: is unknown; the parameters are x, depth, lr, layer"),
    ],
)
def test_known_points_that_the_space_cannot_give_are_refused(change: dict[str, Any], words: str) -> None:
    study = augsearch.Study(CONDITIONAL)
    with pytest.raises(SettingsError, match=words):
        study.add({"x": 0.5, "depth": 1, "lr": 0.1, "layer": {"_name": "none"}} | change, 1.0)
    with pytest.raises(SettingsError, match="x: is missing"):
        study.add({}, 1.0)
    assert study.running == []


SPACES: list[object] = [
    CONDITIONAL,
    [Integer(1, 1000, "log-uniform", name="width"), (0.0, 1.0), Categorical(["a", None, True])],
    {"q": {"_type": "qlognormal", "_value": [0, 1, 0.5]}, "n": {"_type": "normal", "_value": [5, 2]}},
    GRID,
    tuun_space(2, 2) | {"lr": UNIT},
    policy_space(TUUN_OPERATIONS, 2),
]


def value_of(params: dict[str, Any]) -> float:
    """Some number that depends on all parameters."""
    return zlib.crc32(repr(sorted(params.items())).encode()) / 2**32


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["tuun", "random"])
def test_a_saved_study_goes_on_as_if_it_had_never_stopped(space: object, method: Any, tmp_path: Path) -> None:
    """With a trial that failed, one that still runs, and a known point."""
    study = augsearch.Study(space, "minimize", method, 3, n_initial_points=4, acq_func="LCB", kappa=1.0)
    study.add(augsearch.Study(space, seed=9).ask()[0].params, 0.1)
    for trial in study.ask(7)[:-1]:
        study.tell(trial, None if trial.id == 2 else value_of(trial.params))
    study.save(tmp_path / "study.json")
    again = augsearch.Study.load(tmp_path / "study.json")
    assert again.running == study.running
    assert again.result == study.result
    for one in (study, again):
        one.optimize(value_of, 5, batch=2)
    assert again.result == study.result
    again.save(tmp_path / "study.json")  # over the earlier state of the same study


def test_a_file_is_not_lost_to_another_study(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    study = augsearch.Study({"x": UNIT})
    study.optimize(parabola, 2)
    study.save(path)
    before = path.read_text()
    for other in (augsearch.Study({"x": UNIT}), augsearch.Study({"x": UNIT}, seed=1)):
        with pytest.raises(SearchError, match="study.json: holds another study, or more of this one"):
            other.save(path)
    assert path.read_text() == before
    path.write_text("{}")
    with pytest.raises(SearchError, match="study.json: not a study that this version"):
        augsearch.Study.load(path)
    with pytest.raises(SearchError, match="nowhere.json"):
        augsearch.Study.load(tmp_path / "nowhere.json")


def test_what_json_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    study = augsearch.Study([Categorical([(3, 3), (5, 5)], name="kernel")])
    with pytest.raises(SearchError, match="kernel: JSON cannot hold"):
        study.save(tmp_path / "study.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"direction": "up"}, "direction: 'up'; must be maximize or minimize"),
        ({"method": "tpe"}, "method: 'tpe'; must be tuun or random"),
        ({"acq_func": "ei"}, "acq_func: 'ei'; must be EI, LCB, PI or TS"),
        ({"seed": -1}, "seed: -1; must be a whole number, 0 or more"),
        ({"seed": None}, "seed: None; must be a whole number"),
        ({"seed": "3"}, "seed: '3'; must be a whole number"),
        ({"n_initial_points": 0}, "n_initial_points: 0; must be a whole number, 1 or more"),
        ({"xi": -0.1}, "xi: -0.1; must be 0 or more"),
    ],
)
def test_settings_that_are_none(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        augsearch.Study({"x": UNIT}, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trials": 3.0}, "trials: 3.0; must be a whole number, 1 or more"),
        ({"trials": 3, "batch": 0}, "batch: 0; must be a whole number, 1 or more"),
        ({"trials": 3, "known": {"x": 0.5}}, "known: 'x'; must be \\(parameters, value\\)"),
        ({"trials": 3, "known": [({"x": 0.5}, "low")]}, "known point: value 'low'; must be a number"),
    ],
)
def test_what_minimize_cannot_do(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(AugsearchError, match=words):
        augsearch.minimize(parabola, {"x": UNIT}, **settings)


def test_a_batch_of_any_size_has_no_point_twice() -> None:
    """Although the best candidates gather at the space's edge, where they are alike."""
    study = augsearch.Study({"x": UNIT, "kind": {"_type": "choice", "_value": ["a", "b"]}}, n_initial_points=4)
    for trial in study.ask(4):
        study.tell(trial, trial.params["x"])
    assert len({str(trial.params) for trial in study.ask(200)}) == 200


def test_a_known_policy_is_one_of_the_space() -> None:
    study = augsearch.Study(policy_space(TUUN_OPERATIONS, 2))
    policy = study.ask()[0].params["policy"]
    study.add({"policy": policy}, 0.5)
    for other in (replace(policy, draw="image"), Policy(policy.sub_policies[:1]), "Rotate"):
        with pytest.raises(SettingsError, match="policy: .*; must be 2 sub-policies, drawn by batch"):
            study.add({"policy": other}, 0.5)


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
        check_settings(Settings(search=SearchSettings(space=space)), "params.yaml")

    check({"train.lr": {"_type": "loguniform", "_value": [0.01, 0.2]}})
    with pytest.raises(SettingsError, match="search.space: train.rate: unknown"):
        check({"train.rate": UNIT})
    with pytest.raises(SettingsError, match="train.epochs: 0; must be greater"):
        check({"train.epochs": {"_type": "randint", "_value": [0, 3]}})
