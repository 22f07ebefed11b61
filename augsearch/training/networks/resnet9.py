"""ResNet-9, the DAWNBench network for CIFAR-10 (David Page: How to train your ResNet, 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from augsearch.training.networks.layers import conv3x3


def _block(inputs: int, outputs: int, *, pool: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [conv3x3(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


class Residual(nn.Module):
    """Two blocks, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_block(width, width), _block(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        out: Tensor = self.blocks(x)
        return x + out


class Scale(nn.Module):
    """Logits times a constant: the network's temperature."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the factor."""
        return x * self.factor


def resnet9(*, classes: int, channels: int = 3, width: int = 64) -> nn.Module:
    """width: channels of the first convolution; then 2, 4 and 8 times as many. Images of at least 8x8."""
    return nn.Sequential(
        _block(channels, width),
        _block(width, 2 * width, pool=True),
        Residual(2 * width),
        _block(2 * width, 4 * width, pool=True),
        _block(4 * width, 8 * width, pool=True),
        Residual(8 * width),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8 * width, classes, bias=False),
        Scale(0.125),
    )
