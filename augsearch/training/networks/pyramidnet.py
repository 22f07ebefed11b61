"""PyramidNet with ShakeDrop (Han et al.: Deep pyramidal residual networks, CVPR 2017; Yamada et al.: ShakeDrop
regularization for deep residual learning, 2018)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from augsearch.errors import SettingsError
from augsearch.training.networks.layers import conv1x1, conv3x3, he_initialised
from augsearch.training.networks.shaking import shake, uniform_each

_EXPANSION = 4


class ShakeDrop(nn.Module):
    """Training, for every image: as it is with probability `keep`, else times a number of [-1, 1] forward and another
    of [0, 1] backward (Yamada et al.). Evaluation: the mean, times `keep`."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        """Scale each image's features: (B, C, H, W) -> the same shape."""
        if not self.training:
            return x * self.keep
        kept = (uniform_each(x) < self.keep).float()
        alpha, beta = uniform_each(x, -1, 1), uniform_each(x)
        return shake(x, kept + (1 - kept) * alpha, kept + (1 - kept) * beta)


class PyramidBlock(nn.Module):
    """A bottleneck whose shortcut has no weights: averaged where the stride is 2, with zeros for the new channels."""

    def __init__(self, inputs: int, middle: int, stride: int, keep: float) -> None:
        super().__init__()
        outputs = middle * _EXPANSION
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(inputs), conv1x1(inputs, middle)),
            *(nn.BatchNorm2d(middle), nn.ReLU(inplace=True), conv3x3(middle, middle, stride)),
            *(nn.BatchNorm2d(middle), nn.ReLU(inplace=True), conv1x1(middle, outputs)),
            nn.BatchNorm2d(outputs),
            ShakeDrop(keep),
        )
        self.shortcut = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        self.added = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 4 middle, H / stride, W / stride)."""
        kept = functional.pad(self.shortcut(x), (0, 0, 0, 0, 0, self.added))
        out: Tensor = self.body(x)
        return out + kept


def pyramidnet(*, classes: int, channels: int = 3, depth: int = 272, alpha: int = 200, keep: float = 0.5) -> nn.Module:
    """Bottleneck PyramidNet; depth = 9 n + 2 for n blocks in each of three stages.

    alpha: how much wider the last block is than the first, in equal steps (Han et al.'s additive widening).
    keep: ShakeDrop's probability in the last block; it falls to that linearly over the blocks.

    Raises:
        SettingsError: a depth of another form.
    """
    each, rest = divmod(depth - 2, 9)
    if rest or each < 1:
        raise SettingsError(f"network.name: pyramidnet-{depth}-{alpha}: depth is {depth}; must be 9 n + 2, such as 110 or 272")
    total = 3 * each
    blocks: list[nn.Module] = []
    inputs = 16
    for i in range(total):
        middle = int(round(16 + alpha * (i + 1) / total, 6))
        blocks.append(PyramidBlock(inputs, middle, 2 if i in (each, 2 * each) else 1, 1 - (i + 1) / total * (1 - keep)))
        inputs = middle * _EXPANSION
    stem = (conv3x3(channels, 16), nn.BatchNorm2d(16))
    head = (nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
    return he_initialised(nn.Sequential(*stem, *blocks, *head))
