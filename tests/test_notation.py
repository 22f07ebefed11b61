"""Notations of a search space: what each may say, and what is drawn from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skopt
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from skopt.space import Categorical, Integer, Real

import augsearch
from augsearch.errors import SettingsError
from augsearch.search.space import PolicyBlock, read_space

UNIT = {"_type": "uniform", "_value": [0, 1]}


def values(entry: dict[str, Any], n: int = 500) -> list[Any]:
    space = read_space({"x": entry})
    return [space.decode(row)["x"] for row in space.sample(n, np.random.default_rng(0))]


@pytest.mark.parametrize(
    ("entry", "holds"),
    [
        ({"_type": "uniform", "_value": [2, 5]}, lambda v: 2 <= v <= 5),
        ({"_type": "quniform", "_value": [0, 1, 0.25]}, lambda v: v in (0, 0.25, 0.5, 0.75, 1)),
        ({"_type": "quniform", "_value": [0, 4, 2]}, lambda v: v in (0, 2, 4) and isinstance(v, float)),
        ({"_type": "loguniform", "_value": [1e-4, 1]}, lambda v: 1e-4 <= v <= 1.0001),
        ({"_type": "randint", "_value": [2, 6]}, lambda v: v in (2, 3, 4, 5) and isinstance(v, int)),
        ({"_type": "choice", "_value": ["a", 3, None]}, lambda v: v in ("a", 3, None)),
        ({"_type": "normal", "_value": [10, 2]}, lambda v: abs(v - 10) < 10),
        ({"_type": "lognormal", "_value": [0, 1]}, lambda v: v > 0),
        ({"_type": "qnormal", "_value": [0, 3, 2]}, lambda v: v % 2 == 0),
    ],
)
def test_nni_types(entry: dict[str, Any], holds: Any) -> None:
    drawn = values(entry)
    assert all(map(holds, drawn))
    assert len(set(drawn)) > 2


def test_nni_distributions() -> None:
    assert np.mean(np.log10(values({"_type": "loguniform", "_value": [1e-4, 1]}))) == pytest.approx(-2, abs=0.2)
    normal = values({"_type": "normal", "_value": [10, 2]})
    assert (np.mean(normal), np.std(normal)) == (pytest.approx(10, abs=0.4), pytest.approx(2, abs=0.3))
    counts = np.bincount(values({"_type": "randint", "_value": [0, 4]}, 4000))
    assert np.abs(counts / 1000 - 1).max() < 0.12


def test_an_option_that_is_a_dict_keeps_its_fixed_entries_and_has_its_own_parameters() -> None:
    kernel = {"_type": "choice", "_value": [3, 5]}
    options = [{"_name": "linear"}, {"_name": "conv", "padding": 1, "kernel": kernel, "rate": UNIT}, {"width": UNIT}]
    drawn = values({"_type": "choice", "_value": options}, 60)
    assert {"_name": "linear"} in drawn
    convolutions = [layer for layer in drawn if layer.get("_name") == "conv"]
    assert {(layer["kernel"], layer["padding"], len(layer)) for layer in convolutions} == {(3, 1, 4), (5, 1, 4)}
    assert all(0 <= layer["rate"] <= 1 for layer in convolutions)
    assert {tuple(layer) for layer in drawn} == {("_name",), ("_name", "padding", "kernel", "rate"), ("width",)}


def tuun_space(sub_policies: int, operations_each: int) -> dict[str, Any]:
    """As petuum/tuun's examples/nni_data_augmentation/search_space.json writes it."""
    names = ["shearX", "rotate", "autocontrast", "randomHorizontalFlip"]
    places = [f"{i}_{j}" for i in range(1, sub_policies + 1) for j in range(1, operations_each + 1)]
    return {
        f"{key}{place}": {"_type": "choice", "_value": names} if key == "operation" else UNIT
        for place in places
        for key in ("operation", "prob", "magnitude")
    }


def test_tuuns_space_is_searched_as_a_policy() -> None:
    entries = tuun_space(3, 2)
    space = read_space(entries)
    assert [type(block) for block in space.blocks] == [PolicyBlock]
    params = space.decode(space.sample(1, np.random.default_rng(0))[0])
    assert set(params) == set(entries)
    assert params["operation3_2"] in entries["operation3_2"]["_value"]


@pytest.mark.parametrize(
    "change",
    [{"prob2_1": {"_type": "uniform", "_value": [0, 0.5]}}, {"operation2_2": {"_type": "choice", "_value": ["rotate"]}}],
)
def test_what_only_resembles_tuuns_space_is_searched_by_its_parameters(change: dict[str, Any]) -> None:
    space = read_space(tuun_space(2, 2) | change)
    assert len(space.blocks) == 12
    assert set(space.decode(space.sample(1, np.random.default_rng(0))[0])) == set(tuun_space(2, 2))


def drawn(space: object, n: int = 100) -> list[dict[str, Any]]:
    found = read_space(space)
    return [found.decode(row) for row in found.sample(n, np.random.default_rng(0))]


def test_scikit_optimize_dimensions() -> None:
    dimensions = [Real(1e-3, 1, "log-uniform", name="lr"), Integer(1, 3, name="depth"), Categorical(["a", "b"], name="kind")]
    named = {"lr": Real(1e-3, 1, "log-uniform", name="rate"), "depth": Integer(1, 3), "kind": Categorical(["a", "b"])}
    for space in (dimensions, skopt.space.Space(dimensions), named):
        points = drawn(space)
        assert {p["depth"] for p in points} == {1, 2, 3}
        assert {p["kind"] for p in points} == {"a", "b"}
        assert all(1e-3 <= p["lr"] <= 1 for p in points)
        assert np.mean([np.log10(p["lr"]) for p in points]) == pytest.approx(-1.5, abs=0.3)


def test_scikit_optimizes_shorthand() -> None:
    points = drawn([(-5.0, 10.0), (0, 15), ["a", "b"], (1e-4, 1.0, "log-uniform"), Categorical([7])])
    assert all(-5 <= p["x0"] <= 10 for p in points)
    assert {p["x1"] for p in points} == set(range(16)) and {type(p["x1"]) for p in points} == {int}
    assert {p["x2"] for p in points} == {"a", "b"}
    assert np.median([p["x3"] for p in points]) < 0.1
    assert {p["x4"] for p in points} == {7}
    assert {type(p["x"]) for p in drawn({"x": (-5.0, 10.0)})} == {float}


@pytest.mark.parametrize(
    "space",
    [
        [Categorical([(3, 3), (5, 5)], name="x")],
        {"x": {"_type": "choice", "_value": [(3, 3), (5, 5)]}},
    ],
)
def test_tuples_are_options_like_any_other(space: object) -> None:
    result = augsearch.minimize(lambda p: p["x"][0], space, trials=2, n_initial_points=1)
    assert {t.params["x"] for t in result.trials} <= {(3, 3), (5, 5)}
    assert {type(t.params["x"]) for t in result.trials} == {tuple}


@pytest.mark.parametrize(
    ("space", "options"),
    [
        ([Categorical([True, False, 1, None])], [True, False, 1, None]),
        ([Categorical(np.arange(3))], [0, 1, 2]),
        ({"x0": {"_type": "choice", "_value": np.array(["a", "b"])}}, ["a", "b"]),
        ({"x0": {"_type": "choice", "_value": [16, 16, 16.0, [1], [1]]}}, [16, 16.0, [1]]),
    ],
)
def test_options_come_back_as_given_and_once(space: object, options: list[Any]) -> None:
    found = read_space(space).blocks[0].options  # type: ignore[attr-defined]
    assert [(type(option), option) for option in found] == [(type(option), option) for option in options]


def test_numbers_that_yaml_takes_for_strings() -> None:
    space = yaml.safe_load("x: {_type: loguniform, _value: [1e-4, 1e-1]}")
    assert space["x"]["_value"] == ["1e-4", "1e-1"]
    assert read_space(space).blocks == read_space({"x": {"_type": "loguniform", "_value": [1e-4, 1e-1]}}).blocks


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "no parameters"),
        ({"x": {"_type": "uniform", "_value": [1, 0]}}, "x: uniform \\[1, 0\\]; ends must rise"),
        ({"x": {"_type": "loguniform", "_value": [0, 1]}}, "above 0 for a logarithm"),
        ({"x": {"_type": "uniform", "_value": [0]}}, "must have 2 numbers"),
        ({"x": {"_type": "mutable_layer", "_value": [1]}}, "_type 'mutable_layer' is unknown"),
        ({"x": {"_type": "uniform", "_value": ["low", 1]}}, "must have 2 numbers"),
        ({"x": {"_type": "uniform", "_value": [0, 10**400]}}, "must have 2 numbers"),
        ({"x": {"_type": "randint", "_value": [5, 5]}}, "x: randint \\[5, 5\\]; ends must rise"),
        ({"x": {"_type": "quniform", "_value": [0, 1, 0]}}, "the step must be above 0"),
        ({"x": {"_type": "normal", "_value": [0, 0]}}, "the deviation must be above 0"),
        ({"x": {"_type": "lognormal", "_value": [1000, 1]}}, "are those of the logarithm"),
        ({"x": [0, 1]}, "must have a _type and a _value"),
        ({"policy": {"_type": "policy", "_value": ["Rotate"], "pairs": 3}}, "the name must be policy, the _value a list"),
        ({"p": {"_type": "policy", "_value": ["Rotate"]}}, "the name must be policy"),
        ({"operation1_1": 3}, "operation1_1: 3; must have a _type"),
        ([], "no parameters"),
        ({0: UNIT}, "0: a parameter's name must be text"),
        ([[16, 32]], "x0: \\[16, 32\\]; may be a range or categories: write Real, Integer or Categorical"),
        ([(0.0, 1.0, "normal")], "may be a range or categories"),
        ([Categorical(["a", "b"], prior=[0.9, 0.1], name="kind")], "kind: a prior of categories is not used here"),
        ([(10, 5)], "x0: \\(10, 5\\); the lower bound 10 has to be less"),
        ([(-1.0, 1.0, "log-uniform")], "should not contain 0"),
        ([Real(0, 1, name="x"), Integer(0, 1, name="x")], "x: two parameters have this name"),
        ("nowhere.json", "nowhere.json"),
        (3, "a int; must be"),
    ],
)
def test_spaces_that_are_none(space: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read_space(space)


def test_a_file_that_names_a_parameter_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "space.json"
    path.write_text('{"x": {"_type": "uniform", "_value": [0, 1]}, "x": {"_type": "uniform", "_value": [0, 2]}}')
    with pytest.raises(SettingsError, match="space.json: x: is there twice"):
        read_space(path)


@st.composite
def counted(draw: st.DrawFn) -> dict[str, Any]:
    """A parameter that has at most a few hundred values, in NNI's notation."""
    kind = draw(st.sampled_from(["randint", "quniform", "qloguniform", "qnormal", "qlognormal"]))
    if "normal" in kind:
        deviation = draw(st.floats(0.1, 0.6))
        return {"_type": kind, "_value": [draw(st.floats(-1, 1)), deviation, draw(st.floats(0.2, 3))]}
    low = draw(st.integers(1, 20) if kind != "quniform" else st.integers(-20, 20))
    high = low + draw(st.integers(1, 30))
    return {"_type": kind, "_value": [low, high] + ([draw(st.floats(0.2, 100))] if kind[0] == "q" else [])}


@settings(deadline=None)
@given(entry=counted(), u=st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_points_are_the_same_if_and_only_if_their_values_are(entry: dict[str, Any], u: list[float]) -> None:
    """To the surrogate and to the list of points tried; and the grid holds every value once."""
    space = read_space({"x": entry})
    rows = np.array(u)[:, None]
    found = [space.decode(row)["x"] for row in rows]
    assert (len(set(space.keys(rows))), len(np.unique(space.features(rows)))) == (len(set(found)), len(set(found)))
    assert space.every_row is not None
    values = [space.decode(row)["x"] for row in space.every_row]
    assert values == sorted(set(values)) and set(found) <= set(values)
    assert [space.decode(space.row({"x": value}))["x"] for value in values] == values
    assert set(space.keys(rows)) <= set(space.keys(space.every_row))


def test_a_nested_spaces_points_are_counted_by_option() -> None:
    inner = {"_name": "conv", "kernel": {"_type": "choice", "_value": [3, 5]}, "depth": {"_type": "randint", "_value": [0, 3]}}
    entry = {"_type": "choice", "_value": ["none", inner]}
    space = read_space({"x": entry, "y": {"_type": "choice", "_value": [True, False]}})
    assert space.every_row is not None and len(space.every_row) == 14
    assert len({str(space.decode(row)) for row in space.every_row}) == 14
    assert read_space({"x": entry, "z": UNIT}).every_row is None


@given(u=st.floats(0, 1), kind=st.sampled_from(["uniform", "loguniform", "normal", "lognormal"]))
def test_a_value_has_a_row_that_stands_for_it(u: float, kind: str) -> None:
    space = read_space({"x": {"_type": kind, "_value": [0.01, 3]}})
    value = space.decode([u])["x"]
    assert space.decode(space.row({"x": value}))["x"] == pytest.approx(value, rel=1e-6)


def test_a_step_beyond_the_range_leaves_the_ends() -> None:
    assert set(values({"_type": "quniform", "_value": [2, 3, 5]})) == {2.0, 3.0}
    assert set(values({"_type": "quniform", "_value": [0, 1, 50]})) == {0.0}


def test_whole_numbers_of_any_size_are_exact() -> None:
    low = 2**70
    found = values({"_type": "randint", "_value": [low, low + 3]})
    assert set(found) == {low, low + 1, low + 2}
    assert all(0 <= value < 2**70 for value in values({"_type": "randint", "_value": [0, 2**70]}))
    powers = values({"_type": "lograndint", "_value": [1, 1025]}, 2000)
    assert {type(value) for value in powers} == {int} and set(powers) <= set(range(1, 1025))
    assert np.median(powers) == pytest.approx(32, rel=0.2)
