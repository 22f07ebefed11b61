"""What a magnitude means: one formula for each operation and dialect, which the batches, the exported modules and the
documentation all take from here.

This file needs numpy alone and nothing of this project: an exported policy holds a copy of it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

BICUBIC = "bicubic"
NEAREST = "nearest"
CHANCE = "a second probability"
ENLARGED = "cut from the image reflect-padded by 1/8, enlarged"
PADDED = "padded by 1/8 with the fill, cropped"


class Linear(NamedTuple):
    """A magnitude m's meaning in one dialect: start + factor * m / levels, in that order of arithmetic."""

    factor: float | Fraction
    words: str = "{}"
    """The formula's place and its unit, for people."""
    levels: int = 1
    """How many levels of m span the factor: PBA's are tenths."""
    start: float = 0.0
    truncated: bool = False
    """The fraction of the product is dropped, before `start` is added."""
    rounded: bool = False
    """The sum is rounded, half to even."""
    of: str = ""
    """The side that the product is a part of: "height", "width" or "shorter"."""
    tangent: bool = False
    """The product is passed on as an angle in degrees whose tangent is taken again, as torchvision does to a shear."""
    way: str = ""
    """How the operation is done in this dialect, where dialects differ: one of the words above."""
    own: bool = False
    """The dialect's project has no such operation: the meaning is this project's own choice."""

    def value(self, m: Any, height: int, width: int) -> Any:
        """The meaning of m, one number or an array of them, for images of this size in pixels."""
        product = m * float(self.factor) / self.levels
        if self.of:
            product = product * {"height": height, "width": width, "shorter": min(height, width)}[self.of]
        if self.tangent:
            product = np.tan(np.radians(np.degrees(np.arctan(product))))
        value = (np.trunc(product) if self.truncated else product) + self.start
        return np.round(value) if self.rounded else value

    def __repr__(self) -> str:
        given = zip(self._fields, self, strict=True)
        shown = [f"{name}={value!r}" for name, value in given if value != self._field_defaults.get(name)]
        return f"Linear({', '.join(shown)})"
