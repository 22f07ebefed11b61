"""augsearch finds the data augmentation that makes an image classifier better, and shows by how much.

    import augsearch

    policy = augsearch.load_policy("models/policies/tuun.json")
    augment = augsearch.Augment(policy, seed=0)
    images = augment(images, epoch=epoch)  # (B, C, H, W) uint8

One image at a time, in a DataLoader: `augsearch.Transform`. The search alone, for any black box: `augsearch.Study` and
`augsearch.minimize`. Inside one's own training script: `augsearch.trial`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from augsearch.errors import AugsearchError

if TYPE_CHECKING:
    from augsearch.policy import Chain, Operation, Policy, Schedule, Segment, SubPolicy, load_policy
    from augsearch.policy.augment import Augment
    from augsearch.policy.transform import Transform
    from augsearch.search.study import Study, minimize

try:
    __version__ = version("augsearch")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0.0.0"

_MODULES = {
    "policy.augment": ("Augment",),
    "policy.policy": ("Chain", "Operation", "Policy", "Schedule", "Segment", "SubPolicy", "load_policy"),
    "search.study": ("Study", "minimize"),
    "policy.transform": ("Transform",),
}


def __getattr__(name: str) -> object:
    """Each name is imported when asked for: torch and scikit-optimize take seconds that `augsearch.trial` does not need."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"augsearch.{module}"), name)
    raise AttributeError(f"module 'augsearch' has no attribute {name!r}")


__all__ = [
    "Augment",
    "AugsearchError",
    "Chain",
    "Operation",
    "Policy",
    "Schedule",
    "Segment",
    "Study",
    "SubPolicy",
    "Transform",
    "load_policy",
    "minimize",
]
