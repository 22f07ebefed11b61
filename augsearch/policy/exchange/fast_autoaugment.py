"""Fast AutoAugment (Lim et al., 2019; kakaobrain/fast-autoaugment): lists of lists of (operation, probability, level).

A level in [0, 1] is a place in the operation's range (`augmentations.py`, `augment_list`). Ranges about 0 are mirrored
at random there, so a level of .2 is as strong as one of .8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from augsearch.errors import PolicyError
from augsearch.policy import Operation, Policy, SubPolicy
from augsearch.policy.exchange.options import Options
from augsearch.policy.exchange.reading import number, parse, read_text

NOTE = (
    "Fast AutoAugment's Color, Contrast, Brightness and Sharpness go one way; in dialect torchvision they go either way, "
    "as strongly; its Cutout fills with the mean colour, here with 0"
)


def _both_ways(largest: float) -> Callable[[float, int], float]:
    return lambda level, size: abs(2 * level - 1) * largest


def _pixels(level: float, size: int) -> float:
    return math.floor(abs(2 * level - 1) * 0.45 * size + 0.5)


def _threshold(level: float, size: int) -> float:
    """The level as a fraction of 255 that torchvision's 255 * part does not carry above 256 * level."""
    part = 256 * level / 255
    return math.nextafter(part, 0) if 255 * part > 256 * level else part


_RANGES: dict[str, Callable[[float, int], float]] = {
    "ShearX": _both_ways(0.3),
    "ShearY": _both_ways(0.3),
    "TranslateX": _pixels,
    "TranslateY": _pixels,
    "Rotate": _both_ways(30),
    "AutoContrast": lambda level, size: 0.0,
    "Invert": lambda level, size: 0.0,
    "Equalize": lambda level, size: 0.0,
    "Solarize": _threshold,
    "Posterize": lambda level, size: math.trunc(4 + 4 * level),
    "Contrast": _both_ways(0.9),
    "Color": _both_ways(0.9),
    "Brightness": _both_ways(0.9),
    "Sharpness": _both_ways(0.9),
    "Cutout": lambda level, size: 0.2 * level * size,
}


def load(source: str, options: Options) -> Policy:
    """Read the policy of a file that holds such a list, as JSON or as a Python literal.

    Raises:
        PolicyError: it names the file and the place.
    """
    data = parse(read_text(source), source)
    if not isinstance(data, list | tuple) or not data:
        raise PolicyError(f"{source}: must be a list of sub-policies")
    return Policy(tuple(_sub_policy(item, f"{source}[{i}]", options) for i, item in enumerate(data)), "torchvision", "image")


def _sub_policy(item: Any, place: str, options: Options) -> SubPolicy:
    if not isinstance(item, list | tuple):
        raise PolicyError(f"{place}: {item!r}; must be a list of (operation, probability, level)")
    return SubPolicy(tuple(_operation(entry, f"{place}[{j}]", options) for j, entry in enumerate(item)))


def _operation(entry: Any, place: str, options: Options) -> Operation:
    if not isinstance(entry, list | tuple) or len(entry) != 3:
        raise PolicyError(f"{place}: {entry!r}; must be (operation, probability, level)")
    name, probability, level = entry
    if name not in _RANGES:
        raise PolicyError(f"{place}: {name!r} is unknown; there are {', '.join(_RANGES)}")
    side = options.size[0 if name == "TranslateY" else 1]
    magnitude = _RANGES[name](number(level, 0, 1, f"{place}, level"), side)
    return Operation(name, number(probability, 0, 1, f"{place}, probability"), float(magnitude))
