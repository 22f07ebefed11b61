"""One's own training script as the objective: a function or a command, well-behaved or not."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from os import killpg
from pathlib import Path
from typing import Any

import mlflow
import pytest

from augsearch.job import Bench
from augsearch.outcome import Failure, Result
from augsearch.policy import Operation, Policy, SubPolicy, load_policy
from augsearch.script.run import ScriptRun, log_of
from augsearch.workspace import Workspace
from tests.conftest import ROOT, Checkout, new_checkout, wait_for

SCRIPT = Path(__file__).parent / "own_script.py"
POLICY = Policy((SubPolicy((Operation("Rotate", 1.0, 0.5),)),))
EXAMPLES = ROOT / "examples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the script in it."""
    shutil.copy(SCRIPT, tmp_path / "own_script.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def a_run(objective: str = "python own_script.py", policy: Policy | None = None, **params: Any) -> ScriptRun:
    return ScriptRun(objective, json.dumps(params), policy, 3, "cpu")


def run(
    objective: str = "python own_script.py", policy: Policy | None = None, device: str = "cpu", **params: Any
) -> Result | Failure:
    bench = Bench(Workspace(Path.cwd()), device, 2.0 if params.get("mood") == "hang" else None)
    (outcome,) = ScriptRun.run([a_run(objective, policy, **params)], bench)
    return outcome


def log(objective: str = "python own_script.py", policy: Policy | None = None, **params: Any) -> Path:
    return log_of(Path(".augsearch/logs"), a_run(objective, policy, **params).key)


@pytest.mark.parametrize("objective", ["python own_script.py", "own_script:train"])
def test_what_it_says_is_the_score(folder: Path, objective: str) -> None:
    result = run(objective, lr=0.5, mood="garbage")
    assert isinstance(result, Result)
    assert (result.score, result.curve) == (4.0, ((1, 0.25), (2, 0.5)))
    assert bytes(range(256)) in log(objective, lr=0.5, mood="garbage").read_bytes()


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("crash", "exit code 1: RuntimeError: out of luck"),
        ("abort", "exit code 134 (SIGABRT): feeling abort"),
        ("nan", "exit code 1: ValueError: epoch 0 score: nan; must be finite"),
        ("silent", "ended without a call of finish(score): feeling silent"),
    ],
)
def test_a_failing_script_is_a_failed_trial_with_its_last_lines(folder: Path, mood: str, reason: str) -> None:
    result = run(mood=mood)
    assert isinstance(result, Failure)
    assert (result.kind, result.message) == ("script", f"{reason} ({log(mood=mood)})")
    assert result.output[0 if mood in ("abort", "silent") else -1] in reason
    assert len(result.output) <= 10


def test_a_hanging_script_ends_with_all_its_children(folder: Path) -> None:
    result = run(mood="hang")
    assert isinstance(result, Failure)
    assert (result.kind, result.limit) == ("out of time", 2.0)
    assert result.message == f"longer than search.trial_timeout (2): feeling hang ({log(mood='hang')})"
    assert not any(alive(child) for child in children(folder))


def test_nothing_outlives_a_slot_that_is_killed(folder: Path) -> None:
    code = "from tests.test_own_script import run; run(mood='hang')"
    slot = subprocess.Popen([sys.executable, "-c", code])
    wait_for("the script", lambda: len(children(folder)) == 2)
    slot.kill()
    slot.wait()
    wait_for("the script's children to end", lambda: not any(alive(child) for child in children(folder)), 10)


def children(folder: Path) -> list[int]:
    path = folder / "children.txt"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_a_trial_is_told(folder: Path) -> None:
    Path("asking.py").write_text(
        "import os, sys\n"
        "from augsearch import trial\n"
        "assert not {'torch', 'prefect', 'skopt'} & set(sys.modules), 'augsearch.trial must be light'\n"
        "print(trial.params(), trial.seed(), trial.device(), os.environ['CUDA_VISIBLE_DEVICES'])\n"
        "print(trial.policy())\n"
        "trial.finish(1)\n"
    )
    assert isinstance(run("python asking.py", POLICY, "cuda:2", lr=0.5), Result)
    printed = log("python asking.py", POLICY, lr=0.5)
    said = printed.read_text()
    assert said == f"{{'lr': 0.5}} 3 cuda:0 2\n{POLICY}\n"
    by_hand = subprocess.run(
        [sys.executable, "asking.py"],
        env=os.environ | {"AUGSEARCH_TRIAL": str(printed.with_suffix(".json")), "CUDA_VISIBLE_DEVICES": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert by_hand.stdout == said
    outside = subprocess.run(
        [sys.executable, "asking.py"], env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=True
    )
    assert outside.stdout == "{} 0 cpu \nNone\n"


@pytest.mark.parametrize("objective", ["python own_script.py", "own_script:train"])
def test_another_script_is_another_search(folder: Path, objective: str) -> None:
    before = a_run(objective).key
    assert a_run(objective).key == before
    Path("own_script.py").write_text(SCRIPT.read_text() + "# changed\n")
    assert a_run(objective).key != before


# --- searches ---------------------------------------------------------------------------------------------

MOODS = ["fine", "crash", "nan", "garbage", "hang"]  # of the eight trials none happens to be fine


@pytest.fixture
def checkout(tmp_path: Path, environment: dict[str, str], server: str) -> Checkout:
    made = new_checkout(tmp_path, environment | {"PREFECT_API_URL": server})
    shutil.copy(SCRIPT, made.root / "own_script.py")
    return made


def trials(checkout: Checkout) -> list[dict[str, Any]]:
    return list(json.loads((checkout.root / "models/search.json").read_text())["random"]["trials"])


def set_moods(checkout: Checkout, trial_timeout: float) -> None:
    space = {"mood": {"_type": "choice", "_value": MOODS}, "lr": {"_type": "uniform", "_value": [0, 1]}}
    search = {"objective": "python own_script.py", "methods": ["random"], "sub_policies": 0, "space": space, "trials": 8}
    more = {"max_consecutive_failures": 9, "confirm": {"top": 1, "seeds": 1}, "batch": 8, "trial_timeout": trial_timeout}
    checkout.set_params({"search": search | more, "retrain": {"arms": ["none", "random"]}})


def test_a_search_over_settings_goes_on_over_every_failure(checkout: Checkout) -> None:
    """And needs no prepared data set."""
    set_moods(checkout, 1.0)
    done = checkout.run("python", "-m", "flows", "search")
    assert "    | RuntimeError: out of luck" in done.stdout + done.stderr
    found = trials(checkout)
    assert [r["trial"] for r in found] == list(range(8))
    reasons = {r["settings"]["mood"]: r["failure"] and r["failure"].partition(" (.augsearch/logs/")[0] for r in found}
    assert reasons == {
        "garbage": None,
        "crash": "exit code 1: RuntimeError: out of luck",
        "nan": "exit code 1: ValueError: epoch 0 score: nan; must be finite",
        "hang": "longer than search.trial_timeout (1): feeling hang",
    }
    best = json.loads((checkout.root / "models/settings.json").read_text())["random"]
    assert best == max((r for r in found if r["score"] is not None), key=lambda r: r["score"])["settings"]
    client = mlflow.MlflowClient(f"sqlite:///{checkout.root}/mlflow.db")
    experiment = client.get_experiment_by_name("own_script")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'trial'")
    assert {run.data.params["trial"]: run.data.metrics.get("val_score") for run in runs} == {
        str(r["trial"]): r["score"] for r in found
    }


@pytest.mark.slow
def test_ctrl_c_leaves_no_script_behind_and_the_search_goes_on(checkout: Checkout) -> None:
    set_moods(checkout, 300.0)
    process = checkout.start("python", "-m", "flows", "search", log="stopped.log")
    wait_for("a hanging trial", lambda: len(children(checkout.root)) >= 2, 120)
    killpg(process.pid, signal.SIGINT)
    assert process.wait(10) == 130
    wait_for("the script to end", lambda: not any(alive(child) for child in children(checkout.root)), 10)
    set_moods(checkout, 1.0)
    finished = checkout.outcomes("script")
    checkout.run("python", "-m", "flows", "search")
    outcomes = checkout.outcomes("script")
    assert {key: outcomes[key] for key in finished} == finished
    assert [r["trial"] for r in trials(checkout)] == list(range(8))


@pytest.mark.parametrize("example", ["command", "function"])
def test_an_example_differs_by_at_most_ten_lines(example: str, tmp_path: Path) -> None:
    diff = EXAMPLES / example / "train.diff"
    changed = re.findall(r"^(?:\+(?!\+\+ )|-(?!-- ))", diff.read_text(), re.MULTILINE)
    assert 0 < len(changed) <= 10
    shutil.copy(EXAMPLES / "plain/train.py", tmp_path)
    subprocess.run(["git", "apply", "-p0", str(diff)], cwd=tmp_path, check=True)
    assert (tmp_path / "train.py").read_text() == (EXAMPLES / example / "train.py").read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", ["command", "function"])
def test_an_example_from_the_search_to_the_table(checkout: Checkout, example: str) -> None:
    shutil.copytree(EXAMPLES, checkout.root / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    for stage in ("search", "retrain", "tabulate"):
        checkout.run("python", "-m", "flows", stage, f"examples/{example}/params.yaml", timeout=600)
    assert isinstance(load_policy(checkout.root / "models/policies/tuun.json"), Policy)
    assert set(json.loads((checkout.root / "models/settings.json").read_text())["tuun"]) == {"lr"}
    tried = json.loads((checkout.root / "models/search.json").read_text())["tuun"]["trials"]
    assert [(trial["epochs"], trial["failure"]) for trial in tried] == [(8, None)] * 12
    assert len({trial["score"] for trial in tried}) > 6  # what is tried makes a difference
    rows = json.loads((checkout.root / "models/retrain.json").read_text())
    assert [row["arm"] for row in rows] == ["none", "tuun"] * 5
    assert all(0.3 < row["val_score"] < 1 for row in rows)
    table = (checkout.root / "reports/results.md").read_text()
    assert table.startswith("| the script's own score | No Aug | Tuun |")
    assert not (checkout.root / "data/dataset.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_dvc_repro_with_ones_own_script(checkout: Checkout) -> None:
    search = {"objective": "own_script:train", "methods": ["random"], "space": {"lr": {"_type": "uniform", "_value": [0, 1]}}}
    checkout.set_params({"search": search, "retrain": {"arms": ["none", "etp", "random"]}})
    checkout.run("dvc", "repro", timeout=600)
    assert json.loads((checkout.root / "reports/metrics.json").read_text())["random"]["n"] == 2
    assert checkout.run("dvc", "status").stdout.strip() == "Data and pipelines are up to date."
