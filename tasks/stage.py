"""The resources of a stage of the pipeline: checked settings, the workspace, and for trainings the store and the workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefect import get_run_logger

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info
from augsearch.devices import slow_precision, workers
from augsearch.execute import Evaluator
from augsearch.job import Bench
from augsearch.objective import Objective, objective_of
from augsearch.settings import Settings
from augsearch.store import Store
from augsearch.workspace import Workspace
from tasks.executor import PrefectExecutor
from tasks.inputs import read


@dataclass(frozen=True)
class Stage:
    """The inputs of a stage that trains or tests."""

    settings: Settings
    workspace: Workspace
    evaluator: Evaluator

    @property
    def info(self) -> DatasetInfo | None:
        """The prepared data set; None for a user's script, which has its own."""
        return None if self.settings.search.own_script else load_info(self.workspace.info)

    @property
    def objective(self) -> Objective:
        """The objective that evaluates trainings here."""
        return objective_of(self.settings, self.workspace, self.evaluator.executor.bench.device.partition(":")[0])


@contextmanager
def open_stage(params: str, *, limited: bool = False) -> Iterator[Stage]:
    """Read the settings, open the store and start the workers; all is closed on leaving.

    Args:
        limited: whether `search.trial_timeout` holds.
    """
    settings, workspace = read(params)
    devices = workers(settings.workers)
    if warning := slow_precision(settings, devices):
        get_run_logger().warning(warning)
    bench = Bench(workspace, timeout=settings.search.trial_timeout if limited else None)
    with Store.open(workspace.store) as store, PrefectExecutor(devices, bench) as executor:
        yield Stage(settings, workspace, Evaluator(store, executor))
