"""DATASETS, and how the data set that the settings name is made: read, split, made smaller, checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from augsearch import plugins
from augsearch.data.arrays import LAYOUT, from_arrays, read_npz
from augsearch.data.depth import to_eight_bits
from augsearch.data.digits import digits
from augsearch.data.folder import read_folder
from augsearch.data.info import DatasetInfo, check, make_info, shared_images
from augsearch.data.picture import resize_values
from augsearch.data.published import PUBLISHED
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import (
    SPLITS,
    Raw,
    Split,
    counts_of,
    fraction_of,
    long_tail,
    named_counts,
    stratified,
    take,
)
from augsearch.errors import DataError


def _digits(settings: DatasetSettings, folder: Path) -> Raw:
    splits = {split: Split(images, labels) for split, (images, labels) in digits().items()}
    return Raw(splits, tuple(str(i) for i in range(10)), "scikit-learn's digits, rendered by augsearch.data.digits")


DATASETS: dict[str, Callable[[DatasetSettings, Path], Raw]] = {"digits": _digits, **PUBLISHED}
"""Readers of data sets by name, called with the settings and the folder `dataset.root`. One may leave out val or test: they
are then split off train."""


def prepare(settings: DatasetSettings, root: Path = Path()) -> tuple[dict[str, Split], DatasetInfo]:
    """Make the data set that the settings name: read it, split it, make it smaller, check it.

    Args:
        root: the workspace, which `settings.root` is relative to.

    Raises:
        DataError: it cannot be read, or is not what it should be.
    """
    name, raw = _read(settings, root / settings.root)
    check(raw)
    splits = dict(raw.splits)
    if settings.size is not None:
        splits = {name: _resized(split, settings.size, settings.fit) for name, split in splits.items()}
    for missing, fraction in (("test", settings.test_fraction), ("val", settings.val_fraction)):
        if missing not in splits:
            splits["train"], splits[missing] = _split_off(splits["train"], missing, fraction, settings)
        elif missing == "val" and settings.val_size is not None:
            quota = stratified(counts_of(splits["val"], len(raw.classes)), settings.val_size, "dataset.val_size")
            splits["val"], _ = take(splits["val"], quota, settings.seed)
    splits["train"] = _reduced(splits["train"], raw.classes, settings)
    splits, notes = _without_duplicates(splits, settings)
    splits, depth_notes = to_eight_bits(splits, settings.depth, raw.source)
    notes = (*notes, *depth_notes)
    if "test" not in raw.splits and "val" in raw.splits:
        notes = (f"the source has no test split: {len(splits['test'])} images of train became it", *notes)
    raw = Raw({name: splits[name] for name in SPLITS}, raw.classes, raw.source, (*raw.notes, *notes))
    check(raw)
    return raw.splits, make_info(name, raw)


def _read(settings: DatasetSettings, folder: Path) -> tuple[str, Raw]:
    """Read the data set; return a name fit for a file, and the data."""
    if settings.npz is not None:
        return Path(settings.npz).stem, read_npz(settings, folder)
    if settings.folder is not None:
        return Path(os.path.normpath(folder / settings.folder)).name or "images", read_folder(settings, folder)
    assert settings.name is not None  # the settings' own check
    if settings.name in DATASETS:
        return settings.name, DATASETS[settings.name](settings, folder)
    arrays = plugins.load(settings.name, "dataset.name")(folder)
    if not isinstance(arrays, dict):
        raise DataError(f"dataset.name: {settings.name} gave a {type(arrays).__name__}; must be a dict of arrays: {LAYOUT}")
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    return settings.name.replace(":", "."), from_arrays(arrays, f"dataset.name: {settings.name}", settings.name)


def _resized(split: Split, size: tuple[int, int], fit: str) -> Split:
    """Resize all images of a split to (height, width); any number of channels."""
    if split.images.shape[2:] == size:
        return split
    images = np.empty((*split.images.shape[:2], *size), split.images.dtype)
    for i, image in enumerate(split.images):
        for channel, values in enumerate(image):  # Pillow resizes channels each by itself too
            images[i, channel] = resize_values(values, size, fit)
    return Split(images, split.labels)


def _split_off(train: Split, name: str, fraction: float, settings: DatasetSettings) -> tuple[Split, Split]:
    """Split `name` off train; return what stays, and it."""
    counts = counts_of(train, 0)
    if name == "val" and settings.val_size is not None:
        quota = stratified(counts, settings.val_size, "dataset.val_size")
    else:
        quota = fraction_of(counts, fraction)
    taken, rest = take(train, quota, settings.seed)
    return rest, taken


def _reduced(train: Split, classes: tuple[str, ...], settings: DatasetSettings) -> Split:
    """Reduce train to the size, the long tail or the counts that are set; the draw is another than the splits'."""
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


def _without_duplicates(splits: dict[str, Split], settings: DatasetSettings) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Look for images that train or val share with test, pixel for pixel; return the splits and a note on them."""
    shared = {name: shared_images(splits[name], splits["test"]) for name in ("train", "val")}
    if not any(mask.any() for mask in shared.values()):
        return splits, ()
    counted = ", ".join(f"{mask.sum()} of {name}" for name, mask in shared.items() if mask.any())
    note = f"images that are also in test, pixel for pixel: {counted}"
    if settings.duplicates == "refuse":
        raise DataError(f"{note}; remove them, or set dataset.duplicates to report or drop")
    if settings.duplicates == "drop":
        return splits | {name: splits[name].where(~mask) for name, mask in shared.items()}, (f"dropped {note}",)
    return splits, (f"{note}; dataset.duplicates: drop leaves them out",)
