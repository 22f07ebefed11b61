"""Pictures of policies and results. Matplotlib without a window; grids of images as plain pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from augsearch.augment import Augment
from augsearch.policy import Policy

Images = NDArray[np.uint8]


def policy_grid(policy: Policy, images: Images, *, columns: int = 8, side: int = 64, seed: int = 0) -> Image.Image:
    """What a policy does: a row of the images as they are, then a row for each sub-policy, a draw in each column.

    images: (N, C, H, W) uint8, N >= columns for different images in each column.
    """
    rows = [images[np.arange(columns) % len(images)]]
    for i, sub_policy in enumerate(policy.sub_policies):
        alone = Policy((sub_policy,), policy.dialect, policy.draw)
        rows.append(Augment(alone, seed=seed + i)(torch.from_numpy(rows[0])).numpy())
    gap = 2
    sheet = Image.new("RGB", (columns * (side + gap) + gap, len(rows) * (side + gap) + gap + 4), "white")
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            top = gap + y * (side + gap) + (4 if y else 0)  # the originals stand a little apart
            sheet.paste(as_picture(pixels, side), (gap + x * (side + gap), top))
    return sheet


def as_picture(pixels: Images, side: int) -> Image.Image:
    """(C, H, W) uint8 -> an RGB picture, enlarged without smoothing; of many channels, the first."""
    shown = pixels if len(pixels) == 3 else np.repeat(pixels[:1], 3, 0)
    return Image.fromarray(np.ascontiguousarray(shown.transpose(1, 2, 0))).resize((side, side), Image.Resampling.NEAREST)


def describe(policy: Policy | None) -> str:
    """One line, "none" without a policy: `Rotate .80@.50 + Color .10@.90 | ...` (probability @ magnitude)."""
    if policy is None:
        return "none"
    return " | ".join(
        " + ".join(f"{o.name} {_short(o.probability)}@{_short(o.magnitude)}" for o in sub_policy.operations)
        for sub_policy in policy.sub_policies
    )


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
