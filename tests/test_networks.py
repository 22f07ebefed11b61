"""Networks: as many parameters and multiply-adds as published, any channels, and shaking that is right on average."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from augsearch.errors import SettingsError
from augsearch.training import networks
from augsearch.training.networks.pyramidnet import ShakeDrop
from augsearch.training.networks.shake_shake import ShakeBlock
from augsearch.training.networks.shaking import shake


def multiply_adds(network: nn.Module, *shape: int) -> int:
    """Of one image's way forward: those of convolutions and linear layers, as the papers count."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    for module in network.modules():
        module.register_forward_hook(count)
    network.eval()(torch.zeros(1, *shape, device="meta"))
    return total


# Rounded as published: parameters in millions from the papers' tables, multiply-adds in thousand millions where they
# are commonly quoted. The last line is the size of Tuun's experiment, 414 PFLOP for 60 trials x 50 epochs x 50,000 images
# at 6 flops for each multiply-add.
@pytest.mark.parametrize(
    ("name", "classes", "side", "millions", "billions"),
    [
        ("wrn-40-2", 10, 32, "2.2", "0.33"),
        ("wrn-28-10", 10, 32, "36.5", "5.2"),
        ("resnet9", 10, 32, "6.57", None),
        ("shake-shake-26-2x32d", 10, 32, "2.9", None),
        ("shake-shake-26-2x96d", 10, 32, "26.2", None),
        ("pyramidnet-272-200", 10, 32, "26.0", None),
        ("torchvision:resnet50", 1000, 224, "25.56", "4.09"),
        ("preact-resnet18", 10, 32, None, f"{414e6 / (60 * 50 * 50_000 * 6):.2f}"),
    ],
)
def test_as_published(name: str, classes: int, side: int, millions: str | None, billions: str | None) -> None:
    with torch.device("meta"):
        network = networks.build(name, classes=classes)
    if millions is not None:
        assert as_precise(sum(p.numel() for p in network.parameters()) / 1e6, millions) == millions
    if billions is not None:
        assert as_precise(multiply_adds(network, 3, side, side) / 1e9, billions) == billions


def as_precise(value: float, text: str) -> str:
    return f"{value:.{len(text.partition('.')[2])}f}"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in networks.NETWORKS if "{" not in name),
        ("small", {"width": 4}),
        ("resnet9", {"width": 4}),
        ("preact-resnet18", {"width": 4}),
        ("wrn-10-1", {"dropout": 0.3}),
        ("shake-shake-8-2x4d", {}),
        ("pyramidnet-11-8", {"keep": 0.5}),
        ("torchvision:mobilenet_v3_small", {"dropout": 0.1}),
        ("tests.test_networks:Mine", {"hidden": 3}),
    ],
)
def test_every_family_learns_from_grey_images_of_an_odd_size(name: str, options: dict[str, int | float]) -> None:
    torch.manual_seed(0)
    network = networks.build(name, classes=4, channels=1, **options)
    logits = network(torch.randn(3, 1, 29, 21))
    assert logits.shape == (3, 4)
    logits.logsumexp(1).sum().backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients)
    assert any(bool(g.abs().sum() > 0) for g in gradients if g is not None)


class Mine(nn.Module):
    """A user's own."""

    def __init__(self, *, classes: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, hidden, 3), nn.Flatten(), nn.LazyLinear(classes))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet", {}, "network.name: 'resnet' is unknown, did you mean 'resnet9'"),
        ("wrn-27-10", {}, "depth is 27; must be 6 n \\+ 4"),
        ("small", {"depth": 3}, "network.depth: small takes no depth; it takes width"),
        ("torchvision:resnet51", {}, "no classifier 'resnet51'; near: resnet50"),
        ("torchvision:resnet18", {"wide": 1}, "torchvision's resnet18 refuses \\{'wide': 1\\}"),
        ("tests.test_networks:Yours", {}, "module 'tests.test_networks' has no 'Yours'"),
        ("tests.test_networks:sys", {}, "is a module; must be a function or a class"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(name: str, options: dict[str, int], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        networks.build(name, classes=10, **options)
    assert "\n" not in str(caught.value)


def test_a_module_that_breaks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_net.py").write_text("1 / 0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(SettingsError, match="its import fails with ZeroDivisionError: division by zero"):
        networks.build("broken_net:Net", classes=10)


def test_shake_is_one_weight_forward_and_another_back() -> None:
    x = torch.ones(2, 1, 2, 2, requires_grad=True)
    alpha, beta = torch.tensor([0.25, 2.0]).view(2, 1, 1, 1), torch.tensor([3.0, 5.0]).view(2, 1, 1, 1)
    out = shake(x, alpha, beta)
    out.sum().backward()
    assert out[:, 0, 0, 0].tolist() == [0.25, 2.0]
    assert x.grad is not None
    assert x.grad[:, 0, 0, 0].tolist() == [3.0, 5.0]


def test_shake_shake_mixes_two_branches_image_by_image() -> None:
    torch.manual_seed(0)
    block = ShakeBlock(4, 4, 1)
    left, right = torch.full((500, 4, 1, 1), 2.0), torch.full((500, 4, 1, 1), 6.0)
    block.left, block.right = Fixed(left), Fixed(right)  # type: ignore[assignment]
    x = torch.zeros(500, 4, 1, 1)
    mixed = block(x)[:, 0, 0, 0]
    assert mixed.min() >= 2
    assert mixed.max() <= 6
    assert mixed.mean() == pytest.approx(4, abs=0.15)  # sd of the mean: 4 / sqrt(12 * 500) = .05
    assert len(mixed.unique()) > 400
    assert block.eval()(x)[:, 0, 0, 0].unique().tolist() == [4.0]


class Fixed(nn.Module):
    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return self.value


def test_shakedrop_is_its_mean_in_evaluation() -> None:
    torch.manual_seed(0)
    drop, x = ShakeDrop(0.7), torch.ones(4000, 1, 1, 1)
    drawn = drop(x).flatten()
    assert (drawn == 1).float().mean() == pytest.approx(0.7, abs=0.03)
    assert drawn.min() >= -1
    assert drawn.mean() == pytest.approx(0.7, abs=0.03)
    assert drop.eval()(x).unique().tolist() == pytest.approx([0.7])


def test_pyramid_grows_evenly_and_drops_more_the_deeper() -> None:
    with torch.device("meta"):
        network = networks.build("pyramidnet-272-200", classes=10)
    keeps = [module.keep for module in network.modules() if isinstance(module, ShakeDrop)]
    assert len(keeps) == 90
    assert (keeps[0], keeps[-1]) == (pytest.approx(1 - 0.5 / 90), 0.5)
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)][1:]
    assert (widths[0], widths[-1]) == (18, 216)
    assert {b - a for a, b in pairwise(widths)} == {2, 3}
