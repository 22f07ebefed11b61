"""Arrays in MedMNIST's layout, from an .npz or from a user's own function, checked and made into splits."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from augsearch.data.names import check_class_names, shown
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import SPLITS, Labels, Raw, Split, pieces
from augsearch.errors import DataError

Arrays = dict[str, NDArray[Any]]
LAYOUT = "train_images, train_labels, and perhaps the same for val and test, classes, train_groups"
_KINDS = ("images", "labels", "groups")


def read_npz(settings: DatasetSettings, folder: Path) -> Raw:
    """Read the file `settings.npz` in `folder`; see `from_arrays`."""
    assert settings.npz is not None
    path = folder / settings.npz
    origin = f"dataset.npz: {shown(path)}"
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            _check_keys(file.files, origin)
            arrays = {key: file[key] for key in file.files if key == "classes" or key.partition("_")[2] in _KINDS}
    except FileNotFoundError:
        raise DataError(f"{origin}: no such file") from None
    except (ValueError, TypeError, AttributeError, OSError, BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise DataError(f"{origin}: not a readable .npz ({error})") from None
    return from_arrays(arrays, origin, path.name)


def from_arrays(arrays: Arrays, origin: str, source: str) -> Raw:
    """Make splits from arrays in MedMNIST's layout; what there is of val and test is split off train later.

    Args:
        arrays: for each split images (N, H, W) or (N, H, W, C) of numbers, labels (N,) or (N, 1), and perhaps groups (N,), the
            names of what the images show; perhaps `classes`, the names of the labels. Emptied, so that none is held twice.
        origin: what an error begins with.
        source: where the data come from, for DatasetInfo.

    Raises:
        DataError: an array is missing or not what it must be.
    """
    _check_keys(arrays, origin)
    names = [name for name in SPLITS if f"{name}_images" in arrays]
    labels = {name: _labels(arrays, name, origin) for name in names}
    groups = {name: _groups(arrays, name, len(labels[name]), origin) for name in names if _grouped(arrays)}
    splits = {name: Split(_images(arrays.pop(f"{name}_images"), name, origin), labels[name]) for name in names}
    for what, values in (
        ("shape (channels, height, width)", {name: split.images.shape[1:] for name, split in splits.items()}),
        ("type", {name: split.images.dtype for name, split in splits.items()}),
    ):
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{name} {value}" for name, value in values.items())
            raise DataError(f"{origin}: images differ in {what}: {listed}; must be the same for all splits")
    return Raw(splits, _classes(arrays.get("classes"), labels, origin), source, groups=groups)


def _check_keys(keys: Collection[str], origin: str) -> None:
    """Check that there are training images, labels and groups only beside images, and no split with a misspelt name."""
    if "train_images" not in keys:
        raise DataError(f"{origin}: no train_images; it holds {', '.join(sorted(keys)) or 'nothing'}; must hold {LAYOUT}")
    for key in keys:
        name, _, kind = key.rpartition("_")
        if kind in ("images", "groups") and name not in SPLITS:
            raise DataError(f"{origin}: {key!r} is unknown; splits are {', '.join(SPLITS)}")
        if kind in _KINDS and name in SPLITS and f"{name}_images" not in keys:
            raise DataError(f"{origin}: {key} without {name}_images")


def _images(images: NDArray[Any], name: str, origin: str) -> NDArray[Any]:
    """Bring images to (N, C, H, W)."""
    if images.dtype.kind not in "uifb" or images.ndim not in (3, 4):
        raise DataError(f"{origin}: {name}_images is {images.dtype} {images.shape}; must be numbers (N, H, W) or (N, H, W, C)")
    if images.ndim == 4 and _channels_first(*images.shape[1:]):
        advice = "must be (N, H, W, C), as transpose(0, 2, 3, 1) makes it"
        raise DataError(f"{origin}: {name}_images {images.shape} has its channels first; {advice}")
    if images.dtype.kind == "f" and not all(np.isfinite(piece).all() for piece in pieces(images)):
        raise DataError(f"{origin}: {name}_images holds values that are infinite or not a number")
    return np.ascontiguousarray(images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))


def _channels_first(first: int, second: int, third: int) -> bool:
    return first <= 4 < third or (first < min(16, third) and second == third)


def _labels(arrays: Arrays, name: str, origin: str) -> Labels:
    """Bring labels to (N,) int64."""
    labels, count = arrays.get(f"{name}_labels"), len(arrays[f"{name}_images"])
    fits = labels is not None and labels.size == count and labels.dtype.kind in "iu"
    if labels is None or not fits or labels.min(initial=0) < 0 or labels.max(initial=0) > np.iinfo(np.int64).max:
        actual = "missing" if labels is None else f"{labels.dtype} {labels.shape}"
        raise DataError(f"{origin}: {name}_labels: {actual}; must be one class >= 0 for each of {count} images")
    return labels.reshape(-1).astype(np.int64)


def _grouped(arrays: Arrays) -> bool:
    return any(key.endswith("_groups") for key in arrays)


def _groups(arrays: Arrays, name: str, count: int, origin: str) -> NDArray[np.str_]:
    """Bring the names of groups to (N,) text."""
    groups = arrays.get(f"{name}_groups")
    if groups is None or groups.size != count or groups.dtype.kind not in "iuSU":
        actual = "missing" if groups is None else f"{groups.dtype} {groups.shape}"
        raise DataError(f"{origin}: {name}_groups: {actual}; must be one name or number for each of {count} images")
    return groups.reshape(-1).astype(str)


def _classes(named: NDArray[Any] | None, labels: dict[str, Labels], origin: str) -> tuple[str, ...]:
    """Name the classes: as they are named, or by their numbers."""
    highest = max(int(some.max(initial=0)) for some in labels.values())
    if named is not None:
        classes = tuple(str(name) for name in named.reshape(-1).astype(str))  # bytes too become text
        check_class_names(classes, f"{origin}: classes")
        if highest >= len(classes):
            raise DataError(f"{origin}: a label is {highest}; must be 0 to {len(classes) - 1}, as `classes` has {len(classes)}")
        return classes
    if min(int(some.min(initial=1)) for some in labels.values()) > 0:
        raise DataError(f"{origin}: labels begin at 1 or above; must count from 0")
    if highest >= len(labels["train"]):  # one label far out of range would make as many empty classes
        raise DataError(f"{origin}: a label is {highest}, and train has {len(labels['train'])} images; must count from 0")
    return tuple(str(i) for i in range(highest + 1))
