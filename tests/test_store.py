"""The store: what is put is there after a kill; nothing is lost or mixed."""

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from augsearch.errors import StoreError
from augsearch.outcome import Failure, Result
from augsearch.store import Store
from augsearch.training.training import Training
from tests.workspaces import digits_workspace, evaluator_of, quick

ENVIRONMENT = {"commit": "c", "versions": "v", "hardware": "h", "device": "cpu"}


def training(seed: int) -> Training:
    settings = quick()
    return Training("data", settings.network, settings.train, None, seed, 1, "cpu")


def result(accuracy: float) -> Result:
    data = {"curve": [[1, accuracy]], "seconds": 1.0, "started": 2.0, "environment": ENVIRONMENT, "recall": [accuracy]}
    return Result.read({**data, "epochs": 1, "score": None})


def test_what_was_put_is_there_again(tmp_path: Path) -> None:
    failure = Failure("out of time", "too long", 3.0, 4.0, result(0.0).environment, 2, 3.0, ("a line",))
    with Store.open(tmp_path) as store:
        store.put([(training(0), result(1 / 3)), (training(1), failure)])
    with Store.open(tmp_path) as store:
        assert store.get(training(0)) == result(1 / 3)
        assert store.get(training(1)) == failure
        assert store.get(training(2)) is None


def test_two_runs_exclude_each_other(tmp_path: Path) -> None:
    with Store.open(tmp_path), pytest.raises(StoreError, match="in use by another run"), Store.open(tmp_path):
        pass


def _fill(folder: Path) -> None:
    with Store.open(folder) as store:
        for seed in range(100_000):
            store.put([(training(2 * seed), result(seed / 1e5)), (training(2 * seed + 1), result(seed / 1e5))])


def test_a_kill_leaves_whole_outcomes(tmp_path: Path) -> None:
    """What was put together is there together."""
    process = multiprocessing.get_context("spawn").Process(target=_fill, args=(tmp_path,))
    process.start()
    database = tmp_path / "store.sqlite"
    while not database.exists() or _count(database) < 40:
        assert process.is_alive()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with Store.open(tmp_path) as store:
        count = len(store)
        assert count >= 40
        assert count % 2 == 0
        assert store.get(training(count - 1)) == result((count // 2 - 1) / 1e5)


def _count(database: Path) -> int:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM outcomes").fetchone()[0])
    except sqlite3.OperationalError:  # not there yet
        return 0
    finally:
        if "connection" in locals():
            connection.close()


def test_a_broken_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.put([(training(seed), result(0.5)) for seed in range(60)])
    database = tmp_path / "store.sqlite"
    broken = bytearray(database.read_bytes())
    broken[: 16 * 1024] = b"\xff" * min(16 * 1024, len(broken))
    database.write_bytes(broken)
    with pytest.raises(StoreError, match=r"store\.sqlite: .*nothing was deleted: move the folder"), Store.open(tmp_path):
        pass
    assert database.read_bytes() == broken


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="version 99; this release reads 1"), Store.open(tmp_path):
        pass


def test_weights_that_are_gone_are_made_again(tmp_path: Path) -> None:
    """A result whose weights are needed counts as known with them alone; the second run makes the same."""
    from augsearch.evidence.retraining import retrain

    workspace = digits_workspace(tmp_path)
    settings = quick({"search": {"methods": []}, "retrain": {"arms": ["none", "etp"]}})
    workspace.found_settings.parent.mkdir(parents=True)
    workspace.found_settings.write_text("{}")
    with evaluator_of(workspace) as evaluator:
        models = retrain(settings, workspace, evaluator)
        rows = workspace.retrained.read_bytes()
        weights = {file.name: file.read_bytes() for file in workspace.weights.iterdir()}
        assert len(weights) == 4
        lost = evaluator.store.file(models[0].job.key, "weights")
        lost.unlink()
    with evaluator_of(workspace) as evaluator:
        again = retrain(settings, workspace, evaluator)
        assert [model.stored for model in again] == [False, True, True, True]
        assert {file.name: file.read_bytes() for file in workspace.weights.iterdir()} == weights
        assert len(workspace.retrained.read_bytes()) == pytest.approx(len(rows), abs=20)  # its seconds differ


def test_test_scores_are_computed_by_the_workers_once_a_model_is_trained(tmp_path: Path) -> None:
    """As jobs under keys of their own, on the workers' devices; again, nothing runs."""
    from augsearch.evidence.retraining import retrain
    from augsearch.evidence.testing import tested_models

    workspace = digits_workspace(tmp_path)
    settings = quick({"search": {"methods": []}, "retrain": {"arms": ["none", "etp"]}})
    workspace.found_settings.parent.mkdir(parents=True)
    workspace.found_settings.write_text("{}")
    with evaluator_of(workspace) as evaluator:
        retrain(settings, workspace, evaluator)
    ran = []
    for _ in range(2):
        with evaluator_of(workspace) as evaluator:
            rows, confusions = tested_models(settings, workspace, evaluator)
            ran.append(len(evaluator.executor.ran))  # type: ignore[attr-defined]  # it counts
        assert [row["arm"] for row in rows] == ["none", "etp"] * 2
        assert all(matrix.sum() == 600 for matrix in confusions)
        assert all(row["environment"]["device"] == "cpu" for row in rows)
    assert ran == [4, 0]
