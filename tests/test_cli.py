"""The command: files in and out, and errors of one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augsearch.cli import main
from augsearch.policy import Chain, Policy, Schedule, Segment, load_policy, save


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
