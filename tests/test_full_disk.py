"""A disk that is full when a stage writes weights or a checkpoint: no trial's failure, and the next run goes on."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from augsearch.data.prepared import load_info
from augsearch.job import Work
from augsearch.training import training as module
from augsearch.training.training import Training
from tests.workspaces import digits_workspace, evaluator_of, quick

ROOM = 100_000  # bytes: more than the store's database needs, less than a network of this width


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Whatever this process writes beyond that fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("writes", ["weights", "partial", "checkpoint"])
def test_what_cannot_be_written_is_no_result(writes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = digits_workspace(tmp_path)
    settings = quick({"network": {"width": 64}, "train": {"epochs": 3}})
    data = load_info(workspace.info).fingerprint

    def training(seed: int) -> Training:
        keeps = None if writes == "partial" else writes
        until = 1 if writes == "checkpoint" else 3
        return Training(data, settings.network, settings.train, None, seed, until, "cpu", keeps=keeps)

    if writes == "partial":
        monkeypatch.setattr(module, "_CHECKPOINT_SECONDS", 0.0)
    small = Training(data, quick().network, settings.train, None, 0, 3, "cpu")
    with evaluator_of(workspace) as evaluator:
        with files_of_at_most(ROOM):
            evaluator.submit(Work("small", (small,)))
            list(evaluator.completed())
            evaluator.submit(Work("large", (training(0),)))
            with pytest.raises(OSError, match="File too large"):
                list(evaluator.completed())
        assert evaluator.store.get(training(0)) is None
        assert [file.name for file in evaluator.executor.bench.files.iterdir()] == []
    with evaluator_of(workspace) as evaluator:
        for work in (Work("small", (small,)), Work("large", (training(0),))):
            evaluator.submit(work)
        assert [done.stored for done in evaluator.completed()] == [True, False]
        if writes != "partial":
            assert evaluator.store.file(training(0).key, writes).stat().st_size > ROOM
