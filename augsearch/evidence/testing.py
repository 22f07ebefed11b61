"""The held-out test split: read once a model's policy is fixed, on the workers' devices like everything else."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from augsearch.data.prepared import load_info, load_split
from augsearch.data.splits import Split
from augsearch.environment import Environment, environment
from augsearch.errors import SearchError
from augsearch.evidence.retraining import weights_file
from augsearch.execute import Evaluator, evaluate
from augsearch.fingerprint import fingerprint
from augsearch.job import Bench, Outcome, Work
from augsearch.outcome import Failure, Result
from augsearch.settings import Settings, override
from augsearch.training import ALGORITHM_VERSION
from augsearch.training.settings import NetworkSettings, TrainSettings
from augsearch.training.trainer import predict
from augsearch.training.training import load_checked_info, new_network, normalisation
from augsearch.workspace import Workspace

Counts = NDArray[np.int64]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Tested(Result):
    """The result of a test: how often a model predicts each class for images of each class."""

    confusion: tuple[tuple[int, ...], ...] = ()
    """(classes, classes): images of the test split by true and predicted class."""

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Tested:
        """Read what `data` gave: the reverse of it."""
        confusion = tuple(tuple(row) for row in data["confusion"])
        fixed = {"curve": (), "recall": (), "confusion": confusion, "environment": Environment(**data["environment"])}
        return cls(**{**data, **fixed})


@dataclass(frozen=True)
class Testing:
    """The test of one trained model."""

    training: str
    """Key of the training that made its weights."""
    data: str
    """Fingerprint of the prepared data set."""
    network: NetworkSettings
    recipe: TrainSettings
    platform: str

    @cached_property
    def key(self) -> str:
        """SHA-256 over the training, the data and the versions."""
        return fingerprint(**self.describe())

    @property
    def required(self) -> None:
        """A test leaves no file."""

    @property
    def continues(self) -> None:
        """A test begins at the beginning."""

    def describe(self) -> dict[str, Any]:
        """Describe it for people who look into the store."""
        return {
            "kind": "test",
            "training": self.training,
            "data": self.data,
            "platform": self.platform,
            "versions": {"training": ALGORITHM_VERSION},
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Tested:
        """The result that the store holds."""
        return Tested.read(data)

    @classmethod
    def run(cls, jobs: Sequence[Self], bench: Bench) -> list[Outcome]:
        """Predict the class of every image of the test split."""
        if torch.device(bench.device).type == "cpu":
            torch.set_num_threads(1)
        return [_run(job, bench) for job in jobs]


@lru_cache(maxsize=1)
def _test_split(folder: Path, fingerprint: str) -> Split:
    """Once for each process; the fingerprint keeps apart what lay in the folder one after the other."""
    return load_split(folder, "test")


def _run(job: Testing, bench: Bench) -> Tested:
    started, clock = time.time(), time.perf_counter()
    info = load_checked_info(bench.workspace.data, job.data)
    split = _test_split(bench.workspace.data, job.data)
    network = new_network(job.network, info, 0)
    network.load_state_dict(torch.load(weights_file(bench.workspace, job.training), weights_only=True))
    predicted = predict(network, split, job.recipe, normalisation(info), device=bench.device)
    counts = confusion(predicted, split.labels, len(info.classes))
    seconds = time.perf_counter() - clock
    rows = tuple(tuple(row) for row in counts.tolist())
    return Tested((), seconds, started, environment(bench.device), confusion=rows)


def confusion(predicted: Counts, labels: Counts, classes: int) -> Counts:
    """(N,) and (N,) of 0 .. classes - 1 -> (classes, classes): how often the first was taken for the second."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def tested_models(settings: Settings, workspace: Workspace, evaluator: Evaluator) -> tuple[Rows, list[Counts]]:
    """The rows of models/retrain.json, and the confusion matrix of each model; none for a user's script.

    Raises:
        SearchError: a test failed.
    """
    rows: Rows = json.loads(workspace.retrained.read_text())
    if settings.search.own_script:
        return rows, []
    info = load_info(workspace.info)
    platform = evaluator.executor.bench.device.partition(":")[0]
    works = []
    for row in rows:
        trained = override(settings, row["settings"])
        job = Testing(row["key"], info.fingerprint, trained.network, trained.train, platform)
        works.append(Work(f"test {row['arm']} {row['repeat']}", (job,)))
    matrices = {}
    for done in evaluate(works, evaluator):
        (outcome,) = done.outcomes
        if isinstance(outcome, Failure):
            raise SearchError(f"{done.work.name} failed: {outcome.message}")
        assert isinstance(outcome, Tested)
        matrices[done.work] = np.array(outcome.confusion, np.int64)
    return rows, [matrices[work] for work in works]
