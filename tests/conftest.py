"""Real things for tests: a checkout of one's own, a Prefect server on loopback."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings
from mlflow import MlflowClient

ROOT = Path(__file__).parent.parent
settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")
COPIED = (
    "augsearch",
    "flows",
    "tasks",
    "data/raw",
    "policies",
    "dvc.yaml",
    "params.yaml",
    "prefect.yaml",
    ".dvc/config",
    ".dvcignore",
)

TINY = {
    "network": {"width": 4},
    "train": {"epochs": 2},
    "search": {
        "pba": {"population_size": 4, "perturbation_interval": 1, "members_per_model": 2, "train": {"epochs": 2}},
        "trials": 6,
        "batch": 4,
        "n_initial_points": 4,
        "sub_policies": 2,
        "confirm": {"top": 2, "seeds": 1},
    },
    "retrain": {"seeds": 2},
    "workers": {"per_device": 1},  # each takes seconds to start
}


class Checkout:
    """A copy of the project in a folder of its own, and commands run in it."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = environment

    def run(self, *command: str, ok: bool = True, timeout: float = 500) -> subprocess.CompletedProcess[str]:
        """Run a command of this Python's environment, such as `dvc repro`; fails the test with its output."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not ok or done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def start(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, so that all of it can be stopped."""
        with (self.root / log).open("wb") as file:
            return subprocess.Popen(
                command, cwd=self.root, env=self.environment, stdout=file, stderr=file, start_new_session=True
            )

    def ask(self, path: str) -> Any:
        """What the Prefect server lists there."""
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.environment["PREFECT_API_URL"] + path, b"{}", head)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def outcomes(self, kind: str = "training") -> dict[str, dict[str, Any]]:
        """What the store holds, by key; readable while somebody writes."""
        database = self.root / ".augsearch/store.sqlite"
        if not database.exists():
            return {}
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            try:
                rows = connection.execute("SELECT key, job, outcome FROM outcomes").fetchall()
            except sqlite3.OperationalError:  # just being made
                return {}
        jobs = {key: {"job": json.loads(job), **json.loads(outcome)} for key, job, outcome in rows}
        return {key: outcome for key, outcome in jobs.items() if outcome["job"]["kind"] == kind}

    def search_summary(self, method: str) -> dict[str, Any]:
        """What models/search.json says of a search, without what depends on the clock."""
        summary = json.loads((self.root / "models/search.json").read_text())[method]
        for item in (*summary["trials"], *summary.get("rounds", []), summary["confirming"]):
            item.pop("seconds")
        return dict(summary)

    def kill_after(self, count: int, delay: float, *command: str) -> None:
        """Start the command, and SIGKILL all of it once `count` more trainings are stored and `delay` seconds have passed."""
        before = len(self.outcomes())
        process = self.start(*command, log="killed.log")
        wait_for("trainings", lambda: len(self.outcomes()) >= before + count or process.poll() is not None, 120)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def forget(self) -> None:
        """As if no search had run here."""
        for folder in ("models", ".augsearch"):
            shutil.rmtree(self.root / folder, ignore_errors=True)
        empty = self.root / "empty.db"
        if not empty.exists():  # making a new one takes seconds
            MlflowClient(f"sqlite:///{empty}").search_experiments()
        shutil.copy(empty, self.root / "mlflow.db")

    def set_params(self, changes: dict[str, object]) -> None:
        path = self.root / "params.yaml"
        data = yaml.safe_load(path.read_text())
        _merge(data, changes)
        path.write_text(yaml.safe_dump(data, sort_keys=False))


def _merge(data: dict[str, object], changes: dict[str, object]) -> None:
    for key, value in changes.items():
        here = data.get(key)
        if isinstance(value, dict) and isinstance(here, dict):
            _merge(here, value)
        else:
            data[key] = value


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def wait_for(what: str, ready: object, seconds: float = 90) -> None:
    """Poll until `ready()` is true."""
    assert callable(ready)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """This process's environment with a home of its own for Prefect, and no telemetry."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PYTHONPATH": ".",
        "OMP_NUM_THREADS": "1",
        "DVC_NO_ANALYTICS": "1",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


@pytest.fixture(scope="session")
def server(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server on a free port of the loopback; gives its API's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    where = Checkout(tmp_path_factory.mktemp("server"), environment)
    process = where.start("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), log="server.log")

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for("prefect server", healthy)
        yield url
    finally:
        stop(process)


def new_checkout(root: Path, environment: dict[str, str]) -> Checkout:
    """Copy what the pipeline needs into `root`, with tiny settings, under git and DVC."""
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.npz", "*.npy"))
        else:
            shutil.copy2(source, target)
    checkout = Checkout(root, environment)
    checkout.set_params(TINY)
    checkout.run("git", "init", "--quiet", ".")
    return checkout
