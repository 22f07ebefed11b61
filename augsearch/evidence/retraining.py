"""Every arm trained on fresh seeds: policies in, weights and validation scores out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info
from augsearch.errors import SearchError
from augsearch.evidence import arms
from augsearch.evidence.arms import Sources
from augsearch.execute import Evaluator, evaluate
from augsearch.files import replacing, write_text
from augsearch.job import Job, Work
from augsearch.objective import Objective, objective_of
from augsearch.outcome import Failure, Result
from augsearch.policy import Augmentation, save
from augsearch.search.searcher import training_seed
from augsearch.settings import Settings
from augsearch.training.trainer import Classifier
from augsearch.training.training import Training, new_network, normalisation
from augsearch.workspace import Workspace

_RETRAINING = 2_000_000  # in the path of a training seed: no search has used these


@dataclass(frozen=True)
class Model:
    """One training of one arm, and its result."""

    arm: str
    repeat: int
    augmentation: Augmentation | None
    settings: dict[str, Any]
    """The searched settings that it was trained with, by dotted key."""
    seed: int
    job: Job
    result: Result
    stored: bool
    """Whether the store knew it, so that nothing was trained."""


def arm_policies(settings: Settings, workspace: Workspace) -> dict[str, Augmentation | None]:
    """The augmentation of each arm of the table."""
    sides = (0, 0)
    if not settings.search.own_script:
        info = load_info(workspace.info)
        sides = (info.height, info.width)
    sources = Sources(workspace, settings, sides)
    return {arm: sources.augmentation_of(arm) for arm in settings.retrain.arms}


def retrain(
    settings: Settings,
    workspace: Workspace,
    evaluator: Evaluator,
    on_model: Callable[[Model, Objective, int], None] = lambda model, objective, total: None,
) -> list[Model]:
    """Train every arm, and write models/retrain.json, models/weights and models/arms.

    Args:
        on_model: called with each model as it ends, and how many there will be.

    Raises:
        SearchError: a training failed.
    """
    objective = objective_of(settings, workspace, evaluator.executor.bench.device.partition(":")[0])
    policies = arm_policies(settings, workspace)
    searched = {arm: Sources(workspace, settings).settings_of(arm) for arm in policies}
    asked: dict[Work, tuple[str, int, int]] = {}
    for repeat in range(settings.retrain.seeds):
        seed = training_seed(settings.seed, _RETRAINING, repeat)  # the same for every arm: differences are paired
        for arm, augmentation in policies.items():
            job = objective.job(augmentation, searched[arm], seed, keeps="weights")
            asked[Work(f"{arm} {repeat}", (job,))] = (arm, repeat, seed)
    models: dict[tuple[int, str], Model] = {}
    for done in evaluate(asked, evaluator):
        (arm, repeat, seed), (outcome,), (job,) = asked[done.work], done.outcomes, done.work.jobs
        if isinstance(outcome, Failure):
            raise SearchError(f"retraining {arm} {repeat} failed: {outcome.message}")
        model = Model(arm, repeat, policies[arm], searched[arm], seed, job, outcome, done.stored)
        models[repeat, arm] = model
        on_model(model, objective, len(asked))
    ordered = [models[repeat, arm] for arm, repeat, _ in asked.values()]
    _write(ordered, objective, policies, workspace, evaluator)
    return ordered


def _write(
    models: Sequence[Model],
    objective: Objective,
    policies: dict[str, Augmentation | None],
    workspace: Workspace,
    evaluator: Evaluator,
) -> None:
    for folder in (workspace.weights, workspace.arms):
        folder.mkdir(parents=True, exist_ok=True)  # DVC wants every output, if only an empty one
    weights = {}
    for model in models:
        source = evaluator.store.file(model.job.key, "weights")
        if source.exists():  # a user's script keeps its own
            weights[weights_file(workspace, model.job.key)] = source
    _keep_only(workspace.weights, "*.pt", weights)
    for target, source in weights.items():
        _link(source, target)
    files = {workspace.arms / f"{arms.file_name(arm)}.json": policy for arm, policy in policies.items() if policy is not None}
    _keep_only(workspace.arms, "*.json", files)
    for file, policy in files.items():
        save(policy, file)
    write_text(workspace.retrained, json.dumps([_row(model, objective) for model in models], indent=1) + "\n")


def weights_file(workspace: Workspace, key: str) -> Path:
    """The path of the weights of a model of the table."""
    return workspace.weights / f"{key}.pt"


def best_model(models: Sequence[Model], objective: Objective) -> tuple[Model, dict[str, float]]:
    """A model of the arm with the best mean score on the validation split, and every arm's mean."""
    scores: dict[str, list[float]] = {}
    for model in models:
        scores.setdefault(model.arm, []).append(objective.scores(model.result)[objective.measure])
    means = {arm: float(np.mean(values)) for arm, values in scores.items()}
    best = max(means, key=lambda arm: means[arm])
    return next(model for model in models if model.arm == best), means


def classifier(model: Model, info: DatasetInfo, workspace: Workspace) -> Classifier:
    """The trained network of a model, with its normalisation inside."""
    assert isinstance(model.job, Training)  # a user's script keeps its own networks
    network = new_network(model.job.network, info, 0)
    network.load_state_dict(torch.load(weights_file(workspace, model.job.key), weights_only=True))
    return Classifier(network, normalisation(info)).eval()


def exportable(network: torch.nn.Module, images: torch.Tensor) -> bool:
    """Tell whether `torch.export` can write the network down as a graph; one whose way depends on the pixels it cannot."""
    try:
        torch.export.export(network, (images,))
    except Exception:  # the network is the user's, and export's errors have no common class
        return False
    return True


def _row(model: Model, objective: Objective) -> dict[str, Any]:
    scores = {f"val_{name}": round(score, 6) for name, score in objective.scores(model.result).items()}
    result = model.result
    return {
        "arm": model.arm,
        "repeat": model.repeat,
        "seed": model.seed,
        "key": model.job.key,
        **scores,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "settings": model.settings,
        "environment": asdict(result.environment),
    }


def _keep_only(folder: Path, pattern: str, wanted: dict[Path, Any]) -> None:
    """An output of this stage holds what this run made; the store still has the others."""
    for file in folder.glob(pattern):
        if file not in wanted:
            file.unlink()


def _link(source: Path, target: Path) -> None:
    """The same file under another name where the file system can, else a copy."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
