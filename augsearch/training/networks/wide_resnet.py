"""Wide ResNets, WRN-depth-width (Zagoruyko and Komodakis: Wide residual networks, BMVC 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from augsearch.errors import SettingsError
from augsearch.training.networks.layers import conv1x1, conv3x3, he_initialised


class WideBlock(nn.Module):
    """BatchNorm, ReLU, 3x3, BatchNorm, ReLU, dropout, 3x3, added to the input or to its 1x1 projection (the paper's B(3,3))."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), conv3x3(inputs, outputs, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(outputs), conv3x3(outputs, outputs)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = conv1x1(inputs, outputs, stride) if stride != 1 or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        active = torch.relu(self.norm1(x))
        kept = x if self.shortcut is None else self.shortcut(active)
        out: Tensor = self.conv2(self.dropout(torch.relu(self.norm2(self.conv1(active)))))
        return out + kept


def wide_resnet(*, classes: int, channels: int = 3, depth: int, width: int, dropout: float = 0.0) -> nn.Module:
    """depth = 6 n + 4 for n blocks in each of three stages; width multiplies their 16, 32 and 64 channels.

    Raises:
        SettingsError: a depth of another form.
    """
    each, rest = divmod(depth - 4, 6)
    if rest or each < 1:
        raise SettingsError(f"network.name: wrn-{depth}-{width}: depth is {depth}; must be 6 n + 4, such as 16, 28 or 40")
    blocks: list[nn.Module] = []
    inputs = 16
    for stage in range(3):
        outputs = 16 * width * 2**stage
        for i in range(each):
            blocks.append(WideBlock(inputs, outputs, 2 if stage and i == 0 else 1, dropout))
            inputs = outputs
    head = (nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
    return he_initialised(nn.Sequential(conv3x3(channels, 16), *blocks, *head))
