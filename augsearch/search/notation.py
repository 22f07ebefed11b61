"""Notations of a search space: NNI's JSON format, scikit-optimize's dimensions, and Tuun's file of policies.

NNI (https://nni.readthedocs.io, "search space"): {name: {"_type": ..., "_value": [...]}}, as a dict or a JSON file. Options
of a choice may be dicts; what has a `_type` in them is searched, the rest (such as `_name`) is fixed. Two types are this
project's: `lograndint`, whole numbers on a logarithmic scale, and `policy`, an augmentation policy:
{"policy": {"_type": "policy", "_value": [operations], "sub_policies": 5, "operations_each": 2}}.

scikit-optimize: dimensions, or its shorthand ((low, high), (low, high, "log-uniform"), categories), in a list or by name.

Tuun's file is written as NNI writes spaces, with the names that `augsearch.policy.exchange.tuun` lists, and is searched as
a policy.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skopt.space
from skopt.space import Categorical, Dimension, Integer
from skopt.space.space import check_dimension

from augsearch.errors import SettingsError
from augsearch.policy.exchange import tuun
from augsearch.search.blocks import Block, Blocks, Choice, Nested
from augsearch.search.number import Number
from augsearch.search.policy_block import PolicyBlock

_TYPE = re.compile(r"(?P<step>q)?(?P<log>log)?(?P<kind>uniform|normal)|(?P<log_integer>log)?(?P<integer>randint)")
_TYPES = (
    "choice, randint, lograndint, policy, uniform, quniform, loguniform, qloguniform, normal, qnormal, lognormal, qlognormal"
)
_POLICY_KEY = re.compile(r"(operation|prob|magnitude)(\d+)_(\d+)")
_UNIT = {"_type": "uniform", "_value": [0, 1]}


def read_blocks(space: object) -> list[Block]:
    """Blocks of a space that is given as NNI's dict, as the path of its file, or as scikit-optimize's dimensions.

    Raises:
        SettingsError: one line with the parameter, what it says and what is allowed.
    """
    if isinstance(space, (str, Path)):
        try:
            space = json.loads(Path(space).read_text(), object_pairs_hook=_object)
        except (OSError, ValueError) as error:
            raise SettingsError(f"search space {space}: {error}") from None
    if isinstance(space, skopt.space.Space):
        space = space.dimensions
    if isinstance(space, Mapping):
        blocks = _named_blocks(space)
    elif isinstance(space, Sequence):
        blocks = [_skopt_dimension(getattr(dimension, "name", None) or f"x{i}", dimension) for i, dimension in enumerate(space)]
    else:
        raise SettingsError(f"search space: a {type(space).__name__}; must be a dict, a file, or scikit-optimize dimensions")
    if not blocks:
        raise SettingsError("search space: no parameters; must have at least one")
    return blocks


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError for a key that it has twice."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        twice = [name for name, _ in pairs if [key for key, _ in pairs].count(name) > 1]
        raise ValueError(f"{twice[0]}: is there twice")
    return entries


def _named_blocks(space: Mapping[Any, Any]) -> list[Block]:
    """Blocks of {name: what it may be}; slots of Tuun's file become one policy, which comes first."""
    for name in space:
        if not isinstance(name, str):
            raise SettingsError(f"search space: {name!r}: a parameter's name must be text")
    slots = {name: entry for name, entry in space.items() if _POLICY_KEY.fullmatch(name)}
    policy = _tuun_policy(slots)
    return ([policy] if policy else []) + [
        _dimension(name, entry) for name, entry in space.items() if policy is None or name not in slots
    ]


def _tuun_policy(slots: Mapping[str, Any]) -> PolicyBlock | None:
    """The policy block that a complete set of operationI_J, probI_J, magnitudeI_J describes; None for any other set."""
    choice = slots.get("operation1_1")
    if not isinstance(choice, Mapping) or choice.get("_type") != "choice":
        return None
    names = {tuun.NAMES.get(str(name).lower()): name for name in choice.get("_value", ())}
    places = [_POLICY_KEY.fullmatch(name).group(2, 3) for name in slots]  # type: ignore[union-attr]  # they all match
    rows, columns = (max(int(place[k]) for place in places) for k in (0, 1))
    expected: dict[str, Any] = {}
    for place in (f"{i}_{j}" for i in range(1, rows + 1) for j in range(1, columns + 1)):
        expected |= {f"operation{place}": choice, f"prob{place}": _UNIT, f"magnitude{place}": _UNIT}
    if slots != expected or None in names or len(names) != len(choice["_value"]):
        return None
    known = {name: theirs for name, theirs in names.items() if name is not None}
    return PolicyBlock(list(known), rows, columns, names=known)


def _dimension(name: str, entry: Any) -> Block:
    """One parameter, in NNI's notation or scikit-optimize's."""
    if isinstance(entry, (tuple, Dimension)):
        return _skopt_dimension(name, entry)
    kind, values = (entry.get("_type"), entry.get("_value")) if isinstance(entry, Mapping) else (None, None)
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(kind, str) or not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SettingsError(f"search space: {name}: {entry!r}; must have a _type and a _value list")
    if kind == "choice":
        return Choice(name, _options(values))
    if kind == "policy":
        return _policy(name, entry, values)
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise SettingsError(f"search space: {name}: _type {kind!r} is unknown; there are {_TYPES}")
    shown, count = f"{name}: {kind} {list(values)}", 3 if match["step"] else 2
    numbers = [number for number in map(_number, values) if number is not None]
    if len(values) != count or len(numbers) != count:
        raise SettingsError(f"search space: {shown}; must have {count} numbers")
    low, high = numbers[:2]
    if match["integer"]:  # NNI's upper end is excluded
        low, high = math.ceil(low), math.ceil(high) - 1
    else:
        low, high = float(low), float(high)
    log = bool(match["log"] or match["log_integer"])
    step = float(numbers[2]) if match["step"] else None
    return _checked(Number(name, low, high, log, match["kind"] == "normal", step, bool(match["integer"])), shown)


def _policy(name: str, entry: Mapping[str, Any], operations: Sequence[Any]) -> PolicyBlock:
    """An augmentation policy; its parameter is always called "policy"."""
    shape = {key: value for key, value in entry.items() if not key.startswith("_")}
    try:
        if name == "policy" and min(shape.get("sub_policies", 1), shape.get("operations_each", 1)) >= 1:
            return PolicyBlock(operations, **shape)
    except TypeError:
        pass
    raise SettingsError(
        f"search space: {name}: {entry!r}; the name must be policy, the _value a list of operations, "
        "and beside them may stand sub_policies, operations_each and draw"
    )


def _number(value: Any) -> float | int | None:
    """The finite number that a value is; None if it is none.

    A string such as "1e-4" is one: YAML 1.1 takes it for text, for want of a point.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        return None
    return value


def _checked(number: Number, shown: str) -> Number | Choice:
    """The same number, or a choice of its only value. Raises SettingsError where nothing can be drawn from it."""
    low, high = number.low, number.high
    if number.normal and high <= 0:
        reason = "the deviation must be above 0"
    elif number.normal and number.log and abs(low) + 5 * high > 700:
        reason = "mean and deviation are those of the logarithm, and must stay below exp(700)"
    elif not number.normal and (high < low or (number.log and low <= 0)):
        reason = "ends must rise, and be above 0 for a logarithm"
    elif number.step is not None and number.step <= 0:
        reason = "the step must be above 0"
    else:
        return Choice(number.name, (low,)) if low == high and not number.normal else number
    raise SettingsError(f"search space: {shown}; {reason}")


def _options(values: Sequence[Any]) -> tuple[Any, ...]:
    """Options of a choice as they were given, numpy's scalars as Python's; one that is given twice counts once."""
    options = [_option(value.item() if isinstance(value, np.generic) else value) for value in values]
    return tuple({(type(option), repr(option)): option for option in options}.values())


def _option(option: Any) -> Any:
    """An option of a choice; a dict with entries that are searched is `Nested`."""
    if not isinstance(option, Mapping):
        return option
    searched = {key: value for key, value in option.items() if isinstance(value, (Mapping, Dimension))}
    if not searched:
        return dict(option)
    return Nested({key: value for key, value in option.items() if key not in searched}, Blocks(_named_blocks(searched)))


def _skopt_dimension(name: str, given: Any) -> Number | Choice:
    """A dimension of scikit-optimize, or what its shorthand means."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dimension = check_dimension(given)
    except UserWarning:
        reason = "may be a range or categories: write Real, Integer or Categorical of skopt.space"
        raise SettingsError(f"search space: {name}: {given!r}; {reason}") from None
    except (TypeError, ValueError) as error:
        raise SettingsError(f"search space: {name}: {given!r}; {str(error).split('. See')[0]}") from None
    if isinstance(dimension, Categorical):
        if dimension.prior is not None:
            raise SettingsError(f"search space: {name}: a prior of categories is not used here; leave it out")
        return Choice(name, _options(dimension.categories))
    whole, log = isinstance(dimension, Integer), dimension.prior == "log-uniform"
    low, high = (int(end) if whole else float(end) for end in (dimension.low, dimension.high))
    return _checked(Number(name, low, high, log, integer=whole), f"{name}: {dimension!r}")
