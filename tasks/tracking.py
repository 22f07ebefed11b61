"""MLflow, in this one file: a parent run for a search, a child for each trial.

Only the flow's process writes, one run at a time, so the database is never locked by ourselves. What is
tracked is made from journals and can be made again: runs that an interruption left RUNNING are closed, and
trials without a run are logged, whenever a search is resumed.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from augsearch.errors import SearchError

if TYPE_CHECKING:
    from mlflow.entities import Run

URI = "sqlite:///mlflow.db"
ARTIFACTS = Path("mlartifacts")
_PARENT = "mlflow.parentRunId"
_FINGERPRINT = "augsearch.fingerprint"
_TRIAL = "augsearch.trial"
_UNNAMEABLE = re.compile(r"[^\w.\- :]")  # what MLflow refuses in a name
_KIND = "mlflow.experimentKind"  # without it, MLflow's page shows traces of language models first
_NOTE = "mlflow.note.content"
NOTE = """**search METHOD**: a search; its children are the trials. Search for `tags.method = 'tuun' and tags.kind = 'trial'`
and sort by *val_accuracy*: the column *policy* says what was tried. Ticked and compared, trials make parallel coordinates;
`strength.Rotate` is how strongly a policy rotates: probability x magnitude, summed.

**retrain**: the models of the table, a child for each. **table**: the results; its artifact *index.html* is the report."""


def _mlflow() -> Any:
    """MLflow, imported when first used: the slots' processes never do, and it takes seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def _uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI", URI)


def tracked_policies(experiment: str) -> list[tuple[dict[str, Any], float]]:
    """(policy as JSON data, validation accuracy or own script's score) of every finished trial in an experiment.

    Raises:
        SearchError: no such experiment.
    """
    client = _mlflow().MlflowClient(_uri())
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise SearchError(f"search.warm_start.experiment: {experiment!r}: no such experiment in {_uri()}")
    tried = []
    for run in client.search_runs([found.experiment_id], "tags.kind = 'trial'", max_results=5000):
        score = run.data.metrics.get("val_accuracy", run.data.metrics.get("val_score"))
        if score is not None:
            data = _mlflow().artifacts.load_dict(f"{run.info.artifact_uri}/policy.json")
            tried.append((data, score))
    return tried


def _metric_name(name: str) -> str:
    """MLflow allows neither + nor, everywhere, : in a metric's name."""
    return re.sub(r"[^\w. /-]", "-", name.replace("+", "_and_"))


class Tracker:
    """One parent run in a data set's experiment, found again by its fingerprint when a search is resumed."""

    def __init__(self, experiment: str, name: str, fingerprint: str, tags: Mapping[str, str]) -> None:
        self._entities = _mlflow().entities
        self._client = _mlflow().MlflowClient(_uri())
        self._experiment = self._experiment_id(experiment)
        found = self._find(f"tags.`{_FINGERPRINT}` = '{fingerprint}'")
        if found:
            self.run = found[0]
            self._client.update_run(self.run.info.run_id, status="RUNNING")
        else:
            self.run = self._client.create_run(self._experiment, run_name=name, tags={_FINGERPRINT: fingerprint, **tags})
        children = self._find(f"tags.`{_PARENT}` = '{self.run.info.run_id}'")
        for child in children:
            if child.info.status == "RUNNING":  # half written when the search was interrupted
                self._client.set_terminated(child.info.run_id, "KILLED")
                self._client.delete_run(child.info.run_id)
        self.logged = {child.data.tags.get(_TRIAL): child.info.run_id for child in children if child.info.status != "RUNNING"}

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        ARTIFACTS.mkdir(exist_ok=True)
        return str(
            self._client.create_experiment(name, ARTIFACTS.resolve().as_uri(), {_KIND: "custom_model_development", _NOTE: NOTE})
        )

    def _find(self, condition: str) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], condition, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def child(
        self,
        key: str,
        *,
        name: str,
        started: float,
        seconds: float,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        curves: Mapping[str, Mapping[int, float]],
        tags: Mapping[str, str],
        policy: Mapping[str, Any] | None = None,
        documents: Mapping[str, Mapping[str, Any]] = {},
        picture: Image.Image | None = None,
    ) -> None:
        """Log one finished training, unless a run of that key is there already. curves: {name: {epoch: value}}."""
        if key in self.logged:
            return
        begin, end = round(1000 * started), round(1000 * (started + seconds))
        run = self._client.create_run(
            self._experiment,
            start_time=begin,
            run_name=name,
            tags={_PARENT: self.run.info.run_id, _TRIAL: key, **tags},
        )
        run_id = run.info.run_id
        points = [self._entities.Metric(k, v, end, 0) for k, v in metrics.items()]
        points += [self._entities.Metric(k, v, end, step) for k, values in curves.items() for step, v in values.items()]
        named = [self._entities.Param(_UNNAMEABLE.sub("_", k), str(v)[:6000]) for k, v in params.items()]
        self._client.log_batch(run_id, points, named)
        if policy is not None:
            self._client.log_dict(run_id, dict(policy), "policy.json")
        for name_of, document in documents.items():
            self._client.log_dict(run_id, dict(document), name_of)
        if picture is not None:
            self._client.log_image(run_id, picture, "policy.png")
        self._client.set_terminated(run_id, "FINISHED", end)
        self.logged[key] = run_id

    def metric(self, name: str, value: float, step: int = 0) -> None:
        self._client.log_metric(self.run.info.run_id, name, value, step=step)

    def child_metric(self, key: str, name: str, value: float) -> None:
        self._client.log_metric(self.logged[key], name, value)

    def finish(
        self, *, params: Mapping[str, object] = {}, metrics: Mapping[str, float] = {}, tags: Mapping[str, str] = {}
    ) -> None:
        run_id = self.run.info.run_id
        kept = self._client.get_run(run_id).data.params  # a param cannot be written twice with another value
        fresh = [self._entities.Param(k, str(v)[:6000]) for k, v in params.items() if k not in kept]
        self._client.log_batch(
            run_id,
            [self._entities.Metric(_metric_name(k), v, 0, 0) for k, v in metrics.items()],
            fresh,
            [self._entities.RunTag(*t) for t in tags.items()],
        )
        self._client.set_terminated(run_id)

    def interrupted(self) -> None:
        self._client.set_terminated(self.run.info.run_id, "KILLED")

    def artifact(self, file: Path, folder: str | None = None) -> None:
        self._client.log_artifact(self.run.info.run_id, str(file), folder)

    def tag(self, name: str) -> str | None:
        return self.run.data.tags.get(name)

    def image(self, picture: Image.Image, name: str) -> None:
        self._client.log_image(self.run.info.run_id, picture, name)

    def figure(self, figure: Figure, name: str) -> None:
        self._client.log_figure(self.run.info.run_id, figure, name)

    def dictionary(self, data: Mapping[str, Any], name: str) -> None:
        self._client.log_dict(self.run.info.run_id, dict(data), name)

    def register(self, model: nn.Module, example: Any, name: str, tags: Mapping[str, str]) -> str:
        """Log a model with its signature under the parent run and register it; gives its version."""
        mlflow = _mlflow()
        mlflow.set_tracking_uri(_uri())
        with torch.inference_mode():
            output = model(torch.from_numpy(example)).numpy()
        signature = mlflow.models.infer_signature(example, output)
        with mlflow.start_run(run_id=self.run.info.run_id):
            info = mlflow.pytorch.log_model(
                model,
                name="model",
                signature=signature,
                input_example=example,
                registered_model_name=name,
                pip_requirements=["torch"],
            )
        version = str(info.registered_model_version)
        for key, value in tags.items():
            self._client.set_model_version_tag(name, version, key, value)
        self._client.set_registered_model_alias(name, "champion", version)
        return version
