"""Search spaces: what may be chosen, as rows of numbers in [0, 1] and as the values they stand for.

A space is a list of blocks side by side. A block takes some columns of a row in [0, 1]^D, decodes them into
parameters, and gives the features that a surrogate sees. `Dimension`s are blocks of one parameter each;
`PolicyBlock` is a whole augmentation policy. Spaces come from Python, from scikit-optimize dimensions, or from
NNI's JSON format (https://nni.readthedocs.io, "search space"), in which Tuun's own file is written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from skopt.space import Categorical, Integer, Real

from augsearch.errors import SettingsError
from augsearch.policy import Draw, Operation, Policy, SubPolicy
from augsearch.policy.ops import OPS, Floats, find

Params = dict[str, Any]
Row = Sequence[float] | Floats


class Block(Protocol):
    """Part of a space: `columns` numbers in [0, 1] and what they mean."""

    @property
    def columns(self) -> int: ...

    @property
    def resampled(self) -> NDArray[np.bool_]:
        """(columns,): whether a small step in the column means nothing, as for choices."""
        ...

    @property
    def units(self) -> NDArray[np.int64]:
        """(columns,): columns of the same unit are inherited together."""
        ...

    def decode(self, row: Row) -> Params: ...

    def features(self, rows: Floats) -> Floats:
        """(N, columns) -> (N, F)."""
        ...

    @property
    def groups(self) -> Sequence[int]:
        """How many features share each lengthscale, in order."""
        ...


# --- one parameter -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A number from a range or a normal distribution, rounded to multiples of `step` or to whole numbers."""

    name: str
    low: float
    """Or the mean, where normal."""
    high: float
    """Or the standard deviation, where normal."""
    log: bool = False
    normal: bool = False
    step: float | None = None
    integer: bool = False

    @property
    def columns(self) -> int:
        return 1

    @property
    def groups(self) -> Sequence[int]:
        return (1,)

    @property
    def resampled(self) -> NDArray[np.bool_]:
        return np.array([False])

    @property
    def units(self) -> NDArray[np.int64]:
        return np.array([0])

    def value(self, u: float) -> float | int:
        if self.normal:
            plain = self.low + self.high * float(ndtri(min(max(u, 1e-6), 1 - 1e-6)))
            value = math.exp(plain) if self.log else plain
        elif self.integer and not self.log:
            return min(int(self.low) + math.floor(u * (int(self.high) - int(self.low) + 1)), int(self.high))
        elif self.log:
            value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + u * (self.high - self.low)
        if self.step is not None:
            value = round(value / self.step) * self.step
        if not self.normal:
            value = min(max(value, self.low), self.high)
        return round(value) if self.integer else value

    def decode(self, row: Row) -> Params:
        return {self.name: self.value(float(row[0]))}

    def features(self, rows: Floats) -> Floats:
        return rows


@dataclass(frozen=True)
class Choice:
    """One of several options; an option may be a space of its own, whose parameters count only when it is chosen."""

    name: str
    options: tuple[Any, ...]
    """JSON values, or (name, Space) for an option with parameters."""

    @property
    def _inner(self) -> list[Space | None]:
        return [option[1] if isinstance(option, tuple) else None for option in self.options]

    @property
    def columns(self) -> int:
        return 1 + sum(space.columns for space in self._inner if space)

    @property
    def groups(self) -> Sequence[int]:
        return [len(self.options)] + [group for space in self._inner if space for group in space.groups]

    @property
    def resampled(self) -> NDArray[np.bool_]:
        return np.concatenate([np.array([True])] + [space.resampled for space in self._inner if space])

    @property
    def units(self) -> NDArray[np.int64]:
        return np.zeros(self.columns, np.int64)

    def index(self, u: Floats) -> NDArray[np.int64]:
        return np.minimum((np.asarray(u) * len(self.options)).astype(np.int64), len(self.options) - 1)

    def decode(self, row: Row) -> Params:
        chosen = int(self.index(np.asarray(row[0])))
        option, first = self.options[chosen], 1
        if not isinstance(option, tuple):
            return {self.name: option}
        for space in self._inner[:chosen]:
            first += space.columns if space else 0
        return {self.name: {"_name": option[0], **option[1].decode(row[first : first + option[1].columns])}}

    def features(self, rows: Floats) -> Floats:
        """One-hot, so that any two options are equally far apart; parameters of options not chosen in the middle."""
        chosen = self.index(rows[:, 0])
        parts = [np.eye(len(self.options))[chosen] / math.sqrt(2)]
        first = 1
        for k, space in enumerate(self._inner):
            if space:
                own = space.features(rows[:, first : first + space.columns])
                parts.append(np.where((chosen == k)[:, None], own, 0.5))
                first += space.columns
        return np.hstack(parts)


# --- a policy ---------------------------------------------------------------------------------------------


class PolicyBlock:
    """A policy of `sub_policies` x `operations_each` slots; a slot is an operation, a probability, a magnitude.

    Columns: (operation, probability, magnitude) for each slot. Decoded to {"policy": Policy}, or, with `names`,
    to NNI's parameters under the names that Tuun's file uses.
    """

    def __init__(
        self,
        operations: Sequence[str],
        sub_policies: int = 5,
        operations_each: int = 2,
        draw: Draw = "batch",
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.operations = tuple(operations)
        self.sub_policies = sub_policies
        self.operations_each = operations_each
        self.draw = draw
        self.names = names
        self.slots = sub_policies * operations_each
        self.columns = 3 * self.slots
        self.resampled = np.tile([True, False, False], self.slots)
        self.units = np.repeat(np.arange(sub_policies), 3 * operations_each)
        self._with_magnitude = np.flatnonzero([find(name).magnitude for name in self.operations])
        self.groups = [len(self.operations) + len(self._with_magnitude)]

    def _arrays(self, rows: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Operation index, probability, magnitude, each (N, slots)."""
        table = rows.reshape(len(rows), self.slots, 3)
        count = len(self.operations)
        return np.minimum((table[..., 0] * count).astype(np.int64), count - 1), table[..., 1], table[..., 2]

    def decode(self, row: Row) -> Params:
        operation, probability, magnitude = (values[0] for values in self._arrays(np.asarray(row)[None]))
        flat = [
            # rounded: nobody can tell 0.3127 from 0.312698, but can read it
            Operation(self.operations[o], round(float(p), 4), round(float(m), 4))
            for o, p, m in zip(operation, probability, magnitude, strict=True)
        ]
        each = self.operations_each
        if self.names is None:
            pairs = tuple(SubPolicy(tuple(flat[i : i + each])) for i in range(0, self.slots, each))
            return {"policy": Policy(pairs, "tuun", self.draw)}
        params: Params = {}
        for k, o in enumerate(flat):
            place = f"{k // each + 1}_{k % each + 1}"
            params |= {f"operation{place}": self.names[o.name], f"prob{place}": o.probability, f"magnitude{place}": o.magnitude}
        return params

    def encode(self, policy: Policy) -> Floats | None:
        """The row (columns,) that decodes to a policy; None if the policy is not one of this space's."""
        flat = [operation for sub_policy in policy.sub_policies for operation in sub_policy.operations]
        shape = [len(sub_policy.operations) for sub_policy in policy.sub_policies]
        known = all(operation.name in self.operations for operation in flat)
        if shape != [self.operations_each] * self.sub_policies or not known or policy.dialect != "tuun":
            return None
        middle = [(self.operations.index(o.name) + 0.5) / len(self.operations) for o in flat]
        return np.array([(m, o.probability, o.magnitude) for m, o in zip(middle, flat, strict=True)]).ravel()

    def features(self, rows: Floats) -> Floats:
        """(N, F): for each operation the sum over its slots of p, and of p * m where it has a magnitude.

        Sub-policies are exchangeable and their operations nearly so; what a policy does to a data set is mostly
        how often each operation is applied, and how strongly. A surrogate on these features need not learn that.
        """
        operation, probability, magnitude = self._arrays(rows)
        count, kinds = len(rows), len(self.operations)
        often, strong = np.zeros((count, kinds)), np.zeros((count, kinds))
        at = (np.repeat(np.arange(count), self.slots), operation.ravel())
        np.add.at(often, at, probability.ravel())
        np.add.at(strong, at, (probability * magnitude).ravel())
        return np.hstack([often, strong[:, self._with_magnitude]])


# --- the whole ------------------------------------------------------------------------------------------


class Space:
    """Blocks side by side: rows in [0, 1]^D, what they decode to, and how they are varied."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)
        self.columns = sum(block.columns for block in self.blocks)
        ends = np.cumsum([0] + [block.columns for block in self.blocks])
        self._slices = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.groups = [group for block in self.blocks for group in block.groups]
        self.resampled = np.concatenate([block.resampled for block in self.blocks])
        units, first = [], 0
        for block in self.blocks:
            units.append(block.units + first)
            first = int(units[-1].max()) + 1
        self._units = np.concatenate(units)

    def decode(self, row: Row) -> Params:
        params: Params = {}
        for block, columns in zip(self.blocks, self._slices, strict=True):
            params |= block.decode(np.asarray(row)[columns])
        return params

    def features(self, rows: Floats) -> Floats:
        return np.hstack([block.features(rows[:, columns]) for block, columns in zip(self.blocks, self._slices, strict=True)])

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """(n, D), uniform."""
        return rng.random((n, self.columns))

    def offspring(self, rows: Floats, n: int, rng: np.random.Generator) -> Floats:
        """n rows that take each unit (a sub-policy, a parameter) from one of two of the given rows."""
        one, other = (rows[rng.integers(len(rows), size=n)] for _ in range(2))
        from_one = rng.random((n, int(self._units.max()) + 1)) < 0.5
        return np.where(from_one[:, self._units], one, other)

    def mutants(self, rows: Floats, n: int, rng: np.random.Generator) -> Floats:
        """n changed copies of the given rows: some columns resampled or moved, by steps of very different sizes."""
        parents = rows[rng.integers(len(rows), size=n)]
        shape = parents.shape
        changed = rng.random(shape) < rng.uniform(0.03, 0.5, (n, 1))
        changed[np.arange(n), rng.integers(self.columns, size=n)] = True
        replaced = changed & (rng.random(shape) < np.where(self.resampled, 0.5, 0.2))
        moved = changed & ~replaced & ~self.resampled
        near = np.clip(parents + rng.normal(size=shape) * 10 ** rng.uniform(-2, -0.6, (n, 1)), 0, 1)
        return np.where(replaced, rng.random(shape), np.where(moved, near, parents))


def policy_space(operations: Sequence[str], sub_policies: int = 5, operations_each: int = 2, draw: Draw = "batch") -> Space:
    """Tuun's space of policies alone."""
    return Space([PolicyBlock(operations, sub_policies, operations_each, draw)])


# --- from other notations -----------------------------------------------------------------------------------

_POLICY_KEY = re.compile(r"(operation|prob|magnitude)(\d+)_(\d+)")
# Tuun's names, petuum/tuun examples/nni_data_augmentation
TUUN_NAMES = {name[0].lower() + name[1:]: name for name in OPS} | {
    "autocontrast": "AutoContrast",
    "randomHorizontalFlip": "HorizontalFlip",
}


def read_space(space: object) -> Space:
    """Any notation of a space: a `Space`, scikit-optimize dimensions with names, NNI's dict, or the path of its file.

    Raises:
        SettingsError: one line with the parameter, what it says and what is allowed.
    """
    if isinstance(space, Space):
        return space
    if isinstance(space, (str, Path)):
        try:
            space = json.loads(Path(space).read_text())
        except (OSError, ValueError) as error:
            raise SettingsError(f"search space {space}: {error}") from None
    if isinstance(space, Mapping):
        return Space(_nni_blocks(space))
    if isinstance(space, Sequence):
        return Space([_from_skopt(dimension, i) for i, dimension in enumerate(space)])
    raise SettingsError(f"search space: a {type(space).__name__}; must be a dict, a file, or scikit-optimize dimensions")


def _nni_blocks(space: Mapping[str, Any]) -> list[Block]:
    if not space:
        raise SettingsError("search space: no parameters; must have at least one")
    policy = {name for name in space if _POLICY_KEY.fullmatch(str(name))}
    blocks: list[Block] = [_nni_dimension(str(name), entry) for name, entry in space.items() if name not in policy]
    if policy:
        block = _nni_policy({name: space[name] for name in policy})
        if block is None:
            blocks += [_nni_dimension(name, space[name]) for name in space if name in policy]
        else:
            blocks.insert(0, block)
    return blocks


def _nni_policy(entries: Mapping[str, Any]) -> PolicyBlock | None:
    """The policy block that a complete set of operationI_J, probI_J, magnitudeI_J describes; None if they do not."""
    places = {_POLICY_KEY.fullmatch(name).group(2, 3) for name in entries}  # type: ignore[union-attr]  # they all match
    rows, columns = (max(int(place[k]) for place in places) for k in (0, 1))
    wanted = {
        f"{key}{i}_{j}" for key in ("operation", "prob", "magnitude") for i in range(1, rows + 1) for j in range(1, columns + 1)
    }
    names = entries.get("operation1_1", {}).get("_value", [])
    same = all(entries[k] == entries["operation1_1"] for k in entries if k.startswith("operation")) if names else False
    unit = all(entries[k].get("_value") == [0, 1] for k in entries if not k.startswith("operation"))
    if set(entries) != wanted or not same or not unit or not set(names) <= set(TUUN_NAMES):
        return None
    return PolicyBlock([TUUN_NAMES[n] for n in names], rows, columns, names={TUUN_NAMES[n]: n for n in names})


_RANGES = {
    "uniform": {},
    "quniform": {"step": True},
    "loguniform": {"log": True},
    "qloguniform": {"log": True, "step": True},
    "normal": {"normal": True},
    "qnormal": {"normal": True, "step": True},
    "lognormal": {"normal": True, "log": True},
    "qlognormal": {"normal": True, "log": True, "step": True},
}


def _nni_dimension(name: str, entry: Any) -> Number | Choice:
    kind, values = (entry.get("_type"), entry.get("_value")) if isinstance(entry, Mapping) else (None, None)
    if not isinstance(kind, str) or not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SettingsError(f"search space: {name}: {entry!r}; must have a _type and a _value list")
    if kind == "choice":
        return Choice(name, tuple(_nni_option(name, i, option) for i, option in enumerate(values)))
    if kind not in (*_RANGES, "randint"):
        raise SettingsError(f"search space: {name}: _type {kind!r} is unknown; there are choice, randint, {', '.join(_RANGES)}")
    marks = _RANGES.get(kind, {})
    count = 3 if "step" in marks else 2
    if len(values) != count or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
        raise SettingsError(f"search space: {name}: {kind} {list(values)}; must have {count} numbers")
    low, high = float(values[0]), float(values[1])
    if kind == "randint":  # NNI's upper end is excluded
        low, high = float(math.ceil(low)), float(math.ceil(high)) - 1
    wrong = high <= 0 if marks.get("normal") else high < low or (marks.get("log", False) and low <= 0)
    if wrong or (count == 3 and values[2] <= 0):
        raise SettingsError(f"search space: {name}: {kind} {list(values)}; ends must rise, and be above 0 for a logarithm")
    step = float(values[2]) if count == 3 else None
    return Number(name, low, high, bool(marks.get("log")), bool(marks.get("normal")), step, kind == "randint")


def _nni_option(name: str, i: int, option: Any) -> Any:
    """An option of a choice; a dict with `_name` and parameters is a nested space."""
    if not isinstance(option, Mapping):
        return option
    inner = {key: value for key, value in option.items() if key != "_name"}
    label = str(option.get("_name", i))
    return (label, Space(_nni_blocks(inner))) if inner else label


def _from_skopt(dimension: Any, i: int) -> Number | Choice:
    name = dimension.name or f"x{i}"
    if isinstance(dimension, Categorical):
        return Choice(name, tuple(dimension.categories))
    if isinstance(dimension, (Real, Integer)):
        log, whole = dimension.prior == "log-uniform", isinstance(dimension, Integer)
        return Number(name, float(dimension.low), float(dimension.high), log, integer=whole)
    raise SettingsError(f"search space: {name}: {dimension!r}; must be a Real, Integer or Categorical of scikit-optimize")
