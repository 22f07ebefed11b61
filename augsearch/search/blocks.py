"""Blocks of a search space: some columns of a row in [0, 1]^D, the parameters that they stand for, and their features.

`Number` and `Choice` are one parameter each, `Blocks` are several blocks side by side;
`augsearch.search.policy_block.PolicyBlock` is a whole augmentation policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

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
        """How many columns of a row the block takes."""
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

    def features(self, rows: Floats) -> Floats:
        """What the surrogate sees of rows (N, columns): (N, F)."""
        ...


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
        return (self.name,)

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
        """The value at u in [0, 1]: the quantile of the parameter's distribution."""
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
class Nested:
    """An option of a choice that is a dict: entries that are fixed, and parameters that count only when it is chosen."""

    fixed: Mapping[str, Any]
    blocks: Blocks

    def decode(self, row: Row) -> Params:
        """All entries, by name, with the values that a row (columns of `blocks`,) stands for."""
        return {**self.fixed, **self.blocks.decode(row)}


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
        return (self.name,)

    @property
    def columns(self) -> int:
        return 1 + sum(blocks.columns for blocks in self._inner)

    @property
    def groups(self) -> Sequence[int]:
        return [len(self.options)] + [group for blocks in self._inner for group in blocks.groups]

    @property
    def resampled(self) -> NDArray[np.bool_]:
        return np.concatenate([np.array([True])] + [blocks.resampled for blocks in self._inner])

    @property
    def units(self) -> NDArray[np.int64]:
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
        chosen = int(self.index(np.asarray(row[0])))
        option = self.options[chosen]
        return {self.name: option.decode(row[self._slices[chosen]]) if isinstance(option, Nested) else option}

    def features(self, rows: Floats) -> Floats:
        """One-hot, so that any two options are equally far apart; parameters of options not chosen in the middle."""
        chosen = self.index(rows[:, 0])
        parts = [np.eye(len(self.options))[chosen] / math.sqrt(2)]
        for k, (blocks, columns) in enumerate(zip(self._inner, self._slices, strict=True)):
            parts.append(np.where((chosen == k)[:, None], blocks.features(rows[:, columns]), 0.5))
        return np.hstack(parts)


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

    def features(self, rows: Floats) -> Floats:
        """What the surrogate sees of rows (N, columns): (N, F)."""
        seen = [block.features(rows[:, columns]) for block, columns in zip(self.blocks, self._slices, strict=True)]
        return np.hstack([np.zeros((len(rows), 0)), *seen])
