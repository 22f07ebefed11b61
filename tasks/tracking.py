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
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_split
from augsearch.evidence.report.importance import strengths
from augsearch.evidence.retraining import Model, weights_file
from augsearch.fingerprint import fingerprint
from augsearch.job import Outcome
from augsearch.objective import Objective
from augsearch.outcome import Failure, Result
from augsearch.policy import Policy, to_dict
from augsearch.policy.pictures import Images, describe, example_images, picture, policy_grid, population_figure
from augsearch.search.loop import Ended, SearchOutcome
from augsearch.search.record import summary
from augsearch.search.searcher import Searcher
from augsearch.training.trainer import Classifier
from augsearch.training.training import Training, new_network, normalisation
from augsearch.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.entities import Run

_PARENT = "mlflow.parentRunId"
_FINGERPRINT = "augsearch.fingerprint"
_TRIAL = "augsearch.trial"
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
    return os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.root}/mlflow.db")


def _name(text: str) -> str:
    """A name that MLflow takes: no plus sign, and no colon in a metric's."""
    return _UNNAMEABLE.sub("-", text.replace("+", "_and_").replace(":", "-"))


class Tracker:
    """One parent run in a data set's experiment, known by its fingerprint when a search is resumed."""

    def __init__(self, workspace: Workspace, experiment: str, name: str, key: str, tags: Mapping[str, str]) -> None:
        self._entities = _mlflow().entities
        self._uri = _uri(workspace)
        self.client = _mlflow().MlflowClient(self._uri)
        self._experiment = self._experiment_id(workspace, experiment)
        known = self._search(f"tags.`{_FINGERPRINT}` = '{key}'")
        if known:
            self.id = known[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
        else:
            made = self.client.create_run(self._experiment, run_name=name, tags={_FINGERPRINT: key, **tags})
            self.id = made.info.run_id
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

    def _search(self, condition: str) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs([self._experiment], condition, max_results=1000, page_token=token)
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
        documents: Mapping[str, Mapping[str, Any]] = {},
        image: Image.Image | None = None,
    ) -> None:
        """Log one finished training, unless a run of that key is there already. curves: {name: {epoch: value}}."""
        if key in self.logged:
            return
        begin, end = round(1000 * started), round(1000 * (started + seconds))
        child_tags = {_PARENT: self.id, _TRIAL: key, **tags}
        run = self.client.create_run(self._experiment, start_time=begin, run_name=name, tags=child_tags)
        run_id = run.info.run_id
        points = [self._entities.Metric(k, v, end, 0) for k, v in metrics.items()]
        points += [self._entities.Metric(k, v, end, step) for k, values in curves.items() for step, v in values.items()]
        named = [self._entities.Param(_UNNAMEABLE.sub("_", k), str(v)[:6000]) for k, v in params.items()]
        self.client.log_batch(run_id, points, named)
        for file, document in documents.items():
            self.client.log_dict(run_id, dict(document), file)
        if image is not None:
            self.client.log_image(run_id, image, "policy.png")
        self.client.set_terminated(run_id, "FINISHED", end)
        self.logged[key] = run_id

    def finish(self, metrics: Mapping[str, float] = {}, tags: Mapping[str, object] = {}) -> None:
        """End the parent run with its results; an earlier end's are replaced."""
        points = [self._entities.Metric(_name(k), v, 0, 0) for k, v in metrics.items()]
        self.client.log_batch(self.id, points, [], [self._entities.RunTag(k, str(v)) for k, v in tags.items()])
        self.client.set_terminated(self.id)

    @contextmanager
    def interrupted(self) -> Any:
        """Marks the parent run as killed if the block raises."""
        try:
            yield self
        except BaseException:
            self.client.set_terminated(self.id, "KILLED")
            raise

    def register(self, model: torch.nn.Module, example: Images, name: str, tags: Mapping[str, str]) -> str:
        """Log a model with its signature and its code under the parent run and register it; gives its version."""
        mlflow = _mlflow()
        mlflow.set_tracking_uri(self._uri)
        with torch.inference_mode():
            output = model(torch.from_numpy(example)).numpy()
        with mlflow.start_run(run_id=self.id):
            logged = mlflow.pytorch.log_model(
                model,
                name="model",
                signature=mlflow.models.infer_signature(example, output),
                input_example=example,
                registered_model_name=name,
                pip_requirements=["torch", "numpy", "pillow", "scipy", "pydantic", "pyyaml"],
                code_paths=[str(Path(__file__).parent.parent / "augsearch")],
            )
        version = str(logged.registered_model_version)
        for key, value in tags.items():
            self.client.set_model_version_tag(name, version, key, value)
        self.client.set_registered_model_alias(name, "champion", version)
        return version


class MlflowSearch:
    """Tracks a search: a child run for each trial, or for each member of a population."""

    def __init__(self, workspace: Workspace, objective: Objective, method: str, key: str, operations: Sequence[str]) -> None:
        self._workspace, self._objective, self._method, self._operations = workspace, objective, method, operations
        self.tracker = Tracker(workspace, objective.name, f"search {method}", key, {"method": method, "kind": "search"})
        self._round: list[float] = []

    @cached_property
    def _examples(self) -> Images:
        return examples(self._workspace)

    def begin(self, method: str, searcher: Searcher, trials: int) -> None:
        self._searcher, self._trials = searcher, trials

    def ended(self, ended: Ended) -> None:
        if self._searcher.rounds():
            self._member_ended(ended)
        else:
            self._track(ended)

    def _member_ended(self, ended: Ended) -> None:
        last = self._searcher.rounds()[-1]
        self._round += [] if ended.score is None else [ended.score]
        if ended.trial.id == last.trials[-1]:
            for name, value in (("best", max(self._round, default=0.0)), ("mean", float(np.mean(self._round or [0.0])))):
                metric = f"{name}_val_{self._objective.measure}"
                self.tracker.client.log_metric(self.tracker.id, metric, value, step=last.until)
            self._round = []

    def _track(self, ended: Ended) -> None:
        trial, outcome, policy = ended.trial, ended.outcome, ended.trial.policy
        if str(trial.id) in self.tracker.logged:
            return
        fixed = {"policy": describe(policy), "seed": trial.seed, "trial": trial.id, "method": self._method}
        searched = {f"params.{name}" if name in fixed else name: value for name, value in trial.settings.items()}
        self.tracker.child(
            str(trial.id),
            name=f"{self._method} {trial.id}",
            started=outcome.started,
            seconds=outcome.seconds,
            params=fixed | searched | self._strengths(policy),
            metrics={"seconds": outcome.seconds, "epochs": outcome.epochs} | _scores(self._objective, outcome),
            curves=_curve(outcome),
            tags={"method": self._method, "kind": "trial"} | _reason(outcome),
            documents={} if policy is None else {"policy.json": to_dict(policy)},
            image=None if policy is None else policy_grid(policy, self._examples, side=48),
        )

    def _strengths(self, policy: Policy | None) -> dict[str, float]:
        """How strongly the policy uses each operation: numbers, so that MLflow can draw trials as parallel coordinates."""
        used = {} if policy is None else strengths(policy)
        return {f"strength.{n.replace(':', '.')}": round(used.get(n, 0.0), 3) for n in self._operations if policy is not None}

    def confirmed(self, trial: int, repeat: int, outcome: Outcome) -> None:
        pass

    def chosen(self, outcome: SearchOutcome) -> None:
        measure = self._objective.measure
        if self._searcher.rounds():
            self._track_population(outcome)
        for i, scores in outcome.confirmations.items():
            if scores:
                run_id = self.tracker.logged[str(i)]
                self.tracker.client.log_metric(run_id, f"confirmed_{measure}", float(np.mean(scores)))
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
        rounds, searcher = self._searcher.rounds(), self._searcher
        ended = {e.trial.id: e for e in outcome.trials}
        size = len(rounds[0].trials)
        measure = f"val_{self._objective.measure}"
        for member in range(size):
            history = [ended[r.trials[member]] for r in rounds]
            lineage = searcher.lineage(history[-1].trial.id)
            schedule = searcher.augmentation(history[-1].trial.id)
            assert schedule is not None
            last = history[-1]
            steps = [{"until": t.until, "member": t.id % size, "seed": t.seed} for t in lineage]
            self.tracker.child(
                f"member {member}",
                name=f"{self._method} member {member}",
                started=history[0].outcome.started,
                seconds=last.outcome.started + last.outcome.seconds - history[0].outcome.started,
                params={
                    "member": member,
                    "method": self._method,
                    "policy": describe(lineage[-1].policy),
                    "exploits": sum(member in r.exchanges for r in rounds),
                },
                metrics={"seconds": sum(e.outcome.seconds for e in history)}
                | ({} if last.score is None else {measure: last.score}),
                curves={f"epoch_{measure}": {e.trial.until or 0: e.score for e in history if e.score is not None}},
                tags={"method": self._method, "kind": "member"} | _reason(last.outcome),
                documents={"policy.json": to_dict(schedule), "lineage.json": {"lineage": steps}},
                image=picture(schedule, self._examples, columns=8),
            )
        best = searcher.lineage(outcome.chosen)
        figure = population_figure(summary(outcome)["rounds"], [t.id % size for t in best])
        self.tracker.client.log_figure(self.tracker.id, figure, "population.png")
        assert outcome.augmentation is not None
        self.tracker.client.log_image(self.tracker.id, picture(outcome.augmentation, self._examples, columns=8), "policy.png")


class MlflowModels:
    """Tracks the models of the final table."""

    def __init__(self, workspace: Workspace, objective: Objective, seed: int) -> None:
        self._workspace = workspace
        key = fingerprint(kind="retrain", job=objective.job(None, {}, seed).key)
        self.tracker = Tracker(workspace, objective.name, "retrain", key, {"kind": "retrain"})

    def __call__(self, model: Model, objective: Objective, total: int) -> None:
        self.tracker.child(
            model.job.key,
            name=f"retrain {model.arm} {model.repeat}",
            started=model.result.started,
            seconds=model.result.seconds,
            params={"arm": model.arm, "seed": model.seed, "policy": describe(model.augmentation)},
            metrics={f"val_{k}": v for k, v in objective.scores(model.result).items()} | {"seconds": model.result.seconds},
            curves=_curve(model.result),
            tags={"arm": model.arm, "kind": "retrain"},
        )

    def champion(self, models: Sequence[Model], objective: Objective, info: DatasetInfo | None) -> str | None:
        """Log and register a model of the arm that is best on the validation split; the test split stays held out.

        Args:
            info: None for a user's script, which keeps its own weights: only the arm is noted.

        Returns:
            A line for people about a newly registered version.
        """
        scores: dict[str, list[float]] = {}
        for model in models:
            scores.setdefault(model.arm, []).append(objective.scores(model.result)[objective.measure])
        means = {arm: float(np.mean(values)) for arm, values in scores.items()}
        arm = max(means, key=lambda a: means[a])
        best = next(model for model in models if model.arm == arm)
        said = self._register(best, info) if info is not None else None
        if best.augmentation is not None:
            image = picture(best.augmentation, examples(self._workspace), side=48)
            self.tracker.client.log_image(self.tracker.id, image, "policy.png")
        mark = f"{arm} {best.job.key[:8]}"
        self.tracker.finish({f"val_{objective.measure}_{a}": m for a, m in means.items()}, {"champion": mark})
        return said

    def _register(self, best: Model, info: DatasetInfo) -> str | None:
        tags = self.tracker.client.get_run(self.tracker.id).data.tags
        if tags.get("champion") == f"{best.arm} {best.job.key[:8]}":
            return None
        assert isinstance(best.job, Training)
        network = new_network(best.job.network, info, 0)
        network.load_state_dict(torch.load(weights_file(self._workspace, best.job.key), weights_only=True))
        example = np.array(load_split(self._workspace.data, "val").images[:4])
        classifier, name = Classifier(network, normalisation(info)).eval(), f"augsearch-{info.name}"
        version = self.tracker.register(classifier, example, name, {"arm": best.arm})
        return f"registered {name} version {version} as champion: a model of {best.arm}, the best on validation"


def track_table(workspace: Workspace, experiment: str, key: str, files: Sequence[Path], metrics: Mapping[str, float]) -> None:
    """The table's own run, with every file of reports/."""
    tracker = Tracker(workspace, experiment, "table", key, {"kind": "table"})
    for file in files:
        folder = file.parent.relative_to(workspace.reports)
        tracker.client.log_artifact(tracker.id, str(file), None if folder == Path() else str(folder))
    tracker.finish(metrics)


def examples(workspace: Workspace) -> Images:
    """Images to show policies on: the data set's own, or drawn ones where only a user's script knows them."""
    return np.array(load_split(workspace.data, "train").images[:8]) if workspace.info.exists() else example_images(8)


def _scores(objective: Objective, outcome: Outcome) -> dict[str, float]:
    """Validation accuracy and the search objective; for a user's script, only its score."""
    if not isinstance(outcome, Result):
        return {}
    scores = objective.scores(outcome)
    return {f"val_{name}": scores[name] for name in {"accuracy", objective.measure} if name in scores}


def _curve(outcome: Outcome) -> dict[str, dict[int, float]]:
    """Validation accuracy by epoch, or what a user's script reported, one after the other."""
    if not isinstance(outcome, Result):
        return {}
    return {"epoch_val_score" if outcome.score is not None else "epoch_val_accuracy": dict(outcome.curve)}


def _reason(outcome: Outcome) -> dict[str, str]:
    """Tags of a failed trial."""
    if not isinstance(outcome, Failure):
        return {}
    return {"failure": outcome.message, "failure.kind": outcome.kind} | (
        {"output": "\n".join(outcome.output)} if outcome.output else {}
    )
