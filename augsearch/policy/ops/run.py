"""One operation applied to a batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from augsearch.errors import PolicyError
from augsearch.policy.ops.op import CONVENTIONS, DIALECTS, Call, Dialect, Floats, Op
from augsearch.policy.ops.table import find

# Pixels that an operation works on at a time: 128 images of 32 x 32 RGB.
_PIECE_BYTES = 128 * 32 * 32 * 3
# glibc returns freed blocks of some MiB to the system, and to get them back, page by page, costs more than the
# arithmetic in them. It keeps them once a block just below its own limit of 32 MiB was freed (mallopt(3),
# M_MMAP_THRESHOLD); this one is never touched, so it takes no memory.
torch.empty(31 << 20, dtype=torch.uint8)


def apply(
    images: Tensor,
    name: str,
    magnitude: Tensor | Floats | float,
    *,
    dialect: Dialect = "tuun",
    noise: Floats | None = None,
    fill: int | tuple[int, ...] | None = None,
    partners: Tensor | None = None,
) -> Tensor:
    """Apply one operation to every image of a batch, each with its own magnitude.

    Args:
        images: (B, C, H, W) uint8, any device, any C, H, W >= 1.
        name: a key of `OPS`, or an operation of your own (see `find`).
        magnitude: (B,) or one number, in the dialect's own unit; for signed operations its sign is the direction.
        dialect: "tuun", "pba" or "torchvision".
        noise: (B, 2) in [0, 1), the place of a window (RandomCrop's offset, Cutout's centre: vertical,
            horizontal); the middle when absent. Other operations ignore it.
        fill: colour outside the frame, one value or one for each channel; the dialect's when absent.
        partners: (B, C, H, W) uint8, the image that SamplePairing mixes into each; when absent, the one before
            it in the batch (the last for the first).

    Returns:
        (B, C, H, W) uint8, a new tensor (or `images` itself where nothing changes).

    Raises:
        PolicyError: unknown name or dialect, or arguments of the wrong shape or type.
    """
    check_images(images)
    op = find(name)
    if dialect not in DIALECTS:
        raise PolicyError(f"dialect {dialect!r}: unknown; there are {', '.join(DIALECTS)}")
    count = len(images)
    if count == 0:
        return images
    values = magnitude.detach().cpu().numpy() if isinstance(magnitude, Tensor) else np.asarray(magnitude)
    if values.shape not in ((), (count,)):
        raise PolicyError(f"{name}: magnitude of shape {values.shape}; must be one number or ({count},)")
    values = np.full(count, values, np.float64)
    if not np.isfinite(values).all():
        raise PolicyError(f"{name}: magnitude {values[~np.isfinite(values)][0]}; must be a finite number")
    where = np.full((count, 2), 0.5) if noise is None else np.asarray(noise, np.float64)
    if op.paired and partners is None:
        partners = images.roll(1, 0)
    meaning = op.meaning.get(dialect)
    call = Call(dialect, _fill_colour(fill, dialect, images), where, partners, meaning.way if meaning else "")
    return _in_pieces(op, images.contiguous(), meaning.value(values, *images.shape[2:]) if meaning else values, call)


def check_images(images: Tensor) -> None:
    """Refuse what is no batch of images.

    Raises:
        PolicyError: they are not (B, C, H, W) uint8.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or 0 in images.shape[1:]:
        raise PolicyError(f"images: {tuple(images.shape)} {images.dtype}; must be (B, C, H, W) uint8, C, H, W >= 1")


def _in_pieces(op: Op, images: Tensor, values: Floats, call: Call) -> Tensor:
    """Run an operation on a few images at a time, so that a CPU's cache holds all that it works on."""
    count = len(images)
    size = count if images.device.type != "cpu" else max(1, _PIECE_BYTES // images[0].numel())
    if count <= size:
        return op.run(images, values, call)
    pieces = [slice(start, start + size) for start in range(0, count, size)]
    return torch.cat([op.run(images[piece], values[piece], call.part(piece)) for piece in pieces])


def _fill_colour(fill: int | tuple[int, ...] | None, dialect: Dialect, images: Tensor) -> Tensor:
    channels = images.shape[1]
    values = CONVENTIONS[dialect].fill if fill is None else (fill,) if isinstance(fill, int) else tuple(fill)
    if len(values) != channels:
        values = (sum(values) // len(values),) * channels
    return torch.tensor(values, dtype=torch.uint8, device=images.device)
