"""The population search as a process: killed in any round and resumed, and what it leaves behind."""

import random
from collections.abc import Iterator

import mlflow
import pytest

from augsearch.policy import Schedule, load_policy
from tests.conftest import Checkout, new_checkout

POPULATION = {"population_size": 4, "perturbation_interval": 1, "members_per_model": 2, "train": {"epochs": 8}}
QUICK = {"search": {"methods": ["pba"], "pba": POPULATION}, "retrain": {"arms": ["pba"]}}
SEARCH = ("python", "-m", "flows", "search")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], server: str) -> Checkout:
    made = new_checkout(tmp_path_factory.mktemp("population"), environment | {"PREFECT_API_URL": server})
    made.set_params(QUICK)
    made.run("python", "-m", "flows", "prepare")
    return made


@pytest.fixture
def fresh(checkout: Checkout) -> Iterator[Checkout]:
    checkout.forget()
    yield checkout
    checkout.set_params(QUICK)


def check_population(checkout: Checkout, epochs: int) -> None:
    """Every member in every round once; in MLflow a child for each member, with its history."""
    assert len(checkout.outcomes()) == 4 * epochs
    assert not list((checkout.root / ".augsearch").rglob("*.pt"))
    schedule = load_policy(checkout.root / "models/policies/pba.json")
    assert isinstance(schedule, Schedule)
    assert schedule.epochs == epochs
    client = mlflow.MlflowClient(f"sqlite:///{checkout.root}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert sorted(runs) == [*(f"pba member {k}" for k in range(4)), "search pba"]
    parent = {file.path for file in client.list_artifacts(runs["search pba"].info.run_id)}
    assert parent == {"population.png", "policy.json", "policy.png"}
    child = runs["pba member 0"].info.run_id
    assert {file.path for file in client.list_artifacts(child)} == {"lineage.json", "policy.json", "policy.png"}
    assert [m.step for m in client.get_metric_history(child, "epoch_val_accuracy")] == list(range(1, epochs + 1))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_a_round_and_resumed_is_as_if_undisturbed(fresh: Checkout) -> None:
    fresh.run(*SEARCH)
    undisturbed = fresh.search_summary("pba")
    check_population(fresh, 8)
    fresh.forget()
    fresh.kill_after(18, 0.03, *SEARCH)
    before = fresh.outcomes()
    done = fresh.run(*SEARCH)
    assert "of 32 trials are in the store and do not run again" in done.stdout + done.stderr
    assert fresh.search_summary("pba") == undisturbed
    check_population(fresh, 8)
    assert {key: fresh.outcomes()[key] for key in before} == before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_random_rounds(fresh: Checkout) -> None:
    """Also with other numbers of workers in between: they change no result."""
    fresh.set_params({"search": {"pba": POPULATION | {"train": {"epochs": 24}}}})
    fresh.run(*SEARCH)
    undisturbed = fresh.search_summary("pba")
    fresh.forget()
    rng = random.Random(0)
    for per_device in (2, 1, 2, 3, 1, 2):
        fresh.set_params({"workers": {"per_device": per_device}})
        fresh.kill_after(rng.randint(4, 20), rng.uniform(0, 0.3), *SEARCH)
    fresh.run(*SEARCH)
    assert fresh.search_summary("pba") == undisturbed
    check_population(fresh, 24)
    fresh.set_params({"workers": {"per_device": None}})


@pytest.mark.slow
def test_a_population_that_diverges_stops_with_one_line(fresh: Checkout) -> None:
    fresh.set_params({"search": {"pba": {"train": {"epochs": 4, "lr": 1e30}}}})
    done = fresh.run(*SEARCH, ok=False)
    assert done.returncode == 2
    assert "error: pba: stopped after 4 failed trials in a row" in done.stderr
    assert "NotFiniteError: the loss is" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
