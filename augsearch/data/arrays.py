"""Arrays in MedMNIST's layout, from an .npz or from a user's own function, checked and made into splits."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from augsearch.data.names import check_class_names
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import SPLITS, Raw, Split, pieces
from augsearch.errors import DataError

Arrays = Mapping[str, NDArray[Any]]
LAYOUT = "train_images, train_labels, test_images, test_labels, and perhaps val_images, val_labels, classes"


def read_npz(settings: DatasetSettings, folder: Path) -> Raw:
    """Read the file `settings.npz` in `folder`; see `from_arrays`."""
    assert settings.npz is not None
    path = folder / settings.npz
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key == "classes" or key.partition("_")[0] in SPLITS}
    except FileNotFoundError:
        raise DataError(f"dataset.npz: {path}: no such file") from None
    except (ValueError, TypeError, AttributeError, OSError, BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise DataError(f"dataset.npz: {path}: not a readable .npz ({error})") from None
    return from_arrays(arrays, f"dataset.npz: {path}", path.name)


def from_arrays(arrays: Arrays, origin: str, source: str) -> Raw:
    """Make splits from arrays in MedMNIST's layout.

    Args:
        arrays: images (N, H, W) or (N, H, W, C) of numbers, labels (N,) or (N, 1), and perhaps `classes`, their names.
        origin: what an error begins with.
        source: where the data come from, for DatasetInfo.

    Raises:
        DataError: an array is missing or not what it must be.
    """
    splits = {name: _split(arrays, name, origin) for name in SPLITS if f"{name}_images" in arrays}
    for name in ("train", "test"):
        if name not in splits:
            raise DataError(f"{origin}: no {name}_images; it holds {', '.join(sorted(arrays)) or 'nothing known'}")
    shapes = {name: split.images.shape[1:] for name, split in splits.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{origin}: images differ in shape (channels, height, width): {shapes}")
    types = {name: split.images.dtype for name, split in splits.items()}
    if len(set(types.values())) > 1:
        listed = ", ".join(f"{name} {dtype}" for name, dtype in types.items())
        raise DataError(f"{origin}: images differ in type: {listed}; one scale must hold for all")
    highest = max(int(split.labels.max(initial=0)) for split in splits.values())
    if "classes" in arrays:
        classes = tuple(str(name) for name in arrays["classes"].reshape(-1).astype(str))  # bytes too become text
        check_class_names(classes, f"{origin}: classes")
        if highest >= len(classes):
            raise DataError(f"{origin}: a label is {highest}; must be 0 to {len(classes) - 1}, as `classes` has {len(classes)}")
        return Raw(splits, classes, source)
    if highest >= len(splits["train"]):  # one label far out of range would make as many empty classes
        raise DataError(f"{origin}: a label is {highest}, and train has {len(splits['train'])} images; must count from 0")
    return Raw(splits, tuple(str(i) for i in range(highest + 1)), source)


def _split(arrays: Arrays, name: str, origin: str) -> Split:
    images, labels = arrays[f"{name}_images"], arrays.get(f"{name}_labels")
    if images.dtype.kind not in "uifb" or images.ndim not in (3, 4):
        raise DataError(f"{origin}: {name}_images is {images.dtype} {images.shape}; must be numbers (N, H, W) or (N, H, W, C)")
    if images.dtype.kind == "f" and not all(np.isfinite(piece).all() for piece in pieces(images)):
        raise DataError(f"{origin}: {name}_images holds values that are infinite or not a number")
    if labels is None or labels.size != len(images) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        actual = "missing" if labels is None else f"{labels.dtype} {labels.shape}"
        raise DataError(f"{origin}: {name}_labels: {actual}; must be one class >= 0 for each of {len(images)} images")
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return Split(np.ascontiguousarray(images), labels.reshape(-1).astype(np.int64))
