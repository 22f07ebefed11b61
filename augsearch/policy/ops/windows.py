"""Operations with a window whose place is drawn for each image: Cutout and RandomCrop."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augsearch.policy.ops.geometry import translate
from augsearch.policy.ops.magnitudes import ENLARGED
from augsearch.policy.ops.op import Call, Floats
from augsearch.policy.ops.pixels import choose, take_rows


def cutout(images: Tensor, side: Floats, call: Call) -> Tensor:
    """Fill a square of `side` pixels, clipped at the edges of the image."""
    height, width = images.shape[2:]
    half = side // 2
    centre = np.floor(call.noise * [height, width])

    def covered(axis: int, length: int) -> Tensor:
        place = np.arange(length)[None, :]
        middle, reach = centre[:, axis, None], half[:, None]
        return torch.from_numpy((place >= middle - reach) & (place < middle + reach)).to(images.device)

    hole = covered(0, height)[:, None, :, None] & covered(1, width)[:, None, None, :]
    return choose(hole, call.fill[None, :, None, None], images)


def random_crop(images: Tensor, values: Floats, call: Call) -> Tensor:
    """Crop a window: by the dialect's way `values` are its size in 32nds of the side, or how many offsets there are
    beyond twice the padding."""
    if call.way != ENLARGED:
        return _crop_filled(images, values, call)
    vertical, horizontal = (_resized_window(side, values, call.noise[:, i]) for i, side in enumerate(images.shape[2:]))
    # Pillow resizes the width first, then the height, rounding after each.
    upright = _resample(images.transpose(2, 3).contiguous(), *horizontal)
    return _resample(upright.transpose(2, 3).contiguous(), *vertical)


def _crop_filled(images: Tensor, further: Floats, call: Call) -> Tensor:
    """Pad an eighth of the side with the fill, crop the full size: 4 of 32, at offsets from 0 to 7 + `further`."""
    out = images
    for axis, side in ((2, images.shape[2]), (3, images.shape[3])):
        pad = round(side / 8)
        offset = np.floor(call.noise[:, axis - 2] * np.maximum(2 * pad + further, 1)) - pad
        out = translate(out, offset, axis, call.fill)
    return out


def _resized_window(side: int, size: Floats, noise: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each output pixel of a cropped, resized row comes from: places and 22-bit weights, (B, side, 3).

    Pillow's bilinear resize (Resample.c, precompute_coeffs) of a window of round(size / 32 of the side) pixels at a
    random offset in the row, reflect-padded by an eighth.
    """
    pad = round(side / 8)
    window = np.clip(np.round(side * size / 32), 1, side + 2 * pad).astype(np.int64)
    offset = np.floor(noise * (side + 2 * pad - window + 1)).astype(np.int64) - pad
    places = np.zeros((len(size), side, 3), np.int64)
    weights = np.zeros((len(size), side, 3), np.int64)
    for pixels in np.unique(window):
        hit = window == pixels
        at, weight = _bilinear(int(pixels), side)
        places[hit] = at[None] + offset[hit, None, None]
        weights[hit] = weight[None]
    return _reflect(places, side), weights


@cache
def _bilinear(size: int, out: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(out, 3) places in 0..size-1 and (out, 3) weights that sum to about 2 ** 22, for size <= out * 4 / 3."""
    scale = size / out
    stretch = max(scale, 1.0)
    places = np.zeros((out, 3), np.int64)
    weights = np.zeros((out, 3))
    for x in range(out):
        centre = (x + 0.5) * scale
        first = max(int(centre - stretch + 0.5), 0)
        last = min(int(centre + stretch + 0.5), size)
        near = np.arange(first, last)
        w = np.maximum(1 - np.abs((near - centre + 0.5) / stretch), 0.0)
        places[x] = np.minimum(first + np.arange(3), size - 1)
        weights[x, : len(near)] = w / w.sum()
    return places, np.trunc(weights * (1 << 22) + 0.5).astype(np.int64)


def _reflect(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Places outside a row folded back about its end pixels, which are not repeated."""
    if side == 1:
        return np.zeros_like(places)
    folded = np.abs(places) % (2 * side - 2)
    back: NDArray[np.int64] = np.minimum(folded, 2 * side - 2 - folded)
    return back


def _resample(images: Tensor, places: NDArray[np.int64], weights: NDArray[np.int64]) -> Tensor:
    """Weighted sums of up to three rows; places, weights: (B, H, 3). Enlarging needs two of them."""
    total = torch.full((1, 1, 1, 1), 1 << 21, dtype=torch.int32, device=images.device)
    for tap in np.flatnonzero(weights.any((0, 1))):
        at = torch.from_numpy(places[:, :, tap]).to(images.device)
        weight = torch.from_numpy(weights[:, :, tap].astype(np.int32)).to(images.device)
        total = take_rows(images, at).int().mul_(weight[:, None, :, None]).add_(total)
    return total.bitwise_right_shift_(22).to(torch.uint8)  # weights sum to 2 ** 22 within 2, so never above 255
