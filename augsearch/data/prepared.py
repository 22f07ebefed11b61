"""The prepared data set: packed uint8 arrays and their DatasetInfo in one folder.

`train_images.npy` (N, C, H, W) uint8, `train_labels.npy` (N,) int64, the same for val and test, and `dataset.json`. Images
are memory-mapped: however many processes train on them, they lie in memory once. The test split has files of its own
because it is held out: a search is never given their path.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from augsearch.data.info import DatasetInfo
from augsearch.data.splits import SPLITS, Split
from augsearch.errors import DataError
from augsearch.files import replacing

_ADVICE = "prepare the data (dvc repro prepare)"


def save(splits: dict[str, Split], info: DatasetInfo, folder: Path) -> None:
    """Write the prepared folder; the same data give the same bytes, so nothing downstream reruns for nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").unlink(missing_ok=True)  # written last: a folder without it is not ready
    for split in SPLITS:
        for kind, array in (("images", splits[split].images), ("labels", splits[split].labels)):
            with replacing(folder / f"{split}_{kind}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array)
    with replacing(folder / "dataset.json") as temporary:
        temporary.write_text(json.dumps(asdict(info), indent=1) + "\n")


def load_split(folder: Path, split: str) -> Split:
    """Load one split of the prepared folder, its images memory-mapped privately: writing to them leaves the file as it is.

    Raises:
        DataError: the folder is not prepared.
    """
    try:
        images = np.load(folder / f"{split}_images.npy", mmap_mode="c", allow_pickle=False)
        return Split(images, np.load(folder / f"{split}_labels.npy", allow_pickle=False))
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: no such file; {_ADVICE}") from None
    except (ValueError, EOFError) as error:
        raise DataError(f"{folder / split}_*.npy: damaged ({error}); {_ADVICE}") from None


def load_info(path: Path) -> DatasetInfo:
    """Load a dataset.json.

    Raises:
        DataError: no such file, or not what this version writes.
    """
    try:
        data = json.loads(path.read_text())
        tuples = {key: tuple(data[key]) for key in ("classes", "mean", "std", "notes")}
        return DatasetInfo(**(data | tuples | {"counts": {split: tuple(n) for split, n in data["counts"].items()}}))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {_ADVICE}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: not what this version writes ({error}); {_ADVICE}") from None
