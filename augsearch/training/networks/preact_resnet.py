"""The ResNet18 of Tuun's experiments: pre-activation blocks, widths 64-128-256-256, average and max pooling.

He et al.: Identity mappings in deep residual networks (ECCV 2016) for the block. The thin last stage and the
head are those of the DAWNBench ResNet18s for CIFAR-10: a stem of convolution, BatchNorm and ReLU, four stages of
two blocks, and average and maximum over the image side by side before the linear layer. No BatchNorm stands
between the last addition and the head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from augsearch.training.networks.layers import conv1x1, conv3x3


class PreActBlock(nn.Module):
    """BatchNorm, ReLU, 3x3, BatchNorm, ReLU, 3x3, added to the input; where the shape changes, to its 1x1 projection
    after the first ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), conv3x3(inputs, outputs, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(outputs), conv3x3(outputs, outputs)
        self.shortcut = conv1x1(inputs, outputs, stride) if stride != 1 or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        active = torch.relu(self.norm1(x))
        kept = x if self.shortcut is None else self.shortcut(active)
        out: Tensor = self.conv2(torch.relu(self.norm2(self.conv1(active))))
        return out + kept


class AverageAndMax(nn.Module):
    """(B, C, H, W) -> (B, 2C): the mean and the maximum of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 2C)."""
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


def preact_resnet18(*, classes: int, channels: int = 3, width: int = 64) -> nn.Module:
    """width: channels of the first stage; the stages have 1, 2, 4 and 4 times as many."""
    widths = (width, 2 * width, 4 * width, 4 * width)
    blocks: list[nn.Module] = []
    inputs = width
    for stage, outputs in enumerate(widths):
        blocks += [PreActBlock(inputs, outputs, 1 if stage == 0 else 2), PreActBlock(outputs, outputs, 1)]
        inputs = outputs
    stem = (conv3x3(channels, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
    return nn.Sequential(*stem, *blocks, AverageAndMax(), nn.Linear(2 * inputs, classes))
