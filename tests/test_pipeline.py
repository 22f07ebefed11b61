"""The whole pipeline, real, on a tiny setting: `dvc repro`, then a deployment, as a user would run them."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import mlflow
import pytest

from augsearch.policy import Policy, load_policy
from tests.conftest import Checkout, new_checkout, stop

FOUND = {"random": 6, "tuun": 6, "tuun+etp": 6, "pba": 4, "pba+etp": 4}  # trials or members of each search


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], server: str) -> Checkout:
    """A checkout in which `dvc repro` has run all four stages."""
    checkout = new_checkout(tmp_path_factory.mktemp("checkout"), environment | {"PREFECT_API_URL": server})
    done = checkout.run("dvc", "repro", timeout=580)
    assert "tuun 6/6" in done.stdout + done.stderr  # progress was to be seen
    return checkout


def test_table_has_every_arm(reproduced: Checkout) -> None:
    with (reproduced.root / "reports/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows] == ["none", "etp", "random", "tuun", "tuun+etp", "pba", "pba+etp"]
    assert all(row["n"] == "2" and float(row["low"]) <= float(row["test_accuracy"]) <= float(row["high"]) for row in rows)
    assert all(float(row["test_worst_class_recall"]) <= float(row["test_balanced_accuracy"]) for row in rows)
    assert all(int(row["search_trials"]) == FOUND.get(row["arm"], 0) and float(row["training_epochs"]) == 2 for row in rows)
    assert all((float(row["search_seconds"]) > 0) == (row["arm"] in FOUND) for row in rows)
    assert "Tuun + ETP" in (reproduced.root / "reports/results.md").read_text()
    assert (reproduced.root / "reports/results.png").read_bytes().startswith(b"\x89PNG")
    assert "tuun+etp" in reproduced.run("dvc", "metrics", "show").stdout


def table(checkout: Checkout, name: str) -> list[dict[str, str]]:
    with (checkout.root / f"reports/{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_what_stands_beside_the_table_agrees_with_it(reproduced: Checkout) -> None:
    means = {row["arm"]: float(row["test_accuracy"]) for row in table(reproduced, "results")}
    differences = table(reproduced, "differences")
    assert len(differences) == 6 + 5 + 4  # against none, etp and random, each pair once
    for row in differences:
        assert float(row["difference"]) == pytest.approx(means[row["arm"]] - means[row["against"]], abs=0.002)
    said = (reproduced.root / "reports/results.md").read_text()
    assert all(row["sentence"][1:] in said for row in differences)
    for row in table(reproduced, "optimism"):
        assert float(row["test"]) == means[row["method"]]
        if row["method"] == "pba":  # trained by another recipe than its arm: nothing to compare
            assert (row["optimism"], "lr 0.1" in row["note"]) == ("", True)
        else:
            assert float(row["optimism"]) == pytest.approx(float(row["best_validation"]) - means[row["method"]], abs=0.002)
    right, total = Counter[str](), Counter[str]()
    for row in table(reproduced, "confusion"):
        total[row["arm"]] += int(row["count"])
        right[row["arm"]] += int(row["count"]) * (row["true"] == row["predicted"])
    assert {arm: 100 * right[arm] / total[arm] for arm in means} == pytest.approx(means, abs=0.001)
    assert len(table(reproduced, "recall")) == 10 * len(means)


def test_the_report_is_made_and_shown_everywhere(reproduced: Checkout) -> None:
    reports = reproduced.root / "reports"
    figures = {file.name for file in (reports / "figures").iterdir()}
    assert {"search-trials.svg", "policy-tuun.png", "policy-random.png"} <= figures
    page = (reports / "index.html").read_text()
    assert page.count("<svg") == len([name for name in figures if name.endswith(".svg")])
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.root}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    (table,) = client.search_runs([experiment.experiment_id], "tags.kind = 'table'")
    assert "index.html" in {file.path for file in client.list_artifacts(table.info.run_id)}
    assert {Path(file.path).name for file in client.list_artifacts(table.info.run_id, "figures")} == figures
    shown = {artifact["key"]: artifact for artifact in reproduced.ask("/artifacts/filter")}
    assert "has the highest mean test accuracy" in shown["report"]["data"]
    assert shown["figure-policy-tuun"]["data"].startswith("data:image/png;base64,")


def test_policies_can_be_taken_away(reproduced: Checkout) -> None:
    found = load_policy(reproduced.root / "models/policies/tuun.json")
    appended = load_policy(reproduced.root / "models/arms/tuun+etp.json")
    assert isinstance(found, Policy)
    assert isinstance(appended, Policy)
    assert len(found.sub_policies) == 2
    first, last = appended.sub_policies[0].operations[0], appended.sub_policies[0].operations[-1]
    assert (first.name, last) == ("Rotate", found.sub_policies[0].operations[-1])


def test_every_trial_is_tracked(reproduced: Checkout) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.root}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    kinds = Counter((run.data.tags["kind"], run.data.tags.get("method")) for run in runs)
    assert kinds["search", "tuun"] == kinds["search", "random"] == 1
    assert kinds["trial", "tuun"] == kinds["trial", "random"] == 6
    assert kinds["member", "pba"] == 4
    assert kinds["retrain", None] == 1 + 7 * 2
    trial = next(run for run in runs if run.data.tags["kind"] == "trial")  # of two epochs, of which the last is judged
    assert {"policy", "seed", "trial"} <= set(trial.data.params)
    assert {"val_accuracy", "seconds"} <= set(trial.data.metrics)
    assert float(trial.data.params["strength.Rotate"]) >= 0  # a number for parallel coordinates
    assert len(client.get_metric_history(trial.info.run_id, "epoch_val_accuracy")) == 1
    assert {file.path for file in client.list_artifacts(trial.info.run_id)} == {"policy.json", "policy.png"}


def test_the_champion_can_be_loaded(reproduced: Checkout) -> None:
    """By the three lines of the README."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    (lines,) = re.findall(r"```python\n(import mlflow\n.*?)```", readme, re.DOTALL)
    use = "import numpy, torch; images = torch.from_numpy(numpy.load('data/val_images.npy')); print(tuple(model(images).shape))"
    assert reproduced.run("python", "-c", lines + use).stdout.strip() == "(600, 10)"
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.root}/mlflow.db")
    version = client.get_model_version_by_alias("augsearch-digits", "champion")
    assert version.tags["arm"] in ("none", "etp", "random", "tuun", "tuun+etp")


def test_nothing_changed_nothing_runs(reproduced: Checkout) -> None:
    before = (reproduced.root / "dvc.lock").read_bytes()
    done = reproduced.run("dvc", "repro")
    assert done.stdout.count("didn't change, skipping") == 4
    assert (reproduced.root / "dvc.lock").read_bytes() == before


def changed_stages(checkout: Checkout) -> set[str]:
    return set(json.loads(checkout.run("dvc", "status", "--json").stdout))


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"search": {"trials": 8}}, {"search"}),
        ({"table": {"confidence": 0.9}}, {"tabulate"}),
        ({"expert_policy": "policies/ours.json"}, {"search", "retrain"}),
        ({"workers": {"per_device": 2}}, set()),
    ],
)
def test_a_setting_reruns_what_depends_on_it(reproduced: Checkout, change: dict[str, object], stages: set[str]) -> None:
    params = reproduced.root / "params.yaml"
    kept = params.read_text()
    reproduced.set_params(change)
    try:
        assert changed_stages(reproduced) == stages
    finally:
        params.write_text(kept)


def test_impossible_settings_stop_with_one_line_and_cost_nothing(reproduced: Checkout) -> None:
    params = reproduced.root / "params.yaml"
    kept = params.read_text()
    folders = ("data", "models", "reports")
    before = {f: f.read_bytes() for d in folders for f in (reproduced.root / d).rglob("*") if f.is_file()}
    reproduced.set_params({"search": {"trials": 0}})
    try:
        done = reproduced.run("dvc", "repro", ok=False)
        assert done.returncode != 0
        assert "error: params.yaml: search.trials: 0; must be greater than or equal to 1" in done.stderr
        assert "Traceback" not in done.stderr
        params.write_text(kept)
        assert reproduced.run("dvc", "repro").stdout.count("Running stage") == 0  # DVC had taken outputs away, and has them
        assert {f: f.read_bytes() for f in before} == before
    finally:
        params.write_text(kept)


def test_deployment_runs_the_same_flows_and_leaves_dvc_clean(reproduced: Checkout) -> None:
    """A change of settings, made by the deployment alone: afterwards DVC has nothing left to do."""
    reproduced.set_params({"search": {"trials": 7}})
    reproduced.run("prefect", "work-pool", "create", "local", "--type", "process")
    reproduced.run("prefect", "--no-prompt", "deploy", "--all")
    worker = reproduced.start("prefect", "worker", "start", "--pool", "local", log="worker.log")
    try:
        done = reproduced.run("prefect", "deployment", "run", "pipeline/local", "--watch", ok=False, timeout=400)
    finally:
        stop(worker)
    log = (reproduced.root / "worker.log").read_text()
    assert done.returncode == 0, log[-4000:]
    assert "6 of 7 trials are in the store and do not run again" in log
    assert changed_stages(reproduced) == set()
    trials = reproduced.search_summary("tuun")["trials"]
    assert [trial["trial"] for trial in trials] == list(range(7))
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.root}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'search' and tags.method = 'tuun'")
    assert run.data.tags["trials"] == "7"  # the same run, with what holds now


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_more_trials_and_fewer_again_are_the_first_table(reproduced: Checkout) -> None:
    """B1: what was trained for one policy is never taken for another's, and going back trains nothing."""
    stages = ("python", "-m", "flows", "search", "retrain", "tabulate")
    kept, scores = (reproduced.root / "params.yaml").read_text(), reproduced.root / "reports/scores.csv"
    try:
        reproduced.set_params({"search": {"trials": 6}})
        reproduced.run(*stages)
        first, weights, before = seconds_aside(scores), files(reproduced, "models/weights"), reproduced.outcomes()
        reproduced.set_params({"search": {"trials": 12}})
        reproduced.run(*stages)
        extended = reproduced.outcomes()
        assert seconds_aside(scores) != first
        reproduced.set_params({"search": {"trials": 6}})
        reproduced.run(*stages)
        assert seconds_aside(scores) == first
        assert files(reproduced, "models/weights") == weights
        assert reproduced.outcomes() == extended  # nothing ran again
        assert before.items() <= extended.items()
    finally:
        (reproduced.root / "params.yaml").write_text(kept)


def seconds_aside(scores: Path) -> list[dict[str, str]]:
    with scores.open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def files(checkout: Checkout, folder: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (checkout.root / folder).iterdir()}


def test_the_entrypoint_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """`prefect deploy` hides an ImportError behind a placeholder unless told not to."""
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(Path(__file__).parent.parent)
    assert load_flow_from_entrypoint("flows/pipeline.py:pipeline", use_placeholder_flow=False).name == "pipeline"
