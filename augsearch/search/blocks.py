"""Blocks of a search space: some columns of a row in [0, 1]^D, the parameters that they stand for, and their features.

`Number` and `Choice` are one parameter each, `Blocks` are several blocks side by side;
`augsearch.search.policy_block.PolicyBlock` is a whole augmentation policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from augsearch.errors import SettingsError
from augsearch.policy.ops import Floats

Params = dict[str, Any]
Row = Sequence[float] | Floats


def _exp(values: Floats) -> Floats:
    """e to the power of each value, as the C library has it: numpy's last digit depends on the machine's instructions."""
    return np.array([math.exp(value) for value in values.flat]).reshape(values.shape)


class Block(Protocol):
    """Part of a space: `columns` numbers in [0, 1] and the parameters that they stand for."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        ...

    @property
    def columns(self) -> int:
        """Number of columns of a row that the block takes."""
        ...

    @property
    def resampled(self) -> NDArray[np.bool_]:
        """Boolean mask (columns,) of categorical columns: mutation resamples them instead of adding noise."""
        ...

    @property
    def units(self) -> NDArray[np.int64]:
        """Unit of each column, (columns,), counted from 0: columns of one unit are inherited together."""
        ...

    @property
    def groups(self) -> Sequence[int]:
        """Numbers of consecutive features that share a lengthscale, in order."""
        ...

    def decode(self, row: Row) -> Params:
        """The parameters, by name, that a row (columns,) stands for."""
        ...

    def row(self, params: Params) -> Floats:
        """The reverse of `decode`: a row (columns,) that stands for these parameters. SettingsError if there is none."""
        ...

    def features(self, rows: Floats) -> Floats:
        """The surrogate's input for rows (N, columns): (N, F); equal for rows that decode to equal parameters."""
        ...

    def grid(self, limit: int) -> Floats | None:
        """One row for each value, (K, columns), if there are at most `limit`; else None."""
        ...

    def describe(self) -> dict[str, Any]:
        """The block as `augsearch.search.notation` reads it."""
        ...


def same(one: Any, other: Any) -> bool:
    """Whether two options are the same: equal, and of one type, since 1 is True to Python."""
    return type(one) is type(other) and bool(one == other)


@dataclass(frozen=True)
class Number:
    """A number from a range or a normal distribution, rounded to multiples of `step` or to whole numbers."""

    name: str
    low: float
    """The lowest value; of a normal distribution, the mean."""
    high: float
    """The highest value; of a normal distribution, the standard deviation."""
    log: bool = False
    normal: bool = False
    step: float | None = None
    integer: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The name, alone."""
        return (self.name,)

    @property
    def columns(self) -> int:
        """One column."""
        return 1

    @property
    def groups(self) -> Sequence[int]:
        """One feature with a lengthscale of its own."""
        return (1,)

    @property
    def resampled(self) -> NDArray[np.bool_]:
        """Not resampled: mutation adds noise."""
        return np.array([False])

    @property
    def units(self) -> NDArray[np.int64]:
        """The one column is one unit."""
        return np.array([0])

    @property
    def _countable(self) -> bool:
        return self.integer or self.step is not None

    def value(self, u: float) -> float | int:
        """The value at u in [0, 1]: the quantile of the parameter's distribution."""
        at = np.array([u])
        if self._countable:
            return self._at(int(self._levels(at)[0]))
        plain = float(self._plain(at)[0])
        return plain if self.normal else min(max(plain, float(self.low)), float(self.high))

    def decode(self, row: Row) -> Params:
        """The value, by name, at the row's one number."""
        return {self.name: self.value(float(row[0]))}

    def row(self, params: Params) -> Floats:
        """The row (1,) of a value. Raises SettingsError for a value out of range."""
        value = params[self.name]
        if isinstance(value, Real) and not isinstance(value, bool):
            plain_integers = self.integer and not self.log
            u = self._snapped(np.array([value - self.low])) if plain_integers else self._unit(np.array([float(value)]))
            if math.isclose(self.value(float(u[0])), value, rel_tol=1e-9, abs_tol=1e-9 * abs(self.high - self.low)):
                return u
        entry = self.describe()[self.name]
        raise SettingsError(f"{self.name}: {value!r}; must fit {entry['_type']} {entry['_value']}")

    def describe(self) -> dict[str, Any]:
        """The number in NNI's notation, or as `lograndint`."""
        if self.integer:
            return {self.name: {"_type": "lograndint" if self.log else "randint", "_value": [self.low, self.high + 1]}}
        kind = ("" if self.step is None else "q") + ("log" if self.log else "") + ("normal" if self.normal else "uniform")
        step = [] if self.step is None else [self.step]
        return {self.name: {"_type": kind, "_value": [self.low, self.high, *step]}}

    def features(self, rows: Floats) -> Floats:
        """u; where values are counted, the same u for all that have the same value."""
        return self._snapped(self._levels(rows)) if self._countable else rows

    def grid(self, limit: int) -> Floats | None:
        """One row for each whole number or step, (K, 1), if there are at most `limit`; None otherwise."""
        if not self._countable:
            return None
        first, last = self._levels(np.array([0.0, 1.0]))
        return self._snapped(np.arange(first, last + 1))[:, None] if last - first < limit else None

    @property
    def _ends(self) -> tuple[float, float]:
        """Both ends, or mean and deviation, on the scale on which the distribution is uniform or normal."""
        low, high = float(self.low), float(self.high)
        return (math.log(low), math.log(high)) if self.log and not self.normal else (low, high)

    def _plain(self, u: Floats) -> Floats:
        """The values at u, before any rounding."""
        a, b = self._ends
        values: Floats = a + b * ndtri(u.clip(1e-6, 1 - 1e-6)) if self.normal else a + u * (b - a)
        return _exp(values) if self.log else values

    def _unit(self, values: Floats) -> Floats:
        """The u of values: the inverse of `_plain`."""
        a, b = self._ends
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):  # a value may be rounded to 0, or no value of this range
                values = np.log(values)
        unit: Floats = ndtr((values - a) / b) if self.normal else (values - a) / (b - a)
        return unit.clip(0, 1)

    def _levels(self, u: Floats) -> Floats:
        """The values at u, counted in steps, or as whole numbers; in a plain range of these, from its lower end on."""
        if self.step is not None:
            levels: Floats = np.rint(self._plain(u) / self.step)
        elif self.log:
            levels = np.rint(self._plain(u).clip(self.low, self.high))
        else:
            count = float(self.high - self.low + 1)
            levels = np.floor(u * count).clip(max=count - 1)
        return levels

    def _at(self, level: int) -> float | int:
        """The value of a level."""
        if self.step is not None:
            value = level * self.step
            return value if self.normal else min(max(value, float(self.low)), float(self.high))
        return level if self.log else int(self.low) + min(level, int(self.high) - int(self.low))

    def _snapped(self, levels: Floats) -> Floats:
        """One u for each level."""
        if self.integer and not self.log:
            return (levels + 0.5) / float(self.high - self.low + 1)
        values = levels * (self.step or 1)
        return self._unit(values if self.normal else values.clip(self.low, self.high))


@dataclass(frozen=True)
class Nested:
    """An option of a choice that is a dict: entries that are fixed, and parameters that count only when it is chosen."""

    fixed: Mapping[str, Any]
    blocks: Blocks

    def decode(self, row: Row) -> Params:
        """All entries, by name, with the values that a row (columns of `blocks`,) stands for."""
        return {**self.fixed, **self.blocks.decode(row)}

    def row(self, value: Any) -> Floats | None:
        """The reverse of `decode`; None for a value of another option. SettingsError for a parameter that does not fit."""
        if not isinstance(value, Mapping) or value.keys() != {*self.fixed, *self.blocks.parameters}:
            return None
        if any(value[name] != fixed for name, fixed in self.fixed.items()):
            return None
        return self.blocks.row({name: value[name] for name in self.blocks.parameters})


@dataclass(frozen=True)
class Choice:
    """One of several options, each any value or `Nested`."""

    name: str
    options: tuple[Any, ...]

    @property
    def _inner(self) -> list[Blocks]:
        """The blocks of each option; none for a plain value."""
        return [option.blocks if isinstance(option, Nested) else Blocks(()) for option in self.options]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The name, alone."""
        return (self.name,)

    @property
    def columns(self) -> int:
        """One column for the option, and those of every option's own parameters."""
        return 1 + sum(blocks.columns for blocks in self._inner)

    @property
    def groups(self) -> Sequence[int]:
        """One lengthscale for the one-hot features, then those of the options' parameters."""
        return [len(self.options)] + [group for blocks in self._inner for group in blocks.groups]

    @property
    def resampled(self) -> NDArray[np.bool_]:
        """Mask (columns,): the option's column, and categorical ones inside options."""
        return np.concatenate([np.array([True])] + [blocks.resampled for blocks in self._inner])

    @property
    def units(self) -> NDArray[np.int64]:
        """All columns are one unit: they are inherited together."""
        return np.zeros(self.columns, np.int64)

    @property
    def _slices(self) -> list[slice]:
        """The columns of each option's parameters."""
        ends = np.cumsum([1] + [blocks.columns for blocks in self._inner])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def index(self, u: Floats) -> NDArray[np.int64]:
        """The number of the option at u in [0, 1], elementwise."""
        return np.minimum((np.asarray(u) * len(self.options)).astype(np.int64), len(self.options) - 1)

    def decode(self, row: Row) -> Params:
        """The chosen option, by name; a dict if the option has parameters."""
        chosen = int(self.index(np.asarray(row[0])))
        option = self.options[chosen]
        return {self.name: option.decode(row[self._slices[chosen]]) if isinstance(option, Nested) else option}

    def row(self, params: Params) -> Floats:
        """The row (columns,) of a value, 0.5 for other options' parameters. Raises SettingsError for no option's value."""
        value = params[self.name]
        for k, (option, columns) in enumerate(zip(self.options, self._slices, strict=True)):
            inner = option.row(value) if isinstance(option, Nested) else np.zeros(0) if same(option, value) else None
            if inner is not None:
                row = np.full(self.columns, 0.5)
                row[0], row[columns] = (k + 0.5) / len(self.options), inner
                return row
        raise SettingsError(f"{self.name}: {value!r}; must be one of {self.describe()[self.name]['_value']}")

    def describe(self) -> dict[str, Any]:
        """The choice in NNI's notation."""
        options = [
            {**option.fixed, **option.blocks.describe()} if isinstance(option, Nested) else option for option in self.options
        ]
        return {self.name: {"_type": "choice", "_value": options}}

    def features(self, rows: Floats) -> Floats:
        """One-hot, so that any two options are equally far apart; parameters of options not chosen in the middle."""
        chosen = self.index(rows[:, 0])
        parts = [np.eye(len(self.options))[chosen] / math.sqrt(2)]
        for k, (blocks, columns) in enumerate(zip(self._inner, self._slices, strict=True)):
            parts.append(np.where((chosen == k)[:, None], blocks.features(rows[:, columns]), 0.5))
        return np.hstack(parts)

    def grid(self, limit: int) -> Floats | None:
        """One row for each option and each value inside it, (K, columns), if there are at most `limit`; None otherwise."""
        rows = []
        for k, (blocks, columns) in enumerate(zip(self._inner, self._slices, strict=True)):
            inner = blocks.grid(limit)
            if inner is None:
                return None
            rows.append(np.full((len(inner), self.columns), 0.5))
            rows[-1][:, 0] = (k + 0.5) / len(self.options)
            rows[-1][:, columns] = inner
        return np.vstack(rows) if sum(map(len, rows)) <= limit else None


class Blocks:
    """Blocks side by side.

    Raises:
        SettingsError: two of them have a parameter of the same name.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)
        self.parameters = tuple(name for block in self.blocks for name in block.parameters)
        for name in self.parameters:
            if self.parameters.count(name) > 1:
                raise SettingsError(f"search space: {name}: two parameters have this name")
        self.columns = sum(block.columns for block in self.blocks)
        self.groups = [group for block in self.blocks for group in block.groups]
        self.resampled = np.concatenate([np.zeros(0, bool), *(block.resampled for block in self.blocks)])
        units, first = [np.zeros(0, np.int64)], 0
        for block in self.blocks:
            units.append(block.units + first)
            first = int(units[-1].max()) + 1
        self.units = np.concatenate(units)
        ends = np.cumsum([0] + [block.columns for block in self.blocks])
        self._slices = [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def decode(self, row: Row) -> Params:
        """The parameters of all blocks, by name, that a row (columns,) stands for."""
        params: Params = {}
        for block, columns in zip(self.blocks, self._slices, strict=True):
            params |= block.decode(np.asarray(row)[columns])
        return params

    def row(self, params: Params) -> Floats:
        """The row (columns,) that stands for the parameters of all blocks.

        Raises:
            SettingsError: a parameter that is missing, unknown, or does not fit.
        """
        for name in (*self.parameters, *params):
            if name not in params or name not in self.parameters:
                what = "is missing" if name not in params else "is unknown"
                raise SettingsError(f"{name}: {what}; the parameters are {', '.join(self.parameters)}")
        return np.concatenate([np.zeros(0), *(block.row(params) for block in self.blocks)])

    def describe(self) -> dict[str, Any]:
        """The blocks as `augsearch.search.notation` reads them: {name: entry}, in order."""
        return {name: entry for block in self.blocks for name, entry in block.describe().items()}

    def features(self, rows: Floats) -> Floats:
        """The surrogate's input for rows (N, columns): (N, F)."""
        seen = [block.features(rows[:, columns]) for block, columns in zip(self.blocks, self._slices, strict=True)]
        return np.hstack([np.zeros((len(rows), 0)), *seen])

    def grid(self, limit: int) -> Floats | None:
        """One row for each combination of parameters, (K, columns), if there are at most `limit`; else None."""
        rows = np.zeros((1, 0))
        for block in self.blocks:
            own = block.grid(limit)
            if own is None or len(rows) * len(own) > limit:
                return None
            rows = np.hstack([np.repeat(rows, len(own), axis=0), np.tile(own, (len(rows), 1))])
        return rows
