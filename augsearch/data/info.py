"""Descriptions of prepared data sets, and the checks that they must pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from augsearch.data.settings import MIN_SIDE
from augsearch.data.splits import Counts, Images, Raw, Split, counts_of, pieces
from augsearch.errors import DataError


@dataclass(frozen=True)
class DatasetInfo:
    """The description of a prepared data set, so that nobody has to open its arrays."""

    name: str
    source: str
    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    """Mean of the training split, for each channel, on the scale of 0..1."""
    std: tuple[float, ...]
    """Standard deviation of the training split, likewise."""
    counts: dict[str, tuple[int, ...]]
    """Images of each class in each split."""
    fingerprint: str
    """SHA-256 over all splits' images and labels."""
    notes: tuple[str, ...] = ()
    """Notes for people: files skipped, the same picture in two splits, pixel values that were scaled."""

    def __str__(self) -> str:
        sizes = ", ".join(f"{sum(counts)} {split}" for split, counts in self.counts.items())
        shape = f"{self.channels}x{self.height}x{self.width}"
        return f"{self.name}: {sizes}; {len(self.classes)} classes, {shape}; {self.fingerprint[:12]}"


def make_info(name: str, raw: Raw) -> DatasetInfo:
    """Describe the final splits in `raw`."""
    train = raw.splits["train"].images
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
        counts={name: tuple(counts_of(split, len(raw.classes)).tolist()) for name, split in raw.splits.items()},
        fingerprint=_fingerprint(raw.splits),
        notes=raw.notes,
    )


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel in 0..1, exact: from how often each of the 256 values occurs."""
    histogram = np.zeros((images.shape[1], 256), np.int64)
    for rows in pieces(images):
        for channel in range(images.shape[1]):
            histogram[channel] += np.bincount(rows[:, channel].reshape(-1), minlength=256)
    values = np.arange(256) / 255
    share = histogram / histogram.sum(1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))
    # a constant channel must not divide by zero
    return tuple(round(float(v), 6) for v in mean), tuple(round(max(float(v), 1e-3), 6) for v in std)


def _fingerprint(splits: dict[str, Split]) -> str:
    digest = hashlib.sha256()
    for name, split in splits.items():
        digest.update(f"{name} {split.images.shape}".encode())
        for rows in pieces(split.images):
            digest.update(np.ascontiguousarray(rows).data)
        digest.update(split.labels.astype(np.int64).tobytes())
    return digest.hexdigest()


def check(raw: Raw) -> None:
    """Check that there are classes, images of each in every split, and that images are large enough.

    Raises:
        DataError: they are too small, there is one class alone, or a split lacks some class.
    """
    height, width = raw.splits["train"].images.shape[2:]
    if min(height, width) < MIN_SIDE:
        raise DataError(f"{raw.source}: images are {height}x{width} pixels; must be at least {MIN_SIDE} each way")
    if len(raw.classes) < 2:
        raise DataError(f"{raw.source}: has {len(raw.classes)} class; must have at least 2")
    check_counts({name: counts_of(split, len(raw.classes)) for name, split in raw.splits.items()}, raw)


def check_counts(counts: dict[str, Counts], raw: Raw, dropped: Iterable[str] = ()) -> None:
    """Check that every split has images of every class.

    Args:
        counts: for each split (classes,) images.
        dropped: why images may be missing.

    Raises:
        DataError: names the splits and the classes that they lack.
    """
    lacking = {split: [raw.classes[label] for label in np.flatnonzero(count == 0)] for split, count in counts.items()}
    listed = [f"{split} has none of {_names(names)}" for split, names in lacking.items() if names]
    if listed:
        why = "; ".join([*raw.notes, *dropped])
        raise DataError(
            f"{raw.source}: classes without images: {'; '.join(listed)}; every split needs some of every class"
            + (f" ({why})" if why else "")
        )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(repr(name) for name in names[:10]) + more
