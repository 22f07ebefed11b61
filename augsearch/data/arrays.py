"""Arrays in MedMNIST's layout, from an .npz or from a user's own function, checked and made into parts."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import SPLITS, Raw, Split
from augsearch.errors import DataError

Arrays = Mapping[str, NDArray[Any]]
LAYOUT = "train_images, train_labels, test_images, test_labels, and perhaps val_images, val_labels, classes"


def read_npz(settings: DatasetSettings) -> Raw:
    """A file in MedMNIST's layout; see `from_arrays`."""
    assert settings.npz is not None
    path = Path(settings.root) / settings.npz
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key == "classes" or key.partition("_")[0] in SPLITS}
    except FileNotFoundError:
        raise DataError(f"dataset.npz: {path}: no such file") from None
    except (ValueError, TypeError, AttributeError, OSError, BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise DataError(f"dataset.npz: {path}: not a readable .npz ({error})") from None
    return from_arrays(arrays, f"dataset.npz: {path}", path.name)


def from_arrays(arrays: Arrays, origin: str, source: str) -> Raw:
    """Arrays in MedMNIST's layout -> parts.

    Images are (N, H, W) or (N, H, W, C) uint8; labels (N,) or (N, 1); `classes` names the classes.

    Raises:
        DataError: says `origin`, the array, what it is and what it must be.
    """
    parts = {split: _part(arrays, split, origin) for split in SPLITS if f"{split}_images" in arrays}
    for split in ("train", "test"):
        if split not in parts:
            raise DataError(f"{origin}: no {split}_images; it holds {', '.join(sorted(arrays)) or 'nothing known'}")
    shapes = {split: part.images.shape[1:] for split, part in parts.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{origin}: images differ in shape (channels, height, width): {shapes}")
    highest = max(int(part.labels.max(initial=0)) for part in parts.values())
    if "classes" in arrays:
        classes = tuple(str(name) for name in arrays["classes"].reshape(-1))
        if highest >= len(classes):
            raise DataError(f"{origin}: a label is {highest}; must be 0 to {len(classes) - 1}, as `classes` has {len(classes)}")
        return Raw(parts, classes, source)
    if highest >= len(parts["train"]):  # one label far out of range would make as many empty classes
        raise DataError(f"{origin}: a label is {highest}, and train has {len(parts['train'])} images; must count from 0")
    return Raw(parts, tuple(str(i) for i in range(highest + 1)), source)


def _part(arrays: Arrays, split: str, origin: str) -> Split:
    images, labels = arrays[f"{split}_images"], arrays.get(f"{split}_labels")
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(f"{origin}: {split}_images is {images.dtype} {images.shape}; must be uint8 (N, H, W) or (N, H, W, C)")
    if labels is None or labels.size != len(images) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        found = "missing" if labels is None else f"{labels.dtype} {labels.shape}"
        raise DataError(f"{origin}: {split}_labels: {found}; must be one class >= 0 for each of {len(images)} images")
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return Split(np.ascontiguousarray(images), labels.reshape(-1).astype(np.int64))
