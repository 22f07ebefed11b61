"""The command: files in and out, and errors of one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augsearch.cli import main
from augsearch.errors import DataError
from augsearch.policy import Chain, Policy, Schedule, Segment, load_policy, save
from augsearch.policy.image_files import load_images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_import_export_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pictures").mkdir()
    for i in range(2):
        Image.fromarray(np.full((9, 12, 3), 80 * i, np.uint8)).save(folder / "pictures" / f"{i}.png")
    assert main(["policy", "import", "cifar10", "--from", "autoaugment", "-o", "policy.json"]) == 0
    assert isinstance(load_policy("policy.json"), Policy)
    assert main(["policy", "export", "policy.json", "--to", "torchvision", "-o", "policy.py"]) == 0
    assert main(["policy", "show", "policy.json", "--images", "pictures", "--columns", "3", "-o", "policy.png"]) == 0
    out = capsys.readouterr().out
    assert "policy.json: a policy of 25 sub-policies" in out
    assert "each operation gives the same pixels" in out
    with Image.open("policy.png") as sheet:
        assert sheet.height > 26 * 64  # a row for each sub-policy and one for the originals


def upright() -> Image.Image:
    """Twice as wide as high, dark on the left."""
    return Image.fromarray(np.tile(np.repeat(np.array([40, 200], np.uint8), 20), (20, 1)))


def on_its_side() -> tuple[Image.Image, Image.Exif]:
    """The same as a camera held upright stores it, and the tag that says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return upright().rotate(90, expand=True), exif


def test_show_takes_every_kind_of_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder / "cats and dogs"
    for name in ("train/cat/deep", "test/dog", ".hidden"):
        (root / name).mkdir(parents=True)
    image, exif = on_its_side()
    image.save(root / "train" / "cat" / "a.jpg", exif=exif)
    deep = Image.fromarray(np.asarray(upright()).astype(np.uint16) * 257)
    deep.save(root / "train" / "cat" / "b.png")
    deep.rotate(90, expand=True).save(root / "train" / "cat" / "c.tiff", exif=exif)
    upright().convert("CMYK").save(root / "train" / "cat" / "deep" / "d.jpg")
    upright().convert("P").save(root / "test" / "dog" / "e.gif")
    upright().convert("P").save(root / "test" / "dog" / "f.PNG", transparency=bytes(range(256)))
    upright().convert("RGBA").save(root / "test" / "dog" / "g", format="PNG")
    upright().convert("1").save(root / "test" / "dog" / "h.bmp")
    upright().resize((2000, 1000)).save(root / "test" / "dog" / "i.webp")
    (root / "test" / "labels.csv").write_text("name,label")
    (root / "test" / "dog" / "empty.png").touch()
    (root / "test" / "dog" / "gone.png").symlink_to("nowhere")
    (root / ".hidden" / "x.png").write_bytes(b"")
    images, notes = load_images(root, 20)
    assert images.shape == (9, 3, 20, 40)  # as the first one, a palette
    dark, bright = images[:, 0, 4:16, 4:16].mean((1, 2)), images[:, 0, 4:16, 24:36].mean((1, 2))
    assert np.all(dark < 90) and np.all(bright > 150), (dark, bright)
    assert len(notes) == 1 and "dog/empty.png (not a picture), test/dog/gone.png (not a file), test/labels.csv" in notes[0]
    assert main(["policy", "import", "1,9", "--from", "randaugment", "-o", "policy.json"]) == 0
    assert main(["policy", "show", "policy.json", "--images", "cats and dogs", "--columns", "20", "-o", "out.png"]) == 0
    assert "passed over: test/dog/empty.png" in capsys.readouterr().out


def test_show_reads_no_more_pictures_than_it_shows(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        upright().save(folder / name)
    (folder / "z.txt").write_text("not looked at")
    images, notes = load_images(folder, 2)
    assert (len(images), notes) == (2, [])
    assert load_images(folder / "a.png", 8)[0].shape == (1, 1, 20, 40)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pictures_of_32_bits_are_named(folder: Path, mode: str) -> None:
    Image.new(mode, (8, 8)).save(folder / "a.tiff")
    with pytest.raises(DataError, match=rf"no pictures: a.tiff \(a picture of mode '{mode}'; must have 8 bits"):
        load_images(folder, 2)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"not a zip"])
def test_files_of_arrays_that_cannot_be_read(folder: Path, content: bytes) -> None:
    (folder / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a.npz: must be a folder of pictures or an .npz file with train_images"):
        load_images(folder / "a.npz", 2)


def test_show_of_a_schedule_has_its_bands(folder: Path) -> None:
    half = [5, 5] + [0] * 58
    (folder / "log.txt").write_text(f"['1', '0', 6, 5, {[0] * 60}, {half}]\n")
    assert main(["policy", "import", "log.txt", "--from", "pba", "--search-epochs", "10", "-o", "schedule.json"]) == 0
    assert main(["policy", "show", "schedule.json", "--columns", "6", "-o", "schedule.png"]) == 0
    with Image.open("schedule.png") as sheet:
        assert sheet.height > 7 * 64 + 300
        assert len(sheet.crop((0, 0, sheet.width, 300)).convert("RGB").getcolors(1 << 20)) > 20


def test_show_of_a_chain_has_each_part_and_the_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "import", "svhn", "--from", "autoaugment", "-o", "policy.json"]) == 0
    policy = load_policy("policy.json")
    assert isinstance(policy, Policy)
    schedule = Schedule((Segment(4, policy),))
    save(Chain((policy, schedule)), "chain.json")
    assert main(["policy", "show", "chain.json", "--columns", "6", "-o", "chain.png"]) == 0
    assert "drawn by image, then a schedule of 1 policies over 4 epochs" in capsys.readouterr().out
    with Image.open("chain.png") as sheet:
        assert sheet.height > (26 + 5 + 5) * 64 + 300


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["policy", "import", "none.json", "--from", "tuun", "-o", "out.json"], "none.json: cannot be read"),
        (["policy", "import", "3", "--from", "randaugment", "-o", "out.json"], "source: '3'; must be N,M"),
        (["policy", "import", "wide", "--from", "trivialaugment", "-o", "taken.json"], "taken.json: exists already"),
        (
            ["policy", "import", "cifar10", "--from", "autoaugment", "--trial", "3", "-o", "out.json"],
            "--trial: is for --from pba",
        ),
        (["policy", "import", "log.txt", "--from", "pba", "-o", "out.json"], "log.txt: the lines of 4 trials (0, 1, 2, 3)"),
        (["policy", "export", "taken.json", "--to", "torchvision", "-o", "out.py"], "taken.json: not JSON"),
        (["policy", "show", "taken.json", "-o", "out.gif"], "out.gif: must end in .png"),
        (["policy", "show", ".", "-o", "out.png"], ".: cannot be read (Is a directory)"),
        (["policy", "import", "wide", "--from", "trivialaugment", "-o", "taken.json/out.json"], "taken.json"),
    ],
)
def test_errors_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    (folder / "taken.json").write_text("not a policy")
    (folder / "log.txt").write_text(f"['1', '0', 6, 5, {[0] * 60}, {[1] * 60}]\n['3', '2', 6, 5, {[0] * 60}, {[1] * 60}]\n")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (folder / "taken.json").read_text() == "not a policy"
    assert not list(folder.glob("out.*"))


def test_force_overwrites(folder: Path) -> None:
    (folder / "taken.json").write_text("old")
    assert main(["policy", "import", "1,9", "--from", "randaugment", "-o", "taken.json", "--force"]) == 0
    assert isinstance(load_policy("taken.json"), Policy)
