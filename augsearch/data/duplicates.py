"""The same picture more than once, pixel for pixel: in two splits, or under two classes.

A picture of train that is also in test makes the test score too high; one that is also in val makes the search prefer
whatever memorises. A picture under two classes is wrong under one of them.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from augsearch.data.splits import Chosen, Mask, Raw, Split

Ids = dict[str, NDArray[np.int64]]
"""For each split of a source (N,) numbers of its images: equal numbers, equal pixels."""
_PAIRS = (("train", "test"), ("val", "test"), ("train", "val"))


def identities(splits: dict[str, Split]) -> Ids:
    """Number the images of all splits so that equal numbers mean equal pixels."""
    numbers: dict[bytes, int] = {}
    return {
        name: np.array([numbers.setdefault(_digest(image), len(numbers)) for image in split.images], np.int64)
        for name, split in splits.items()
    }


def find_duplicates(raw: Raw, ids: Ids, chosen: Chosen) -> list[str]:
    """Describe what is in two splits or under two classes, each with its number and an example."""
    pairs = [(split, other) for split, other in _PAIRS if {split, other} <= chosen.keys()]
    found = [_describe_shared(raw, ids, chosen, split, other) for split, other in pairs]
    return [line for line in [*found, _describe_conflicts(raw, ids, chosen, tuple(chosen))] if line]


def drop_duplicates(raw: Raw, ids: Ids, chosen: Chosen) -> tuple[Chosen, list[str]]:
    """Leave out of train and val what is under two classes or in test, and out of train what is in val.

    Returns:
        What is left, and a line on each kind that was dropped. Test stays as its source gives it.
    """
    ours = tuple(split for split in chosen if split != "test")
    dropped = [_describe_conflicts(raw, ids, chosen, ours)]
    left = chosen | {split: chosen[split].where(~_conflicts(raw, ids, chosen, split)) for split in ours}
    for split, other in _PAIRS:
        if {split, other} <= left.keys():
            dropped.append(_describe_shared(raw, ids, left, split, other))
            left[split] = left[split].where(~_shared(ids, left, split, other))
    return left, [line for line in dropped if line]


def repeated(ids: NDArray[np.int64]) -> Mask:
    """Find the images that are there more than once: (N,)."""
    _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return counts[inverse] > 1


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _ids(ids: Ids, chosen: Chosen, split: str) -> NDArray[np.int64]:
    return ids[chosen[split].source][chosen[split].rows]


def _shared(ids: Ids, chosen: Chosen, split: str, other: str) -> Mask:
    """Find the images of `split` that are in `other` too: (N,)."""
    return np.isin(_ids(ids, chosen, split), _ids(ids, chosen, other))


def _describe_shared(raw: Raw, ids: Ids, chosen: Chosen, split: str, other: str) -> str | None:
    mask = _shared(ids, chosen, split, other)
    if not mask.any():
        return None
    first = int(mask.argmax())
    twin = int((_ids(ids, chosen, other) == _ids(ids, chosen, split)[first]).argmax())
    example = f"{chosen[split].name(raw, first)} and {chosen[other].name(raw, twin)}"
    return f"pictures of {split} that are also in {other}, pixel for pixel: {mask.sum()}, such as {example}"


def _conflicts(raw: Raw, ids: Ids, chosen: Chosen, split: str) -> Mask:
    """Find the images of `split` that stand under another class too, in any split: (N,)."""
    classes = len(raw.classes)
    pairs = np.unique(np.concatenate([_ids(ids, chosen, name) * classes + chosen[name].labels(raw) for name in chosen]))
    pictures, counts = np.unique(pairs // classes, return_counts=True)  # classes that each picture stands under
    return np.isin(_ids(ids, chosen, split), pictures[counts > 1])


def _describe_conflicts(raw: Raw, ids: Ids, chosen: Chosen, splits: tuple[str, ...]) -> str | None:
    masks = {split: _conflicts(raw, ids, chosen, split) for split in splits}
    total = sum(int(mask.sum()) for mask in masks.values())
    if not total:
        return None
    split = next(name for name, mask in masks.items() if mask.any())
    first = int(masks[split].argmax())
    picture, label = _ids(ids, chosen, split)[first], chosen[split].labels(raw)[first]
    for other in chosen:
        twins = (_ids(ids, chosen, other) == picture) & (chosen[other].labels(raw) != label)
        if twins.any():
            example = f"{chosen[split].name(raw, first)} and {chosen[other].name(raw, int(twins.argmax()))}"
            return f"pictures that stand under more than one class: {total}, such as {example}"
    raise AssertionError("a picture in conflict has a twin under another class")
