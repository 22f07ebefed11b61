"""Policies from and to other projects."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from augsearch.errors import PolicyError
from augsearch.policy import Chain, Dialect, Operation, Policy, Schedule, Segment, SubPolicy, load_policy, save
from augsearch.policy.augment import Augment
from augsearch.policy.exchange import EXPORTERS, IMPORTERS, Options, export
from augsearch.policy.exchange.tuun import load_search_space
from augsearch.policy.ops import DIALECTS, OPS, apply
from tests.test_ops import COMPARED, draw_images, draw_magnitudes

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "data" / "published"


def levels(first: int) -> list[int]:
    """60 integers: Rotate with probability first / 10 and magnitude first, nothing else."""
    return [first, first] + [0] * 58


def log(*rows: tuple[str, str, int, object, object], write: Callable[[object], str] = repr) -> str:
    return "".join(write([target, clone, epochs + 1, epochs, old, new]) + "\n" for target, clone, epochs, old, new in rows)


LINEAGE = [("9", "8", 10, levels(0), levels(1)), ("7", "9", 30, levels(1), levels(2))]


@pytest.mark.parametrize("write", [repr, json.dumps])
@pytest.mark.parametrize("as_dict", [False, True])
def test_pba_log(tmp_path: Path, write: Callable[[object], str], as_dict: bool) -> None:
    def config(item: object) -> object:
        return {"lr": 0.1, "hp_policy": item} if as_dict else item

    stray = ("9", "2", 5, config(levels(7)), config(levels(8)))  # of an earlier life of the trial
    rows = [(t, c, e, config(old), config(new)) for t, c, e, old, new in LINEAGE]
    (tmp_path / "log.txt").write_text(log(stray, *rows, write=write))
    schedule = IMPORTERS["pba"](str(tmp_path / "log.txt"), Options(search_epochs=40))
    assert isinstance(schedule, Schedule)
    assert [segment.epochs for segment in schedule.segments] == [10, 20, 10]
    rotations = [segment.policy.sub_policies[0].operations[0] for segment in schedule.segments]
    assert rotations == [Operation("Rotate", i / 10, float(i)) for i in (0, 1, 2)]
    assert {(s.policy.dialect, s.policy.draw, len(s.policy.sub_policies)) for s in schedule.segments} == {("pba", "count", 30)}


def test_pba_log_stretched(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(log(*LINEAGE))
    schedule = IMPORTERS["pba"](str(tmp_path / "log.txt"), Options(epochs=45, search_epochs=40))
    assert isinstance(schedule, Schedule)
    assert [segment.epochs for segment in schedule.segments] == [11, 22, 12]  # rounded down; the last policy has the rest


# Six trials side by side, as they came: 4 ends as a copy of 1, which was one of 0; 5 never is a copy of another.
ALL_TRIALS = [
    ("3", "2", 5, levels(0), levels(7)),
    ("1", "0", 10, levels(0), levels(1)),
    ("2", "5", 10, levels(9), levels(8)),
    ("0", "3", 20, levels(7), levels(6)),
    ("4", "1", 30, levels(1), levels(2)),
    ("1", "0", 30, levels(6), levels(5)),
]


@pytest.mark.parametrize(
    ("trial", "epochs", "rotations"),
    [
        ("4", [10, 20, 10], [0, 1, 2]),
        ("1", [5, 15, 10, 10], [0, 7, 6, 5]),
        ("0", [5, 15, 20], [0, 7, 6]),
        ("2", [10, 30], [9, 8]),
        ("5", [40], [9]),
    ],
)
def test_pba_log_of_all_trials_follows_the_one_named(
    tmp_path: Path, trial: str, epochs: list[int], rotations: list[int]
) -> None:
    (tmp_path / "pbt_global.txt").write_text(log(*ALL_TRIALS))
    schedule = IMPORTERS["pba"](str(tmp_path / "pbt_global.txt"), Options(search_epochs=40, trial=trial))
    assert isinstance(schedule, Schedule)
    assert [segment.epochs for segment in schedule.segments] == epochs
    assert [s.policy.sub_policies[0].operations[0].magnitude for s in schedule.segments] == rotations


@given(choices=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=15))
def test_pba_logs_of_one_and_of_all_trials_agree(
    tmp_path_factory: pytest.TempPathFactory, choices: list[tuple[int, int]]
) -> None:
    """What Ray Tune writes as trials copy each other: pbt_policy_N.txt is the clone's file, if it has one, and a row."""
    folder = tmp_path_factory.mktemp("logs")
    rows: list[tuple[str, str, int, object, object]] = []
    files: dict[str, list[tuple[str, str, int, object, object]]] = {}
    policies = {str(trial): levels(trial) for trial in range(4)}
    for epoch, (target, clone) in enumerate((str(t), str(c)) for t, c in choices if t != c):
        row = (target, clone, epoch, policies[clone], [epoch % 11, epoch % 10] + [epoch % 7] * 58)
        policies[target] = row[4]
        files[target] = [*files.get(clone, files.get(target, [])), row]
        rows.append(row)
    (folder / "pbt_global.txt").write_text(log(*rows))
    for trial, own in files.items():
        (folder / f"pbt_policy_{trial}.txt").write_text(log(*own))
        alone = IMPORTERS["pba"](str(folder / f"pbt_policy_{trial}.txt"), Options(search_epochs=20))
        assert IMPORTERS["pba"](str(folder / "pbt_global.txt"), Options(search_epochs=20, trial=trial)) == alone


@pytest.mark.parametrize(
    ("name", "rows", "trial", "words"),
    [
        ("log.txt", ALL_TRIALS, None, r"log.txt: the lines of 6 trials \(0, 1, 2, 3, 4, 5\) .*with --trial"),
        ("pbt_global.txt", LINEAGE, None, r"the lines of 3 trials \(7, 8, 9\)"),
        ("log.txt", ALL_TRIALS, "6", "--trial 6: must be one of 0, 1, 2, 3, 4, 5"),
        ("log.txt", [LINEAGE[0], ("7", "9", 30, levels(3), levels(2))], None, "trial 9 has another policy after 30 epochs"),
    ],
)
def test_pba_logs_that_leave_a_question(
    tmp_path: Path, name: str, rows: list[tuple[str, str, int, object, object]], trial: str | None, words: str
) -> None:
    (tmp_path / name).write_text(log(*rows))
    with pytest.raises(PolicyError, match=words) as caught:
        IMPORTERS["pba"](str(tmp_path / name), Options(search_epochs=40, trial=trial))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("[1, 2", ":1: neither JSON nor a Python literal"),
        ("[1, 2, 3]", ":1: must be a list of six"),
        (log(("1", "0", 5, levels(0), levels(1)[:-1])), ":1, new: must be 60 integers"),
        (log(("1", "0", 5, levels(0), levels(11))), r":1, new\[0\]: 11; must be a number from 0 to 10"),
        (log(("1", "0", 500, levels(0), levels(1))), r"after \[500\] epochs; must rise, up to --search-epochs 200"),
    ],
)
def test_pba_errors_name_the_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "log.txt").write_text(text)
    with pytest.raises(PolicyError, match=words):
        IMPORTERS["pba"](str(tmp_path / "log.txt"), Options())


@pytest.mark.parametrize(
    ("name", "epochs", "segments"), [("pba_rcifar10_16_wrn.txt", 200, 17), ("pba_rsvhn_16_wrn.txt", 160, 14)]
)
def test_the_published_pba_schedules_replay(name: str, epochs: int, segments: int) -> None:
    if not (PUBLISHED / name).exists():
        pytest.skip(f"{name} is not in ../shared/data/published: PBA's logs are not part of this project")
    schedule = IMPORTERS["pba"](str(PUBLISHED / name), Options(search_epochs=epochs))
    assert isinstance(schedule, Schedule)
    assert (schedule.epochs, len(schedule.segments)) == (epochs, segments)
    start = sum(o.probability for s in schedule.at(0).sub_policies for o in s.operations)
    end = sum(o.probability for s in schedule.at(epochs - 1).sub_policies for o in s.operations)
    assert start == 0 < end  # both begin without augmentation


def tuun_parameters() -> dict[str, object]:
    return {
        f"{kind}{i}_{j}": value
        for i in (1, 2)
        for j in (1, 2)
        for kind, value in (("operation", "shearX" if j == 1 else "randomHorizontalFlip"), ("prob", 0.5), ("magnitude", i / 4))
    }


@pytest.mark.parametrize("wrapped", [False, True])
def test_tuun_parameters(tmp_path: Path, wrapped: bool) -> None:
    data = {"parameter_id": 3, "parameters": tuun_parameters()} if wrapped else tuun_parameters()
    (tmp_path / "parameters.json").write_text(json.dumps(data))
    wanted = Policy(
        tuple(SubPolicy((Operation("ShearX", 0.5, m), Operation("HorizontalFlip", 0.5, m))) for m in (0.25, 0.5)),
        "tuun",
        "batch",
    )
    assert IMPORTERS["tuun"](str(tmp_path / "parameters.json"), Options()) == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [({"prob1_2": 1.5}, "prob1_2: 1.5; must be"), ({"operation2_1": "twist"}, "operation2_1: 'twist' is unknown")],
)
def test_tuun_errors_name_the_parameter(tmp_path: Path, change: dict[str, object], words: str) -> None:
    (tmp_path / "parameters.json").write_text(json.dumps(tuun_parameters() | change))
    with pytest.raises(PolicyError, match=words):
        IMPORTERS["tuun"](str(tmp_path / "parameters.json"), Options())


def test_tuun_search_space(tmp_path: Path) -> None:
    choice = {"_type": "choice", "_value": ["rotate", "autocontrast", "randomCrop"]}
    unit = {"_type": "uniform", "_value": [0, 1]}
    space = {f"operation{i}_{j}": choice for i in (1, 2, 3) for j in (1, 2)} | {"prob1_1": unit}
    (tmp_path / "space.json").write_text(json.dumps(space))
    found = load_search_space(str(tmp_path / "space.json"))
    assert (found.operations, found.sub_policies, found.operations_each) == (("Rotate", "AutoContrast", "RandomCrop"), 3, 2)
    with pytest.raises(PolicyError, match="a search space, not a policy; in params.yaml it reads search: {sub_policies: 3"):
        IMPORTERS["tuun"](str(tmp_path / "space.json"), Options())


@pytest.mark.parametrize(
    ("kind", "source", "sub_policies"),
    [("autoaugment", name, 25) for name in ("cifar10", "svhn", "imagenet")]
    + [("randaugment", "1,30", 14), ("randaugment", "2,9", 14**2), ("trivialaugment", "wide", 14 * 31)],
)
def test_torchvisions_policies(tmp_path: Path, kind: str, source: str, sub_policies: int) -> None:
    policy = IMPORTERS[kind](source, Options())
    assert isinstance(policy, Policy)
    assert (len(policy.sub_policies), policy.dialect, policy.draw) == (sub_policies, "torchvision", "image")
    save(policy, tmp_path / "policy.json")
    assert load_policy(tmp_path / "policy.json") == policy


def test_trivialaugment_gives_what_torchvision_gives() -> None:
    """All images that either can make of one: the very same set."""
    policy = IMPORTERS["trivialaugment"]("wide", Options(size=(16, 16)))
    pixels = draw_images(np.random.default_rng(3), 1, 3, 16, 16)
    ours = Augment(policy, seed=0)(torch.from_numpy(pixels).expand(12_000, -1, -1, -1)).numpy()
    torch.manual_seed(0)
    image = Image.fromarray(pixels[0].transpose(1, 2, 0))
    transform = v2.TrivialAugmentWide()
    theirs = {np.asarray(transform(image)).transpose(2, 0, 1).tobytes() for _ in range(1500)}
    assert theirs <= {one.tobytes() for one in ours}


def test_fast_autoaugment(tmp_path: Path) -> None:
    (tmp_path / "found.txt").write_text("[[('ShearX', 0.8, 0.25), ('Solarize', 0.4, 0.5)], [('Posterize', 1, 0.6)]]")
    policy = IMPORTERS["fast-autoaugment"](str(tmp_path / "found.txt"), Options())
    assert isinstance(policy, Policy)
    (shear, solarize), (posterize,) = (sub_policy.operations for sub_policy in policy.sub_policies)
    assert shear == Operation("ShearX", 0.8, pytest.approx(0.15))
    assert posterize == Operation("Posterize", 1.0, 6.0)
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    inverted = apply(ramp, "Solarize", solarize.magnitude, dialect="torchvision") != ramp
    assert inverted.flatten().tolist() == [value >= 128 for value in range(256)]


# --- out ----------------------------------------------------------------------------------------------


def module_at(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def one_operation(name: str, dialect: Dialect, magnitude: float) -> Policy:
    return Policy((SubPolicy((Operation(name, 1.0, magnitude),)),), dialect, "image")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_exported_operations_give_the_same_pixels(tmp_path: Path, dialect: Dialect) -> None:
    export(one_operation("Identity", dialect, 0.0), "torchvision", tmp_path / "out.py")
    module = module_at(tmp_path / "out.py")
    rng = np.random.default_rng(5)
    for name in COMPARED:
        for channels, height, width in ((3, 32, 32), (1, 7, 20), (3, 13, 9)):
            pixels = draw_images(rng, 6, channels, height, width)
            m, noise = draw_magnitudes(rng, name, dialect, 6), rng.random((6, 2))
            ours = apply(torch.from_numpy(pixels), name, m, dialect=dialect, noise=noise).numpy()
            for i, image in enumerate(pixels):
                one = Image.fromarray(image[0] if channels == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
                theirs = np.asarray(module.perform(one, name, float(m[i]), dialect, *noise[i]))
                assert np.array_equal(ours[i], theirs.reshape(height, width, channels).transpose(2, 0, 1)), (name, m[i])


def test_exported_module_runs_without_this_project(tmp_path: Path) -> None:
    for target in EXPORTERS:
        export(one_operation("Invert", "tuun", 0.0), target, tmp_path / f"{target}.py")
        assert "import augsearch" not in (tmp_path / f"{target}.py").read_text()
        assert "from augsearch" not in (tmp_path / f"{target}.py").read_text()
    transform = module_at(tmp_path / "torchvision.py").Augment()
    images = torch.arange(48, dtype=torch.uint8).view(3, 4, 4)
    assert torch.equal(transform(images), 255 - images)
    assert np.array_equal(np.asarray(transform(v2.functional.to_pil_image(images))), (255 - images).permute(1, 2, 0).numpy())


def test_exported_draws_have_the_same_frequencies(tmp_path: Path) -> None:
    """A schedule: in its second half PBA's draw, of which an always accepted Invert is in .3 / 2 + .5 of all images."""
    pair = tuple(SubPolicy((Operation(name, 1.0, 0.0),)) for name in ("Invert", "Identity"))
    schedule = Schedule((Segment(1, one_operation("Identity", "pba", 0.0)), Segment(1, Policy(pair, "pba", "count"))))
    lines = export(schedule, "torchvision", tmp_path / "out.py")
    assert lines[-1].startswith("each operation gives the same pixels")
    module = module_at(tmp_path / "out.py")
    uniform = np.random.default_rng(0).random
    image = Image.new("L", (1, 1))
    assert not any(module.augment(image, uniform, 0).getpixel((0, 0)) for _ in range(50))
    inverted = np.mean([module.augment(image, uniform, 1).getpixel((0, 0)) == 255 for _ in range(4000)])
    assert abs(inverted - 0.65) < 0.03


def test_exported_chain_applies_its_parts_in_order(tmp_path: Path) -> None:
    darker = one_operation("Solarize", "torchvision", 0.0)  # inverts whatever there is
    later = Schedule((Segment(1, one_operation("Identity", "tuun", 0.0)), Segment(1, one_operation("Posterize", "pba", 9.0))))
    chain = Chain((darker, later))
    export(chain, "torchvision", tmp_path / "out.py")
    module = module_at(tmp_path / "out.py")
    pixels = draw_images(np.random.default_rng(7), 1, 3, 8, 8)
    for epoch in (0, 1):
        theirs = np.asarray(module.augment(Image.fromarray(pixels[0].transpose(1, 2, 0)), lambda: 0.9, epoch))
        assert np.array_equal(Augment(chain)(torch.from_numpy(pixels), epoch=epoch)[0].permute(1, 2, 0).numpy(), theirs)


def test_export_says_what_it_cannot_do(tmp_path: Path) -> None:
    batch = Policy((SubPolicy((Operation("Invert", 1.0, 0.0),)),))
    assert any("drawn for each image" in line for line in export(batch, "torchvision", tmp_path / "out.py"))
    lines = export(one_operation("Rotate", "tuun", 0.5), "torchvision", tmp_path / "out.py")
    assert any("moves pixels (Rotate): samples with masks or boxes are refused" in line for line in lines)
    with pytest.raises(PolicyError, match="SamplePairing: cannot be exported"):
        export(one_operation("SamplePairing", "tuun", 0.5), "torchvision", tmp_path / "pairing.py")
    assert not (tmp_path / "pairing.py").exists()
    assert len(OPS) == len(COMPARED) + 1
