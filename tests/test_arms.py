"""Arms: what each name applies, what it is called, and where its files lie."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from augsearch.data.prepare import DATASETS
from augsearch.evidence import arms
from augsearch.evidence.settings import split
from augsearch.policy import Augmentation, Chain, Operation, Policy, Schedule, SubPolicy, save
from augsearch.policy.exchange import IMPORTERS, Options
from augsearch.settings import settings_from
from augsearch.workspace import Workspace
from tests.test_exchange import PUBLISHED as LOGS

FOUND = Policy((SubPolicy((Operation("Color", 0.5, 0.5),)),))


def applied(arm: str, dataset: str = "digits", sides: tuple[int, int] = (16, 16)) -> Augmentation | None:
    """What an arm applies in a workspace in which a search has chosen `FOUND`."""
    arms.check(arm, ("tuun", "random"))
    named = {"name": dataset} if dataset in DATASETS else {"name": None, "folder": dataset}
    with TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        save(FOUND, workspace.policies / "tuun.json")
        workspace.found_settings.write_text('{"tuun": {}}')
        return arms.Sources(workspace, settings_from({"dataset": named}, "test"), sides).augmentation_of(arm)


@pytest.mark.parametrize("dataset", ["cifar10", "svhn", "pictures"])
def test_autoaugment_fits_the_data_set(dataset: str) -> None:
    source = {"pictures": "imagenet"}.get(dataset, dataset)
    assert applied("autoaugment", dataset) == IMPORTERS["autoaugment"](source, Options(size=(16, 16)))


def test_randaugment_with_and_without_numbers() -> None:
    assert applied("randaugment") == applied("randaugment-2-9") == IMPORTERS["randaugment"]("2,9", Options(size=(16, 16)))
    assert applied("randaugment-1-5") == IMPORTERS["randaugment"]("1,5", Options(size=(16, 16)))


def test_translations_follow_each_side() -> None:
    policy = applied("randaugment-1-30", sides=(20, 40))
    assert isinstance(policy, Policy)
    reach = {s.operations[0].name: s.operations[0].magnitude for s in policy.sub_policies}
    assert reach["TranslateX"] == pytest.approx(2 * reach["TranslateY"])


def test_the_expert_policy_comes_first() -> None:
    etp = arms.expert_policy("digits", None)
    assert applied("none") is None
    assert applied("tuun+etp") == applied("etp+tuun") == etp.then(FOUND)
    assert applied("trivialaugment+etp") == Chain((etp, arms.fixed("trivialaugment", None, (16, 16))))  # type: ignore[arg-type]  # no chain


def test_a_file_may_hold_any_of_them(tmp_path: Path) -> None:
    schedule = applied("published:pba-svhn")
    assert isinstance(schedule, Schedule)
    save(Chain((FOUND, schedule)), tmp_path / "mine.json")
    assert applied(f"etp+file:{tmp_path}/mine.json") == Chain((arms.expert_policy("digits", None).then(FOUND), schedule))


@pytest.mark.parametrize(("name", "log", "epochs"), [("pba-cifar10", "rcifar10", 200), ("pba-svhn", "rsvhn", 160)])
def test_published_schedules_are_what_the_importer_makes(name: str, log: str, epochs: int) -> None:
    path = LOGS / f"pba_{log}_16_wrn.txt"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data/published: PBA's logs are not part of this project")
    assert applied(f"published:{name}") == IMPORTERS["pba"](str(path), Options(search_epochs=epochs))


@pytest.mark.parametrize(
    ("arm", "label"),
    [
        ("tuun+etp", "Tuun + ETP"),
        ("randaugment-1-14", "RandAugment 1, 14"),
        ("etp+published:pba-svhn", "ETP + PBA's SVHN schedule"),
        ("file:policies/mine.json", "mine"),
    ],
)
def test_labels(arm: str, label: str) -> None:
    assert arms.label(arm) == label


@pytest.mark.parametrize("arm", arms.FIXED)
def test_a_fixed_arm_is_one_with_a_label_and_documented(arm: str) -> None:
    assert applied(arm) == arms.fixed(arm, "digits", (16, 16))
    assert arms.label(arm) != arm
    assert f"\n| `{arm}` |" in (Path(__file__).parents[1] / "docs" / "evidence.md").read_text()


def test_file_names_are_safe_and_differ() -> None:
    names = ["tuun+etp", "file:a/b.json", "file:a-b.json", "file:a:b.json", "file:../" + "x" * 300]
    files = [arms.file_name(name) for name in names]
    assert files[0] == "tuun+etp"
    assert len(set(files)) == len(names)
    assert all(len(file) < 120 and not set(file) & set('/\\:*?"<>|') for file in files)


def test_a_plus_sign_in_a_files_name_joins_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as those that this project writes itself, models/arms/tuun+etp.json."""
    monkeypatch.chdir(tmp_path)
    save(FOUND, "tuun+etp.json")
    arms.check("etp+file:tuun+etp.json", ("tuun",))
    assert split("etp+file:tuun+etp.json+tuun") == ["etp", "file:tuun+etp.json", "tuun"]
    assert arms.label("file:tuun+etp.json+etp") == "tuun+etp + ETP"
