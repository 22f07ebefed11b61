"""Operations that change the values of pixels where they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from augsearch.policy.ops.op import Call, Floats
from augsearch.policy.ops.pixels import as_bytes


def _blend(degenerate: Tensor, images: Tensor, factor: Floats) -> Tensor:
    """Blend as Pillow's `Image.blend` (Blend.c): float32, clipped, truncated. degenerate: broadcast to images, (B, C, H, W)."""
    f = torch.from_numpy(factor.astype(np.float32)).to(images.device).view(-1, 1, 1, 1)
    base = degenerate.float()
    return as_bytes(images.float().sub_(base).mul_(f).add_(base))


def _luminance(images: Tensor) -> Tensor:
    """(B, 1, H, W) int32. Pillow's `convert("L")` for three channels (Convert.c, L24)."""
    channels = images.shape[1]
    if channels == 1:
        return images.int()
    if channels == 3:
        r, g, b = images.int().unbind(1)
        return ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16)[:, None]
    return (2 * images.sum(1, keepdim=True, dtype=torch.int32) + channels) // (2 * channels)


def brightness(images: Tensor, factor: Floats, call: Call) -> Tensor:
    """Blend with black; as for all of Pillow's enhancements, a factor of 1 leaves the image as it is."""
    black = torch.zeros(1, 1, 1, 1, device=images.device)
    return _blend(black, images, factor)


def contrast(images: Tensor, factor: Floats, call: Call) -> Tensor:
    """Blend with the mean of the luminance."""
    area = images.shape[2] * images.shape[3]
    total = _luminance(images).sum((1, 2, 3), dtype=torch.int64)
    mean = (2 * total + area) // (2 * area)  # int(mean + .5), without a float
    return _blend(mean.view(-1, 1, 1, 1), images, factor)


def color(images: Tensor, factor: Floats, call: Call) -> Tensor:
    """Blend with the luminance."""
    return _blend(_luminance(images), images, factor)


def sharpness(images: Tensor, factor: Floats, call: Call) -> Tensor:
    """Blend with the smoothed image."""
    return _blend(_smooth(images), images, factor)


def _smooth(images: Tensor) -> Tensor:
    """Smooth as Pillow's `filter(SMOOTH)`, in float32: (1 1 1, 1 5 1, 1 1 1) / 13, rounded; the outermost pixels are copied.

    A thirteenth is never nearer than 1/26 to half a level, so float32 rounds it as Pillow does.
    """
    height, width = images.shape[2:]
    out = images.float()
    if height < 3 or width < 3:
        return out
    whole = images.short()
    rows = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * whole[:, :, 1:-1, 1:-1]
    out[:, :, 1:-1, 1:-1] = total.float().mul_(1 / 13).add_(0.5).floor_()
    return out


def posterize(images: Tensor, bits: Floats, call: Call) -> Tensor:
    """Keep the highest bits of each value: 8 change nothing, 0 give black."""
    mask = 256 - 2 ** (8 - np.clip(bits, 0, 8).astype(np.int64))
    return images & torch.from_numpy(mask.astype(np.uint8)).to(images.device).view(-1, 1, 1, 1)


def solarize(images: Tensor, threshold: Floats, call: Call) -> Tensor:
    """Invert the values from the threshold upwards."""
    first = np.clip(np.ceil(threshold), 0, 256)
    lowest = torch.from_numpy(np.minimum(first, 255).astype(np.uint8)).to(images.device).view(-1, 1, 1, 1)
    ever = torch.from_numpy(np.where(first > 255, 0, 255).astype(np.uint8)).to(images.device).view(-1, 1, 1, 1)
    reached = images.maximum(lowest) == images
    return images ^ (reached.view(torch.uint8) * ever)  # v ^ 255 = 255 - v


def invert(images: Tensor, values: Floats, call: Call) -> Tensor:
    """Give 255 less each value."""
    return 255 - images


def autocontrast(images: Tensor, values: Floats, call: Call) -> Tensor:
    """Stretch as Pillow's `autocontrast`: each channel's darkest value to 0, its brightest to 255, in float64, truncated."""
    planes = images.flatten(2)
    low, high = (values[..., None, None].double() for values in (planes.amin(2), planes.amax(2)))  # (B, C, 1, 1)
    flat = high <= low  # left as they are: v * 1 + 0
    span = (high - low).masked_fill_(flat, 255.0)
    scale = torch.full_like(span, 255.0) / span  # a scalar numerator would be rounded twice
    offset = (-low * scale).masked_fill_(flat, 0.0)
    return as_bytes(images.double().mul_(scale).add_(offset))


def equalize(images: Tensor, values: Floats, call: Call) -> Tensor:
    """Equalize as Pillow's `equalize`: a table for each channel, from its histogram without the brightest value that occurs."""
    rows = images.flatten(0, 1).flatten(1)  # (B * C, H * W)
    counts = _histogram(rows)
    brightest = counts.gather(1, rows.amax(1, keepdim=True).long())
    step = (rows.shape[1] - brightest) // 255  # (B * C, 1)
    before = counts.cumsum(1, dtype=torch.int32) - counts
    # A quotient of whole numbers below 2 ** 53 never rounds up to the next one.
    table = (before + step // 2).double().div_(step.clamp(min=1)).clamp_(max=255).to(torch.int32)
    ramp = torch.arange(256, device=images.device, dtype=torch.int32)
    table += (step == 0) * (ramp - table)  # too few pixels for a step: left as they are
    return table.to(torch.uint8).gather(1, rows.long()).view(images.shape)


def _histogram(rows: Tensor) -> Tensor:
    """rows: (N, L) uint8 -> (N, 256) int32."""
    start = torch.arange(0, 256 * len(rows), 256, dtype=torch.int32, device=rows.device)[:, None]
    return torch.bincount((rows + start).view(-1), minlength=256 * len(rows)).view(-1, 256).int()


def sample_pairing(images: Tensor, weight: Floats, call: Call) -> Tensor:
    """Mix each image with its partner, which gets the weight."""
    assert call.partners is not None, "apply() gives partners to operations that are paired"
    return _blend(images, call.partners, weight)
