"""MLflow, in this one file: a parent run for a search, a child for each trial; the models and the table likewise.

Only the flow's process writes, one run at a time, so the database is never locked by ourselves. What is tracked is made
from the store and can be made again: runs that an interruption left RUNNING are closed, and trials without a run are
logged, whenever a search is resumed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_split
from augsearch.errors import TrackingError
from augsearch.evidence.entries import Entry, examples, member_entries, model_entry, trial_entry
from augsearch.evidence.plots import population_figure
from augsearch.evidence.retraining import Model, best_model, classifier, exportable
from augsearch.fingerprint import fingerprint
from augsearch.job import Outcome
from augsearch.objective import Objective
from augsearch.plugins import own_code
from augsearch.policy import to_dict
from augsearch.policy.pictures import Images, describe, picture
from augsearch.processes import defaults
from augsearch.search.loop import Ended, SearchOutcome
from augsearch.search.record import summary
from augsearch.search.searcher import Searcher
from augsearch.settings import Settings
from augsearch.workspace import Workspace

_PARENT = "mlflow.parentRunId"
_FINGERPRINT = "augsearch.fingerprint"
_TRIAL = "augsearch.trial"
_FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}  # later MLflow's minutes
_UNNAMEABLE = re.compile(r"[^\w.\- :/]")  # what MLflow refuses in a name
_KIND = "mlflow.experimentKind"  # without it, MLflow's page shows traces of language models first
_NOTE = "mlflow.note.content"
NOTE = """**search METHOD**: a search; its children are the trials. Search for `tags.method = 'tuun' and tags.kind = 'trial'`
and sort by *val_accuracy*: the column *policy* says what was tried. Ticked and compared, trials make parallel coordinates;
`strength.Rotate` is how strongly a policy rotates: probability x magnitude, summed.

**retrain**: the models of the table, a child for each. **table**: the results; its artifact *index.html* is the report."""


def _mlflow() -> Any:
    """MLflow, imported when first used: the workers' processes never do, and it takes seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def _uri(workspace: Workspace) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.root}/mlflow.db"


@contextmanager
def _errors() -> Iterator[None]:
    """MLflow's errors, as one line."""
    try:
        yield
    except (_mlflow().exceptions.MlflowException, OSError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise TrackingError(f"MLflow: {reason}; what was finished is kept, and `dvc repro` goes on from there") from None


def _name(text: str) -> str:
    """A name that MLflow takes: no plus sign, and no colon in a metric's."""
    return _UNNAMEABLE.sub("-", text.replace("+", "_and_").replace(":", "-"))


class Tracker:
    """One parent run in a data set's experiment, known by its fingerprint when a search is resumed."""

    @_errors()
    def __init__(self, workspace: Workspace, experiment: str, name: str, key: str, tags: Mapping[str, str]) -> None:
        _mlflow().set_tracking_uri(_uri(workspace))
        self.client = _mlflow().MlflowClient()
        with defaults(_FIRST_CONTACT):
            self._experiment = self._experiment_id(workspace, experiment)
        known = self._search(f"tags.`{_FINGERPRINT}` = '{key}'")
        if known:
            self.id = known[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
        else:
            self.id = self.client.create_run(self._experiment, run_name=name, tags={_FINGERPRINT: key, **tags}).info.run_id
        children = self._search(f"tags.`{_PARENT}` = '{self.id}'")
        for child in children:
            if child.info.status == "RUNNING":  # half written when the search was interrupted
                self.client.set_terminated(child.info.run_id, "KILLED")
                self.client.delete_run(child.info.run_id)
        self.logged = {child.data.tags.get(_TRIAL): child.info.run_id for child in children if child.info.status != "RUNNING"}

    def _experiment_id(self, workspace: Workspace, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            artifacts = workspace.root / "mlartifacts"
            artifacts.mkdir(exist_ok=True)
            tags = {_KIND: "custom_model_development", _NOTE: NOTE}
            return str(self.client.create_experiment(name, artifacts.as_uri(), tags))
        if experiment.lifecycle_stage == "deleted":  # in the page; its name stays taken, and it refuses runs
            self.client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def _search(self, condition: str) -> list[Any]:
        return list(_mlflow().search_runs([self._experiment], condition, output_format="list"))

    def child(self, entry: Entry) -> None:
        """Log one finished training, unless a run of its key is there already."""
        if entry.key in self.logged:
            return
        begin, end = round(1000 * entry.started), round(1000 * (entry.started + entry.seconds))
        tags = {_PARENT: self.id, _TRIAL: entry.key, **entry.tags}
        run_id = self.client.create_run(self._experiment, start_time=begin, run_name=entry.name, tags=tags).info.run_id
        metric, param = _mlflow().entities.Metric, _mlflow().entities.Param
        points = [metric(k, v, end, 0) for k, v in entry.metrics.items()]
        points += [metric(k, v, end, step) for k, values in entry.curves.items() for step, v in values.items()]
        named = [param(_UNNAMEABLE.sub("_", k), str(v)[:6000]) for k, v in entry.params.items()]
        self.client.log_batch(run_id, points, named)
        for file, document in entry.documents.items():
            self.client.log_dict(run_id, dict(document), file)
        if entry.image is not None:
            self.client.log_image(run_id, entry.image, "policy.png")
        self.client.set_terminated(run_id, "FINISHED", end)
        self.logged[entry.key] = run_id

    def finish(self, metrics: Mapping[str, float] = {}, tags: Mapping[str, object] = {}) -> None:
        """End the parent run with its results; an earlier end's are replaced."""
        now = round(1000 * time.time())  # of several points the newest counts
        points = [_mlflow().entities.Metric(_name(k), v, now, 0) for k, v in metrics.items()]
        self.client.log_batch(self.id, points, [], [_mlflow().entities.RunTag(k, str(v)) for k, v in tags.items()])
        self.client.set_terminated(self.id)

    @contextmanager
    def interrupted(self) -> Any:
        """Marks the parent run as killed if the block raises."""
        try:
            with _errors():
                yield self
        except BaseException:  # Ctrl-C too is noted, and goes on its way
            with suppress(_mlflow().exceptions.MlflowException):  # the run may be what is gone
                self.client.set_terminated(self.id, "KILLED")
            raise

    def registered(self, name: str) -> str | None:
        """The champion that the registry has, where somebody may have deleted or replaced it."""
        with suppress(_mlflow().exceptions.MlflowException, KeyError):
            return str(self.client.get_model_version_by_alias(name, "champion").tags["champion"])
        return None

    def register(self, model: torch.nn.Module, example: Images, name: str, tags: Mapping[str, str]) -> str:
        """Log a model, that it runs without this project, under the parent run and register it; gives its version."""
        whole = exportable(model, torch.from_numpy(example))  # else pickled, with the code that it needs
        with torch.inference_mode():
            output = model(torch.from_numpy(example)).numpy()
        with _mlflow().start_run(run_id=self.id):
            logged = _mlflow().pytorch.log_model(
                model,
                name="model",
                signature=_mlflow().models.infer_signature(example, output),
                input_example=example,
                registered_model_name=name,
                serialization_format="pt2" if whole else "pickle",
                pip_requirements=["torch", "numpy", *([] if whole else ["pillow", "scipy", "pydantic", "pyyaml"])],
                code_paths=None if whole else own_code(type(module) for module in model.modules()),
            )
        version = str(logged.registered_model_version)
        for key, value in tags.items():
            self.client.set_model_version_tag(name, version, key, value)
        self.client.set_registered_model_alias(name, "champion", version)
        return version


class MlflowSearch:
    """Tracks a search: a child run for each trial, or for each member of a population."""

    def __init__(self, workspace: Workspace, objective: Objective, method: str, key: str, settings: Settings) -> None:
        self._workspace, self._objective, self._method = workspace, objective, method
        self._operations = settings.search.operations
        self.tracker = Tracker(workspace, objective.name, f"search {method}", key, {"method": method, "kind": "search"})
        self._round: list[float | None] = []

    @cached_property
    def _examples(self) -> Images:
        return examples(self._workspace)

    def begin(self, method: str, searcher: Searcher, trials: int) -> None:
        """Remember the searcher and the budget."""
        self._searcher, self._trials = searcher, trials

    def ended(self, ended: Ended) -> None:
        """Log the trial as a child run, unless it is logged already; for a population, the round's best and mean score."""
        if self._searcher.rounds():
            self._member_ended(ended)
        elif str(ended.trial.id) not in self.tracker.logged:
            self.tracker.child(trial_entry(ended, self._objective, self._method, self._operations, self._examples))

    def _member_ended(self, ended: Ended) -> None:
        last = self._searcher.rounds()[-1]
        self._round.append(ended.score)
        if len(self._round) == len(last.trials):
            scores = [score for score in self._round if score is not None] or [0.0]
            for name, value in (("best", max(scores)), ("mean", float(np.mean(scores)))):
                metric = f"{name}_val_{self._objective.measure}"
                self.tracker.client.log_metric(self.tracker.id, metric, value, step=last.until)
            self._round = []

    def confirmed(self, trial: int, repeat: int, outcome: Outcome) -> None:
        """Log nothing: `chosen` logs the mean of the confirmations."""

    def chosen(self, outcome: SearchOutcome) -> None:
        """Log the choice, the confirmed scores and the policy, and finish the run."""
        measure = self._objective.measure
        if self._searcher.rounds():
            self._track_population(outcome)
        for i, scores in ((i, scores) for i, scores in outcome.confirmations.items() if scores):
            self.tracker.client.log_metric(self.tracker.logged[str(i)], f"confirmed_{measure}", float(np.mean(scores)))
        if outcome.augmentation is not None:
            self.tracker.client.log_dict(self.tracker.id, to_dict(outcome.augmentation), "policy.json")
        scores = [e.score for e in outcome.trials if e.score is not None]
        again = outcome.confirmations.get(outcome.chosen, [])
        confirmed = {f"confirmed_{measure}": float(np.mean(again))} if again else {}
        last = next(e.score for e in outcome.trials if e.trial.id == outcome.chosen)
        best = last if self._searcher.rounds() and last is not None else max(scores)
        self.tracker.finish(
            {f"val_{measure}": best, **confirmed},
            {
                "policy": describe(outcome.augmentation),
                "settings": json.dumps(outcome.settings),
                "trials": self._trials,
                "chosen": outcome.chosen,
            },
        )

    def _track_population(self, outcome: SearchOutcome) -> None:
        for entry in member_entries(outcome, self._objective, self._examples):
            self.tracker.child(entry)
        record = summary(outcome)
        figure = population_figure(record["rounds"], record["chosen"])
        self.tracker.client.log_figure(self.tracker.id, figure, "population.png")
        assert outcome.augmentation is not None  # a schedule
        self.tracker.client.log_image(self.tracker.id, picture(outcome.augmentation, self._examples, columns=8), "policy.png")


class MlflowModels:
    """Tracks the models of the final table."""

    def __init__(self, workspace: Workspace, objective: Objective, seed: int) -> None:
        self._workspace = workspace
        key = fingerprint(kind="retrain", job=objective.job(None, {}, seed).key)
        self.tracker = Tracker(workspace, objective.name, "retrain", key, {"kind": "retrain"})

    def __call__(self, model: Model, objective: Objective, total: int) -> None:
        self.tracker.child(model_entry(model, objective))

    def champion(self, models: Sequence[Model], objective: Objective, info: DatasetInfo | None) -> str | None:
        """Log and register a model of the arm that is best on the validation split; the test split stays held out.

        Args:
            info: None for a user's script, which keeps its own weights: only the arm is noted.

        Returns:
            A line for people about a newly registered version.
        """
        best, means = best_model(models, objective)
        champion, line = f"{best.arm} {best.job.key[:8]}", None
        name = f"augsearch-{objective.name}"
        if info is not None and self.tracker.registered(name) != champion:
            example = np.array(load_split(self._workspace.data, "val").images[:4])
            tags = {"arm": best.arm, "champion": champion}
            version = self.tracker.register(classifier(best, info, self._workspace), example, name, tags)
            line = f"registered {name} version {version} as champion: a model of {best.arm}, the best on validation"
        if best.augmentation is not None:
            image = picture(best.augmentation, examples(self._workspace), side=48)
            self.tracker.client.log_image(self.tracker.id, image, "policy.png")
        self.tracker.finish({f"val_{objective.measure}_{arm}": mean for arm, mean in means.items()}, {"champion": champion})
        return line


@_errors()
def track_table(workspace: Workspace, experiment: str, key: str, files: Sequence[Path], metrics: Mapping[str, float]) -> None:
    """The table's own run, with every file of reports/."""
    tracker = Tracker(workspace, experiment, "table", key, {"kind": "table"})
    for file in files:
        folder = file.parent.relative_to(workspace.reports)
        tracker.client.log_artifact(tracker.id, str(file), None if folder == Path() else str(folder))
    tracker.finish(metrics)
