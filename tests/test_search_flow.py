"""The search as a process: killed, resumed, failing, and over settings as well as policies."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from os import killpg
from pathlib import Path
from typing import Any

import mlflow
import pytest

from tests.conftest import Checkout, new_checkout, wait_for

QUICK = {"search": {"methods": ["tuun"], "trials": 14}, "retrain": {"arms": ["tuun"]}, "train": {"epochs": 1}}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], server: str) -> Checkout:
    """A checkout with prepared data and a search of a dozen very short trials."""
    checkout = new_checkout(tmp_path_factory.mktemp("search"), environment | {"PREFECT_API_URL": server})
    checkout.set_params(QUICK)
    checkout.run("python", "-m", "flows", "prepare")
    mlflow.MlflowClient(f"sqlite:///{checkout.root}/empty.db").search_experiments()
    return checkout


@pytest.fixture
def fresh(prepared: Checkout) -> Iterator[Checkout]:
    """The same, without journals; its params are put back afterwards."""
    kept = (prepared.root / "params.yaml").read_text()
    forget(prepared)
    yield prepared
    (prepared.root / "params.yaml").write_text(kept)


def forget(checkout: Checkout) -> None:
    for file in (checkout.root / "models").rglob("*.json*"):
        file.unlink()
    shutil.copy(checkout.root / "empty.db", checkout.root / "mlflow.db")  # making a new one takes seconds


def journal(checkout: Checkout) -> list[dict[str, Any]]:
    """What the journal holds; a torn last line does not count."""
    path = checkout.root / "models/journals/tuun.jsonl"
    lines = path.read_bytes().split(b"\n")[1:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def records(checkout: Checkout) -> list[dict[str, object]]:
    """The finished trials in the journal."""
    return [r for r in journal(checkout) if "trial" in r]


def outcome(checkout: Checkout) -> tuple[dict[int, object], int, object]:
    """What must not depend on interruptions: each trial's score, the choice, the chosen policy."""
    summary = json.loads((checkout.root / "models/search.json").read_text())["tuun"]
    policy = json.loads((checkout.root / "models/policies/tuun.json").read_text())
    return {t["trial"]: t["score"] for t in summary["trials"]}, summary["chosen"], policy


def search(checkout: Checkout, ok: bool = True) -> subprocess.CompletedProcess[str]:
    return checkout.run("python", "-m", "flows", "search", ok=ok)


def kill_while_searching(checkout: Checkout, after: int, delay: float) -> None:
    """SIGKILL the whole process group once `after` more trials are on record and `delay` seconds have passed."""
    before = len(records(checkout))
    process = checkout.start("python", "-m", "flows", "search", log="killed.log")
    wait_for("trials", lambda: len(records(checkout)) >= before + after or process.poll() is not None, 120)
    time.sleep(delay)
    killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_nothing_ran_twice(checkout: Checkout, trials: int) -> None:
    ids = [r["trial"] for r in records(checkout)]
    assert sorted(ids) == list(range(trials))
    client = mlflow.MlflowClient(f"sqlite:///{checkout.root}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    tracked = [run.data.tags["augsearch.trial"] for run in runs if run.data.tags["kind"] == "trial"]
    assert sorted(tracked, key=int) == [str(i) for i in range(trials)]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_killed_and_resumed_is_as_if_undisturbed(fresh: Checkout) -> None:
    search(fresh)
    undisturbed = outcome(fresh)
    forget(fresh)
    kill_while_searching(fresh, after=5, delay=0.05)
    assert 5 <= len(records(fresh)) < 14
    done = search(fresh)
    assert "trials are in the journal and do not run again" in done.stderr + done.stdout
    assert outcome(fresh) == undisturbed
    check_nothing_ran_twice(fresh, 14)


def test_ctrl_c_ends_at_once_with_the_way_on(fresh: Checkout) -> None:
    process = fresh.start("python", "-m", "flows", "search", log="stopped.log")
    wait_for("a trial", lambda: len(records(fresh)) >= 1, 120)
    killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to the flow and to all that it started
    assert process.wait(10) == 130
    assert "stopped; what was finished is kept, and `dvc repro` goes on from there" in (fresh.root / "stopped.log").read_text()
    wait_for("the slots' processes to end", lambda: not alive(process.pid), 10)


def alive(group: int) -> bool:
    try:
        killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_screening_promotes_the_best_and_survives_a_kill(fresh: Checkout) -> None:
    fresh.set_params({"train": {"epochs": 3, "evaluate_every": 3}, "search": {"screen": {"epochs": 2, "promote": 0.5}}})
    search(fresh)
    undisturbed = outcome(fresh)
    lines = journal(fresh)
    screened = {r["screens"]: r["score"] for r in lines if "screens" in r}
    assert sorted(screened) == list(range(14))
    promoted = {r["trial"]: r["score"] for r in lines if "trial" in r}
    batches = [range(4), range(4, 8), range(8, 12), range(12, 14)]
    best = [sorted(batch, key=lambda i: (-screened[i], i))[: len(batch) // 2] for batch in batches]
    assert sorted(promoted) == sorted(i for batch in best for i in batch)
    confirmed = {r["confirms"] for r in lines if "confirms" in r}
    assert confirmed == set(sorted(promoted, key=lambda i: (-promoted[i], i))[:2])
    assert [r["epochs"] for r in lines] == [2 if "screens" in r else 3 for r in lines]
    summary = json.loads((fresh.root / "models/search.json").read_text())["tuun"]
    assert [t["epochs"] for t in summary["trials"]] == [2 + 3 * (i in promoted) for i in range(14)]
    spent = sum(t["epochs"] for t in summary["trials"]) + summary["confirming"]["epochs"]
    assert spent == sum(r["epochs"] for r in lines)

    forget(fresh)
    kill_while_searching(fresh, after=3, delay=0.05)
    killed = len(journal(fresh))
    assert killed < len(lines)
    search(fresh)
    assert outcome(fresh) == undisturbed
    assert sorted(map(what, journal(fresh))) == sorted(map(what, lines))  # nothing ran twice


def what(record: dict[str, Any]) -> tuple[Any, ...]:
    """Which training a record is of."""
    return record.get("screens", -1), record.get("trial", -1), record.get("confirms", -1), record.get("repeat", -1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_ten_random_moments(fresh: Checkout) -> None:
    fresh.set_params({"search": {"trials": 60, "batch": 8, "n_initial_points": 20}})
    search(fresh)
    undisturbed = outcome(fresh)
    forget(fresh)
    rng = random.Random(0)
    for _ in range(10):
        kill_while_searching(fresh, after=rng.randint(1, 5), delay=rng.uniform(0, 0.5))
    search(fresh)
    assert outcome(fresh) == undisturbed
    check_nothing_ran_twice(fresh, 60)


@pytest.mark.slow
def test_async_over_policies_and_settings(fresh: Checkout) -> None:
    """Slots are never idle, settings are searched by dotted key, failures are recorded, and a kill loses nothing."""
    space = {"train.lr": {"_type": "choice", "_value": [0.05, 1e30]}, "network.width": {"_type": "randint", "_value": [2, 5]}}
    fresh.set_params({"search": {"mode": "async", "space": space}})
    kill_while_searching(fresh, after=6, delay=0.0)
    halfway = records(fresh)
    search(fresh)
    assert records(fresh)[: len(halfway)] == halfway
    check_nothing_ran_twice(fresh, 14)
    failed = [r for r in records(fresh) if r["score"] is None]
    assert failed
    assert all("the loss is" in str(r["failure"]) and r["settings"]["train.lr"] == 1e30 for r in failed)  # type: ignore[index]
    widths = {r["settings"]["network.width"] for r in records(fresh)}  # type: ignore[index]
    assert widths == {2, 3, 4}
    found = json.loads((fresh.root / "models/settings.json").read_text())["tuun"]
    assert found["train.lr"] == 0.05
    fresh.run("python", "-m", "flows", "retrain")
    rows = json.loads((fresh.root / "models/retrain.json").read_text())
    assert [row["settings"] for row in rows] == [found, found]  # the arm is trained as it was found


@pytest.mark.slow
def test_too_many_failures_stop_with_one_line(fresh: Checkout) -> None:
    fresh.set_params({"search": {"trial_timeout": 0.0001, "max_consecutive_failures": 3}})
    done = search(fresh, ok=False)
    assert done.returncode == 2
    assert "error: tuun: stopped after 3 failed trials in a row" in done.stderr
    assert "longer than search.trial_timeout (0.0001)" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.slow
def test_warm_start_begins_with_the_best_of_the_earlier_search(fresh: Checkout, tmp_path: Path) -> None:
    search(fresh)
    earlier = sorted((r for r in records(fresh) if r["score"] is not None), key=lambda r: -float(str(r["score"])))
    journal = tmp_path / "earlier.jsonl"
    journal.write_bytes((fresh.root / "models/journals/tuun.jsonl").read_bytes())
    fresh.set_params({"seed": 1, "search": {"trials": 4, "warm_start": {"journal": str(journal), "top": 2, "stack": True}}})
    search(fresh)
    first = [r["policy"] for r in sorted(records(fresh), key=lambda r: int(str(r["trial"])))[:2]]
    assert [r["score"] for r in earlier[:2]] == [next(r["score"] for r in earlier if r["policy"] == p) for p in first]
