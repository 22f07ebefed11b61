"""Operations, and what they get besides the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from augsearch.policy.ops.magnitudes import Linear

Dialect = Literal["tuun", "pba", "torchvision"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Convention:
    """The conventions that all operations of a dialect share."""

    unit: str
    """Unit of a magnitude, for people."""
    largest: float
    """The largest |magnitude| that a policy may hold."""
    fill: tuple[int, int, int]
    """Colour outside the frame."""


CONVENTIONS: dict[Dialect, Convention] = {
    "tuun": Convention("0..1", 1.0, (128, 128, 128)),
    "pba": Convention("level 0..9", 10.0, (125, 122, 113)),  # CIFAR-10's mean colour, which PBA writes out for its Cutout
    "torchvision": Convention("the bin's value", 1e4, (0, 0, 0)),  # pixels, degrees or bits, as the bins give them
}


@dataclass(frozen=True)
class Call:
    """Arguments of an operation besides the images and the magnitudes."""

    dialect: Dialect
    fill: Tensor  # (C,) uint8, on the images' device
    noise: Floats  # (B, 2) in [0, 1): where a window lies
    partners: Tensor | None = None  # (B, C, H, W) uint8 for operations that are `paired`
    way: str = ""  # how the dialect does the operation: `Linear.way`

    def part(self, rows: slice) -> Call:
        """The call for some of the images."""
        return replace(self, noise=self.noise[rows], partners=None if self.partners is None else self.partners[rows])


Run = Callable[[Tensor, Floats, Call], Tensor]


@dataclass(frozen=True)
class Op:
    """One operation: its name, what it does to pixels, and what its magnitude means in each dialect."""

    name: str
    run: Run
    """run(images, values, call): (B, C, H, W) uint8 and (B,) float64, the meanings of the magnitudes (or the magnitudes
    themselves, where there is no `meaning`) -> (B, C, H, W) uint8."""
    magnitude: bool = True
    """Whether it has a magnitude, for drawing and searching."""
    signed: tuple[Dialect, ...] = ()
    """The dialects that flip the magnitude's sign at random."""
    paired: bool = False
    """Whether it mixes in other images, `call.partners`."""
    moves: bool = False
    """Whether pixels change their places, so that masks and boxes of the image no longer match it."""
    meaning: Mapping[Dialect, Linear] = field(default_factory=dict)
    """The meaning of a magnitude in each dialect; a dialect that is absent has none for this operation."""
