"""Several settings, one table: the file, and the whole of it run for real."""

import csv
from pathlib import Path

import pytest
import yaml

from augsearch.errors import SettingsError
from augsearch.evidence.comparisons import compare_all
from augsearch.evidence.experiments import load_experiment
from tests.conftest import ROOT, new_checkout

EXPERIMENT = {
    "about": "two networks on digits",
    "cost": "a minute",
    "base": {
        "network": {"width": 4},
        "train": {"epochs": 1},
        "search": {"methods": []},
        "retrain": {"seeds": 2, "arms": ["none", "trivialaugment"]},
    },
    "cases": {"narrow": {}, "wide": {"network": {"width": 6}, "seed": 3}},
}


def write(folder: Path, data: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_cases_are_the_base_with_changes(tmp_path: Path) -> None:
    cases = load_experiment(write(tmp_path, EXPERIMENT)).cases
    assert [(c.settings.network.width, c.settings.seed, c.settings.train.epochs) for c in cases.values()] == [
        (4, 0, 1),
        (6, 3, 1),
    ]
    assert yaml.safe_load(cases["wide"].params)["network"] == {"width": 6}


def test_numbers_are_written_as_in_params_yaml(tmp_path: Path) -> None:
    text = yaml.safe_dump(EXPERIMENT).replace("epochs: 1", "epochs: 1\n    weight_decay: 1e-3")
    (tmp_path / "mine.yaml").write_text(text)
    cases = load_experiment(tmp_path / "mine.yaml").cases
    assert cases["wide"].settings.train.weight_decay == 0.001


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cases": {}}, "cases: none; must have at least one"),
        ({"cases": {"a": {"train": {"epoch": 1}}}}, "cases.a: train.epoch: unknown setting, did you mean 'epochs'"),
        ({"cases": {"a": {"network": {"name": "resnet8"}}}}, "cases.a: network.name: 'resnet8'"),
        ({"cases": {"a": {"retrain": {"arms": ["none", "etpp"]}}}}, "cases.a: retrain.arms: 'etpp' is unknown"),
        ({"cases": {"a/b": {}}}, "cases.a/b: must be of letters"),
        ({"cases": {"a": 3}}, "cases.a: 3; must be sections of settings"),
        ({"costs": "none"}, "must hold about and cost"),
        ({"cases": {"figures": {}}}, "cases.figures: must not be one of figures, index.html"),
        (
            {"cases": {"a": {"search": {"objective": "tests.own_script:train"}, "retrain": {"arms": ["none", "etp"]}}}},
            "cases.a: search.objective: 'tests.own_script:train'; must be one of accuracy",
        ),
        (
            {"cases": {"a": {}, "b": {"search": {"objective": "balanced_accuracy"}}}},
            "search.objective: a: accuracy, b: balanced_accuracy; must be the same in every case",
        ),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        load_experiment(write(tmp_path, EXPERIMENT | change))
    assert str(tmp_path / "mine.yaml") in str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_ships_is_valid(path: Path) -> None:
    assert load_experiment(path).cases


def test_all_tables_are_one_family() -> None:
    scores = {"none": [0.5, 0.52, 0.51], "tuun": [0.6, 0.63, 0.61]}
    alone, both = compare_all({"a": scores})["a"][0], compare_all({"a": scores, "b": scores})
    assert [d.p_holm for found in both.values() for d in found] == [2 * alone.p, 2 * alone.p]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_experiment_goes_on_and_joins_its_cases(tmp_path: Path, environment: dict[str, str], server: str) -> None:
    checkout = new_checkout(tmp_path, environment | {"PREFECT_API_URL": server})
    (tmp_path / "experiments").mkdir()
    write(tmp_path / "experiments", EXPERIMENT)
    checkout.set_params({"experiments": ["mine"]})
    results = tmp_path / "experiments/runs/mine"
    blocked = results / "wide/reports"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way of the last stage")
    stopped = checkout.run("python", "-m", "flows", "experiment", "experiments/mine.yaml", ok=False, timeout=400)
    assert stopped.returncode == 2
    assert "experiments/runs/mine/wide: ended with" in stopped.stderr
    trained = {file: file.read_bytes() for file in results.glob("*/models/retrain.json")}
    assert len(trained) == 2
    blocked.unlink()
    done = checkout.run("dvc", "repro", "experiment@mine", timeout=400)
    assert {file: file.read_bytes() for file in trained} == trained  # with the seconds of the first time
    assert "| narrow |" in done.stdout and "| wide |" in done.stdout
    with (results / "differences.csv").open() as file:
        assert [(row["dataset"], row["arm"], row["against"]) for row in csv.DictReader(file)] == [
            ("narrow", "trivialaugment", "none"),
            ("wide", "trivialaugment", "none"),
        ]
    page = (results / "index.html").read_text()
    assert "Every arm on narrow" in page and "Every arm on wide" in page
    assert "wide/reports/index.html" in page
    assert "up to date" in checkout.run("dvc", "status", "experiment@mine").stdout
    assert "didn't change, skipping" in checkout.run("dvc", "repro", "experiment@mine").stdout
