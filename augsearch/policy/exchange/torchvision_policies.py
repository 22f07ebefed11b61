"""AutoAugment, RandAugment and TrivialAugmentWide, read from the installed torchvision: no table is copied.

Their tables are private to torchvision (`transforms.v2.AutoAugment._get_policies`, `._AUGMENTATION_SPACE`), which has
kept them since 0.15; the tests would notice a change.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from torchvision.transforms import AutoAugmentPolicy, v2

from augsearch.errors import PolicyError
from augsearch.policy import Operation, Policy, SubPolicy
from augsearch.policy.exchange.options import Options

POLICIES = {
    "cifar10": AutoAugmentPolicy.CIFAR10,
    "svhn": AutoAugmentPolicy.SVHN,
    "imagenet": AutoAugmentPolicy.IMAGENET,
}
_AUTO_BINS, _RAND_BINS, _TRIVIAL_BINS = 10, 31, 31


def autoaugment(source: str, options: Options) -> Policy:
    """Read one of `POLICIES`: 25 sub-policies of 2 operations."""
    if source not in POLICIES:
        raise PolicyError(f"source: {source!r}; must be one of {', '.join(POLICIES)}")
    transform = v2.AutoAugment(POLICIES[source])
    return _policy(
        [
            [
                Operation(name, float(probability), _bins(transform, name, _AUTO_BINS, options.size)[bin_ or 0])
                for name, probability, bin_ in pair
            ]
            for pair in transform._get_policies(POLICIES[source])
        ]
    )


def randaugment(source: str, options: Options) -> Policy:
    """Read "N,M": N operations, drawn one by one from 14, at bin M of 31. Every sequence of N is a sub-policy."""
    match = re.fullmatch(r"([1-3]),(\d+)", source.replace(" ", ""))
    if match is None or int(match[2]) >= _RAND_BINS:
        raise PolicyError(f"source: {source!r}; must be N,M with N from 1 to 3 and M from 0 to {_RAND_BINS - 1}, such as 2,9")
    transform = v2.RandAugment()
    each = [
        Operation(name, 1.0, _bins(transform, name, _RAND_BINS, options.size)[int(match[2])])
        for name in transform._AUGMENTATION_SPACE
    ]
    return _policy([list(operations) for operations in itertools.product(each, repeat=int(match[1]))])


def trivialaugment(source: str, options: Options) -> Policy:
    """Read "wide": one of 14 operations at one of 31 bins. Every pair is a sub-policy, so that all are drawn alike."""
    if source != "wide":
        raise PolicyError(f"source: {source!r}; must be wide")
    transform = v2.TrivialAugmentWide()
    return _policy(
        [
            [Operation(name, 1.0, magnitude)]
            for name in transform._AUGMENTATION_SPACE
            for magnitude in _bins(transform, name, _TRIVIAL_BINS, options.size)
        ]
    )


def _bins(transform: Any, name: str, count: int, size: tuple[int, int]) -> list[float]:
    """The magnitudes of an operation; zeros where it has none."""
    magnitudes = transform._AUGMENTATION_SPACE[name][0](count, *size)
    return [0.0] * count if magnitudes is None else [float(magnitude) for magnitude in magnitudes]


def _policy(sub_policies: list[list[Operation]]) -> Policy:
    return Policy(tuple(SubPolicy(tuple(operations)) for operations in sub_policies), "torchvision", "image")
