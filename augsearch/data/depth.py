"""Pixel values of any type of number -> 0..255, by a rule that is stated and the same for every split."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from augsearch.data.splits import Split, pieces
from augsearch.errors import DataError

_NEARLY_ALL, _DARK = 0.999, 64  # noted if this share of the values lies below: operations count on the whole of 0..255


def to_eight_bits(splits: dict[str, Split], depth: str, source: str) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Bring the pixel values of every split to 0..255.

    Args:
        depth: "bits" makes the highest number of as many bits as train's values need, 2**bits - 1, into 255 (of fractions up
            to 1: 1 into 255); "range" makes train's lowest value into 0 and its highest into 255; "refuse" takes uint8 alone.
        source: what an error begins with.

    Returns:
        The splits, and a note on what was done.

    Raises:
        DataError: another type than uint8 while `depth` is "refuse", or values that the rule cannot take.
    """
    images = splits["train"].images
    low, high = _range(images)
    if images.dtype == np.uint8 and (depth != "range" or (low, high) == (0, 255)):
        return splits, _dark(images)
    values = f"the pixel values of train are {images.dtype} from {low:.6g} to {high:.6g}"
    full = _full_scale(images.dtype, high)
    if depth == "refuse":
        bits = f"bits ({full:.6g} becomes 255) or " if low >= 0 else ""
        advice = f"set dataset.depth: {bits}range ({low:.6g} becomes 0 and {high:.6g} becomes 255)"
        raise DataError(f"{source}: {values}, and images are prepared in 8 bits; {advice}")
    if depth == "bits" and low < 0:
        raise DataError(f"{source}: {values}; dataset.depth: bits takes none below 0; set range")
    if low == high:
        raise DataError(f"{source}: {values}; such images show nothing")
    bottom, top = (0, full) if depth == "bits" else (low, high)
    scaled, cut = {}, 0
    for name, split in splits.items():
        pixels, outside = _scaled(split.images, bottom, top)
        scaled[name], cut = Split(pixels, split.labels), cut + outside
    note = f"{values}; in every split {bottom:.6g} became 0 and {top:.6g} became 255 (dataset.depth: {depth})"
    if cut:
        note += f"; {cut} values of val and test lay outside and were cut"
    return scaled, (note, *_dark(scaled["train"].images))


def _range(images: NDArray[Any]) -> tuple[float, float]:
    extremes = [(piece.min(), piece.max()) for piece in pieces(images)]
    return float(min(low for low, _ in extremes)), float(max(high for _, high in extremes))


def _full_scale(dtype: np.dtype[Any], high: float) -> float:
    """Find the highest value that images with these values could have: 1 for fractions, else 2**bits - 1, 8 bits at least."""
    if dtype.kind in "fb" and high <= 1 + 1e-3:  # what rounding leaves above 1
        return 1
    return float(2 ** max(8, int(high).bit_length()) - 1)


def _scaled(images: NDArray[Any], bottom: float, top: float) -> tuple[NDArray[np.uint8], int]:
    """Scale bottom..top to 0..255; count the values outside."""
    scaled, outside, start = np.empty(images.shape, np.uint8), 0, 0
    for piece in pieces(images):
        values = np.rint((piece.astype(np.float64) - bottom) * (255 / (top - bottom)))
        outside += int(((values < 0) | (values > 255)).sum())
        scaled[start : start + len(piece)] = np.clip(values, 0, 255)
        start += len(piece)
    return scaled, outside


def _dark(images: NDArray[np.uint8]) -> tuple[str, ...]:
    """Note images of which nearly all values lie near 0, as those of few bits or with some stray high values do."""
    share = np.cumsum(sum(np.bincount(piece.reshape(-1), minlength=256) for piece in pieces(images))) / images.size
    nearly_all = int(np.searchsorted(share, _NEARLY_ALL))
    if nearly_all >= _DARK:
        return ()
    return (
        f"{_NEARLY_ALL:.1%} of the pixel values of train are at most {nearly_all} of 255; operations such as Solarize and "
        "Posterize expect the whole range (dataset.depth: range spreads it)",
    )
