"""Pixels of 0..255 to the numbers that networks see."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation for each channel, on the scale of 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> float32."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1) * 255
        scale = 1 / (torch.tensor(self.std, device=images.device).view(1, -1, 1, 1) * 255)
        return (images.float() - mean) * scale
