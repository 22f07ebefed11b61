"""Every built-in operation: a row each, with its ranges in all dialects. A new one is added here, and in Pillow's words in
`exchange/standalone.py`.

Sources of the ranges: petuum/tuun (examples/nni_data_augmentation), arcelien/pba (pba/augmentation_transforms.py),
torchvision.transforms.v2. A meaning that is `own` is this project's choice, where the original has no such operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import torch
from torch import Tensor

from augsearch import plugins
from augsearch.errors import PolicyError
from augsearch.policy.ops import colour, geometry, windows
from augsearch.policy.ops.magnitudes import BICUBIC, CHANCE, ENLARGED, NEAREST, PADDED, Linear
from augsearch.policy.ops.op import DIALECTS, Call, Dialect, Floats, Op, Run

_BOTH_WAYS = DIALECTS
_TWO_SIDED: tuple[Dialect, ...] = ("tuun", "torchvision")  # PBA's 0.1 .. 1.9 already holds both directions

_SHEAR: dict[Dialect, Linear] = {
    "tuun": Linear(0.3, way=BICUBIC),
    "pba": Linear(0.3, levels=10, way=NEAREST),
    "torchvision": Linear(1, tangent=True, way=NEAREST),
}


def _translation(side: str) -> dict[Dialect, Linear]:
    return {
        "tuun": Linear(Fraction(150, 331), of=side),
        "pba": Linear(10, "{} pixels", levels=10, truncated=True),
        "torchvision": Linear(-1, "{} pixels", truncated=True),  # it moves the image, the other two the window
    }


_ENHANCEMENT: dict[Dialect, Linear] = {
    "tuun": Linear(0.9, start=1),
    "pba": Linear(1.8, levels=10, start=0.1),
    "torchvision": Linear(1, start=1),
}

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        Op("ShearX", geometry.shear_x, signed=_BOTH_WAYS, moves=True, meaning=_SHEAR),
        Op("ShearY", geometry.shear_y, signed=_BOTH_WAYS, moves=True, meaning=_SHEAR),
        Op("TranslateX", geometry.translate_x, signed=_BOTH_WAYS, moves=True, meaning=_translation("width")),
        Op("TranslateY", geometry.translate_y, signed=_BOTH_WAYS, moves=True, meaning=_translation("height")),
        Op(
            "Rotate",
            geometry.rotate,
            signed=_BOTH_WAYS,
            moves=True,
            meaning={
                "tuun": Linear(30, "{} degrees"),
                "pba": Linear(30, "{} degrees", levels=10, truncated=True),
                "torchvision": Linear(1, "{} degrees"),
            },
        ),
        Op("Color", colour.color, signed=_TWO_SIDED, meaning=_ENHANCEMENT),
        Op("Contrast", colour.contrast, signed=_TWO_SIDED, meaning=_ENHANCEMENT),
        Op("Brightness", colour.brightness, signed=_TWO_SIDED, meaning=_ENHANCEMENT),
        Op("Sharpness", colour.sharpness, signed=_TWO_SIDED, meaning=_ENHANCEMENT),
        Op(
            "Posterize",
            colour.posterize,
            meaning={
                "tuun": Linear(-4, "{} bits", start=8, rounded=True),
                "pba": Linear(-4, "{} bits", levels=10, start=4, truncated=True),
                "torchvision": Linear(1, "{} bits", truncated=True),
            },
        ),
        Op(
            "Solarize",
            colour.solarize,
            meaning={
                "tuun": Linear(-256, "from {}", start=256),
                "pba": Linear(-256, "from {}", levels=10, start=256, truncated=True),
                "torchvision": Linear(255, "from {}"),
            },
        ),
        Op("AutoContrast", colour.autocontrast, magnitude=False),
        Op("Equalize", colour.equalize, magnitude=False),
        Op("Invert", colour.invert, magnitude=False),
        Op(
            "Cutout",
            windows.cutout,
            meaning={
                "tuun": Linear(Fraction(20, 32), "{} pixels", of="shorter", truncated=True, own=True),
                "pba": Linear(20, "{} pixels", levels=10, truncated=True),
                "torchvision": Linear(1, "{} pixels", truncated=True, own=True),
            },
        ),
        Op(
            "RandomCrop",
            windows.random_crop,
            moves=True,
            meaning={
                "tuun": Linear(4, "({})/32 of the side", start=28, way=ENLARGED),
                # The offsets go from 0 to twice the padding: the last one is never drawn in PBA's own crop.
                "pba": Linear(0, way=PADDED, own=True),
                "torchvision": Linear(0, start=1, way=PADDED, own=True),
            },
        ),
        Op("HorizontalFlip", geometry.flip, moves=True, meaning={"tuun": Linear(1, way=CHANCE)}),
        Op("Identity", geometry.identity, magnitude=False),
        Op(
            "SamplePairing",
            colour.sample_pairing,
            paired=True,
            meaning={
                "tuun": Linear(0.4, "weight {}", own=True),
                "pba": Linear(0.04, "weight {}", own=True),
                "torchvision": Linear(1, "weight {}", own=True),
            },
        ),
    )
}
"""Every built-in operation by its name, as torchvision spells it."""

PBA_OPERATIONS: tuple[str, ...] = (
    "Rotate", "TranslateX", "TranslateY", "Brightness", "Color", "Invert", "Sharpness", "Posterize", "ShearX", "Solarize",
    "ShearY", "Equalize", "AutoContrast", "Cutout", "Contrast",
)  # fmt: skip
"""In the order of PBA's parameter vectors."""


def find(name: str) -> Op:
    """Find the operation of a name: a key of `OPS`, or an import path, "my_module:thing", to one of your own.

    The thing is an `Op`, or any function (images, magnitude) -> images of (B, C, H, W) uint8 and (B,) float64 on
    the images' device. Its module is imported, which runs it: load policies only from people you trust with that.

    Raises:
        PolicyError: no such operation, or one that cannot be imported.
    """
    if name in OPS:
        return OPS[name]
    if ":" in name:
        return _imported(name)
    raise PolicyError(f"operation: {name!r} is unknown; there are {', '.join(OPS)}, or your own as module:name")


@cache
def _imported(name: str) -> Op:
    thing = plugins.imported(name, "operation", PolicyError)
    if isinstance(thing, Op):
        return replace(thing, name=name, run=_checked(name, thing.run))
    if callable(thing):
        return Op(name, _checked(name, _from_function(thing)))
    raise PolicyError(f"operation: {name!r} is a {type(thing).__name__}; must be an augsearch.policy.ops.Op or a function")


def _from_function(function: Callable[[Tensor, Tensor], Any]) -> Run:
    return lambda images, m, call: function(images, torch.tensor(m, device=images.device))


def _checked(name: str, run: Run) -> Run:
    """Make an operation refuse a result of another shape or type than the images."""

    def checked(images: Tensor, values: Floats, call: Call) -> Tensor:
        out = run(images, values, call)
        if not isinstance(out, Tensor) or out.shape != images.shape or out.dtype != torch.uint8:
            got = f"{tuple(out.shape)} {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            raise PolicyError(f"operation: {name!r} gave {got}; must give {tuple(images.shape)} torch.uint8")
        return out

    return checked
