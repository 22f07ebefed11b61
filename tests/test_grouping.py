"""Images of one patient, object or video stay on one side of a split: by sub-folder, by expression, by array."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from augsearch.data.grouping import draw_units, units_of
from augsearch.data.prepare import prepare
from augsearch.data.splits import draw, fraction_of
from augsearch.errors import DataError
from augsearch.settings import DatasetSettings

RNG = np.random.default_rng(0)
PARTS = {"crack": 10, "scratch": 15}  # parts of each class, four pictures of each part


def folder(root: Path, pattern: str, split: str = "", parts: dict[str, int] = PARTS) -> DatasetSettings:
    """Every picture has its class in the first pixel and its part in the second."""
    for label, (name, number) in enumerate(parts.items()):
        for part in range(number):
            for i in range(4):
                path = root / "own" / split / name / pattern.format(part=part, i=i)
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = RNG.integers(0, 256, (8, 8), dtype=np.uint8)
                pixels[0, :2] = label, part
                Image.fromarray(pixels).save(path)
    return DatasetSettings(folder="own", root=str(root))


def parts_of(images: np.ndarray, *, apart: bool = True) -> set[tuple[int, ...]]:
    return {tuple(image[0, 0, (0 if apart else 1) : 2].tolist()) for image in images}


RULES = [
    ("part{part:02d}/{i}.png", "folder"),
    ("part{part:02d}/left/{i}.png", "folder"),
    ("part{part:02d}_{i}.png", r"part(\d+)_"),
    ("{i}-of-{part:02d}.png", r"\d+(?=\.png)"),
]


@pytest.mark.parametrize(("pattern", "rule"), RULES)
@pytest.mark.parametrize("seed", range(3))
def test_no_part_is_on_two_sides(pattern: str, rule: str, seed: int, tmp_path: Path) -> None:
    splits, info = prepare(folder(tmp_path, pattern).model_copy(update={"groups": rule, "seed": seed}))
    sides = [parts_of(splits[name].images, apart=False) for name in ("train", "val", "test")]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sum(len(split) for split in splits.values()) == 100
    assert all(min(counts) >= 4 for counts in info.counts.values())
    found = re.fullmatch(
        r"images of one group stay in one split: test has (\d+) of 15 groups and (\d+) of 100 images \(20 asked for\), "
        r"val has \d+ of 15 groups and (\d+) of 100 images \(\d+ asked for\)",
        info.notes[0],
    )
    assert found and (int(found[1]), int(found[2])) == (len(sides[2]), len(splits["test"]))
    assert abs(int(found[2]) - 20) <= 4 and abs(int(found[3]) - 16) <= 4


def test_expressions_may_tell_parts_of_different_classes_apart(tmp_path: Path) -> None:
    rule = r"^(\w+)/part(\d+)"
    splits, info = prepare(folder(tmp_path, "part{part:02d}_{i}.png").model_copy(update={"groups": rule}))
    assert " of 25 groups and 20 of 100 images (20 asked for)" in info.notes[0]
    assert info.counts == {"train": (28, 40), "val": (4, 8), "test": (8, 12)}  # 6 and 10 were asked for val
    assert not parts_of(splits["train"].images) & parts_of(splits["test"].images)


@pytest.mark.parametrize("source", ["npz", "function"])
def test_arrays_bring_their_groups(source: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **own(tmp_path))
    chosen = {"npz": "own.npz"} if source == "npz" else {"name": "tests.test_grouping:own"}
    splits, info = prepare(DatasetSettings(root=str(tmp_path), **chosen))
    patients = [{int(image[0, 0, 0]) for image in splits[name].images} for name in ("train", "val")]
    assert not patients[0] & patients[1]
    assert info.notes[0].startswith("images of one group stay in one split: val has 2 of 10 groups and 12 of 60 images")


def own(root: Path) -> dict[str, np.ndarray]:
    """Ten patients with six images each, of both classes; test has others."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 8, 8), dtype=np.uint8)
    patients, labels = np.arange(90) // 6, np.arange(90) % 2
    images[:, 0, 0] = patients
    return {"train_images": images[:60], "train_labels": labels[:60], "train_groups": patients[:60],
            "test_images": images[60:], "test_labels": labels[60:], "test_groups": patients[60:]}  # fmt: skip


def test_a_picture_of_two_groups_joins_them(tmp_path: Path) -> None:
    arrays = own(tmp_path)
    for patient in range(1, 6):  # the first six patients share a picture
        arrays["train_images"][6 * patient] = arrays["train_images"][0]
    np.savez(tmp_path / "own.npz", **arrays)
    splits, _ = prepare(DatasetSettings(npz="own.npz", root=str(tmp_path)))
    sides = [{int(image[0, 0, 0]) for image in splits[name].images} for name in ("train", "val")]
    assert set(range(6)) <= sides[0] or set(range(6)) <= sides[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_groups": None}, "test_groups: missing; must be one name or number for each of 30 images"),
        ({"train_groups": np.arange(59)}, "train_groups: int64 .59,.; must be one name or number for each of 60 images"),
        ({"train_groups": np.zeros(60)}, "train_groups: float64 .60,.; must be one name or number"),
        ({"trian_groups": np.zeros(60)}, "'trian_groups' is unknown; splits are train, val, test"),
        ({"val_groups": np.zeros(60)}, "val_groups without val_images"),
        (
            {"test_groups": np.arange(30) // 10 + 8},
            "2 groups are in train and in test, such as '8'; a group must",
        ),
        (
            {"train_groups": np.arange(60) // 30 * np.array([1, 0] * 30)},
            "groups of class '1': 1; must be at least 2, for train, val",
        ),
    ],
)
def test_groups_that_cannot_be(changes: dict[str, np.ndarray | None], words: str, tmp_path: Path) -> None:
    arrays = own(tmp_path) | changes
    np.savez(tmp_path / "own.npz", **{key: array for key, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=words):
        prepare(DatasetSettings(npz="own.npz", root=str(tmp_path)))


def test_folders_whose_groups_cannot_be_told(tmp_path: Path) -> None:
    chosen = folder(tmp_path, "part{part:02d}/{i}.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "own/crack/loose.png")
    with pytest.raises(DataError, match="1 pictures in no folder inside their class's, such as crack/loose.png"):
        prepare(chosen.model_copy(update={"groups": "folder"}))
    with pytest.raises(DataError, match=r"1 pictures in which 'part\(..\)' finds nothing, such as crack/loose.png"):
        prepare(chosen.model_copy(update={"groups": "part(..)"}))
    with pytest.raises(DataError, match=r"101 pictures in which 'x\*' finds nothing, such as crack/loose.png"):
        prepare(chosen.model_copy(update={"groups": "x*"}))


def test_own_splits_must_not_share_a_group(tmp_path: Path) -> None:
    folder(tmp_path, "part{part:02d}/{i}.png", "train")
    chosen = folder(tmp_path, "part{part:02d}/{i}.png", "test").model_copy(update={"groups": "folder"})
    with pytest.raises(DataError, match="15 groups are in train and in test, such as 'part00'; .* must have different names"):
        prepare(chosen)
    by_path = chosen.model_copy(update={"groups": "^(.*)/"})  # where the same number is another part
    _, info = prepare(by_path)
    assert info.counts["val"] == (8, 12)


def test_too_few_groups(tmp_path: Path) -> None:
    chosen = folder(tmp_path, "part{part:02d}/{i}.png", parts={"crack": 2, "scratch": 9})
    with pytest.raises(DataError, match="groups of class 'crack': 2; must be at least 3, for train, val, test"):
        prepare(chosen.model_copy(update={"groups": "folder"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"groups": "part(", "folder": "own"}, "must be folder or a regular expression"),
        ({"groups": "folder", "npz": "own.npz"}, "groups: for a folder alone; arrays bring theirs as train_groups"),
    ],
)
def test_group_rules_that_cannot_be(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DatasetSettings(**changes)


@st.composite
def grouped(draw_from: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels and units of up to 200 images: units of one class or of several, at least four with each class."""
    classes = draw_from(st.integers(2, 4))
    sizes = draw_from(st.lists(st.integers(1, 8), min_size=4 * classes, max_size=30))
    units = np.repeat(np.arange(len(sizes)), sizes)
    labels = units % classes
    mixed = draw_from(st.lists(st.integers(0, len(units) - 1), max_size=10))
    labels[mixed] = (labels[mixed] + 1) % classes
    for label in range(classes):
        if len(np.unique(units[labels == label])) < 4:
            labels = units % classes
    return labels, units


@settings(deadline=None)
@given(grouped(), st.integers(0, 5), st.floats(0.05, 0.6))
def test_units_are_drawn_whole_and_near_the_quota(case: tuple[np.ndarray, np.ndarray], seed: int, fraction: float) -> None:
    labels, units = case
    quota = fraction_of(np.bincount(labels), fraction)
    drawn = draw_units(labels, units, quota, seed, stay=1)
    assert not set(units[drawn]) & set(units[~drawn])
    assert set(labels[drawn]) == set(labels[~drawn]) == set(labels)
    assert np.array_equal(drawn, draw_units(labels, units, quota, seed, stay=1))
    assert abs(int(drawn.sum()) - int(quota.sum())) <= 8 * len(quota)  # a unit's size for each class


@given(st.lists(st.integers(0, 3), min_size=12, max_size=60), st.integers(0, 5), st.floats(0.05, 0.6))
def test_units_of_one_image_are_drawn_as_ever(labels: list[int], seed: int, fraction: float) -> None:
    array = np.array([0, 1, 2, 3] * 2 + labels)
    quota = fraction_of(np.bincount(array), fraction)
    alone = np.arange(len(array))
    assert np.array_equal(draw_units(array, alone, quota, seed, stay=0), draw(array, quota, seed))
    # two equal pictures that `draw` does not part change nothing
    drawn = draw(array, quota, seed)
    same = np.flatnonzero((drawn == drawn[0]) & (array == array[0]))
    if len(same) > 1:
        alone[same[1]] = alone[same[0]]
        assert np.array_equal(draw_units(array, alone, quota, seed, stay=0)[~drawn], drawn[~drawn])


def test_units_connect_groups_by_equal_pictures() -> None:
    units = units_of(np.array([0, 1, 2, 2, 3, 4]), np.array(["a", "a", "b", "c", "c", "d"]))
    assert [units[i] == units[j] for i, j in ((0, 1), (2, 3), (3, 4), (0, 2), (4, 5))] == [True, True, True, False, False]
    assert len(set(units_of(np.array([0] * 256 + [1]), np.array(["a"] * 257)))) == 1  # however often a picture is there
