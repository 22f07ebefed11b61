"""Operations that move pixels: shear, translate, rotate, flip."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from augsearch.policy.ops.magnitudes import BICUBIC
from augsearch.policy.ops.op import Call, Floats
from augsearch.policy.ops.pixels import as_bytes, choose, take_rows


def _framed(images: Tensor, fill: Tensor, rows: int, columns: int) -> Tensor:
    """Put the images into a frame, with `rows` above and below and `columns` left and right of the fill colour."""
    count, channels, height, width = images.shape
    out = fill[None, :, None, None].expand(count, channels, height + 2 * rows, width + 2 * columns).contiguous()
    out[:, :, rows : rows + height, columns : columns + width] = images
    return out


def _affine_nearest(images: Tensor, matrix: Floats, fill: Tensor) -> Tensor:
    """Move pixels as Pillow's `transform(AFFINE, NEAREST)`: 16.16 fixed point (Geometry.c, affine_fixed).

    matrix: (B, 6) float64, output to input. In 32 bits, as Pillow has it, unless a place lies beyond them.
    """
    count, channels, height, width = images.shape
    half = matrix.copy()
    half[:, 2] += matrix[:, 0] * 0.5 + matrix[:, 1] * 0.5
    half[:, 5] += matrix[:, 3] * 0.5 + matrix[:, 4] * 0.5
    bits = torch.int32 if np.abs(half).max() * (1 + height + width) < 1 << 15 else torch.int64
    fixed = torch.from_numpy(np.floor(half * 65536.0 + 0.5)).to(images.device, bits)
    a = fixed[:, :, None, None]  # (B, 6, 1, 1)
    x = torch.arange(width, device=images.device, dtype=bits)[None, None, :]
    y = torch.arange(height, device=images.device, dtype=bits)[None, :, None]
    # 1 is added and what lies outside is clamped: such places fall on a frame of one pixel.
    x_in = ((a[:, 0] * x + a[:, 2]) + a[:, 1] * y >> 16).add_(1).clamp_(0, width + 1)  # (B, H, W)
    y_in = ((a[:, 3] * x + a[:, 5]) + a[:, 4] * y >> 16).add_(1).clamp_(0, height + 1)
    places = y_in.mul_(width + 2).add_(x_in).long().view(count, 1, -1).expand(-1, channels, -1)
    framed = _framed(images, fill, 1, 1).view(count, channels, -1)
    return framed.gather(2, places).view(images.shape)


def translate(images: Tensor, pixels: Floats, axis: int, fill: Tensor) -> Tensor:
    """Move pixels as Pillow's `transform(AFFINE, (1, 0, x, 0, 1, y), NEAREST)`, which scales (ScaleAffine).

    That path adds 1 to a float64 again and again, so the sum is accumulated here too. axis: 2 or 3.
    """
    side = images.shape[axis]
    steps = np.ones((len(pixels), side))
    steps[:, 0] = pixels + 0.5
    # 1 is added and what lies outside is clamped: such places fall on a frame of one pixel.
    places = np.clip(np.floor(np.cumsum(steps, axis=1)) + 1, 0, side + 1).astype(np.int64)
    index = torch.from_numpy(places).to(images.device)
    if axis == 2:
        return take_rows(_framed(images, fill, 1, 0), index)
    return _framed(images, fill, 0, 1).gather(3, index[:, None, None, :].expand(images.shape))


def _shear_bicubic(images: Tensor, factor: Floats, axis: int, fill: Tensor) -> Tensor:
    """Shear as Pillow's `transform(AFFINE, BICUBIC)`: four taps along one axis, in float64, truncated.

    The other coordinate falls on pixel centres, where the kernel (a = -1) is 1 at the pixel and 0 beside it.
    """
    if axis == 2:
        return _shear_bicubic(images.transpose(2, 3).contiguous(), factor, 3, fill).transpose(2, 3).contiguous()
    height, width = images.shape[2:]
    device = images.device
    x = torch.arange(width, device=device, dtype=torch.float64)
    y = torch.arange(height, device=device, dtype=torch.float64) + 0.5
    f = torch.from_numpy(factor).to(device)
    x_in = (x + 0.5)[None, None, :] + f[:, None, None] * y[None, :, None]  # (B, H, W)
    inside = (x_in >= 0) & (x_in < width)
    x_in -= 0.5
    # A row moves by a whole number of pixels and a fraction d of one. Rounding may lift d from just below 1 to 1,
    # where Pillow would start from the next pixel with d = 0: both give that pixel itself.
    shift = x_in[..., 0].floor()  # (B, H)
    d = (x_in - x - shift[..., None])[:, None]  # (B, 1, H, W)
    v1, v2, v3, v4 = _four_taps(images, shift.clamp(-width - 1, width + 1).long())
    p2, down, right = v3 - v1, v1 - v2, v3 - v4  # whole numbers, exact in 16 bits
    p3 = 2 * down + right
    p4 = down.add_(right).neg_()
    value = p4.double().mul_(d).add_(p3).mul_(d).add_(p2).mul_(d).add_(v2)
    return choose(inside[:, None], as_bytes(value), fill[None, :, None, None])


def _four_taps(images: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The pixels at x + shift - 1, ... + 2, four int16 views (B, C, H, W); beyond its ends a row repeats them.

    shift: (B, H) int64, at most W + 1 either way. Whole runs of W + 3 pixels are copied out of an overlapping
    view of all rows, which is much faster than gathering pixels.
    """
    count, channels, height, width = images.shape
    pad = width + 4
    rows = torch.cat([images[..., :1].expand(-1, -1, -1, pad), images, images[..., -1:].expand(-1, -1, -1, pad)], 3)
    length = width + 2 * pad
    runs = rows.as_strided((rows.numel() - width - 2, width + 3), (1, 1))
    first = torch.arange(0, rows.numel(), length, device=images.device).view(count, channels, height)
    index = (first + shift[:, None, :] + (pad - 1)).view(-1)
    run = runs.index_select(0, index).view(count, channels, height, width + 3).short()
    v1, v2, v3, v4 = (run[..., tap : tap + width] for tap in range(4))
    return v1, v2, v3, v4


def shear_x(images: Tensor, factor: Floats, call: Call) -> Tensor:
    """Shear along the rows: x_in = x + factor * y."""
    return _shear(images, factor, call, 3)


def shear_y(images: Tensor, factor: Floats, call: Call) -> Tensor:
    """Shear along the columns: y_in = y + factor * x."""
    return _shear(images, factor, call, 2)


def _shear(images: Tensor, factor: Floats, call: Call, axis: int) -> Tensor:
    if call.way == BICUBIC:
        return _shear_bicubic(images, factor, axis, call.fill)
    matrix = np.tile([1.0, 0, 0, 0, 1, 0], (len(factor), 1))
    matrix[:, 1 if axis == 3 else 3] = factor
    return _affine_nearest(images, matrix, call.fill)


def translate_x(images: Tensor, pixels: Floats, call: Call) -> Tensor:
    """Move the window on the image to the right by so many pixels."""
    return translate(images, pixels, 3, call.fill)


def translate_y(images: Tensor, pixels: Floats, call: Call) -> Tensor:
    """Move the window on the image down by so many pixels."""
    return translate(images, pixels, 2, call.fill)


def rotate(images: Tensor, degrees: Floats, call: Call) -> Tensor:
    """Rotate as Pillow's `rotate(degrees)`: about the centre, counter-clockwise, nearest."""
    height, width = images.shape[2:]
    angle, which = np.unique(-np.radians(degrees % 360.0), return_inverse=True)
    # Pillow rounds with Python's round(), which is decimal-exact; numpy's is not.
    cos = np.array([round(math.cos(v), 15) for v in angle])[which]
    sin = np.array([round(math.sin(v), 15) for v in angle])[which]
    cx, cy = width / 2, height / 2
    x0 = cos * -cx + sin * -cy + cx
    y0 = -sin * -cx + cos * -cy + cy
    rotated = _affine_nearest(images, np.stack([cos, sin, x0, -sin, cos, y0], 1), call.fill)
    return _quarter_turns(images, rotated, degrees % 360.0)


def _quarter_turns(images: Tensor, rotated: Tensor, degrees: Floats) -> Tensor:
    """Turn by whole quarters (a half for oblong images) by moving pixels, as Pillow does, not by the affine path."""
    square = images.shape[2] == images.shape[3]
    for turns in (0, 1, 2, 3):
        hit = np.flatnonzero(degrees == 90.0 * turns)
        if len(hit) and (square or turns % 2 == 0):
            at = torch.from_numpy(hit).to(images.device)
            rotated[at] = torch.rot90(images[at], turns, (2, 3))
    return rotated


def flip(images: Tensor, values: Floats, call: Call) -> Tensor:
    """Mirror each image, left to right."""
    return images.flip(3)


def identity(images: Tensor, values: Floats, call: Call) -> Tensor:
    """Give the images as they are."""
    return images
