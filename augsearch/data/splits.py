"""The parts of a data set, and how a part is split off or made smaller: stratified, and the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augsearch.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Counts = NDArray[np.int64]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """One split: images (N, C, H, W) uint8 and labels (N,) int64."""

    images: Images
    labels: Labels
    _resident: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def tensors(self, device: str) -> tuple[Tensor, Tensor]:
        """Images and labels on the device, put there once however many trainings ask; on the CPU, these very arrays."""
        if device not in self._resident:
            self._resident[device] = torch.from_numpy(self.images).to(device), torch.from_numpy(self.labels).to(device)
        return self._resident[device]

    def where(self, mask: NDArray[np.bool_]) -> Split:
        return Split(self.images[mask], self.labels[mask])

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Raw:
    """What a source gives: train, and val and test where it has them; the names of its classes; where it is from."""

    parts: dict[str, Split]
    classes: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()
    """What people should know about it, one line each."""


def counts_of(part: Split, classes: int) -> Counts:
    """(classes,) images of each class."""
    return np.bincount(part.labels, minlength=classes).astype(np.int64)


def take(part: Split, quota: Counts, seed: int) -> tuple[Split, Split]:
    """(the part taken, the rest): quota[c] images drawn from class c, both in their old order."""
    rng = np.random.default_rng(seed)
    taken = np.zeros(len(part), bool)
    for label, count in enumerate(quota):
        members = rng.permutation(np.flatnonzero(part.labels == label))
        taken[members[:count]] = True
    return part.where(taken), part.where(~taken)


def split_off(part: Split, fraction: float, seed: int = 0) -> tuple[Split, Split]:
    """(the rest, the part split off): that fraction of every class, at least one image of each that has two."""
    counts = counts_of(part, 0)
    quota = np.where(counts > 1, np.maximum(np.round(fraction * counts), 1), 0).astype(np.int64)
    taken, rest = take(part, quota, seed)
    return rest, taken


def stratified(counts: Counts, total: int, field: str) -> Counts:
    """(classes,) how many of each class make `total` with the same proportions: largest remainders, one at least.

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
    """(classes,) n_c * imbalance ** (-c / (C - 1)): from all of the first class down to 1/imbalance of the last.

    Cui et al.: Class-balanced loss based on effective number of samples (CVPR 2019), section 5.1.
    """
    place = np.arange(len(counts)) / max(len(counts) - 1, 1)
    fewer = np.round(counts * np.power(imbalance, -place))
    quota: Counts = np.maximum(fewer, 1).astype(np.int64)
    return quota


def named_counts(counts: Counts, classes: tuple[str, ...], wanted: dict[str, int]) -> Counts:
    """(classes,) the wanted number of the classes named, all of the others.

    Raises:
        DataError: no such class, or it has fewer images.
    """
    quota = counts.copy()
    for name, number in wanted.items():
        if name not in classes:
            raise DataError(f"dataset.counts: {name!r} is no class; there are {', '.join(classes)}")
        if number > counts[classes.index(name)]:
            raise DataError(f"dataset.counts: {name}: {number}; must be at most the {counts[classes.index(name)]} there are")
        quota[classes.index(name)] = number
    return quota
