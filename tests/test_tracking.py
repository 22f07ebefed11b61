"""MLflow, real, on sqlite: what somebody deletes in its page, servers that are away, models taken elsewhere."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from augsearch.errors import TrackingError
from augsearch.evidence.entries import Entry
from augsearch.training import networks
from augsearch.training.normalisation import Normalisation
from augsearch.training.trainer import Classifier
from augsearch.workspace import Workspace
from tasks.tracking import Tracker

ENTRIES = [
    Entry(
        str(i), f"trial {i}", started=0, seconds=1, params={}, metrics={"val_accuracy": 0.5}, curves={}, tags={"kind": "trial"}
    )
    for i in range(3)
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, which takes seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def workspace(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty, tmp_path / "mlflow.db")
    before = mlflow.get_tracking_uri()
    yield Workspace(tmp_path)
    mlflow.set_tracking_uri(before)


def tracked(workspace: Workspace) -> Tracker:
    """A run of three trials, tracked to its end."""
    tracker = Tracker(workspace, "digits", "search tuun", "key", {"kind": "search"})
    with tracker.interrupted():
        for entry in ENTRIES:
            tracker.child(entry)
        tracker.finish({"val_accuracy": 0.5})
    return tracker


def runs(tracker: Tracker) -> list[str]:
    """Kind and status of each run that the page shows."""
    (experiment,) = (e for e in tracker.client.search_experiments() if e.name == "digits")
    shown = tracker.client.search_runs([experiment.experiment_id])
    return sorted(f"{run.data.tags['kind']} {run.info.status}" for run in shown)


ALL = ["search FINISHED", "trial FINISHED", "trial FINISHED", "trial FINISHED"]


def test_a_deleted_experiment_comes_back(workspace: Workspace) -> None:
    tracker = tracked(workspace)
    (experiment,) = (e for e in tracker.client.search_experiments() if e.name == "digits")
    tracker.client.delete_experiment(experiment.experiment_id)
    again = tracked(workspace)
    assert set(runs(again)) == set(ALL)
    assert again.client.get_experiment_by_name("digits").lifecycle_stage == "active"


def test_a_deleted_trial_is_logged_again(workspace: Workspace) -> None:
    tracker = tracked(workspace)
    tracker.client.delete_run(tracker.logged["1"])
    again = tracked(workspace)
    assert again.id == tracker.id
    assert runs(again) == ALL
    assert again.logged["1"] != tracker.logged["1"]


def test_a_deleted_search_is_logged_again(workspace: Workspace) -> None:
    """With its trials, or alone."""
    tracker = tracked(workspace)
    for run in (tracker.id, *tracker.logged.values()):
        tracker.client.delete_run(run)
    again = tracked(workspace)
    assert runs(again) == ALL
    assert again.id != tracker.id
    again.client.delete_run(again.id)
    last = tracked(workspace)
    assert sorted(last.logged) == ["0", "1", "2"]
    assert set(last.logged.values()).isdisjoint(again.logged.values())


def test_deleted_while_it_runs_ends_with_one_line(workspace: Workspace) -> None:
    tracker = tracked(workspace)
    tracker.client.delete_run(tracker.id)
    said = r"^MLflow: .*active.*; what was finished is kept, and `dvc repro`"
    with pytest.raises(TrackingError, match=said) as raised, tracker.interrupted():
        tracker.finish({"val_accuracy": 0.5})
    assert "\n" not in str(raised.value)
    assert set(runs(tracked(workspace))) == set(ALL)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:{closed}", "file:///nowhere", "sqlite:////dev/null/mlflow.db", "nonsense://x"]
)
def test_a_store_that_cannot_be_used_is_one_line_at_the_start(
    workspace: Workspace, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(closed=closed))
    with pytest.raises(TrackingError, match="^MLflow: ") as raised:
        tracked(workspace)
    assert "\n" not in str(raised.value)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ  # later, a server may be away for minutes


USE = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]  # what an installation put there
try:
    import augsearch
except ModuleNotFoundError:
    import mlflow, numpy
    mlflow.set_tracking_uri(sys.argv[1])
    images = numpy.load(sys.argv[2])
    uri = "models:/augsearch-digits@champion"
    import torch
    print(mlflow.pytorch.load_model(uri)(torch.from_numpy(images)).tolist())
    print(numpy.asarray(mlflow.pyfunc.load_model(uri).predict(images)).tolist())
"""


OWN = """
from torch import nn

class Own(nn.Module):
    def __init__(self, within):
        super().__init__()
        self.within = within

    def forward(self, images):
        return self.within(images) / (2 if DIVIDES else 1)
"""


@pytest.mark.filterwarnings("ignore")  # MLflow's own
@pytest.mark.parametrize("divides", ["True", "images.mean() > 0"])  # what torch.export can write down, and what it cannot
def test_a_registered_model_needs_no_checkout(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, divides: str
) -> None:
    """Neither this project's code nor the user's own network's is installed there; it takes any number of images."""
    tracker = tracked(workspace)
    name = f"own_network_{len(divides)}"
    own = tmp_path / "own"
    own.mkdir()
    (own / f"{name}.py").write_text(OWN.replace("DIVIDES", divides))
    monkeypatch.syspath_prepend(str(own))
    network = import_module(name).Own(networks.build("small", classes=3, channels=3, width=4))
    model = Classifier(network, Normalisation((0.5,) * 3, (0.2,) * 3)).eval()
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 16, 16), dtype=np.uint8)
    tracker.register(model, images[:4], "augsearch-digits", {"champion": "none 1"})
    assert tracker.registered("augsearch-digits") == "none 1"
    np.save(tmp_path / "images.npy", images)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-I", "-c", USE, f"sqlite:///{tmp_path}/mlflow.db", "images.npy"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with torch.inference_mode():
        expected = model(torch.from_numpy(images)).numpy()
    loaded = [np.array(eval(line)) for line in done.stdout.splitlines() if line.startswith("[[")]
    assert len(loaded) == 2
    for scores in loaded:
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_model_deleted_from_the_registry_is_no_champion(workspace: Workspace) -> None:
    tracker = tracked(workspace)
    assert tracker.registered("augsearch-digits") is None
    tracker.client.create_registered_model("augsearch-digits")
    assert tracker.registered("augsearch-digits") is None
