"""Pictures of policies and results. Matplotlib without a window; grids of images as plain pixels."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from augsearch.policy import Augmentation, Chain, Policy, Schedule, SubPolicy
from augsearch.policy.augment import Augment

Images = NDArray[np.uint8]

_GAP = 2
_MOST_ROWS = 30


def picture(item: Augmentation, images: Images, *, columns: int = 8, side: int = 64, seed: int = 0) -> Image.Image:
    """Draw what `augsearch policy show` writes: a policy's grid; a schedule's bands, above a row for each of six epochs;
    a chain's parts each by itself, then all of it."""
    if isinstance(item, Policy):
        return policy_grid(item, images, columns=columns, side=side, seed=seed)
    if isinstance(item, Schedule):
        grid = _epochs_grid(item, item.epochs, images, columns, side, seed)
        return _above_each_other(schedule_bands(item, grid.width), grid)
    alone = [picture(part, images, columns=columns, side=side, seed=seed) for part in item.parts]
    longest = max(part.epochs if isinstance(part, Schedule) else 1 for part in item.parts)
    return _above_each_other(*alone, _epochs_grid(item, longest, images, columns, side, seed))


def _epochs_grid(item: Schedule | Chain, epochs: int, images: Images, columns: int, side: int, seed: int) -> Image.Image:
    """A row for each of six of the epochs, or for all where nothing changes."""
    shown = [int(epoch) for epoch in dict.fromkeys(np.linspace(0, epochs - 1, 6).round())]
    rows = [(f"epoch {epoch}" if epochs > 1 else "together", Augment(item, seed=seed), epoch) for epoch in shown]
    return _grid(rows, images, columns, side)


def _above_each_other(*pictures: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for one in pictures:
        sheet.paste(one, (0, top))
        top += one.height
    return sheet


def policy_grid(policy: Policy, images: Images, *, columns: int = 8, side: int = 64, seed: int = 0) -> Image.Image:
    """Draw what a policy does: a row of the images as they are, then a row for each sub-policy, a draw in each column.

    If there are more than 30 sub-policies, 30 are shown, evenly spaced.
    images: (N, C, H, W) uint8, N >= columns for different images in each column.
    """
    count = len(policy.sub_policies)
    shown = range(count) if count <= _MOST_ROWS else np.linspace(0, count - 1, _MOST_ROWS).astype(int)
    rows = []
    for i in shown:
        alone = Policy((policy.sub_policies[i],), policy.dialect, policy.draw)
        rows.append((describe_sub_policy(policy.sub_policies[i]), Augment(alone, seed=seed + int(i)), 0))
    return _grid(rows, images, columns, side)


def _grid(rows: list[tuple[str, Augment, int]], images: Images, columns: int, side: int) -> Image.Image:
    """rows: a label, what augments the images, at which epoch."""
    originals = np.ascontiguousarray(images[np.arange(columns) % len(images)])
    drawn = [("original", originals)]
    drawn += [(label, augment(torch.from_numpy(originals), epoch=epoch).numpy()) for label, augment, epoch in rows]
    margin = max(int(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(label)) for label, _ in drawn) + 4 * _GAP
    size = (margin + columns * (side + _GAP), len(drawn) * (side + _GAP) + 3 * _GAP)
    sheet = Image.new("RGB", size, "white")
    for y, (label, row) in enumerate(drawn):
        top = _GAP + y * (side + _GAP) + (2 * _GAP if y else 0)  # the originals stand a little apart
        ImageDraw.Draw(sheet).text((2 * _GAP, top + side // 2 - 6), label, "black")
        for x, pixels in enumerate(row):
            sheet.paste(as_picture(pixels, side), (margin + x * (side + _GAP), top))
    return sheet


def schedule_bands(schedule: Schedule, width: int) -> Image.Image:
    """Plot probability and magnitude of each operation over the epochs, stacked (Ho et al., 2019, figure 2).

    An operation that a policy holds more than once counts with the sum of its probabilities, and with its largest magnitude.
    """
    names = list(dict.fromkeys(o.name for s in schedule.segments for p in s.policy.sub_policies for o in p.operations))
    starts = np.cumsum([0] + [segment.epochs for segment in schedule.segments])
    bands = {kind: np.zeros((len(names), len(starts))) for kind in ("probability", "magnitude")}
    for i, segment in enumerate([*schedule.segments, schedule.segments[-1]]):
        for operation in (o for sub_policy in segment.policy.sub_policies for o in sub_policy.operations):
            at = (names.index(operation.name), i)
            bands["probability"][at] += operation.probability
            bands["magnitude"][at] = max(bands["magnitude"][at], operation.magnitude)
    from matplotlib.figure import Figure  # seconds to import, which policies without epochs should not pay

    figure = Figure(figsize=(width / 100, 3.6), dpi=100, layout="constrained")
    colours = [f"C{i}" for i in range(10)]
    for axes, (kind, band) in zip(figure.subplots(1, 2), bands.items(), strict=True):
        areas = axes.stackplot(starts, band, step="post", labels=names, colors=colours)
        for i, area in enumerate(areas):
            area.set_hatch("" if i < len(colours) else "//")
        axes.set(xlabel="epoch", title=kind, xlim=(0, starts[-1]))
    figure.legend(areas, names, loc="outside lower center", ncols=5, fontsize="small", frameon=False)
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return Image.open(file).convert("RGB")


def example_images(count: int) -> Images:
    """Draw (count, 3, 64, 64) uint8: a coloured slope with a square and a disc, turned a little for each."""
    y, x = np.mgrid[0:64, 0:64] / 63
    out = np.empty((count, 3, 64, 64), np.uint8)
    for i in range(count):
        angle = 2 * np.pi * i / count
        slope = 0.5 + 0.4 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
        pixels = np.stack([slope, 1 - slope, np.full_like(slope, 0.4)])
        pixels[:, 8:28, 10:30] = [[[0.9]], [[0.8]], [[0.2]]]
        pixels[:, (x - 0.7) ** 2 + (y - 0.65) ** 2 < 0.03] = [[0.2], [0.3], [0.8]]
        out[i] = 255 * pixels.clip(0, 1)
    return out


def as_picture(pixels: Images, side: int) -> Image.Image:
    """Make an RGB picture of (C, H, W) uint8, enlarged without smoothing; without three channels the first is shown."""
    shown = pixels if len(pixels) == 3 else np.repeat(pixels[:1], 3, 0)
    return Image.fromarray(np.ascontiguousarray(shown.transpose(1, 2, 0))).resize((side, side), Image.Resampling.NEAREST)


def describe(item: Augmentation | None) -> str:
    """Describe it in one line, "none" without a policy: `Rotate .80@.50 + Color .10@.90 | ...` (probability @ magnitude)."""
    if item is None:
        return "none"
    if isinstance(item, Chain):
        return "; then ".join(describe(part) for part in item.parts)
    if isinstance(item, Schedule):
        count = len(item.segments)
        policies = "1 policy" if count == 1 else f"{count} policies"
        return f"{policies} over {item.epochs} epochs, the last {describe(item.segments[-1].policy)}"
    return " | ".join(describe_sub_policy(sub_policy) for sub_policy in item.sub_policies)


def describe_sub_policy(sub_policy: SubPolicy) -> str:
    """Describe a sub-policy in one line, as `describe` does."""
    return " + ".join(f"{o.name} {_short(o.probability)}@{_short(o.magnitude)}" for o in sub_policy.operations)


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
