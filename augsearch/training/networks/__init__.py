"""NETWORKS: every built-in network by name, a file for each family.

build("wrn-40-2", classes=10, channels=3)
build("resnet9", classes=10, width=16)
build("torchvision:resnet50", classes=10)
build("my_module:MyNet", classes=10)         # called as MyNet(classes=, channels=, **options)
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from typing import Any

from torch import nn

from augsearch import plugins
from augsearch.errors import SettingsError
from augsearch.training.networks.preact_resnet import preact_resnet18
from augsearch.training.networks.pyramidnet import pyramidnet
from augsearch.training.networks.resnet9 import resnet9
from augsearch.training.networks.shake_shake import shake_shake
from augsearch.training.networks.small import small
from augsearch.training.networks.torchvision_models import torchvision_model
from augsearch.training.networks.wide_resnet import wide_resnet

Option = bool | int | float | str
Builder = Callable[..., nn.Module]

NETWORKS: dict[str, Builder] = {
    "small": small,
    "preact-resnet18": preact_resnet18,
    "resnet9": resnet9,
    "wrn-{depth}-{width}": wide_resnet,
    "shake-shake-{depth}-2x{width}d": shake_shake,
    "pyramidnet-{depth}-{alpha}": pyramidnet,
    "torchvision:{model}": torchvision_model,
}
"""Each entry: builder(classes=, channels=, **options) -> module, (B, channels, H, W) float -> (B, classes). Braces in
a name are numbers (torchvision's, a word) that the builder gets as options."""

EXAMPLES = (
    *(name for name in NETWORKS if "{" not in name),
    "wrn-16-1",
    "wrn-40-2",
    "wrn-28-10",
    "shake-shake-26-2x32d",
    "shake-shake-26-2x96d",
    "shake-shake-26-2x112d",
    "pyramidnet-272-200",
    "torchvision:resnet50",
)
"""Names that a message proposes for an unknown one; a family with numbers in its names stands here by some of them."""


def build(name: str, *, classes: int, channels: int = 3, **options: Option) -> nn.Module:
    """A fresh network, its weights drawn from torch's global generator.

    Raises:
        SettingsError: unknown name, or an option that this network does not take.
    """
    builder, from_name = _find(name)
    _check_options(name, builder, from_name, options)
    return builder(classes=classes, channels=channels, **from_name, **options)


def check(name: str, options: dict[str, Option]) -> None:
    """Check a name and its options as `build` does, without building.

    Raises:
        SettingsError: as `build` does.
    """
    builder, from_name = _find(name)
    _check_options(name, builder, from_name, options)


def _find(name: str) -> tuple[Builder, dict[str, Any]]:
    """The builder, and the options that are part of the name."""
    for template, builder in NETWORKS.items():
        match = re.fullmatch(_pattern(template), name)
        if match:
            return builder, {key: value if key == "model" else int(value) for key, value in match.groupdict().items()}
    if plugins.is_import_path(name):
        return plugins.load(name, "network.name"), {}
    near = difflib.get_close_matches(name, EXAMPLES, 2, 0.4)
    hint = f", did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    raise SettingsError(f"network.name: {name!r} is unknown{hint}; there are {', '.join(NETWORKS)} and module:Class")


def _pattern(template: str) -> str:
    numbers = re.sub(r"\{model\}", r"(?P<model>\\w+)", template)
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[1-9]\\d{0,3})", numbers)


def _check_options(name: str, builder: Builder, from_name: dict[str, Any], options: dict[str, Option]) -> None:
    parameters = inspect.signature(builder).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.name not in {"classes", "channels", *from_name}]
    for option in options:
        if option not in known:
            raise SettingsError(f"network.{option}: {name} takes no {option}; it takes {', '.join(known) or 'no options'}")
