"""augsearch finds the data augmentation that makes an image classifier better, and proves it.

    import augsearch

    policy = augsearch.load_policy("models/policies/tuun.json")
    augment = augsearch.Augment(policy, seed=0)
    images = augment(images, epoch=epoch)  # (B, C, H, W) uint8

The search alone, for any black box: `augsearch.Study` and `augsearch.minimize`.
"""

from typing import TYPE_CHECKING

from augsearch.augment import Augment
from augsearch.errors import AugsearchError
from augsearch.policy import Chain, Operation, Policy, Schedule, Segment, SubPolicy, load_policy

if TYPE_CHECKING:
    from augsearch.study import Study, minimize


def __getattr__(name: str) -> object:
    """Study and minimize, imported when asked for: scikit-optimize takes a second that `Augment` does not need."""
    if name in ("Study", "minimize"):
        from augsearch import study

        return getattr(study, name)
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
    "load_policy",
    "minimize",
]
