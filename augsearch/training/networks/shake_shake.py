"""Shake-Shake (Gastaldi: Shake-Shake regularization, 2017): 26 layers, two branches of 32, 96 or 112 channels.

Forward and backward weights are drawn for every image (the paper's "S-S-I").
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from augsearch.errors import SettingsError
from augsearch.training.networks.layers import conv1x1, conv3x3, he_initialised
from augsearch.training.networks.shaking import shake, uniform_each


class Shortcut(nn.Module):
    """Two paths side by side, the second moved by a pixel, so that a stride of 2 loses nothing."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.left, self.right = conv1x1(inputs, outputs // 2), conv1x1(inputs, outputs - outputs // 2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        x = torch.relu(x)
        moved = functional.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))
        step = self.stride
        out: Tensor = self.norm(torch.cat([self.left(x[:, :, ::step, ::step]), self.right(moved[:, :, ::step, ::step])], 1))
        return out


class ShakeBlock(nn.Module):
    """Two branches whose outputs are mixed with random weights in training, averaged in evaluation, and added to the input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()

        def branch() -> nn.Sequential:
            first = (nn.ReLU(), conv3x3(inputs, outputs, stride), nn.BatchNorm2d(outputs))
            return nn.Sequential(*first, nn.ReLU(inplace=True), conv3x3(outputs, outputs), nn.BatchNorm2d(outputs))

        self.left, self.right = branch(), branch()
        self.shortcut = nn.Identity() if inputs == outputs and stride == 1 else Shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        left, right = self.left(x), self.right(x)
        kept: Tensor = self.shortcut(x)
        if not self.training:
            half: Tensor = (left + right) / 2
            return kept + half
        alpha, beta = uniform_each(x), uniform_each(x)
        return kept + shake(left, alpha, beta) + shake(right, 1 - alpha, 1 - beta)


def shake_shake(*, classes: int, channels: int = 3, depth: int = 26, width: int) -> nn.Module:
    """depth = 6 n + 2 for n blocks in each of three stages; width: channels of a branch in the first stage.

    Raises:
        SettingsError: a depth of another form.
    """
    each, rest = divmod(depth - 2, 6)
    if rest or each < 1:
        raise SettingsError(f"network.name: shake-shake-{depth}-2x{width}d: depth is {depth}; must be 6 n + 2, such as 26")
    blocks: list[nn.Module] = []
    inputs = 16
    for stage in range(3):
        outputs = width * 2**stage
        for i in range(each):
            blocks.append(ShakeBlock(inputs, outputs, 2 if stage and i == 0 else 1))
            inputs = outputs
    stem = (conv3x3(channels, 16), nn.BatchNorm2d(16))
    head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
    return he_initialised(nn.Sequential(*stem, *blocks, *head))
