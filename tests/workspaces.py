"""Workspaces for tests that run in this process: the digits, prepared, and settings of very short trainings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from augsearch.data.prepare import prepare
from augsearch.data.prepared import save
from augsearch.data.settings import DatasetSettings
from augsearch.execute import Evaluator, Executor, SerialExecutor
from augsearch.job import Bench
from augsearch.search.loop import Ended, SearchOutcome
from augsearch.search.methods import run_search
from augsearch.settings import Settings, settings_from
from augsearch.store import Store
from augsearch.workspace import Workspace

QUICK: dict[str, Any] = {
    "network": {"width": 4},
    "train": {"epochs": 1},
    "search": {"methods": ["tuun"], "trials": 12, "batch": 4, "n_initial_points": 4, "sub_policies": 2},
    "retrain": {"seeds": 2, "arms": ["none", "tuun"]},
}
POPULATION = {
    "search": {"methods": ["pba"], "pba": {"population_size": 4, "perturbation_interval": 1, "train": {"epochs": 5}}},
    "retrain": {"arms": ["pba"]},
}


def quick(changes: Mapping[str, Any] = {}) -> Settings:
    """Settings of very short trainings, with changes by section."""
    return settings_from(_merged(_merged(QUICK, {"search": {"confirm": {"top": 2, "seeds": 1}}}), changes), "test")


def _merged(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {k: _merged(data[k], v) for k, v in changes.items() if isinstance(v, dict) and isinstance(data.get(k), dict)}
    return {**data, **changes, **both}


@cache
def _digits() -> Any:
    return prepare(DatasetSettings(name="digits"))


def digits_workspace(root: Path) -> Workspace:
    """A workspace with the digits prepared in it."""
    workspace = Workspace(root)
    save(*_digits(), workspace.data)
    return workspace


class Counting(SerialExecutor):
    """Counts the jobs that run, by key."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.ran: list[str] = []

    def submit(self, work: Any) -> None:
        self.ran += work.keys
        super().submit(work)


@contextmanager
def evaluator_of(workspace: Workspace, executor: Executor | None = None, **bench: Any) -> Iterator[Evaluator]:
    """The workspace's store in front of an executor that counts."""
    with Store.open(workspace.store) as store:
        yield Evaluator(store, executor or Counting(Bench(workspace, **bench)))


class Watching:
    """An observer that remembers, and may stop the search after some trials."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.ended_trials: list[Ended] = []
        self.stop_after = stop_after

    def begin(self, method: str, searcher: object, trials: int) -> None:
        pass

    def ended(self, ended: Ended) -> None:
        self.ended_trials.append(ended)
        if self.stop_after is not None and sum(not e.stored for e in self.ended_trials) == self.stop_after:
            raise KeyboardInterrupt

    def confirmed(self, trial: int, repeat: int, outcome: object) -> None:
        pass

    def chosen(self, outcome: SearchOutcome) -> None:
        pass


def searched(workspace: Workspace, settings: Settings, method: str, **bench: Any) -> tuple[SearchOutcome, list[str]]:
    """A search's outcome, and the keys of the jobs that ran for it."""
    with evaluator_of(workspace, **bench) as evaluator:
        outcome = run_search(method, settings, workspace, evaluator)
        assert isinstance(evaluator.executor, Counting)
        return outcome, evaluator.executor.ran
