"""The search as a process: killed, resumed, failing, and over settings as well as policies."""

import json
import random
from collections.abc import Iterator
from os import killpg
from signal import SIGINT

import mlflow
import pytest

from tests.conftest import Checkout, new_checkout, wait_for

QUICK = {
    "search": {"methods": ["tuun"], "trials": 14},
    "retrain": {"arms": ["tuun"]},
    "train": {"epochs": 1},
    "workers": {"per_device": 2},
}
SEARCH = ("python", "-m", "flows", "search")
CONFIRMATIONS = 2


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], server: str) -> Checkout:
    """A checkout with prepared data and a search of a dozen very short trials."""
    checkout = new_checkout(tmp_path_factory.mktemp("search"), environment | {"PREFECT_API_URL": server})
    checkout.set_params(QUICK)
    checkout.run("python", "-m", "flows", "prepare")
    return checkout


@pytest.fixture
def fresh(prepared: Checkout) -> Iterator[Checkout]:
    """The same, without results; its params are put back afterwards."""
    kept = (prepared.root / "params.yaml").read_text()
    prepared.forget()
    yield prepared
    (prepared.root / "params.yaml").write_text(kept)


def check_nothing_ran_twice(checkout: Checkout, before: dict[str, object], trials: int) -> None:
    """What was stored before a kill is stored unchanged, its seconds included; and each trial is tracked once."""
    after = checkout.outcomes()
    assert {key: after[key] for key in before} == before
    assert len(after) == trials + CONFIRMATIONS
    client = mlflow.MlflowClient(f"sqlite:///{checkout.root}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    tracked = [run.data.tags["augsearch.trial"] for run in runs if run.data.tags["kind"] == "trial"]
    assert sorted(tracked, key=int) == [str(i) for i in range(trials)]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_killed_and_resumed_is_as_if_undisturbed(fresh: Checkout) -> None:
    fresh.run(*SEARCH)
    undisturbed = fresh.search_summary("tuun")
    fresh.forget()
    fresh.kill_after(5, 0.05, *SEARCH)
    before = fresh.outcomes()
    assert 5 <= len(before) < 14
    done = fresh.run(*SEARCH)
    assert "trials are in the store and do not run again" in done.stderr + done.stdout
    assert fresh.search_summary("tuun") == undisturbed
    check_nothing_ran_twice(fresh, before, 14)


def test_ctrl_c_ends_at_once_with_the_way_on(fresh: Checkout) -> None:
    process = fresh.start(*SEARCH, log="stopped.log")
    wait_for("a trial", lambda: len(fresh.outcomes()) >= 1, 120)
    killpg(process.pid, SIGINT)  # as a terminal sends it: to the flow and to all that it started
    assert process.wait(10) == 130
    assert "stopped; what was finished is kept, and `dvc repro` goes on from there" in (fresh.root / "stopped.log").read_text()
    wait_for("the workers' processes to end", lambda: not alive(process.pid), 10)


def alive(group: int) -> bool:
    try:
        killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_ten_random_moments(fresh: Checkout) -> None:
    fresh.set_params({"search": {"trials": 60, "batch": 8, "n_initial_points": 20}})
    fresh.run(*SEARCH)
    undisturbed = fresh.search_summary("tuun")
    fresh.forget()
    rng = random.Random(0)
    for _ in range(10):
        fresh.kill_after(rng.randint(1, 5), rng.uniform(0, 0.5), *SEARCH)
    before = fresh.outcomes()
    fresh.run(*SEARCH)
    assert fresh.search_summary("tuun") == undisturbed
    check_nothing_ran_twice(fresh, before, 60)


@pytest.mark.slow
def test_async_over_policies_and_settings(fresh: Checkout) -> None:
    """Workers are never idle, settings are searched by dotted key, failures are recorded, and a kill loses nothing."""
    space = {"train.lr": {"_type": "choice", "_value": [0.05, 1e30]}, "network.width": {"_type": "randint", "_value": [2, 5]}}
    fresh.set_params({"search": {"mode": "async", "space": space}})
    fresh.kill_after(6, 0.0, *SEARCH)
    halfway = fresh.outcomes()
    fresh.run(*SEARCH)
    check_nothing_ran_twice(fresh, halfway, 14)
    trials = fresh.search_summary("tuun")["trials"]
    failed = [t for t in trials if t["score"] is None]
    assert failed
    assert all("the loss is" in t["failure"] and t["settings"]["train.lr"] == 1e30 for t in failed)
    widths = {t["settings"]["network.width"] for t in trials}
    assert len(widths) > 1 and widths <= {2, 3, 4}
    chosen = json.loads((fresh.root / "models/settings.json").read_text())["tuun"]
    assert chosen["train.lr"] == 0.05
    fresh.run("python", "-m", "flows", "retrain")
    rows = json.loads((fresh.root / "models/retrain.json").read_text())
    assert [row["settings"] for row in rows] == [chosen, chosen]  # the arm is trained as it was chosen


@pytest.mark.slow
def test_too_many_failures_stop_with_one_line(fresh: Checkout) -> None:
    fresh.set_params({"search": {"trial_timeout": 0.0001, "max_consecutive_failures": 3}})
    done = fresh.run(*SEARCH, ok=False)
    assert done.returncode == 2
    assert "error: tuun: stopped after 3 failed trials in a row" in done.stderr
    assert "longer than search.trial_timeout (0.0001)" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_worker_loses_no_finished_trial(fresh: Checkout) -> None:
    process = fresh.start(*SEARCH, log="lost.log")
    wait_for("a trial", lambda: len(fresh.outcomes()) >= 2, 120)
    import psutil

    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    workers[0].kill()
    assert process.wait(60) == 2
    assert "a worker's process died, often because memory ran out" in (fresh.root / "lost.log").read_text()
    before = fresh.outcomes()
    fresh.run(*SEARCH)
    check_nothing_ran_twice(fresh, before, 14)
