"""A number as one block of a search space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from augsearch.errors import SettingsError
from augsearch.policy.ops import Floats
from augsearch.search.blocks import Params, Row


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


def _exp(values: Floats) -> Floats:
    """e to the power of each value, as the C library has it: numpy's last digit depends on the machine's instructions."""
    return np.array([math.exp(value) for value in values.flat]).reshape(values.shape)
