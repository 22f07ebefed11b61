"""Arithmetic on pixels that several operations share."""

from __future__ import annotations

import torch
from torch import Tensor


def choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`torch.where` for uint8, by bits: much faster on a CPU. mask: bool, broadcast to both."""
    return no ^ ((yes ^ no) & mask.view(torch.uint8).neg())


def as_bytes(values: Tensor) -> Tensor:
    """Clip floats, in place, to 0..255 and truncate them to uint8; by way of int32, which CPUs convert faster."""
    return values.clamp_(0, 255).to(torch.int32).to(torch.uint8)


def take_rows(images: Tensor, places: Tensor) -> Tensor:
    """Copy whole rows from their places. images: (B, C, H, W); places: (B, H') int64 into H -> (B, C, H', W)."""
    count, channels, height, width = images.shape
    first = torch.arange(0, count * channels * height, height, device=images.device).view(count, channels, 1)
    index = (first + places[:, None, :]).view(-1)
    return images.reshape(-1, width).index_select(0, index).view(count, channels, -1, width)
