"""Pixel values of more than 8 bits: from pictures or arrays, one stated rule, the same for every split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from augsearch.data.depth import to_eight_bits
from augsearch.data.prepare import prepare
from augsearch.data.splits import Split
from augsearch.errors import DataError
from augsearch.settings import DatasetSettings

LOW, HIGH = 1500, 4000  # of train: what a camera of 12 bits gives
HIGHEST = {"train": HIGH, "val": HIGH, "test": 4200}
ORDER = np.argsort(np.arange(12) % 2, kind="stable")  # as a folder lists its two classes


def values(split: str, low: int = LOW, high: int = HIGH) -> np.ndarray:
    """(12, 6, 9); train has its lowest and its highest value."""
    drawn = np.random.default_rng(len(split)).integers(low, high + 1, (12, 6, 9))
    drawn[:, 0, 0], drawn[:, 0, 1] = low, high
    return drawn


def big_endian(array: np.ndarray) -> Image.Image:
    return Image.frombytes("I;16B", array.shape[::-1], array.astype(">u2").tobytes())


def as_folder(convert: Callable[[np.ndarray], Image.Image], suffix: str) -> Callable[[Path], DatasetSettings]:
    def write(root: Path) -> DatasetSettings:
        for split, high in HIGHEST.items():
            for i, array in enumerate(values(split, high=high)):
                path = root / "own" / split / "ab"[i % 2] / f"{i:02d}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                convert(array).save(path)
        return DatasetSettings(folder="own", root=str(root))

    return write


def as_npz(dtype: type) -> Callable[[Path], DatasetSettings]:
    def write(root: Path) -> DatasetSettings:
        arrays = {f"{split}_images": values(split, high=high)[ORDER].astype(dtype) for split, high in HIGHEST.items()}
        np.savez(root / "own.npz", **arrays, **{f"{split}_labels": np.arange(12) // 6 for split in ("train", "val", "test")})
        return DatasetSettings(npz="own.npz", root=str(root))

    return write


SOURCES = {
    "png": as_folder(lambda array: Image.fromarray(array.astype(np.uint16)), "png"),
    "tiff": as_folder(lambda array: Image.fromarray(array.astype(np.uint16)), "tif"),
    "big-endian tiff": as_folder(big_endian, "tif"),
    "signed tiff": as_folder(lambda array: Image.fromarray(array.astype(np.int32)), "tif"),
    "float tiff": as_folder(lambda array: Image.fromarray(array.astype(np.float32)), "tif"),
    "uint16 npz": as_npz(np.uint16),
    "float npz": as_npz(np.float32),
}


@pytest.mark.parametrize("source", SOURCES)
def test_one_rule_for_every_source(source: str, tmp_path: Path) -> None:
    settings = SOURCES[source](tmp_path)
    refused = (
        r"the pixel values of train are \w+ from 1500 to 4000, and images are prepared in 8 bits; set dataset.depth: "
        r"bits \(4095 becomes 255\) or range \(1500 becomes 0 and 4000 becomes 255\)$"
    )
    with pytest.raises(DataError, match=refused):
        prepare(settings)
    for depth, bottom, top in (("bits", 0, 4095), ("range", LOW, HIGH)):
        splits, info = prepare(settings.model_copy(update={"depth": depth}))
        for split, high in HIGHEST.items():
            exact = np.clip((values(split, high=high)[ORDER] - bottom) * 255 / (top - bottom), 0, 255)
            assert np.abs(splits[split].images[:, 0] - exact).max() < 0.5 + 1e-9
        outside = int((values("test", high=4200) > (top + (top - bottom) / 510)).sum())
        assert f"in every split {bottom} became 0 and {top} became 255 (dataset.depth: {depth}); " in info.notes[0]
        assert info.notes[0].endswith(f"; {outside} values of val and test lay outside and were cut") and outside > 0


def test_the_range_is_that_of_the_training_split_though_it_is_split_off(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 60_000, (200, 4, 4)).astype(np.uint16)
    images[:, 0, 0] = np.arange(200) * 300  # the highest values lie in a few images
    labels = np.arange(200) % 2
    np.savez(
        tmp_path / "own.npz", train_images=images, train_labels=labels, test_images=images[:9] // 2, test_labels=labels[:9]
    )
    splits, info = prepare(DatasetSettings(npz="own.npz", root=str(tmp_path), depth="range"))
    assert (splits["train"].images.min(), splits["train"].images.max()) == (0, 255)
    assert "range" in info.notes[-1]


def test_pictures_of_more_than_8_bits_are_resized_within_their_values(tmp_path: Path) -> None:
    for i in range(12):
        path = tmp_path / "own" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.full((16, 16), LOW, np.uint16)
        array[:, 8:] = HIGH - 10 * i  # an edge, where bicubic weights overshoot
        Image.fromarray(array).save(path)
    splits, info = prepare(DatasetSettings(folder="own", root=str(tmp_path), size=(8, 8), depth="bits"))
    images = np.concatenate([split.images for split in splits.values()])
    assert images.shape == (12, 1, 8, 8)
    assert (images.min(), images.max()) == (round(LOW * 255 / 4095), round(HIGH * 255 / 4095))
    assert "cut" not in info.notes[0]


@pytest.mark.parametrize(
    ("images", "depth", "words"),
    [
        (np.full((9, 4, 4), 7.5), "range", "float64 from 7.5 to 7.5; such images show nothing"),
        (np.full((9, 4, 4), -1.0), "bits", "from -1 to -1; dataset.depth: bits takes none below 0; set range"),
        (
            np.linspace(-1, 1, 144).reshape(9, 4, 4),
            "refuse",
            "from -1 to 1, .* set dataset.depth: range \\(-1 becomes 0 and 1 becomes",
        ),
        (np.linspace(0, 1, 144).reshape(9, 4, 4), "refuse", "set dataset.depth: bits \\(1 becomes 255\\) or range"),
        (np.arange(144).reshape(9, 4, 4), "refuse", "int64 from 0 to 143, .* bits \\(255 becomes 255\\) or range"),
    ],
)
def test_values_that_a_rule_cannot_take(images: np.ndarray, depth: str, words: str, tmp_path: Path) -> None:
    labels = np.arange(9) % 2
    np.savez(tmp_path / "own.npz", train_images=images, train_labels=labels, val_images=images, val_labels=labels,
             test_images=images, test_labels=labels)  # fmt: skip
    with pytest.raises(DataError, match=words):
        prepare(DatasetSettings(npz="own.npz", root=str(tmp_path), depth=depth))


def test_pictures_of_several_kinds_of_values_are_refused(tmp_path: Path) -> None:
    for i in range(8):
        path = tmp_path / "own" / "ab"[i % 2] / f"{i}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), i, np.uint8 if i < 6 else np.uint16 if i < 7 else np.float32)).save(path)
    with pytest.raises(DataError, match=r"3 kinds: 8 bits .6, such as a/0.tif., more than 8 bits .1, such as .*, fractions .1"):
        prepare(DatasetSettings(folder="own", root=str(tmp_path), depth="bits"))


def test_8_bits_that_are_hardly_used_are_noted_and_spread_on_request(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"{split}_images": rng.integers(0, 17, (20, 8, 8), dtype=np.uint8) for split in ("train", "val", "test")}
    np.savez(tmp_path / "own.npz", **arrays, **{f"{split}_labels": np.arange(20) % 2 for split in ("train", "val", "test")})
    settings = DatasetSettings(npz="own.npz", root=str(tmp_path))
    splits, info = prepare(settings)
    assert np.array_equal(splits["train"].images[:, 0], arrays["train_images"])
    assert info.notes[0].startswith("99.9% of the pixel values of train are at most 16 of 255; operations such as Solarize")
    splits, info = prepare(settings.model_copy(update={"depth": "range"}))
    assert np.array_equal(splits["train"].images[:, 0], np.rint(arrays["train_images"] * (255 / 16)))


def test_a_stray_high_value_that_spoils_the_scale_is_noted(tmp_path: Path) -> None:
    arrays = {f"{split}_images": np.repeat(values(split), 20, 2).astype(np.uint16) for split in ("train", "val", "test")}
    arrays["train_images"][0, 0, 0] = 65535
    np.savez(tmp_path / "own.npz", **arrays, **{f"{split}_labels": np.arange(12) % 2 for split in ("train", "val", "test")})
    _, info = prepare(DatasetSettings(npz="own.npz", root=str(tmp_path), depth="bits"))
    assert "from 1500 to 65535; in every split 0 became 0 and 65535 became 255" in info.notes[0]
    assert info.notes[1].startswith("99.9% of the pixel values of train are at most 16 of 255")


NUMBERS = st.sampled_from([np.uint16, np.int32, np.float32, np.float64, np.uint8])


@given(st.lists(st.integers(0, 60_000), min_size=2, max_size=40, unique=True), NUMBERS, st.sampled_from(["bits", "range"]))
def test_order_is_kept_and_the_rule_is_linear(numbers: list[int], dtype: type, depth: str) -> None:
    if dtype == np.uint8:
        numbers = sorted({number % 256 for number in numbers} | {0, 1})
    images = np.array(sorted(numbers)).astype(dtype).reshape(-1, 1, 1, 1)
    split = Split(images, np.zeros(len(numbers), np.int64))
    made, _ = to_eight_bits({"train": split, "val": split, "test": split}, depth, "own")
    eight = made["train"].images.reshape(-1).astype(np.float64)
    assert made["train"].images.dtype == np.uint8 and (np.diff(eight) >= 0).all()
    slope, offset = np.polyfit(images.reshape(-1).astype(np.float64), eight, 1)
    assert np.abs(slope * images.reshape(-1) + offset - eight).max() <= 1
    if depth == "range":
        assert (eight[0], eight[-1]) == (0, 255)
