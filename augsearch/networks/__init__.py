"""NETWORKS: every built-in network by name, a file for each family."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from augsearch.errors import SettingsError
from augsearch.networks.small import small

NETWORKS: dict[str, Callable[..., nn.Module]] = {"small": small}
"""Each entry: build(classes=, channels=, **options) -> module, (B, channels, H, W) float -> (B, classes)."""


def build(name: str, *, classes: int, channels: int = 3, **options: int) -> nn.Module:
    """A fresh network, its weights drawn from torch's global generator.

    Raises:
        SettingsError: unknown name.
    """
    if name not in NETWORKS:
        raise SettingsError(f"network.name: {name!r} is unknown; there are {', '.join(NETWORKS)}")
    return NETWORKS[name](classes=classes, channels=channels, **options)
