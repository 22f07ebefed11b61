"""DATASETS, and what every prepared data set is: packed uint8 arrays and a card.

A prepared data set lies in one folder: `train_images.npy` (N, C, H, W) uint8, `train_labels.npy` (N,) int64, the
same for val and test, and `card.json`. Images are memory-mapped: however many processes train on them, they lie
in memory once. The test part has files of its own because it is sealed: a search is never given their path.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from augsearch import plugins
from augsearch.datasets.arrays import LAYOUT, from_arrays, read_npz
from augsearch.datasets.cards import Card, check, make_card, shared_images
from augsearch.datasets.folder import read_folder, resize_part
from augsearch.datasets.parts import (
    SPLITS,
    Images,
    Labels,
    Part,
    Raw,
    counts_of,
    long_tail,
    named_counts,
    split_off,
    stratified,
    take,
)
from augsearch.datasets.published import PUBLISHED
from augsearch.digits import digits
from augsearch.errors import DataError
from augsearch.files import replacing

if TYPE_CHECKING:
    from augsearch.config import DatasetSettings

__all__ = ["DATASETS", "SPLITS", "Card", "Images", "Labels", "Part", "Raw", "load_card", "load_part", "prepare", "save"]


def _digits(settings: DatasetSettings) -> Raw:
    parts = {split: Part(images, labels) for split, (images, labels) in digits().items()}
    return Raw(parts, tuple(str(i) for i in range(10)), "scikit-learn's digits, rendered by augsearch.digits")


DATASETS: dict[str, Callable[[DatasetSettings], Raw]] = {"digits": _digits, **PUBLISHED}
"""Data sets by name. An entry may leave out val or test: they are then split off train."""


def prepare(settings: DatasetSettings) -> tuple[dict[str, Part], Card]:
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
    return raw.parts, make_card(name, raw)


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


def _split_off(train: Part, split: str, fraction: float, settings: DatasetSettings) -> tuple[Part, Part]:
    """(what stays in train, the part split off it)."""
    if split == "val" and settings.val_size is not None:
        counts = counts_of(train, 0)
        taken, rest = take(train, stratified(counts, settings.val_size, "dataset.val_size"), settings.seed)
        return rest, taken
    return split_off(train, fraction, settings.seed)


def _reduced(train: Part, classes: tuple[str, ...], settings: DatasetSettings) -> Part:
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


def _without_duplicates(parts: dict[str, Part], settings: DatasetSettings) -> tuple[dict[str, Part], tuple[str, ...]]:
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


# --- the prepared folder ------------------------------------------------------------------------------


def save(parts: dict[str, Part], card: Card, folder: Path) -> None:
    """Write the prepared folder; the same data give the same bytes, so nothing downstream reruns for nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)  # last to come: a folder without a card is not ready
    for split in SPLITS:
        for kind, array in (("images", parts[split].images), ("labels", parts[split].labels)):
            with replacing(folder / f"{split}_{kind}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array)
    with replacing(folder / "card.json") as temporary:
        temporary.write_text(json.dumps(asdict(card), indent=1) + "\n")


def load_part(folder: Path, split: str) -> Part:
    """A part of the prepared folder; its images are memory-mapped, privately: nothing that is written reaches the file."""
    try:
        images = np.load(folder / f"{split}_images.npy", mmap_mode="c", allow_pickle=False)
        return Part(images, np.load(folder / f"{split}_labels.npy", allow_pickle=False))
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: no such file; prepare the data first (dvc repro prepare)") from None


def load_card(path: Path) -> Card:
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; prepare the data first (dvc repro prepare)") from None
    tuples = {key: tuple(data[key]) for key in ("classes", "mean", "std", "notes")}
    return Card(**(data | tuples | {"counts": {split: tuple(n) for split, n in data["counts"].items()}}))
