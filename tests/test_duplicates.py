"""The same picture twice: in two splits or under two classes; never on both sides of a split that is made here."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augsearch.data.prepare import prepare
from augsearch.data.splits import Split
from augsearch.errors import DataError
from augsearch.settings import DatasetSettings

RNG = np.random.default_rng(0)


def folder(root: Path, *splits: str, count: int = 6) -> DatasetSettings:
    for split in splits:
        for label in ("cat", "dog"):
            (root / "own" / split / label).mkdir(parents=True)
            for i in range(count):
                pixels = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / "own" / split / label / f"{i}.png")
    return DatasetSettings(folder="own", root=str(root))


def keys(split: Split, label: int | None = None) -> set[bytes]:
    return {image.tobytes() for image, of in zip(split.images, split.labels) if label in (None, of)}


def three_kinds(root: Path) -> DatasetSettings:
    """2 of train in test, 1 of val in test, 3 of train in val; 1 picture under two classes within train."""
    settings = folder(root, "train", "val", "test")
    own = root / "own"
    for source, target in (
        ("train/cat/0.png", "test/cat/x.png"),
        ("train/dog/1.png", "test/dog/x.png"),
        ("val/cat/2.png", "test/cat/y.png"),
        ("train/cat/3.png", "val/cat/x.png"),
        ("train/cat/4.png", "val/cat/y.png"),
        ("train/dog/5.png", "val/dog/x.png"),
        ("train/cat/5.png", "train/dog/copy of 5.png"),
    ):
        shutil.copy(own / source, own / target)
    return settings


SHARED = (
    "pictures of train that are also in test, pixel for pixel: 2, such as train/cat/0.png and test/cat/x.png",
    "pictures of val that are also in test, pixel for pixel: 1, such as val/cat/2.png and test/cat/y.png",
    "pictures of train that are also in val, pixel for pixel: 3, such as train/cat/3.png and val/cat/x.png",
)
CONFLICT = "pictures that stand under more than one class: 2, such as train/cat/5.png and train/dog/copy of 5.png"


def test_duplicates_are_reported_with_an_example_of_each_kind(tmp_path: Path) -> None:
    _, info = prepare(three_kinds(tmp_path))
    advice = "; dataset.duplicates: drop leaves them out of train and val"
    assert info.notes == tuple(line + advice for line in (*SHARED, CONFLICT))
    assert info.counts == {"train": (6, 7), "val": (8, 7), "test": (8, 7)}


def test_duplicates_can_be_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="; remove them, or set dataset.duplicates to report or drop") as caught:
        prepare(three_kinds(tmp_path).model_copy(update={"duplicates": "refuse"}))
    assert all(line in str(caught.value) for line in (*SHARED, CONFLICT))


def test_duplicates_can_be_dropped(tmp_path: Path) -> None:
    splits, info = prepare(three_kinds(tmp_path).model_copy(update={"duplicates": "drop"}))
    assert info.notes == tuple(f"dropped {line}" for line in (CONFLICT, *SHARED))
    assert info.counts == {"train": (2, 4), "val": (7, 7), "test": (8, 7)}
    train, val, test = (keys(splits[name]) for name in ("train", "val", "test"))
    assert not (train & val or train & test or val & test)


def test_a_conflict_within_test_is_reported_and_test_stays_as_it_is(tmp_path: Path) -> None:
    settings = folder(tmp_path, "train", "val", "test")
    shutil.copy(tmp_path / "own/test/cat/0.png", tmp_path / "own/test/dog/x.png")
    _, info = prepare(settings.model_copy(update={"duplicates": "drop"}))
    assert info.counts["test"] == (6, 7)
    conflict = "pictures that stand under more than one class: 2, such as test/cat/0.png and test/dog/x.png"
    assert info.notes == (f"{conflict}; test stays as it is",)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_equal_pictures_are_split_to_one_side(splits: tuple[str, ...], seed: int, tmp_path: Path) -> None:
    settings = folder(tmp_path, *splits, count=15)
    train = tmp_path / "own" / splits[0]
    for label in ("cat", "dog"):
        for file in sorted((train / label).iterdir()):
            shutil.copy(file, file.with_name(f"copy of {file.name}"))
    shutil.copy(train / "cat/3.png", train / "dog/3 again.png")
    made, info = prepare(settings.model_copy(update={"seed": seed}))
    sides = [keys(made[split]) for split in ("train", "val", "test")]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sum(len(split) for split in made.values()) == (61 if splits == ("",) else 91)
    name = f"{splits[0]}/cat/0.png".lstrip("/")
    assert info.notes[0].startswith(f"pictures that are more than once in the source: 61, such as {name} and ")
    assert info.notes[0].endswith("cat/copy of 0.png; equal ones stay in one split")
    assert info.notes[1].startswith("pictures that stand under more than one class: 3, such as ")
    asked = [round(0.2 * 30), round(0.2 * 31)]  # of each class, in pairs
    assert all(abs(n - q) <= 1 for n, q in zip(info.counts["val" if len(splits) > 1 else "test"], asked))


def test_dropping_comes_before_splitting_and_thinning(tmp_path: Path) -> None:
    settings = folder(tmp_path, "train", "test", count=20)
    for i in range(5):
        shutil.copy(tmp_path / f"own/train/cat/{i}.png", tmp_path / f"own/test/cat/x{i}.png")
    made, info = prepare(settings.model_copy(update={"duplicates": "drop", "val_size": 7, "train_size": 14}))
    assert info.counts["train"] == (6, 8)  # of 15 and 20, less 3 and 4 for val
    assert not keys(made["train"]) & keys(made["test"])


def test_a_class_that_is_dropped_whole_is_explained(tmp_path: Path) -> None:
    settings = folder(tmp_path, "")
    for file in (tmp_path / "own/dog").iterdir():
        shutil.copy(tmp_path / "own/cat" / file.name, file)
    words = "train has none of 'cat', 'dog'; .* .dropped pictures that stand under more than one class: 12, such as"
    with pytest.raises(DataError, match=words):
        prepare(settings.model_copy(update={"duplicates": "drop"}))


def test_arrays_are_named_by_index(tmp_path: Path) -> None:
    arrays = {f"{split}_images": RNG.integers(0, 256, (12, 8, 8), dtype=np.uint8) for split in ("train", "val", "test")}
    arrays["val_images"][7] = arrays["train_images"][5]
    np.savez(tmp_path / "own.npz", **arrays, **{f"{split}_labels": np.arange(12) % 2 for split in ("train", "val", "test")})
    _, info = prepare(DatasetSettings(npz="own.npz", root=str(tmp_path)))
    assert "pixel for pixel: 1, such as train_images[5] and val_images[7]; dataset.duplicates: drop" in info.notes[0]


def test_a_class_of_one_picture_many_times_cannot_be_split(tmp_path: Path) -> None:
    settings = folder(tmp_path, "")
    for file in (tmp_path / "own/dog").iterdir():
        shutil.copy(tmp_path / "own/dog/0.png", file) if file.name != "0.png" else None
    with pytest.raises(DataError, match="different pictures of class 'dog': 1; must be at least 3, for train, val, test"):
        prepare(settings)
