"""A folder of pictures: every layout, any sizes and kinds, and one report of all that cannot be used."""

import os
import re
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augsearch.data.prepare import prepare
from augsearch.data.settings import DatasetSettings
from augsearch.errors import DataError

RNG = np.random.default_rng(0)


def picture(path: Path, height: int = 8, width: int = 8, *, gray: bool = False, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if gray else (height, width, 3)
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(path, **options)  # type: ignore[arg-type]
    return path


def class_folders(root: Path, count: int = 10, *, gray: bool = False) -> DatasetSettings:
    for label in ("cat", "dog"):
        for i in range(count):
            picture(root / "own" / label / f"{i}.png", gray=gray)
    return DatasetSettings(folder="own", root=str(root))


def filled(root: Path, *folders: str, count: int = 5) -> DatasetSettings:
    """Pictures in each of the folders; `a/{cat,dog}` are two."""
    for folder in folders:
        before, _, names = folder.partition("{")
        for name in names.rstrip("}").split(","):
            for i in range(count):
                picture(root / "own" / f"{before}{name}" / f"{i}.png")
    return DatasetSettings(folder="own", root=str(root))


def split_folders(root: Path, *splits: str) -> DatasetSettings:
    return filled(root, *(f"{split}/{{cat,dog}}" for split in splits))


def test_class_folders_are_split_evenly_and_always_alike(tmp_path: Path) -> None:
    settings = class_folders(tmp_path)
    splits, info = prepare(settings)
    assert info.counts == {"train": (6, 6), "val": (2, 2), "test": (2, 2)}
    assert (info.name, info.classes, info.channels) == ("own", ("cat", "dog"), 3)
    assert len(np.unique(np.concatenate([split.images for split in splits.values()]), axis=0)) == 20
    assert prepare(settings)[1].fingerprint == info.fingerprint
    assert prepare(settings.model_copy(update={"seed": 1}))[1].fingerprint != info.fingerprint


def test_train_val_and_test_folders_are_kept(tmp_path: Path) -> None:
    splits, info = prepare(split_folders(tmp_path, "train", "val", "test"))
    assert info.counts == {"train": (5, 5), "val": (5, 5), "test": (5, 5)}
    first = np.asarray(Image.open(tmp_path / "own/test/dog/0.png")).transpose(2, 0, 1)
    assert np.array_equal(splits["test"].images[5], first)


def test_val_is_split_off_where_there_is_none(tmp_path: Path) -> None:
    assert prepare(split_folders(tmp_path, "train", "test"))[1].counts["val"] == (1, 1)


def test_mixed_sizes_and_kinds_are_resized(tmp_path: Path) -> None:
    settings = class_folders(tmp_path, 4)
    picture(tmp_path / "own/cat/deep/er.jpg", 40, 20)
    picture(tmp_path / "own/cat/gray.webp", 9, 30, gray=True)
    Image.new("RGBA", (10, 10), (9, 9, 9, 0)).save(tmp_path / "own/cat/clear.png")
    with pytest.raises(DataError, match="images have 4 sizes, such as 8x8 .*; set dataset.size"):
        prepare(settings)
    _, info = prepare(settings.model_copy(update={"size": (16, 12)}))
    assert (info.channels, info.height, info.width) == (3, 16, 12)
    assert sum(sum(counts) for counts in info.counts.values()) == 11


def test_crop_keeps_proportions_and_stretch_keeps_all(tmp_path: Path) -> None:
    settings = split_folders(tmp_path, "train", "val", "test").model_copy(update={"size": (8, 8)})
    for file in (tmp_path / "own").rglob("*.png"):
        pixels = np.zeros((8, 24, 3), np.uint8)
        pixels[:, 8:16] = 255  # white between two black thirds
        Image.fromarray(pixels).save(file)
    cropped = prepare(settings)[0]["train"].images
    stretched = prepare(settings.model_copy(update={"fit": "stretch"}))[0]["train"].images
    assert (cropped == 255).all()
    assert stretched[:, :, :, 0].max() < 20
    assert stretched[:, :, :, 4].min() > 200


def test_gray_pictures_have_one_channel_whatever_their_files_say(tmp_path: Path) -> None:
    settings = class_folders(tmp_path, gray=True)
    file = tmp_path / "own/cat/0.png"
    Image.open(file).convert("RGB").save(file)
    assert prepare(settings)[1].channels == 1
    assert prepare(settings.model_copy(update={"grayscale": False}))[1].channels == 3
    picture(file)
    assert prepare(settings)[1].channels == 3
    assert prepare(settings.model_copy(update={"grayscale": True}))[1].channels == 1


def exif(orientation: int | bytes) -> bytes:
    """EXIF with that orientation, as a number or, wrongly, as text."""
    entry = (
        (3, 1, orientation, 0) if isinstance(orientation, int) else (2, len(orientation), *struct.unpack("<HH", orientation))
    )
    return b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, *entry, 0)


TOP = np.zeros((8, 12, 3), np.uint8)
TOP[0] = 255  # a line of white at the top


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_photo_that_lies_on_its_side_is_turned(suffix: str, tmp_path: Path) -> None:
    settings = split_folders(tmp_path, "train", "val", "test")
    for file in (tmp_path / "own").rglob("*.png"):
        file.unlink()
        options = {"tiffinfo": {0x0112: 6}} if suffix == "tif" else {"exif": exif(6)}
        Image.fromarray(TOP).save(file.with_suffix(f".{suffix}"), **options)
    image = prepare(settings)[0]["train"].images[0, 0]
    assert image.shape == (12, 8)  # the camera's top is at the right
    assert image[:, -1].min() > 200
    assert image[:, :-2].max() < 100


@pytest.mark.parametrize("orientation", [0, 9, 300, b"6\0\0\0", b"up\0\0"])
def test_an_orientation_that_means_nothing_is_ignored(orientation: int | bytes, tmp_path: Path) -> None:
    settings = split_folders(tmp_path, "train", "val", "test")
    for file in (tmp_path / "own").rglob("cat/*.png"):
        Image.fromarray(TOP[:, :8]).save(file, exif=exif(orientation))
    splits, info = prepare(settings)
    assert info.counts["train"] == (5, 5)
    assert (splits["train"].images[0, 0, 0] == 255).all()


def sixteen_bit_color(path: Path) -> None:
    """A PNG with two bytes for each color, which Pillow cannot write."""
    rows = b"".join(b"\0" + RNG.integers(1500, 4000, (8, 3)).astype(">u2").tobytes() for _ in range(8))
    path.write_bytes(png(struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0), rows))


def torn(path: Path) -> None:
    path.write_bytes(picture(path, 64, 64).read_bytes()[:900])


def frames(path: Path, **options: object) -> None:
    first, second = (Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(2))
    first.save(path, save_all=True, append_images=[second], **options)


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("a.gif", frames, "2 frames or pages; must be one picture"),
        ("a.tif", frames, "2 frames or pages; must be one picture"),
        ("a.png", frames, "2 frames or pages; must be one picture"),
        ("a.webp", frames, "2 frames or pages; must be one picture"),
        ("a.png", sixteen_bit_color, "16 bits for each color, which are not read; convert it to 8"),
        ("a.tif", lambda path: Image.frombytes("LAB", (8, 8), bytes(192)).save(path), "pixels of kind LAB, which are not read"),
        ("a.jpg", lambda path: path.touch(), "empty"),
        ("a.heic", lambda path: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100)), "not a readable BMP, GIF, JPEG"),
        ("a.bmp", torn, "broken: image file is truncated"),
        ("a.gif", torn, "broken: image file is truncated"),
    ],
)
def test_a_file_that_would_give_other_pixels_is_named(
    name: str, write: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    settings = class_folders(tmp_path).model_copy(update={"size": (8, 8)})
    write(tmp_path / "own/cat" / name)
    with pytest.raises(DataError, match=re.escape(f"cat/{name} ({words}")):
        prepare(settings)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr"])
def test_every_kind_of_pixel_gives_what_is_seen(mode: str, tmp_path: Path) -> None:
    """White above black, in each of Pillow's modes."""
    settings = class_folders(tmp_path, 6)
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    for i, file in enumerate((tmp_path / "own/cat").iterdir()):
        pixels[7, :3] = np.array([i & 4, i & 2, i & 1])[:, None] > 0  # no two alike
        pixels[7] *= 255
        suffix = ".tif" if mode in ("CMYK", "YCbCr", "PA") else ".png"
        file.unlink()
        image = Image.fromarray(pixels)
        (image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)).save(file.with_suffix(suffix))
    splits, info = prepare(settings)
    seen = splits["train"].images[splits["train"].labels == 0]
    assert seen[:, :, :4].min() > 250 and seen[:, :, 4:7].max() < 5
    assert info.notes == ()


def test_a_camera_s_jpeg_with_a_preview_inside_is_one_picture(tmp_path: Path) -> None:
    settings = class_folders(tmp_path, 6)
    frames(tmp_path / "own/cat/photo.jpg", format="MPO")
    assert sum(sum(counts) for counts in prepare(settings)[1].counts.values()) == 13


def test_transparent_pixels_are_noted(tmp_path: Path) -> None:
    settings = class_folders(tmp_path, 6)
    for i, alpha in enumerate((255, 255, 254)):
        Image.new("RGBA", (8, 8), (i, 9, 9, alpha)).save(tmp_path / "own/cat" / f"clear{i}.png")
    Image.open(tmp_path / "own/dog/0.png").quantize(9).save(tmp_path / "own/dog/palette.png", transparency=3)
    _, info = prepare(settings)
    assert info.notes == (
        "pictures with transparent pixels: 2, such as cat/clear2.png; transparency is dropped, and what lay under it is seen",
    )


def png(head: bytes, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb(path: Path) -> None:
    """A PNG of a hundred bytes whose header promises 60,000 x 60,000 pixels."""
    path.write_bytes(png(struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0), bytes(100)))


def with_bad_files(root: Path) -> DatasetSettings:
    settings = class_folders(root)
    cat = root / "own" / "cat"
    (cat / "a notes.txt").write_text("not a picture")
    (cat / "b empty.png").touch()
    torn = picture(cat / "c torn.jpg", 64, 64)
    torn.write_bytes(torn.read_bytes()[:700])
    bomb(cat / "d bomb.png")
    picture(cat / "e dot.png", 1, 1)
    (cat / "f out.png").symlink_to(picture(root / "elsewhere" / "secret.png"))
    (cat / "g all").symlink_to(root / "elsewhere")
    (cat / "h gone.png").symlink_to(cat / "never.png")
    (cat / ".DS_Store").write_text("the system's own")
    return settings.model_copy(update={"size": (8, 8)})


def test_a_link_to_itself_and_a_folder_named_like_a_picture(tmp_path: Path) -> None:
    settings = filled(tmp_path, "cat", "dog.png")
    (tmp_path / "own/cat/loop.png").symlink_to(tmp_path / "own/cat/loop.png")
    with pytest.raises(DataError, match="1 files cannot be used: cat/loop.png .a link to nothing."):
        prepare(settings)
    assert prepare(settings.model_copy(update={"bad_files": "skip"}))[1].classes == ("cat", "dog.png")


def test_one_report_names_every_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="8 files cannot be used") as caught:
        prepare(with_bad_files(tmp_path))
    message = str(caught.value)
    for words in (
        "cat/a notes.txt (not a readable BMP, GIF, JPEG, PNG, PPM, TIFF or WebP image)",
        "cat/b empty.png (empty)",
        "cat/c torn.jpg (broken: image file is truncated",
        "cat/d bomb.png (huge: more than 64 million pixels)",
        "cat/e dot.png (1x1 pixels, at least 4 each way)",
        "cat/f out.png (a link that leads out of the folder)",
        "cat/g all (a link to a folder, which is not followed)",
        "cat/h gone.png (a link to nothing)",
        "remove or mend them, or set dataset.bad_files: skip",
    ):
        assert words in message
    assert "\n" not in message
    assert "DS_Store" not in message


def test_bad_files_can_be_skipped_and_are_noted(tmp_path: Path) -> None:
    _, info = prepare(with_bad_files(tmp_path).model_copy(update={"bad_files": "skip"}))
    assert sum(sum(counts) for counts in info.counts.values()) == 20
    assert info.notes[0].startswith("8 files were skipped: cat/")


def test_a_class_that_loses_every_picture_is_explained(tmp_path: Path) -> None:
    settings = class_folders(tmp_path)
    for file in (tmp_path / "own/dog").iterdir():
        file.write_text("x")
    with pytest.raises(DataError, match="train has none of 'dog'; every split needs .* .10 files were skipped: dog/0.png"):
        prepare(settings.model_copy(update={"bad_files": "skip"}))


def test_a_long_report_is_cut_with_its_number(tmp_path: Path) -> None:
    settings = class_folders(tmp_path)
    for i in range(40):
        (tmp_path / "own/dog" / f"{i}.txt").write_text("x")
    with pytest.raises(DataError, match="40 files cannot be used: .* and 10 more; remove"):
        prepare(settings)


def test_folders_that_cannot_be_a_data_set(tmp_path: Path) -> None:
    def refused(words: str) -> None:
        with pytest.raises(DataError, match=words):
            prepare(DatasetSettings(folder="own", root=str(tmp_path)))

    refused("own: no such folder")
    (tmp_path / "own" / "train").mkdir(parents=True)
    refused("has train but no test; name train itself in dataset.folder")
    split_folders(tmp_path, "train", "test")
    picture(tmp_path / "own/train/emu/1.png")
    refused("train has 3 classes and test 2; only one of them has 'emu'")
    (tmp_path / "own/test/emu").mkdir()
    refused("classes without images: test has none of 'emu'")


# --- names ------------------------------------------------------------------------------------------------


def test_a_folder_name_that_is_not_utf8_is_refused_with_the_command_that_renames_it(tmp_path: Path) -> None:
    settings = filled(tmp_path, "cat")
    (tmp_path / "own/cat").rename(os.fsdecode(os.fsencode(tmp_path) + b"/own/le \xe7a's"))
    filled(tmp_path, "cat")
    with pytest.raises(
        DataError, match=re.escape('the name of class folder "le ça\'s" is not in UTF-8; rename it: mv ')
    ) as caught:
        prepare(settings)
    str(caught.value).encode()  # it can be printed
    subprocess.run(["bash", "-c", str(caught.value).partition("rename it: ")[2]], check=True)
    assert prepare(settings)[1].classes == ("cat", "le ça's")


def test_a_file_name_that_is_not_utf8_can_be_used_and_named(tmp_path: Path) -> None:
    settings = class_folders(tmp_path)
    (tmp_path / "own/cat/0.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/own/cat/\xe7a.png"))
    assert sum(prepare(settings)[1].counts["train"]) == 12
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/own/cat/l\xe0\n.txt")).write_text("no picture")
    with pytest.raises(DataError, match=re.escape(r"cat/là\n.txt (not a readable BMP, ")):
        prepare(settings)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("cat", "two\nlines"), r"class 'two\nlines': its name holds control characters; rename it"),
        (("cat", "bell\x07"), r"class 'bell\x07': its name holds control characters; rename it"),
        (("cat", "dog "), "class 'dog ': its name is empty, or begins or ends with a space; rename it"),
        (
            ("Cat", "cat"),
            "class names 'Cat' and 'cat' are the same but for case, spaces or the form of accents; rename one, or",
        ),
        (("e\u0301", "\u00e9"), r"class names 'e\u0301' and '\xe9' are the same but for case, spaces or the form of accents"),
    ],
)
def test_class_names_that_would_fail_later_are_refused(names: tuple[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        prepare(filled(tmp_path, *names))
    assert "\n" not in str(caught.value)


def test_class_names_of_any_script_are_kept(tmp_path: Path) -> None:
    names = ("猫", "می\u200cخواهم", "क\u094d\u200dष", "two words", "🐈")
    assert set(prepare(filled(tmp_path, *names))[1].classes) == set(names)


def test_class_names_that_differ_between_splits_in_what_cannot_be_seen(tmp_path: Path) -> None:
    settings = filled(tmp_path, "train/{cat,e\u0301}", "test/{cat,\u00e9}")
    with pytest.raises(DataError, match=re.escape(r"train and test: class names 'e\u0301' and '\xe9' are the same but")):
        prepare(settings)


# --- layouts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("TRAIN", "TEST", "VAL"),
        ("Training", "Testing", "Validation"),
        ("tr", "te", "dev"),
        ("seg_train", "seg_test", "seg_valid"),
        ("train_images", "test_images", "val_images"),
        ("Train Set", "Test Set", "Eval Set"),
        ("1_train", "2_val", "3_test"),
        ("train2017", "test2017", "val2017"),
        ("mriTrain", "mriTest", "mriVal"),
        ("trainset", "testset", "valset"),
        ("x-train", "x-holdout", "x-valid"),
        ("train", "evaluation", "validation"),
    ],
)
def test_splits_are_known_in_their_usual_spellings(names: tuple[str, ...], tmp_path: Path) -> None:
    settings = split_folders(tmp_path, *names)
    (tmp_path / "own" / names[0] / "cat/4.png").unlink()
    _, info = prepare(settings)
    assert (info.classes, info.counts) == (("cat", "dog"), {"train": (4, 5), "val": (5, 5), "test": (5, 5)})


def test_the_extra_level_of_downloads_is_followed(tmp_path: Path) -> None:
    _, info = prepare(split_folders(tmp_path, "seg_train/seg_train", "seg_test/seg_test"))
    assert (info.classes, info.counts["test"]) == (("cat", "dog"), (5, 5))
    assert info.notes == ("splits by name: train is seg_train/seg_train, test is seg_test/seg_test",)


def test_folders_inside_classes_are_pooled_and_noted_where_they_may_be_parted(tmp_path: Path) -> None:
    settings = filled(tmp_path, "cat/{day1,day2}", "dog")
    _, info = prepare(settings)
    assert sum(counts[0] for counts in info.counts.values()) == 10
    assert info.notes == (
        "pictures of class 'cat' lie in 2 folders, such as cat/day2; if each shows one object, dataset.groups keeps its "
        "pictures in one split",
    )
    stated = filled(tmp_path / "given", *(f"{s}/{c}" for s in ("train", "val", "test") for c in ("cat/{a,b}", "dog")))
    assert prepare(stated)[1].notes == ()


def test_a_missing_test_split_is_split_off_train_and_noted(tmp_path: Path) -> None:
    _, info = prepare(split_folders(tmp_path, "train", "val"))
    assert info.counts == {"train": (4, 4), "val": (5, 5), "test": (1, 1)}
    assert info.notes == ("the source has no test split: 2 images of train became it",)


def test_what_the_system_and_other_programs_leave_is_no_class_and_no_picture(tmp_path: Path) -> None:
    settings = split_folders(tmp_path, "train", "test")
    own = tmp_path / "own"
    for folder in (".git", "__MACOSX", ".ipynb_checkpoints", "@eaDir", "train/.ipynb_checkpoints", "train/cat/__MACOSX"):
        picture(own / folder / "1.png")
    for file in ("Thumbs.db", "train/Thumbs.db", "train/cat/thumbs.db", "test/dog/.DS_Store", "test/dog/._1.png", "README.txt"):
        (own / file).write_text("x")
    _, info = prepare(settings)
    assert (info.counts["test"], info.notes) == ((5, 5), ())


@pytest.mark.parametrize("classes", [("bus", "train"), ("test_tube", "training_shoe"), ("fold_mark", "stain"), ("other", "te")])
def test_a_class_may_be_called_like_a_split(classes: tuple[str, str], tmp_path: Path) -> None:
    _, info = prepare(filled(tmp_path, *classes))
    assert info.classes == classes


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (
            ("fold_0/{all,hem}", "fold_1/{all,hem}"),
            "has fold_0/{all, hem}, fold_1/{all, hem}, and either level may be the classes",
        ),
        (("animals/{cat,dog}", "things/{cup,car}"), "either level may be the classes; set dataset.groups: folder"),
        (
            ("train/fold_0/{all,hem}", "train/fold_1/{all,hem}", "test/fold_0/{all,hem}"),
            "or dataset.layout: splits if they mean",
        ),
        (("cat/{train,test}", "dog/{train,test}"), "'cat' holds test and train folders; splits must be the outermost folders"),
        (("cat_train", "cat_test", "dog_train", "dog_test"), "'cat_test' and 'cat_train' look like splits of one class"),
        (("train/{cat,dog}", "test/{cat,dog}", "extra/{cat,dog}"), "'extra' stands beside 'test'; move it elsewhere"),
        (("train/{cat,dog}", "cat", "dog"), "'cat' stands beside 'train'"),
        (("train", "test"), "train holds pictures but no class folders; put each class into a folder"),
        (("train/{cat,dog}", "test"), "test holds pictures but no class folders; move it elsewhere, and a test split is split"),
        (("train_a/{cat,dog}", "train_b/{cat,dog}", "test/{cat,dog}"), "'train_a' stands beside 'test'"),
        (("train_1/{cat,dog}", "train_2/{cat,dog}"), "both 'train_1' and 'train_2' are train by name; merge them"),
        (("val/{cat,dog}", "test/{cat,dog}"), "has test and val but no train"),
        (("train/{cat,dog}",), "has train but no test; name train itself in dataset.folder"),
        (("train/{cat,dog}", "eval/{cat,dog}"), "'eval' may be the validation or the test split; rename it to val or test"),
        (("images", "masks"), "'images' stands where a class's name should"),
        (("fold_0", "fold_1"), "'fold_0' stands where a class's name should"),
        (("pets/{cat,dog}",), "has 1 class folders; must have at least 2; name pets too in dataset.folder"),
        (("cat",), "has 1 class folders; must have at least 2"),
    ],
)
def test_a_layout_that_cannot_be_told_is_refused(folders: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        prepare(filled(tmp_path, *folders))
    assert str(caught.value).endswith(
        "must be train/CLASS/1.png, test/CLASS/2.png and perhaps val/CLASS/3.png, or CLASS/1.png alone"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "folders", "classes"),
    [
        ("classes", ("fold_0/{all,hem}", "fold_1/{all,hem}"), ("fold_0", "fold_1")),
        ("classes", ("train/{cat,dog}", "bus"), ("bus", "train")),
        ("classes", ("images", "masks"), ("images", "masks")),
        (
            "splits",
            tuple(f"{folder}/{{left,right}}" for folder in ("train/cat", "train/dog", "test/cat", "test/dog")),
            ("cat", "dog"),
        ),
    ],
)
def test_the_layout_can_be_stated(layout: str, folders: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path) -> None:
    settings = filled(tmp_path, *folders).model_copy(update={"layout": layout})
    assert prepare(settings)[1].classes == classes


def test_groups_explain_a_second_level_but_not_splits_within_classes(tmp_path: Path) -> None:
    settings = filled(tmp_path, "cat/{a,b,c}", "dog/{a,b,c}").model_copy(update={"groups": "folder"})
    assert prepare(settings)[1].classes == ("cat", "dog")
    filled(tmp_path, "cat/{train,test}")
    with pytest.raises(DataError, match="'cat' holds test and train folders"):
        prepare(settings)


def test_a_split_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    settings = split_folders(tmp_path, "train")
    filled(tmp_path / "secret", "{cat,dog}")
    (tmp_path / "own/test").symlink_to(tmp_path / "secret/own")
    with pytest.raises(DataError, match="own/test: a link to a folder, which is not followed"):
        prepare(settings)


def test_pictures_in_no_class_are_reported(tmp_path: Path) -> None:
    settings = split_folders(tmp_path, "train", "test")
    picture(tmp_path / "own/train/stray.JPG", format="PNG")
    picture(tmp_path / "own/overview.png")
    with pytest.raises(DataError, match="2 files cannot be used: overview.png .in no class's folder., train/stray.JPG .in no"):
        prepare(settings)


@pytest.mark.parametrize("folder", [".", "./", "../raw"])
def test_the_root_itself_may_be_the_folder(folder: str, tmp_path: Path) -> None:
    filled(tmp_path / "raw", "{cat,dog}")
    (tmp_path / "raw/own").rename(tmp_path / "raw2")
    (tmp_path / "raw").rmdir()
    (tmp_path / "raw2").rename(tmp_path / "raw")
    assert prepare(DatasetSettings(folder=folder, root=str(tmp_path / "raw")))[1].name == "raw"
