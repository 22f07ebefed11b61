"""The population search as a process: killed in any round and resumed, and what it leaves behind."""

import json
import random
import shutil
import signal
import time
from collections.abc import Iterator
from os import killpg
from typing import Any

import mlflow
import pytest

from augsearch.policy import Schedule, load_policy
from tests.conftest import Checkout, new_checkout, wait_for

POPULATION = {"population_size": 4, "perturbation_interval": 1, "members_per_model": 2, "train": {"epochs": 8}}
QUICK = {"search": {"methods": ["pba"], "pba": POPULATION}, "retrain": {"arms": ["pba"]}}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], server: str) -> Checkout:
    made = new_checkout(tmp_path_factory.mktemp("population"), environment | {"PREFECT_API_URL": server})
    made.set_params(QUICK)
    made.run("python", "-m", "flows", "prepare")
    mlflow.MlflowClient(f"sqlite:///{made.root}/empty.db").search_experiments()
    return made


@pytest.fixture
def fresh(checkout: Checkout) -> Iterator[Checkout]:
    forget(checkout)
    yield checkout
    checkout.set_params(QUICK)


def forget(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / "models", ignore_errors=True)
    shutil.copy(checkout.root / "empty.db", checkout.root / "mlflow.db")  # making a new one takes seconds


def lines(checkout: Checkout) -> list[dict[str, Any]]:
    path = checkout.root / "models/journals/pba.jsonl"
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[1:-1]] if path.exists() else []


def outcome(checkout: Checkout) -> tuple[object, object]:
    """What must not depend on interruptions."""
    rounds = json.loads((checkout.root / "models/search.json").read_text())["pba"]["rounds"]
    found = load_policy(checkout.root / "models/policies/pba.json")
    return [(r["until"], r["scores"], r["exchanges"]) for r in rounds], found


def kill_in_a_round(checkout: Checkout, after: int, delay: float) -> None:
    before = len(lines(checkout))
    process = checkout.start("python", "-m", "flows", "search", log="killed.log")
    wait_for("rounds", lambda: len(lines(checkout)) >= before + after or process.poll() is not None, 120)
    time.sleep(delay)
    killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_population(checkout: Checkout, epochs: int) -> None:
    """Every member in every round once; in MLflow a child for each member, with its history."""
    trials = [t["trial"] for line in lines(checkout) for t in line["trials"]]
    assert sorted(trials) == list(range(4 * epochs))
    assert not list((checkout.root / "models/population").rglob("*.pt"))
    found = load_policy(checkout.root / "models/policies/pba.json")
    assert isinstance(found, Schedule)
    assert found.epochs == epochs
    client = mlflow.MlflowClient(f"sqlite:///{checkout.root}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert sorted(runs) == [*(f"pba member {k}" for k in range(4)), "search pba"]
    parent = {file.path for file in client.list_artifacts(runs["search pba"].info.run_id)}
    assert parent == {"population.png", "schedule.json", "schedule.png"}
    child = runs["pba member 0"].info.run_id
    assert {file.path for file in client.list_artifacts(child)} == {"lineage.json", "policy.json", "policy.png"}
    assert [m.step for m in client.get_metric_history(child, "epoch_val_accuracy")] == list(range(1, epochs + 1))


def test_killed_in_a_round_and_resumed_is_as_if_undisturbed(fresh: Checkout) -> None:
    fresh.run("python", "-m", "flows", "search")
    undisturbed = outcome(fresh)
    check_population(fresh, 8)
    forget(fresh)
    kill_in_a_round(fresh, after=5, delay=0.03)
    done = fresh.run("python", "-m", "flows", "search")
    assert "of 8 rounds are in the journal and do not run again" in done.stdout + done.stderr
    assert outcome(fresh) == undisturbed
    check_population(fresh, 8)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_random_rounds(fresh: Checkout) -> None:
    """Also with other slots in between: they change no result."""
    fresh.set_params({"search": {"pba": POPULATION | {"train": {"epochs": 24}}}})
    fresh.run("python", "-m", "flows", "search")
    undisturbed = outcome(fresh)
    forget(fresh)
    rng = random.Random(0)
    for per_device in (2, 1, 2, 3, 1, 2):
        fresh.set_params({"workers": {"per_device": per_device}})
        kill_in_a_round(fresh, after=rng.randint(1, 5), delay=rng.uniform(0, 0.3))
    fresh.run("python", "-m", "flows", "search")
    assert outcome(fresh) == undisturbed
    check_population(fresh, 24)
    fresh.set_params({"workers": {"per_device": None}})


@pytest.mark.slow
def test_members_that_diverge_are_replaced_and_all_of_them_stop_the_search(fresh: Checkout) -> None:
    fresh.set_params({"search": {"pba": {"train": {"epochs": 4, "lr": 1e30}}}})
    done = fresh.run("python", "-m", "flows", "search", ok=False)
    assert done.returncode == 2
    assert "error: pba: every member failed in the round to epoch 1; the first: NotFiniteError: the loss is" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
