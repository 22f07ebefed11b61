"""Published data sets, read by torchvision's own loaders from `dataset.root`, or downloaded where that is set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import Raw, Split
from augsearch.errors import DataError

Reader = Callable[[DatasetSettings, Path], Raw]
"""Reads a data set from the folder of the user's own data."""


def _read(settings: DatasetSettings, folder: Path, loader: str, calls: dict[str, tuple[dict[str, Any], ...]]) -> Raw:
    """Read with a loader of torchvision's; `calls` has for each split the arguments of the calls whose images make it up."""
    import torchvision  # seconds to import, which other data sets should not pay

    splits: dict[str, Split] = {}
    for name, all_arguments in calls.items():
        images, labels = [], []
        for arguments in all_arguments:
            try:
                loaded = getattr(torchvision.datasets, loader)(folder, download=settings.download, **arguments)
            except Exception as error:  # its loaders raise whatever a damaged file makes them stumble over
                advice = "try again" if settings.download else "put torchvision's files there, or set dataset.download: true"
                reason = " ".join(str(error).split())[:120] or type(error).__name__
                raise DataError(f"dataset.name: {settings.name}: cannot be read from {folder} ({reason}); {advice}") from None
            classes = tuple(str(label) for label in getattr(loaded, "classes", range(10)))
            images.append(_images(loaded.data))
            labels.append(_labels(loaded))
        splits[name] = Split(images[0] if len(images) == 1 else np.concatenate(images), np.concatenate(labels))
    return Raw(splits, classes, f"torchvision's {loader}")


def _images(data: Any) -> Any:
    """Bring the loaders' several layouts to (N, C, H, W) uint8."""
    images = np.asarray(data)
    if images.ndim == 3:
        return images[:, None]
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if images.shape[3] in (1, 3) else images


def _labels(loaded: Any) -> Any:
    return np.asarray(loaded.labels if hasattr(loaded, "labels") else loaded.targets).astype(np.int64)


def _by_flag(loader: str) -> Reader:
    return partial(_read, loader=loader, calls={"train": ({"train": True},), "test": ({"train": False},)})


def _by_split(loader: str, *train: str) -> Reader:
    named = tuple({"split": split} for split in train)
    return partial(_read, loader=loader, calls={"train": named, "test": ({"split": "test"},)})


PUBLISHED: dict[str, Reader] = {
    "cifar10": _by_flag("CIFAR10"),
    "cifar100": _by_flag("CIFAR100"),
    "mnist": _by_flag("MNIST"),
    "fashion_mnist": _by_flag("FashionMNIST"),
    "svhn": _by_split("SVHN", "train"),
    "svhn_extra": _by_split("SVHN", "train", "extra"),
    "stl10": _by_split("STL10", "train"),
}
