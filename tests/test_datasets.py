"""Prepared data: the embedded example and one's own .npz, read whole or refused in one line."""

import hashlib
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy.io import savemat
from torchvision.datasets import CIFAR10, STL10

from augsearch.data.prepare import DATASETS, prepare
from augsearch.data.prepared import load_info, load_split, save
from augsearch.data.published import PUBLISHED
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import SPLITS, Raw
from augsearch.errors import DataError, SettingsError
from augsearch.settings import load


def test_digits_are_fixed() -> None:
    splits, info = prepare(DatasetSettings(name="digits"))
    assert {name: len(split) for name, split in splits.items()} == {"train": 200, "val": 600, "test": 600}
    assert (info.channels, info.height, info.width) == (3, 16, 16)
    assert info.counts["train"] == (20,) * 10
    again, _ = prepare(DatasetSettings(name="digits"))
    assert all(np.array_equal(splits[s].images, again[s].images) for s in SPLITS)
    assert info.fingerprint.startswith("73c9144b25b6f892")  # the published results are on these pixels


def test_prepared_folder_round_trip_and_same_bytes(tmp_path: Path) -> None:
    splits, info = prepare(DatasetSettings(name="digits"))

    def saved(name: str) -> dict[str, str]:
        save(splits, info, tmp_path / name)
        return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted((tmp_path / name).iterdir())}

    assert saved("a") == saved("b")
    assert load_info(tmp_path / "a" / "dataset.json") == info
    assert np.array_equal(load_split(tmp_path / "a", "test").images, splits["test"].images)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("dataset.json", b"{", "dataset.json: not what this version writes .Expecting property name"),
        ("dataset.json", b'{"name": "x", "classes": []}', "not what this version writes .'mean'.; prepare the data"),
        ("train_images.npy", b"torn", "train_\\*.npy: damaged .*; prepare the data .dvc repro prepare."),
        ("train_images.npy", None, "train_images.npy: no such file; prepare the data"),
        ("dataset.json", None, "dataset.json: no such file; prepare the data"),
    ],
)
def test_a_prepared_folder_that_is_damaged(file: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    save(*prepare(DatasetSettings(name="digits")), tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_info(tmp_path / file) if file == "dataset.json" else load_split(tmp_path, "train")


SIZES = (("train", 40), ("val", 20), ("test", 20))


def write_npz(tmp_path: Path, **changes: object) -> DatasetSettings:
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {}
    for split, count in SIZES:
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 28, 20), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 4)[:, None].astype(np.uint8)  # MedMNIST has (N, 1)
    arrays |= changes
    np.savez(tmp_path / "own.npz", **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]
    return DatasetSettings(name=None, npz="own.npz", root=str(tmp_path))


def test_npz_gray_of_any_size(tmp_path: Path) -> None:
    splits, info = prepare(write_npz(tmp_path))
    assert splits["train"].images.shape == (40, 1, 28, 20)
    assert (info.name, info.classes, info.counts["val"]) == ("own", ("0", "1", "2", "3"), (5, 5, 5, 5))


def test_npz_without_val_is_split_evenly(tmp_path: Path) -> None:
    splits, info = prepare(write_npz(tmp_path, val_images=None, val_labels=None))
    assert info.counts["train"] == (8,) * 4
    assert info.counts["val"] == (2,) * 4
    together = np.concatenate([splits["train"].images, splits["val"].images])
    assert len(np.unique(together, axis=0)) == 40  # none lost, none twice


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"train_images": None},
            "no train_images; it holds test_images, .* must hold train_images, train_labels, and",
        ),
        ({"test_images": None}, "test_labels without test_images"),
        ({"tset_images": np.zeros((20, 28, 20), np.uint8)}, "'tset_images' is unknown; splits are train, val, test"),
        ({"train_images": np.zeros((40, 3, 32, 32), np.uint8)}, "has its channels first; must be .N, H, W, C., as transpose"),
        ({"train_images": np.zeros((40, 3, 28, 20), np.uint8)}, "has its channels first"),
        ({"train_images": np.zeros((40, 8, 64, 64), np.uint8)}, "has its channels first"),
        (
            {"train_images": np.zeros((40, 28, 20), np.float32)},
            "images differ in type: train float32, val uint8, test uint8",
        ),
        (
            {"train_images": np.zeros((40, 28, 20), complex)},
            "train_images is complex128 .40, 28, 20.; must be numbers",
        ),
        ({"train_images": np.full((40, 28, 20), np.nan)}, "train_images holds values that are infinite or not a number"),
        ({"train_labels": np.zeros(39, np.uint8)}, "train_labels: uint8 \\(39,\\); must be one class"),
        ({"val_images": np.zeros((20, 28, 28), np.uint8)}, "images differ in shape"),
        ({"train_labels": -np.ones(40, np.int64)}, "one class >= 0"),
        ({"train_labels": np.full(40, 2**63 + 5, np.uint64)}, "train_labels: uint64 .40,.; must be one class >= 0"),
        ({"train_labels": np.eye(4)[np.arange(40) % 4]}, "train_labels: float64 .40, 4.; must be one class >= 0"),
        ({f"{s}_labels": np.arange(n) % 4 + 1 for s, n in SIZES}, "labels begin at 1 or above; must count from 0"),
        ({"train_images": np.zeros((0, 28, 20), np.uint8), "train_labels": np.zeros(0, np.int64)}, "train has 0 images"),
        ({"train_labels": np.full(40, 10**9)}, "a label is 1000000000, and train has 40 images"),
        ({"classes": np.array(["a", "b", "c"])}, "a label is 3; must be 0 to 2, as `classes` has 3"),
        ({"classes": np.array(["a", "b", "A", "d"])}, "classes: class names 'a' and 'A' are the same but for case"),
        ({"classes": np.array(["a", "b", "b", "d"])}, "classes: two classes are called 'b'; rename one"),
        ({"classes": np.array(["a", "b", "", "d"])}, "classes: class '': its name is empty"),
        ({"test_labels": np.arange(20) % 3}, "own.npz: classes without images: test has none of '3'"),
        ({f"{s}_images": np.zeros((n, 1, 1), np.uint8) for s, n in SIZES}, "images are 1x1 pixels; must be at least 4"),
        ({f"{s}_labels": np.zeros(n, np.uint8) for s, n in SIZES}, "has 1 class; must have at least 2"),
    ],
)
def test_npz_that_is_not_what_it_should_be(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    settings = write_npz(tmp_path, **changes)
    with pytest.raises(DataError, match=words):
        prepare(settings)


def test_npz_without_test_is_split_evenly_too(tmp_path: Path) -> None:
    _, info = prepare(write_npz(tmp_path, test_images=None, test_labels=None))
    assert (info.counts["train"], info.counts["val"], info.counts["test"]) == ((8,) * 4, (5,) * 4, (2,) * 4)
    assert info.notes == ("the source has no test split: 8 images of train became it",)


def test_classes_given_as_bytes_are_text(tmp_path: Path) -> None:
    assert prepare(write_npz(tmp_path, classes=np.array([b"a", b"b", b"c", b"d"])))[1].classes == ("a", "b", "c", "d")


def test_npz_that_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match="not a readable .npz"):
        prepare(DatasetSettings(name=None, npz="own.npz", root=str(tmp_path)))


def test_npz_with_a_damaged_middle(tmp_path: Path) -> None:
    settings = write_npz(tmp_path)
    with np.load(tmp_path / "own.npz") as file:
        np.savez_compressed(tmp_path / "own.npz", **dict(file))
    data = bytearray((tmp_path / "own.npz").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    (tmp_path / "own.npz").write_bytes(data)
    with pytest.raises(DataError, match="not a readable .npz"):
        prepare(settings)


def test_missing_npz(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere.npz: no such file"):
        prepare(DatasetSettings(npz="nowhere.npz", root=str(tmp_path)))


# --- the workspace --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [{"npz": "own.npz"}, {"name": "tests.test_datasets:own"}])
def test_root_is_relative_to_the_workspace(source: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data/raw").mkdir(parents=True)
    write_npz(tmp_path / "data/raw")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    _, info = prepare(DatasetSettings(**source), tmp_path)
    assert sum(info.counts["train"]) == 40
    with pytest.raises((DataError, FileNotFoundError)):
        prepare(DatasetSettings(**source))


# --- what every data set goes through -----------------------------------------------------------------


def test_prepared_images_are_mapped_and_train_where_they_lie(tmp_path: Path) -> None:
    splits, info = prepare(DatasetSettings(name="digits"))
    save(splits, info, tmp_path)
    split = load_split(tmp_path, "train")
    assert isinstance(split.images, np.memmap)
    images, labels = split.tensors("cpu")
    assert images.data_ptr() == split.images.ctypes.data  # no copy
    assert split.tensors("cpu")[1] is labels


def test_mean_and_std_are_those_of_the_training_split() -> None:
    splits, info = prepare(DatasetSettings(name="digits"))
    scaled = splits["train"].images.astype(np.float64) / 255
    assert info.mean == pytest.approx(scaled.mean((0, 2, 3)), abs=1e-6)
    assert info.std == pytest.approx(scaled.std((0, 2, 3)), abs=1e-6)


def test_reduced_splits_keep_the_proportions(tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 2, 3], [20, 10, 6, 4])
    settings = write_npz(tmp_path, train_labels=labels, val_images=None, val_labels=None)
    smaller = settings.model_copy(update={"train_size": 20, "val_size": 13})
    splits, info = prepare(smaller)
    assert info.counts["val"] == (7, 3, 2, 1)  # 13 of 20 : 10 : 6 : 4, largest remainders
    assert info.counts["train"] == (10, 5, 3, 2)  # 20 of the 13 : 7 : 4 : 3 that are left
    again, _ = prepare(smaller)
    other, _ = prepare(smaller.model_copy(update={"seed": 1}))
    assert np.array_equal(splits["train"].images, again["train"].images)
    assert not np.array_equal(splits["train"].images, other["train"].images)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"imbalance": 10.0}, (60, 46, 36, 28, 22, 17, 13, 10, 8, 6)),  # 60 * 10 ** (-c / 9)
        ({"counts": {"3": 7, "9": 1}}, (60, 60, 60, 7, 60, 60, 60, 60, 60, 1)),
        ({"train_size": 10}, (1,) * 10),
    ],
)
def test_smaller_training_splits(monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], counts: tuple[int, ...]) -> None:
    def swapped(settings: DatasetSettings, folder: Path) -> Raw:
        raw = digits(settings, folder)
        return Raw({**raw.splits, "train": raw.splits["val"], "val": raw.splits["train"]}, raw.classes, raw.source)

    digits = DATASETS["digits"]
    monkeypatch.setitem(DATASETS, "digits", swapped)
    _, info = prepare(DatasetSettings(name="digits").model_copy(update=changes))
    assert info.counts["train"] == counts
    assert info.counts["val"] == (20,) * 10  # only train is thinned


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_size": 300}, "dataset.train_size: 300; must be at least 10, .* at most the 200 there are"),
        ({"val_size": 9}, "dataset.val_size: 9; must be at least 10"),
        ({"counts": {"11": 3}}, "dataset.counts: '11' is no class, did you mean '1'\\?; there are 0, 1"),
        ({"counts": {"1": 21}}, "dataset.counts: 1: 21; must be at most the 20 there are"),
    ],
)
def test_sizes_that_cannot_be_had(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        prepare(DatasetSettings(name="digits").model_copy(update=changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_fraction": 0.95}, "dataset.test_fraction: 0.95; leaves 0 images of class '0' for val and train"),
        ({"test_fraction": 0.85}, "dataset.test_fraction: 0.85; leaves 1 images of class '0' for val and train"),
        ({"val_fraction": 0.95}, "dataset.val_fraction: 0.95; leaves 0 images of class '0' for train; must be smaller"),
        ({"val_size": 32}, "dataset.val_size: 32; leaves 0 images of class '0' for train; must be smaller"),
    ],
)
def test_fractions_that_leave_nothing(changes: dict[str, float], words: str, tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 2, 3], [9, 10, 10, 11])
    settings = write_npz(tmp_path, train_labels=labels, val_images=None, val_labels=None, test_images=None, test_labels=None)
    with pytest.raises(DataError, match=words):
        prepare(settings.model_copy(update=changes))


def test_counts_take_class_names_as_yaml_writes_them(tmp_path: Path) -> None:
    """`no`, `yes` and `00014` are names, though YAML 1.1 has a truth value or a number for each."""
    for label in ("no", "yes", "00014"):
        (tmp_path / "own" / label).mkdir(parents=True)
        for i in range(8):
            pixels = np.random.default_rng(int(label == "no") * 100 + len(label) * 10 + i).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / label / f"{i}.png")
    params = tmp_path / "params.yaml"
    params.write_text("dataset:\n  folder: own\n  root: .\n  counts: {no: 2, yes: 3, 00014: 4}\n")
    _, info = prepare(load(params).dataset, tmp_path)
    assert dict(zip(info.classes, info.counts["train"])) == {"00014": 4, "no": 2, "yes": 3}


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({False: 20}, "False is a bool; must be a class's name as text, such as 'no'"),
        ({1.0: 20}, "1.0 is a float; must be a class's name as text"),
        ({1: 20, "1": 30}, "names a class twice, as text and as a number"),
        ({"cat": 0}, "class 'cat' has 0; must be at least 1"),
        ({"cat": True}, "valid integer"),
    ],
)
def test_counts_that_name_no_class(counts: dict[object, int], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DatasetSettings(name="digits", counts=counts)


def test_no_more_than_two_copies_of_the_images_are_held(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20_000, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", train_images=images, train_labels=np.arange(len(images)) % 10)
    size = images.nbytes
    del images
    tracemalloc.start()
    try:
        prepare(DatasetSettings(npz="own.npz", root=str(tmp_path), duplicates="drop"))
        assert tracemalloc.get_traced_memory()[1] < 2.3 * size
    finally:
        tracemalloc.stop()


def test_any_source_can_be_resized(tmp_path: Path) -> None:
    splits, info = prepare(write_npz(tmp_path).model_copy(update={"size": (14, 10), "fit": "stretch"}))
    assert splits["test"].images.shape == (20, 1, 14, 10)
    assert (info.height, info.width) == (14, 10)


# --- a function of one's own --------------------------------------------------------------------------


def own(root: Path) -> dict[str, object]:
    with np.load(root / "own.npz") as file:
        return dict(file)


def not_arrays(root: Path) -> list[int]:
    return [1]


def unequal(root: Path) -> dict[str, object]:
    return {"train_images": [[1, 2], [3]], "train_labels": [0, 1]}


def failing(root: Path) -> dict[str, object]:
    return {"train_images": np.load(root / "nowhere.npy")}


def test_a_function_by_import_path(tmp_path: Path) -> None:
    write_npz(tmp_path)
    splits, info = prepare(DatasetSettings(name="tests.test_datasets:own", root=str(tmp_path)))
    assert (info.name, len(splits["train"])) == ("tests.test_datasets.own", 40)


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        ("not_arrays", DataError, "gave a list; must be a dict of arrays: train_images, train_labels, and perhaps"),
        ("unequal", DataError, "gave what is no array: "),
        ("failing", DataError, "fails at .*: .Errno 2. No such file"),
        ("missing", SettingsError, "has no 'missing'"),
    ],
)
def test_a_function_that_is_not_what_it_should_be(function: str, error: type[Exception], words: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=words):
        prepare(DatasetSettings(name=f"tests.test_datasets:{function}", root=str(tmp_path)))


# --- published data sets, in torchvision's own files --------------------------------------------------


def write_idx(path: Path, array: np.ndarray) -> None:
    """MNIST's format: two zero bytes, the type (8: unsigned bytes), the number of axes, their lengths, the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def test_fashion_mnist_from_an_existing_root(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    for stem, images in (("train", train), ("t10k", train[:20] // 2)):
        write_idx(tmp_path / f"FashionMNIST/raw/{stem}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"FashionMNIST/raw/{stem}-labels-idx1-ubyte", np.arange(len(images)) % 10)
    splits, info = prepare(DatasetSettings(name="fashion_mnist", root=str(tmp_path)))
    assert (info.channels, info.counts["train"], info.counts["val"]) == (1, (4,) * 10, (1,) * 10)
    assert "Bag" in info.classes
    assert np.array_equal(splits["test"].images[:, 0], train[:20] // 2)


def test_cifar10_from_an_existing_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = {}
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        images[name] = rng.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
        batch = {"data": images[name].reshape(20, -1), "labels": [i % 10 for i in range(20)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {i}" for i in range(10)]}))
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)  # the published files' checksums
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
    splits, info = prepare(DatasetSettings(name="cifar10", root=str(tmp_path)))
    assert np.array_equal(splits["test"].images, images["test_batch"])
    assert (info.counts["train"], info.counts["val"], info.classes[3]) == ((8,) * 10, (2,) * 10, "class 3")


@pytest.mark.parametrize(("name", "count"), [("svhn", 20), ("svhn_extra", 50)])
def test_svhn_with_and_without_extra(name: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for split, n in (("train", 20), ("extra", 30), ("test", 10)):
        labels = (np.arange(n) % 10 + 1)[:, None]  # the files have 10 for the digit 0
        images = rng.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        savemat(tmp_path / f"{split}_32x32.mat", {"X": images, "y": labels})
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda path, md5: True)
    splits, info = prepare(DatasetSettings(name=name, root=str(tmp_path), val_size=10))
    assert (len(splits["train"]), info.counts["val"]) == (count - 10, (1,) * 10)
    assert splits["test"].labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert np.array_equal(splits["test"].images, images.transpose(3, 2, 0, 1))


def test_stl10_from_an_existing_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    (folder / "class_names.txt").write_text("".join(f"class {i}\n" for i in range(10)))
    for split in ("train", "test"):
        images = rng.integers(0, 256, (20, 3, 96, 96), dtype=np.uint8)
        (folder / f"{split}_X.bin").write_bytes(images.transpose(0, 1, 3, 2).tobytes())  # the files go down the columns
        (folder / f"{split}_y.bin").write_bytes((np.arange(20) % 10 + 1).astype(np.uint8).tobytes())
    monkeypatch.setattr(STL10, "_check_integrity", lambda self: True)
    splits, info = prepare(DatasetSettings(name="stl10", root=str(tmp_path)))
    assert np.array_equal(splits["test"].images, images)
    assert (info.height, info.counts["train"], info.classes[0]) == (96, (1,) * 10, "class 0")


def test_a_damaged_published_set(tmp_path: Path) -> None:
    for stem in ("train", "t10k"):
        write_idx(tmp_path / f"MNIST/raw/{stem}-images-idx3-ubyte", np.zeros((9, 28, 28)))
        write_idx(tmp_path / f"MNIST/raw/{stem}-labels-idx1-ubyte", np.arange(9))
    (tmp_path / "MNIST/raw/train-images-idx3-ubyte").write_bytes(b"garbage")
    with pytest.raises(DataError, match="mnist: cannot be read from .* .AssertionError.; put torchvision's files there"):
        prepare(DatasetSettings(name="mnist", root=str(tmp_path)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_set_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{name}: cannot be read from .*; put torchvision's files there, or set") as caught:
        prepare(DatasetSettings(name=name, root=str(tmp_path)))
    assert "\n" not in str(caught.value)
