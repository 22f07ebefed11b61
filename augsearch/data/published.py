"""Published data sets, read by torchvision's own loaders from `dataset.root`, or downloaded where that is set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import Raw, Split
from augsearch.errors import DataError

Reader = Callable[["DatasetSettings"], Raw]


def _read(settings: DatasetSettings, loader: str, splits: dict[str, tuple[dict[str, Any], ...]]) -> Raw:
    """splits: for each part the arguments of the loader's calls whose images make it up, one after the other."""
    import torchvision  # seconds to import, which other data sets should not pay

    parts: dict[str, Split] = {}
    classes: tuple[str, ...] = ()
    for split, calls in splits.items():
        loaded = []
        for arguments in calls:
            try:
                loaded.append(getattr(torchvision.datasets, loader)(settings.root, download=settings.download, **arguments))
            except (RuntimeError, OSError, ValueError) as error:
                advice = "try again" if settings.download else "put torchvision's files there, or set dataset.download: true"
                said = " ".join(str(error).split())[:120]
                raise DataError(f"dataset.name: {settings.name}: not to be had in {settings.root} ({said}); {advice}") from None
        classes = tuple(str(name) for name in getattr(loaded[0], "classes", range(10)))
        parts[split] = Split(
            np.concatenate([_images(part.data) for part in loaded]), np.concatenate([_labels(part) for part in loaded])
        )
    return Raw(parts, classes, f"torchvision's {loader}")


def _images(data: Any) -> Any:
    """The loaders' several layouts -> (N, C, H, W) uint8."""
    images = np.asarray(data)
    if images.ndim == 3:
        return images[:, None]
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if images.shape[3] in (1, 3) else images


def _labels(part: Any) -> Any:
    return np.asarray(part.labels if hasattr(part, "labels") else part.targets).astype(np.int64)


def _by_flag(loader: str) -> Reader:
    return partial(_read, loader=loader, splits={"train": ({"train": True},), "test": ({"train": False},)})


def _by_split(loader: str, *train: str) -> Reader:
    named = tuple({"split": split} for split in train)
    return partial(_read, loader=loader, splits={"train": named, "test": ({"split": "test"},)})


PUBLISHED: dict[str, Reader] = {
    "cifar10": _by_flag("CIFAR10"),
    "cifar100": _by_flag("CIFAR100"),
    "mnist": _by_flag("MNIST"),
    "fashion_mnist": _by_flag("FashionMNIST"),
    "svhn": _by_split("SVHN", "train"),
    "svhn_extra": _by_split("SVHN", "train", "extra"),
    "stl10": _by_split("STL10", "train"),
}
