"""The splits of a data set, and how images are drawn for one: stratified, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augsearch.errors import DataError
from augsearch.section import nearest

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]
SPLITS = ("train", "val", "test")
_PIECE = 2**20  # pixel values looked at in one go


@dataclass(frozen=True)
class Split:
    """One split: images (N, C, H, W) uint8 and labels (N,) int64."""

    images: Images
    labels: Labels
    _resident: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def tensors(self, device: str) -> tuple[Tensor, Tensor]:
        """Put images and labels on a device, once however many trainings ask; on the CPU they share these arrays' memory."""
        if device not in self._resident:
            self._resident[device] = torch.from_numpy(self.images).to(device), torch.from_numpy(self.labels).to(device)
        return self._resident[device]

    def where(self, mask: Mask) -> Split:
        """Keep the images where `mask` (N,) is true; all of them are kept without a copy."""
        return self if mask.all() else Split(self.images[mask], self.labels[mask])

    def at(self, rows: NDArray[np.int64]) -> Split:
        """Keep the images at `rows`, which rise; all of them are kept without a copy."""
        return self if len(rows) == len(self) else Split(self.images[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Raw:
    """The data of a source: train, and val and test where it has them; the names of its classes; where it is from."""

    splits: dict[str, Split]
    """Images may be of any type of number here; `augsearch.data.depth` makes them uint8."""
    classes: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()
    """Notes for people, one line each."""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of a split's images, for messages; none: their indices."""
    groups: dict[str, NDArray[np.str_]] = field(default_factory=dict)
    """(N,) names of what a split's images show, such as patients: images of one group stay together. Empty: no groups."""

    def name(self, split: str, row: int) -> str:
        """Name an image for people."""
        return self.names[split][row] if split in self.names else f"{split}_images[{row}]"


@dataclass(frozen=True)
class Selection:
    """Some images of one of a source's splits."""

    source: str
    rows: NDArray[np.int64]
    """(N,) indices into that split, rising."""

    def where(self, mask: Mask) -> Selection:
        """Keep the images where `mask` (N,) is true."""
        return Selection(self.source, self.rows[mask])

    def labels(self, raw: Raw) -> Labels:
        """Look up the labels: (N,)."""
        return raw.splits[self.source].labels[self.rows]

    def name(self, raw: Raw, i: int) -> str:
        """Name the i-th of these images for people."""
        return raw.name(self.source, int(self.rows[i]))


Chosen = dict[str, Selection]
"""For each split, the images that become it."""


def pieces(images: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Go through images in order, a few megabytes at a time."""
    rows = max(1, _PIECE // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(images), rows):
        yield images[start : start + rows]


def counts_of(split: Split, classes: int) -> Counts:
    """Count the images of each class: (classes,)."""
    return np.bincount(split.labels, minlength=classes).astype(np.int64)


def draw(labels: Labels, quota: Counts, seed: int) -> Mask:
    """Draw quota[c] images from each class c: (N,), true where an image is drawn."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), bool)
    for label, count in enumerate(quota):
        drawn[rng.permutation(np.flatnonzero(labels == label))[:count]] = True
    return drawn


def take(split: Split, quota: Counts, seed: int) -> tuple[Split, Split]:
    """Draw quota[c] images from each class c; return them and the rest, both in their old order."""
    drawn = draw(split.labels, quota, seed)
    return split.where(drawn), split.where(~drawn)


def fraction_of(counts: Counts, fraction: float) -> Counts:
    """Share of every class: (classes,); at least one image of each that has two."""
    return np.where(counts > 1, np.maximum(np.round(fraction * counts), 1), 0).astype(np.int64)


def stratified(counts: Counts, total: int, field: str) -> Counts:
    """Share `total` among the classes in their proportions, by largest remainders, at least one each: (classes,).

    Args:
        counts: (classes,) images that there are.
        field: the setting that an error names.

    Raises:
        DataError: fewer than one for each class, or more than there are.
    """
    if not len(counts) <= total <= counts.sum():
        raise DataError(
            f"{field}: {total}; must be at least {len(counts)}, one for each class, and at most the {counts.sum()} there are"
        )
    ideal = counts * (total / counts.sum())
    quota: Counts = np.maximum(np.floor(ideal), 1).astype(np.int64)
    for _ in range(int(abs(total - quota.sum()))):
        if quota.sum() < total:
            quota[np.argmax(np.where(quota < counts, ideal - quota, -np.inf))] += 1
        else:
            quota[np.argmax(np.where(quota > 1, quota - ideal, -np.inf))] -= 1
    return quota


def long_tail(counts: Counts, imbalance: float) -> Counts:
    """Thin the classes to a long tail, n_c * imbalance ** (-c / (C - 1)): all of the first, 1/imbalance of the last.

    Cui et al.: Class-balanced loss based on effective number of samples (CVPR 2019), section 5.1.
    """
    place = np.arange(len(counts)) / max(len(counts) - 1, 1)
    fewer = np.round(counts * np.power(imbalance, -place))
    quota: Counts = np.maximum(fewer, 1).astype(np.int64)
    return quota


def named_counts(counts: Counts, classes: tuple[str, ...], wanted: dict[str, int]) -> Counts:
    """Keep the wanted number of the classes named and all of the others: (classes,).

    Raises:
        DataError: no such class, or it has fewer images.
    """
    quota = counts.copy()
    for name, number in wanted.items():
        if name not in classes:
            raise DataError(f"dataset.counts: {name!r} is no class{nearest(name, classes)}; there are {', '.join(classes)}")
        if number > counts[classes.index(name)]:
            raise DataError(f"dataset.counts: {name}: {number}; must be at most the {counts[classes.index(name)]} there are")
        quota[classes.index(name)] = number
    return quota
