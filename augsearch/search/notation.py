"""Notations of a search space: NNI's JSON format, scikit-optimize's dimensions, and Tuun's file of policies.

NNI: https://nni.readthedocs.io, "search space". Tuun's file is written in it, with the names that
`augsearch.policy.exchange.tuun` lists, and is searched as a policy.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skopt.space import Categorical, Integer, Real

from augsearch.errors import SettingsError
from augsearch.policy.exchange import tuun
from augsearch.search.blocks import Block, Blocks, Choice, Nested, Number
from augsearch.search.policy_block import PolicyBlock

_TYPE = re.compile(r"(?P<step>q)?(?P<log>log)?(?P<kind>uniform|normal)|(?P<integer>randint)")
_TYPES = "choice, randint, uniform, quniform, loguniform, qloguniform, normal, qnormal, lognormal, qlognormal"
_POLICY_KEY = re.compile(r"(operation|prob|magnitude)(\d+)_(\d+)")
_UNIT = {"_type": "uniform", "_value": [0, 1]}


def read_blocks(space: object) -> list[Block]:
    """Blocks of a space that is given as NNI's dict, as the path of its file, or as scikit-optimize's dimensions.

    Raises:
        SettingsError: one line with the parameter, what it says and what is allowed.
    """
    if isinstance(space, (str, Path)):
        try:
            space = json.loads(Path(space).read_text())
        except (OSError, ValueError) as error:
            raise SettingsError(f"search space {space}: {error}") from None
    if isinstance(space, Mapping):
        return _nni_blocks(space)
    if isinstance(space, Sequence):
        return [_skopt_dimension(dimension, i) for i, dimension in enumerate(space)]
    raise SettingsError(f"search space: a {type(space).__name__}; must be a dict, a file, or scikit-optimize dimensions")


def _nni_blocks(space: Mapping[str, Any]) -> list[Block]:
    if not space:
        raise SettingsError("search space: no parameters; must have at least one")
    slots = {name: entry for name, entry in space.items() if _POLICY_KEY.fullmatch(str(name))}
    policy = _tuun_policy(slots)
    return ([policy] if policy else []) + [
        _nni_dimension(str(name), entry) for name, entry in space.items() if policy is None or name not in slots
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


def _nni_dimension(name: str, entry: Any) -> Number | Choice:
    kind, values = (entry.get("_type"), entry.get("_value")) if isinstance(entry, Mapping) else (None, None)
    if not isinstance(kind, str) or not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SettingsError(f"search space: {name}: {entry!r}; must have a _type and a _value list")
    if kind == "choice":
        return Choice(name, tuple(_nni_option(i, option) for i, option in enumerate(values)))
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise SettingsError(f"search space: {name}: _type {kind!r} is unknown; there are {_TYPES}")
    count = 3 if match["step"] else 2
    if len(values) != count or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
        raise SettingsError(f"search space: {name}: {kind} {list(values)}; must have {count} numbers")
    low, high = float(values[0]), float(values[1])
    normal, log, integer = match["kind"] == "normal", bool(match["log"]), bool(match["integer"])
    if integer:  # NNI's upper end is excluded
        low, high = float(math.ceil(low)), float(math.ceil(high)) - 1
    wrong = high <= 0 if normal else high < low or (log and low <= 0)
    if wrong or (count == 3 and values[2] <= 0):
        raise SettingsError(f"search space: {name}: {kind} {list(values)}; ends must rise, and be above 0 for a logarithm")
    return Number(name, low, high, log, normal, float(values[2]) if count == 3 else None, integer)


def _nni_option(i: int, option: Any) -> Any:
    """An option of a choice; a dict with `_name` and parameters is a nested space."""
    if not isinstance(option, Mapping):
        return option
    inner = {key: value for key, value in option.items() if key != "_name"}
    label = str(option.get("_name", i))
    return Nested(label, Blocks(_nni_blocks(inner))) if inner else label


def _skopt_dimension(dimension: Any, i: int) -> Number | Choice:
    name = dimension.name or f"x{i}"
    if isinstance(dimension, Categorical):
        return Choice(name, tuple(dimension.categories))
    if isinstance(dimension, (Real, Integer)):
        log, whole = dimension.prior == "log-uniform", isinstance(dimension, Integer)
        return Number(name, float(dimension.low), float(dimension.high), log, integer=whole)
    raise SettingsError(f"search space: {name}: {dimension!r}; must be a Real, Integer or Categorical of scikit-optimize")
