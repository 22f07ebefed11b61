"""The embedded example: scikit-learn's digits with a stated nuisance, so that augmentation has something to do.

The 8x8 digits as they are leave augmentation nothing to gain (97 % without any). Here each is rendered at 16x16 RGB with a
nuisance, drawn anew for every image from the same distribution in all three splits:

- rotation, uniform in ±25 degrees;
- shift, uniform in ±1.5 pixels, each way;
- scale, uniform in 0.85 .. 1.15;
- foreground and background gray levels, and Gaussian noise of 12 gray levels on every channel.

200 images for training, 600 for validation, 600 for test; the splits are fixed and stratified.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = 16
COUNTS = {"train": 20, "val": 60, "test": 60}  # of each class
_ANGLE, _SHIFT, _SCALE, _NOISE = 25.0, 1.5, 0.15, 12.0


def digits(seed: int = 0) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Render the data set: {split: (images (N, 3, 16, 16) uint8, labels (N,) int64)}. The same seed gives the same pixels."""
    from sklearn.datasets import load_digits  # takes seconds to import, which only `prepare` should pay

    rng = np.random.default_rng(seed)
    source = load_digits()
    chosen: dict[str, list[int]] = {split: [] for split in COUNTS}
    for label in range(10):
        members = rng.permutation(np.flatnonzero(source.target == label))
        start = 0
        for split, count in COUNTS.items():
            chosen[split] += members[start : start + count].tolist()
            start += count
    splits = {}
    for split, index in chosen.items():
        index = rng.permutation(index).tolist()
        images = np.stack([_render(source.images[i] / 16, rng) for i in index])
        splits[split] = (images, source.target[index].astype(np.int64))
    return splits


def _render(ink: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Render an (8, 8) digit in 0..1 as (3, 16, 16) uint8."""
    from scipy import ndimage

    angle = np.radians(rng.uniform(-_ANGLE, _ANGLE))
    shift = rng.uniform(-_SHIFT, _SHIFT, 2)
    scale = rng.uniform(1 - _SCALE, 1 + _SCALE)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = turn * (len(ink) / SIZE / scale)
    centre = np.full(2, (SIZE - 1) / 2)
    offset = np.full(2, (len(ink) - 1) / 2) - inverse @ (centre + shift)
    drawn = ndimage.affine_transform(ink, inverse, offset, (SIZE, SIZE), order=1)
    background, foreground = rng.uniform(0, 60), rng.uniform(180, 255)
    pixels = background + (foreground - background) * drawn[None] + rng.normal(0, _NOISE, (3, SIZE, SIZE))
    clipped: NDArray[np.uint8] = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    return clipped
