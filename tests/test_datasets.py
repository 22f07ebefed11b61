"""Prepared data: the embedded example and one's own .npz, read whole or refused in one line."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from augsearch import datasets
from augsearch.config import DatasetSettings
from augsearch.errors import DataError


def test_digits_are_fixed() -> None:
    parts, card = datasets.prepare(DatasetSettings(name="digits"))
    assert {split: len(part) for split, part in parts.items()} == {"train": 200, "val": 600, "test": 600}
    assert (card.channels, card.height, card.width) == (3, 16, 16)
    assert card.counts["train"] == (20,) * 10
    again, _ = datasets.prepare(DatasetSettings(name="digits"))
    assert all(np.array_equal(parts[s].images, again[s].images) for s in datasets.SPLITS)


def test_prepared_folder_round_trip_and_same_bytes(tmp_path: Path) -> None:
    parts, card = datasets.prepare(DatasetSettings(name="digits"))

    def saved(name: str) -> dict[str, str]:
        datasets.save(parts, card, tmp_path / name)
        return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted((tmp_path / name).iterdir())}

    assert saved("a") == saved("b")
    assert datasets.load_card(tmp_path / "a" / "card.json") == card
    assert np.array_equal(datasets.load_part(tmp_path / "a" / "test.npz").images, parts["test"].images)


def write_npz(tmp_path: Path, **changes: object) -> DatasetSettings:
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {}
    for split, count in (("train", 40), ("val", 20), ("test", 20)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 28, 20), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 4)[:, None].astype(np.uint8)  # MedMNIST has (N, 1)
    arrays |= changes
    np.savez(tmp_path / "own.npz", **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]
    return DatasetSettings(name=None, npz="own.npz", root=str(tmp_path))


def test_npz_grey_of_any_size(tmp_path: Path) -> None:
    parts, card = datasets.prepare(write_npz(tmp_path))
    assert parts["train"].images.shape == (40, 1, 28, 20)
    assert (card.name, card.classes, card.counts["val"]) == ("own", ("0", "1", "2", "3"), (5, 5, 5, 5))


def test_npz_without_val_is_split_evenly(tmp_path: Path) -> None:
    parts, card = datasets.prepare(write_npz(tmp_path, val_images=None, val_labels=None))
    assert card.counts["train"] == (8,) * 4
    assert card.counts["val"] == (2,) * 4
    together = np.concatenate([parts["train"].images, parts["val"].images])
    assert len(np.unique(together, axis=0)) == 40  # none lost, none twice


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_images": None}, "no test_images; it holds"),
        ({"train_images": np.zeros((40, 28, 20), np.float32)}, "train_images is float32"),
        ({"train_labels": np.zeros(39, np.uint8)}, "train_labels: uint8 \\(39,\\); must be one class"),
        ({"val_images": np.zeros((20, 28, 28), np.uint8)}, "images differ in shape"),
        ({"train_labels": -np.ones(40, np.int64)}, "one class >= 0"),
    ],
)
def test_npz_that_is_not_what_it_should_be(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    settings = write_npz(tmp_path, **changes)
    with pytest.raises(DataError, match=words):
        datasets.prepare(settings)


def test_npz_that_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match="not a readable .npz"):
        datasets.prepare(DatasetSettings(name=None, npz="own.npz", root=str(tmp_path)))
