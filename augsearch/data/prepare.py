"""DATASETS, and how the data set that the settings name is made: read, split, thinned, brought to 8 bits, described."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from augsearch import plugins
from augsearch.data.arrays import LAYOUT, from_arrays, read_npz
from augsearch.data.depth import to_eight_bits
from augsearch.data.digits import digits
from augsearch.data.folder import read_folder
from augsearch.data.info import DatasetInfo, check, make_info
from augsearch.data.picture import resize_values
from augsearch.data.published import PUBLISHED
from augsearch.data.selection import choose
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import Raw, Split
from augsearch.errors import DataError


def _digits(settings: DatasetSettings, folder: Path) -> Raw:
    splits = {split: Split(images, labels) for split, (images, labels) in digits().items()}
    return Raw(splits, tuple(str(i) for i in range(10)), "scikit-learn's digits, rendered by augsearch.data.digits")


DATASETS: dict[str, Callable[[DatasetSettings, Path], Raw]] = {"digits": _digits, **PUBLISHED}
"""Readers of data sets by name, called with the settings and the folder `dataset.root`. One may leave out val or test: they
are then split off train."""


def prepare(settings: DatasetSettings, root: Path = Path()) -> tuple[dict[str, Split], DatasetInfo]:
    """Make the data set that the settings name: read it, split it, thin it, bring it to 8 bits.

    Args:
        root: the workspace, which `settings.root` is relative to.

    Raises:
        DataError: it cannot be read, or is not what it should be.
    """
    name, raw = _read(settings, root / settings.root)
    check(raw)
    if settings.size is not None:
        sized = {split: _resized(images, settings.size, settings.fit) for split, images in raw.splits.items()}
        raw = replace(raw, splits=sized)
    chosen, notes = choose(raw, settings)
    # from here on the source's own images are not held
    raw = replace(raw, splits={split: raw.splits[one.source].at(one.rows) for split, one in chosen.items()})
    splits, depth_notes = to_eight_bits(raw.splits, settings.depth, raw.source)
    raw = replace(raw, splits=splits, notes=(*raw.notes, *notes, *depth_notes))
    return splits, make_info(name, raw)


def _read(settings: DatasetSettings, folder: Path) -> tuple[str, Raw]:
    """Read the data set; return a name fit for a file, and the data."""
    if settings.npz is not None:
        return Path(settings.npz).stem, read_npz(settings, folder)
    if settings.folder is not None:
        return Path(os.path.normpath(folder / settings.folder)).name or "images", read_folder(settings, folder)
    assert settings.name is not None  # the settings' own check
    if settings.name in DATASETS:
        return settings.name, DATASETS[settings.name](settings, folder)
    return settings.name.replace(":", "."), _from_function(settings.name, folder)


def _from_function(name: str, folder: Path) -> Raw:
    """Call a user's own function.

    Raises:
        DataError: it fails, or does not give arrays in the layout.
    """
    origin = f"dataset.name: {name}"
    function = plugins.load(name, "dataset.name")
    try:
        arrays = function(folder)
    except Exception as error:  # a user's function may raise anything
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(f"{origin} fails at {line.filename}:{line.lineno} with {type(error).__name__}: {error}") from error
    if not isinstance(arrays, dict):
        raise DataError(f"{origin} gave a {type(arrays).__name__}; must be a dict of arrays: {LAYOUT}")
    try:
        arrays = {str(key): np.asarray(value) for key, value in arrays.items()}
    except (ValueError, TypeError) as error:  # lists of unequal lengths, tensors on a GPU
        raise DataError(f"{origin} gave what is no array: {error}") from None
    return from_arrays(arrays, origin, name)


def _resized(split: Split, size: tuple[int, int], fit: str) -> Split:
    """Resize all images of a split to (height, width); any number of channels."""
    if split.images.shape[2:] == size:
        return split
    images = np.empty((*split.images.shape[:2], *size), split.images.dtype)
    for i, image in enumerate(split.images):
        for channel, values in enumerate(image):  # Pillow resizes channels each by itself too
            images[i, channel] = resize_values(values, size, fit)
    return Split(images, split.labels)
