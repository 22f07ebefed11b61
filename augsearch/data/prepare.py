"""DATASETS, and how the data set that the settings name is made: read, split, made smaller, checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from augsearch import plugins
from augsearch.data.arrays import LAYOUT, from_arrays, read_npz
from augsearch.data.digits import digits
from augsearch.data.folder import read_folder, resize_part
from augsearch.data.info import DatasetInfo, check, make_info, shared_images
from augsearch.data.published import PUBLISHED
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import (
    SPLITS,
    Raw,
    Split,
    counts_of,
    long_tail,
    named_counts,
    split_off,
    stratified,
    take,
)
from augsearch.errors import DataError


def _digits(settings: DatasetSettings) -> Raw:
    parts = {split: Split(images, labels) for split, (images, labels) in digits().items()}
    return Raw(parts, tuple(str(i) for i in range(10)), "scikit-learn's digits, rendered by augsearch.data.digits")


DATASETS: dict[str, Callable[[DatasetSettings], Raw]] = {"digits": _digits, **PUBLISHED}
"""Data sets by name. An entry may leave out val or test: they are then split off train."""


def prepare(settings: DatasetSettings) -> tuple[dict[str, Split], DatasetInfo]:
    """Make the data set that the settings name: read it, split it, make it smaller, check it.

    Raises:
        DataError: it cannot be read, or is not what it should be.
    """
    name, raw = _read(settings)
    check(raw)
    parts = dict(raw.parts)
    if settings.size is not None:
        parts = {split: resize_part(part, settings.size, settings.fit) for split, part in parts.items()}
    for split, fraction in (("test", settings.test_fraction), ("val", settings.val_fraction)):
        if split not in parts:
            parts["train"], parts[split] = _split_off(parts["train"], split, fraction, settings)
        elif split == "val" and settings.val_size is not None:
            quota = stratified(counts_of(parts["val"], len(raw.classes)), settings.val_size, "dataset.val_size")
            parts["val"], _ = take(parts["val"], quota, settings.seed)
    parts["train"] = _reduced(parts["train"], raw.classes, settings)
    parts, notes = _without_duplicates(parts, settings)
    raw = Raw({split: parts[split] for split in SPLITS}, raw.classes, raw.source, (*raw.notes, *notes))
    check(raw)
    return raw.parts, make_info(name, raw)


def _read(settings: DatasetSettings) -> tuple[str, Raw]:
    """A name fit for a file, and the data."""
    if settings.npz is not None:
        return Path(settings.npz).stem, read_npz(settings)
    if settings.folder is not None:
        return Path(settings.folder).name, read_folder(settings)
    assert settings.name is not None  # the settings' own check
    if settings.name in DATASETS:
        return settings.name, DATASETS[settings.name](settings)
    arrays = plugins.load(settings.name, "dataset.name")(Path(settings.root))
    if not isinstance(arrays, dict):
        raise DataError(f"dataset.name: {settings.name} gave a {type(arrays).__name__}; must be a dict of arrays: {LAYOUT}")
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    return settings.name.replace(":", "."), from_arrays(arrays, f"dataset.name: {settings.name}", settings.name)


def _split_off(train: Split, split: str, fraction: float, settings: DatasetSettings) -> tuple[Split, Split]:
    """(what stays in train, the part split off it)."""
    if split == "val" and settings.val_size is not None:
        counts = counts_of(train, 0)
        taken, rest = take(train, stratified(counts, settings.val_size, "dataset.val_size"), settings.seed)
        return rest, taken
    return split_off(train, fraction, settings.seed)


def _reduced(train: Split, classes: tuple[str, ...], settings: DatasetSettings) -> Split:
    """Train with the size, the long tail or the counts that are set; another seed than the splits', but as fixed."""
    counts = counts_of(train, len(classes))
    if settings.train_size is not None:
        quota = stratified(counts, settings.train_size, "dataset.train_size")
    elif settings.imbalance is not None:
        quota = long_tail(counts, settings.imbalance)
    elif settings.counts is not None:
        quota = named_counts(counts, classes, settings.counts)
    else:
        return train
    return take(train, quota, settings.seed + 1)[0]


def _without_duplicates(parts: dict[str, Split], settings: DatasetSettings) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The parts, and a line on images that train or val share with test, pixel for pixel: test would then flatter."""
    shared = {split: shared_images(parts[split], parts["test"]) for split in ("train", "val")}
    if not any(mask.any() for mask in shared.values()):
        return parts, ()
    found = ", ".join(f"{mask.sum()} of {split}" for split, mask in shared.items() if mask.any())
    said = f"images that are also in test, pixel for pixel: {found}"
    if settings.duplicates == "refuse":
        raise DataError(f"{said}; remove them, or set dataset.duplicates to report or drop")
    if settings.duplicates == "drop":
        return parts | {split: parts[split].where(~mask) for split, mask in shared.items()}, (f"dropped {said}",)
    return parts, (f"{said}; dataset.duplicates: drop leaves them out",)
