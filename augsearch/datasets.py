"""DATASETS, and what every prepared data set is: packed uint8 arrays and a card.

A prepared data set lies in one folder: `train.npz`, `val.npz`, `test.npz` (images (N, C, H, W) uint8, labels
(N,) int64) and `card.json`. The test part has a file of its own because it is sealed: a search is never given
its path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augsearch.config import DatasetSettings
from augsearch.digits import digits
from augsearch.errors import DataError
from augsearch.files import replacing

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """One split: images (N, C, H, W) uint8 and labels (N,) int64."""

    images: Images
    labels: Labels

    def tensors(self, device: str) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.images).to(device), torch.from_numpy(self.labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Raw:
    """What a source gives: its splits, the names of its classes, and a sentence on where it is from."""

    parts: dict[str, Part]
    classes: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Card:
    """What a prepared data set is, for people and for everything that has to know without opening it."""

    name: str
    source: str
    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    """Of the training part, for each channel, on the scale of 0..1."""
    std: tuple[float, ...]
    counts: dict[str, tuple[int, ...]]
    """Images of each class in each split."""
    fingerprint: str
    """SHA-256 over all splits' images and labels."""

    def __str__(self) -> str:
        sizes = ", ".join(f"{sum(counts)} {split}" for split, counts in self.counts.items())
        shape = f"{self.channels}x{self.height}x{self.width}"
        return f"{self.name}: {sizes}; {len(self.classes)} classes, {shape}; {self.fingerprint[:12]}"


def prepare(settings: DatasetSettings) -> tuple[dict[str, Part], Card]:
    """Make the data set that the settings name.

    Raises:
        DataError: it cannot be read, or is not what it should be.
    """
    if settings.npz is not None:
        name, raw = Path(settings.npz).stem, _read_npz(settings)
    else:
        assert settings.name is not None  # the settings' own check
        name, raw = settings.name, DATASETS[settings.name]()
    if len(raw.parts["train"]) == 0 or len(raw.parts["val"]) == 0:
        raise DataError(
            f"{raw.source}: train has {len(raw.parts['train'])} images, val {len(raw.parts['val'])}; each needs some"
        )
    return raw.parts, _card(name, raw)


def _card(name: str, raw: Raw) -> Card:
    train = raw.parts["train"].images
    counts = {
        split: tuple(int(n) for n in np.bincount(part.labels, minlength=len(raw.classes))) for split, part in raw.parts.items()
    }
    digest = hashlib.sha256()
    for split in SPLITS:
        part = raw.parts[split]
        digest.update(f"{split} {part.images.shape}".encode())
        digest.update(np.ascontiguousarray(part.images).tobytes())
        digest.update(part.labels.astype(np.int64).tobytes())
    return Card(
        name=name,
        source=raw.source,
        classes=raw.classes,
        channels=train.shape[1],
        height=train.shape[2],
        width=train.shape[3],
        mean=tuple(round(float(v), 6) for v in train.mean((0, 2, 3)) / 255),
        # a constant channel must not divide by zero
        std=tuple(round(max(float(v), 1e-3), 6) for v in train.std((0, 2, 3)) / 255),
        counts=counts,
        fingerprint=digest.hexdigest(),
    )


# --- sources ------------------------------------------------------------------------------------------


def _digits() -> Raw:
    parts = {split: Part(images, labels) for split, (images, labels) in digits().items()}
    return Raw(parts, tuple(str(i) for i in range(10)), "scikit-learn's digits, rendered by augsearch.digits")


DATASETS: dict[str, Callable[[], Raw]] = {"digits": _digits}
"""Data sets by name."""


def _read_npz(settings: DatasetSettings) -> Raw:
    """A file in MedMNIST's layout: train_images, train_labels, and the same for val and test.

    Images are (N, H, W) or (N, H, W, C) uint8; labels (N,) or (N, 1). Without val, a part of train is split
    off, stratified.
    """
    assert settings.npz is not None
    path = Path(settings.root) / settings.npz
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key == "classes" or key.partition("_")[0] in SPLITS}
    except FileNotFoundError:
        raise DataError(f"dataset.npz: {path}: no such file") from None
    except (ValueError, OSError, BadZipFile, EOFError) as error:
        raise DataError(f"dataset.npz: {path}: not a readable .npz ({error})") from None
    parts = {split: _npz_part(arrays, split, path) for split in SPLITS if f"{split}_images" in arrays}
    for split in ("train", "test"):
        if split not in parts:
            raise DataError(f"dataset.npz: {path}: no {split}_images; it holds {', '.join(sorted(arrays)) or 'nothing known'}")
    shapes = {split: part.images.shape[1:] for split, part in parts.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"dataset.npz: {path}: images differ in shape (channels, height, width): {shapes}")
    highest = max(int(part.labels.max(initial=0)) for part in parts.values())
    named = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else ()
    classes = named if len(named) > highest else tuple(str(i) for i in range(highest + 1))
    if "val" not in parts:
        parts["train"], parts["val"] = split_off(parts["train"], settings.val_fraction)
    return Raw(parts, classes, path.name)


def _npz_part(arrays: dict[str, NDArray[Any]], split: str, path: Path) -> Part:
    images, labels = arrays[f"{split}_images"], arrays.get(f"{split}_labels")
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"dataset.npz: {path}: {split}_images is {images.dtype} {images.shape}; must be uint8 (N, H, W) or (N, H, W, C)"
        )
    if labels is None or labels.size != len(images) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        found = "missing" if labels is None else f"{labels.dtype} {labels.shape}"
        raise DataError(
            f"dataset.npz: {path}: {split}_labels: {found}; must be one class >= 0 for each of {len(images)} images"
        )
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return Part(np.ascontiguousarray(images), labels.reshape(-1).astype(np.int64))


def split_off(part: Part, fraction: float, seed: int = 0) -> tuple[Part, Part]:
    """(the rest, the part split off): that fraction of every class, at least one image of each that has two."""
    rng = np.random.default_rng(seed)
    taken = np.zeros(len(part), bool)
    for label in np.unique(part.labels):
        members = rng.permutation(np.flatnonzero(part.labels == label))
        count = max(round(fraction * len(members)), 1) if len(members) > 1 else 0
        taken[members[:count]] = True
    return Part(part.images[~taken], part.labels[~taken]), Part(part.images[taken], part.labels[taken])


# --- the prepared folder ------------------------------------------------------------------------------


def save(parts: dict[str, Part], card: Card, folder: Path) -> None:
    """Write the prepared folder; the same data give the same bytes, so nothing downstream reruns for nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        part = parts[split]
        with replacing(folder / f"{split}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, images=part.images, labels=part.labels)
    with replacing(folder / "card.json") as temporary:
        temporary.write_text(json.dumps(asdict(card), indent=1) + "\n")


def load_part(path: Path) -> Part:
    try:
        with np.load(path, allow_pickle=False) as file:
            return Part(file["images"], file["labels"])
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; prepare the data first (dvc repro prepare)") from None


def load_card(path: Path) -> Card:
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; prepare the data first (dvc repro prepare)") from None
    tuples = {key: tuple(data[key]) for key in ("classes", "mean", "std")}
    return Card(**(data | tuples | {"counts": {split: tuple(n) for split, n in data["counts"].items()}}))
