"""Observers of a stage: the log and MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prefect import get_run_logger

from augsearch.evidence.retraining import Model
from augsearch.objective import Objective
from augsearch.progress import RetrainProgress, SearchProgress
from augsearch.search.loop import Observer
from augsearch.search.methods import search_key
from tasks.stage import Stage
from tasks.tracking import MlflowModels, MlflowSearch


@contextmanager
def search_observers(method: str, stage: Stage) -> Iterator[list[Observer]]:
    """Watch a search; an interruption is noted, and goes on its way."""
    objective = stage.objective
    mlflow = MlflowSearch(stage.workspace, objective, method, search_key(method, stage.settings, objective), stage.settings)
    with mlflow.tracker.interrupted():
        yield [SearchProgress(get_run_logger(), objective.unit), mlflow]


@dataclass(frozen=True)
class ModelObserver:
    """Watches the models of the final table."""

    stage: Stage
    progress: RetrainProgress
    mlflow: MlflowModels

    def __call__(self, model: Model, objective: Objective, total: int) -> None:
        self.progress(model, objective, total)
        self.mlflow(model, objective, total)

    def champion(self, models: Sequence[Model]) -> None:
        """Register the model that is best on the validation split."""
        if line := self.mlflow.champion(models, self.stage.objective, self.stage.info):
            get_run_logger().info(line)


@contextmanager
def model_observer(stage: Stage) -> Iterator[ModelObserver]:
    """Watch the retraining; an interruption is noted, and goes on its way."""
    mlflow = MlflowModels(stage.workspace, stage.objective, stage.settings.seed)
    with mlflow.tracker.interrupted():
        yield ModelObserver(stage, RetrainProgress(get_run_logger()), mlflow)
