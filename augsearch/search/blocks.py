"""Blocks of a search space: some columns of a row in [0, 1]^D, the parameters that they stand for, and their features.

A `Choice` is one parameter, as is a `Number` (`augsearch.search.number`); a `PolicyBlock` (`augsearch.search.policy_block`)
is a whole augmentation policy; `Blocks` are several blocks side by side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from augsearch.errors import SettingsError
from augsearch.policy.ops import Floats

Params = dict[str, Any]
Row = Sequence[float] | Floats


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

    @cached_property
    def _nested(self) -> dict[int, slice]:
        """Columns of the parameters of each nested option, by the option's number."""
        columns, first = {}, 1
        for k, option in enumerate(self.options):
            if isinstance(option, Nested):
                columns[k] = slice(first, first + option.blocks.columns)
                first = columns[k].stop
        return columns

    @property
    def _inner(self) -> list[Blocks]:
        """Parameters of the nested options, in order."""
        return [self.options[k].blocks for k in self._nested]

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

    def index(self, u: Floats) -> NDArray[np.int64]:
        """The number of the option at u in [0, 1], elementwise."""
        return np.minimum((np.asarray(u) * len(self.options)).astype(np.int64), len(self.options) - 1)

    def decode(self, row: Row) -> Params:
        """The chosen option, by name; a dict if the option has parameters."""
        chosen = int(self.index(np.asarray(row[0])))
        option = self.options[chosen]
        return {self.name: option.decode(row[self._nested[chosen]]) if chosen in self._nested else option}

    def row(self, params: Params) -> Floats:
        """The row (columns,) of a value, 0.5 for other options' parameters. Raises SettingsError for no option's value."""
        value = params[self.name]
        for k, option in enumerate(self.options):
            inner = option.row(value) if k in self._nested else np.zeros(0) if same(option, value) else None
            if inner is not None:
                row: Floats = self._rows(k, inner[None])[0]
                return row
        raise SettingsError(f"{self.name}: {value!r}; must be one of {self.describe()[self.name]['_value']}")

    def _rows(self, k: int, inner: Floats) -> Floats:
        """Rows (N, columns) of option k, with rows of its own parameters."""
        rows = np.full((len(inner), self.columns), 0.5)
        rows[:, 0] = (k + 0.5) / len(self.options)
        rows[:, self._nested.get(k, slice(0))] = inner
        return rows

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
        for (k, columns), blocks in zip(self._nested.items(), self._inner, strict=True):
            parts.append(np.where((chosen == k)[:, None], blocks.features(rows[:, columns]), 0.5))
        return np.hstack(parts)

    def grid(self, limit: int) -> Floats | None:
        """One row for each option and each value inside it, (K, columns), if there are at most `limit`; None otherwise."""
        rows = []
        for k, option in enumerate(self.options[: limit + 1]):
            inner = option.blocks.grid(limit) if k in self._nested else np.zeros((1, 0))
            if inner is None:
                return None
            rows.append(self._rows(k, inner))
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
