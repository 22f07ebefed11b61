"""The embedded example's network: three convolutions, small enough for sixty trials in a coffee break."""

from torch import nn


def small(*, classes: int, channels: int = 3, width: int = 16) -> nn.Module:
    """Three 3x3 convolutions (width, 2 width, 2 width), BatchNorm, ReLU, each halving the image; a mean; a linear layer."""

    def block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, ceil_mode=True),
        )

    return nn.Sequential(
        block(channels, width),
        block(width, 2 * width),
        block(2 * width, 2 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )
