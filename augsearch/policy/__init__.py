"""Augmentation: operations, policies and schedules, and how they are applied.

The names below are imported when asked for: reading settings must not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

ALGORITHM_VERSION = 1
"""Another number for every change that moves a pixel or a draw: it is part of every training's key."""

if TYPE_CHECKING:
    from augsearch.policy.policy import (
        Augmentation,
        Chain,
        Dialect,
        Draw,
        Operation,
        Policy,
        Schedule,
        Segment,
        SubPolicy,
        from_dict,
        joined,
        load_policy,
        save,
        stretched,
        to_dict,
    )

__all__ = [
    "Augmentation",
    "Chain",
    "Dialect",
    "Draw",
    "Operation",
    "Policy",
    "Schedule",
    "Segment",
    "SubPolicy",
    "from_dict",
    "joined",
    "load_policy",
    "save",
    "stretched",
    "to_dict",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("augsearch.policy.policy"), name)
    raise AttributeError(f"module 'augsearch.policy' has no attribute {name!r}")
