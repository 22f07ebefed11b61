"""Tuun's policies and search spaces, in NNI's formats (petuum/tuun, `examples/nni_data_augmentation`).

A policy is NNI's parameters of one trial: `operationI_J`, `probI_J`, `magnitudeI_J` for sub-policy I, operation J.
A search space has the same names, each with its `_type` and `_value`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from augsearch.errors import PolicyError
from augsearch.policy import Operation, Policy, SubPolicy
from augsearch.policy.exchange.options import Options
from augsearch.policy.exchange.reading import number, parse, read_text
from augsearch.policy.ops import OPS

NAMES = {name.lower(): name for name in OPS} | {"randomhorizontalflip": "HorizontalFlip"}
"""Tuun's spelling, in lower case, to ours."""


@dataclass(frozen=True)
class SearchSpace:
    """The values for `search.operations`, `search.sub_policies` and `search.operations_each` of params.yaml."""

    operations: tuple[str, ...]
    sub_policies: int
    operations_each: int


def load(source: str, options: Options) -> Policy:
    """Read the policy of a trial's parameters (bare, or as NNI's `parameters`).

    Raises:
        PolicyError: a parameter that is missing or impossible; or the file holds a search space.
    """
    parameters = _parameters(source)
    if _is_space(parameters):
        space = load_search_space(source)
        raise PolicyError(
            f"{source}: a search space, not a policy; in params.yaml it reads search: {{sub_policies: {space.sub_policies}, "
            f"operations_each: {space.operations_each}, operations: [{', '.join(space.operations)}]}}"
        )
    sub_policies, each = _shape(parameters, source)

    def operation(i: int, j: int) -> Operation:
        place = f"{source}: "
        name = _name(_get(parameters, f"operation{i}_{j}", source), f"{place}operation{i}_{j}")
        probability, magnitude = (
            number(_get(parameters, f"{kind}{i}_{j}", source), 0, 1, f"{place}{kind}{i}_{j}") for kind in ("prob", "magnitude")
        )
        return Operation(name, probability, magnitude)

    return Policy(
        tuple(SubPolicy(tuple(operation(i, j) for j in range(1, each + 1))) for i in range(1, sub_policies + 1)),
        "tuun",
        "batch",
    )


def load_search_space(path: str) -> SearchSpace:
    """Read the operations and the shape of an NNI search space file.

    Raises:
        PolicyError: not such a file, or one that gives different slots different operations.
    """
    parameters = _parameters(path)
    if not _is_space(parameters):
        raise PolicyError(f"{path}: not a search space; each entry must have _type and _value")
    sub_policies, each = _shape(parameters, path)
    choices = {
        tuple(_name(value, f"{path}: {key}") for value in entry["_value"])
        for key, entry in parameters.items()
        if key.startswith("operation")
    }
    if len(choices) != 1:
        raise PolicyError(f"{path}: {len(choices)} different lists of operations; must be the same for every operationI_J")
    return SearchSpace(choices.pop(), sub_policies, each)


def _parameters(path: str) -> dict[str, Any]:
    data = parse(read_text(path), path)
    if isinstance(data, dict) and isinstance(data.get("parameters"), dict):
        data = data["parameters"]
    if not isinstance(data, dict) or not any(str(key).startswith("operation") for key in data):
        raise PolicyError(f"{path}: must be an object with operation1_1, prob1_1, magnitude1_1, ...")
    return data


def _is_space(parameters: dict[str, Any]) -> bool:
    return all(isinstance(value, dict) and "_type" in value and "_value" in value for value in parameters.values())


def _shape(parameters: dict[str, Any], path: str) -> tuple[int, int]:
    """(sub-policies, operations of each), from the names of the parameters."""
    slots = {(int(i), int(j)) for key in parameters for i, j in re.findall(r"^operation(\d+)_(\d+)$", key)}
    if not slots:
        raise PolicyError(f"{path}: no operationI_J; must be operation1_1, operation1_2, ...")
    return max(i for i, _ in slots), max(j for _, j in slots)


def _get(parameters: dict[str, Any], key: str, path: str) -> Any:
    if key not in parameters:
        raise PolicyError(f"{path}: {key}: missing")
    return parameters[key]


def _name(value: Any, place: str) -> str:
    if str(value).lower() not in NAMES:
        raise PolicyError(f"{place}: {value!r} is unknown; there are {', '.join(NAMES)}")
    return NAMES[str(value).lower()]
