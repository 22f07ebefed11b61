"""The info of a prepared data set, and the checks that it must pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augsearch.data.settings import MIN_SIDE
from augsearch.data.splits import Images, Raw, Split, counts_of
from augsearch.errors import DataError

_ROWS = 4096  # images looked at in one go: statistics of any data set take a few megabytes


@dataclass(frozen=True)
class DatasetInfo:
    """What a prepared data set is, for people and for everything that has to know without opening it."""

    name: str
    source: str
    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    """Of the training part, for each channel, on the scale of 0..1."""
    std: tuple[float, ...]
    counts: dict[str, tuple[int, ...]]
    """Images of each class in each split."""
    fingerprint: str
    """SHA-256 over all splits' images and labels."""
    notes: tuple[str, ...] = ()
    """What people should know: files skipped, images shared with test."""

    def __str__(self) -> str:
        sizes = ", ".join(f"{sum(counts)} {split}" for split, counts in self.counts.items())
        shape = f"{self.channels}x{self.height}x{self.width}"
        return f"{self.name}: {sizes}; {len(self.classes)} classes, {shape}; {self.fingerprint[:12]}"


def make_info(name: str, raw: Raw) -> DatasetInfo:
    train = raw.parts["train"].images
    mean, std = _statistics(train)
    return DatasetInfo(
        name=name,
        source=raw.source,
        classes=raw.classes,
        channels=train.shape[1],
        height=train.shape[2],
        width=train.shape[3],
        mean=mean,
        std=std,
        counts={split: tuple(counts_of(part, len(raw.classes)).tolist()) for split, part in raw.parts.items()},
        fingerprint=_fingerprint(raw.parts),
        notes=raw.notes,
    )


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel in 0..1, exact: from how often each of the 256 values occurs."""
    histogram = np.zeros((images.shape[1], 256), np.int64)
    for rows in _rows(images):
        for channel in range(images.shape[1]):
            histogram[channel] += np.bincount(rows[:, channel].reshape(-1), minlength=256)
    values = np.arange(256) / 255
    share = histogram / histogram.sum(1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))
    # a constant channel must not divide by zero
    return tuple(round(float(v), 6) for v in mean), tuple(round(max(float(v), 1e-3), 6) for v in std)


def _fingerprint(parts: dict[str, Split]) -> str:
    digest = hashlib.sha256()
    for split, part in parts.items():
        digest.update(f"{split} {part.images.shape}".encode())
        for rows in _rows(part.images):
            digest.update(np.ascontiguousarray(rows).data)
        digest.update(part.labels.astype(np.int64).tobytes())
    return digest.hexdigest()


def _rows(images: Images) -> Iterator[Images]:
    for start in range(0, len(images), _ROWS):
        yield images[start : start + _ROWS]


def shared_images(part: Split, other: Split) -> NDArray[np.bool_]:
    """(N,) which images of `part` are in `other`, pixel for pixel."""
    there = set(_digests(other.images))
    return np.array([digest in there for digest in _digests(part.images)], bool)


def _digests(images: Images) -> Iterator[bytes]:
    return (hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images)


def check(raw: Raw) -> None:
    """Every part that is there has images of every class, large enough.

    Raises:
        DataError: says which classes and parts lack images.
    """
    height, width = raw.parts["train"].images.shape[2:]
    if min(height, width) < MIN_SIDE:
        raise DataError(f"{raw.source}: images are {height}x{width} pixels; must be at least {MIN_SIDE} each way")
    if len(raw.classes) < 2:
        raise DataError(f"{raw.source}: has {len(raw.classes)} class; must have at least 2")
    lacking = {
        split: [name for name, count in zip(raw.classes, counts_of(part, len(raw.classes)), strict=True) if not count]
        for split, part in raw.parts.items()
    }
    said = [f"{split} has none of {_names(names)}" for split, names in lacking.items() if names]
    if said:
        raise DataError(f"{raw.source}: classes without images: {'; '.join(said)}; every part needs some of every class")


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(repr(name) for name in names[:10]) + more
