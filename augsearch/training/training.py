"""A training as a value: everything that it depends on, its key, and how a worker runs it.

A search's trial, its confirmation on a fresh seed, a round of a population and a model of the final table differ in
their fields alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from augsearch import plugins
from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info, load_split
from augsearch.data.splits import Split, counts_of, stratified, take
from augsearch.environment import environment
from augsearch.errors import DataError, TimeLimitError
from augsearch.fingerprint import fingerprint
from augsearch.job import Bench, Outcome
from augsearch.outcome import Failure, FailureKind, Result
from augsearch.policy import ALGORITHM_VERSION as POLICY_VERSION
from augsearch.policy import Augmentation, Chain, Policy, Schedule, stretched, to_dict
from augsearch.policy.augment import Fill
from augsearch.store import file_of
from augsearch.training import ALGORITHM_VERSION, networks
from augsearch.training.checkpoints import Checkpoint, save_tensors
from augsearch.training.normalisation import Normalisation
from augsearch.training.settings import NetworkSettings, TrainSettings
from augsearch.training.trainer import Member, NotFiniteError, train, train_members

_CHECKPOINT_SECONDS = 60.0  # between two checkpoints of a long training
_NOT_DECISIVE = {"recipe", "evaluate_every"}  # a name, and how often it is evaluated


@dataclass(frozen=True)
class Training:
    """One training of one network, complete and hashable."""

    data: str
    """Fingerprint of the prepared data set."""
    network: NetworkSettings
    recipe: TrainSettings
    """The recipe; its `epochs` are the length of the learning rate schedule, wherever this training stops."""
    augmentation: Augmentation | None
    seed: int
    epochs: int
    """The epoch after which it stops: a population's round stops early."""
    platform: str
    """The kind of device, "cpu" or "cuda": their floats differ."""
    resume: str | None = None
    """Key of the training whose checkpoint it continues."""
    keeps: str | None = None
    """File kept beside the scores: "weights", or "checkpoint" for trainings that continue it."""
    validation: int | None = None
    """Number of validation images that it is evaluated on; None: all."""
    model: tuple[str, ...] = ()
    """Keys of all trainings that are computed as one network with this one, itself included; empty: it is computed alone.
    Sums are then rounded otherwise."""

    @cached_property
    def key(self) -> str:
        """SHA-256 over all fields that decide numbers, the versions of the algorithms and the user's own code."""
        return fingerprint(**self.data_without_choices(), model=self.model)

    @property
    def continues(self) -> str | None:
        """The key of the training whose checkpoint it continues; None: it begins with fresh weights."""
        return self.resume

    @property
    def required(self) -> str | None:
        """The file that has to be there for the result to be of use."""
        return "weights" if self.keeps == "weights" else None

    def data_without_choices(self) -> dict[str, Any]:
        """The fields that decide its numbers, as JSON data."""
        return {
            "kind": "training",
            "versions": {"policy": POLICY_VERSION, "training": ALGORITHM_VERSION, "torch": _minor(torch.__version__)},
            "data": self.data,
            "network": self.network.model_dump(),
            "recipe": self.recipe.model_dump(exclude=_NOT_DECISIVE),
            "augmentation": self.augmentation and to_dict(self.augmentation),
            "seed": self.seed,
            "epochs": self.epochs,
            "platform": self.platform,
            "resume": self.resume,
            "validation": self.validation,
            "own code": {name: plugins.source_hash(name) for name in self._imported()},
        }

    def describe(self) -> dict[str, Any]:
        """Describe it for people who look into the store."""
        return self.data_without_choices() | {"model": self.model}

    def _imported(self) -> list[str]:
        """Import paths whose code takes part: the network's and the operations'."""
        names = {self.network.name, *operation_names(self.augmentation)}
        return sorted(name for name in names if plugins.is_import_path(name))

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Result:
        """The result that the store holds."""
        return Result.read(data)

    @classmethod
    def run(cls, jobs: Sequence[Self], bench: Bench) -> list[Outcome]:
        """Train, alone or several as one; an error that is the training's own fault is a failure with its reason.

        Raises:
            OSError: a file could not be read or written.
            AugsearchError: the data set or a checkpoint is not what it should be.
        """
        if torch.device(bench.device).type == "cpu":
            torch.set_num_threads(1)  # trainings run side by side; two busy threads each would fight over the cores
        first = jobs[0]
        if first.resume is None and first.epochs == first.recipe.epochs and not first.model:
            return [_run_whole(first, bench)]
        return _run_round(jobs, bench)


def as_one(trainings: Sequence[Training]) -> tuple[Training, ...]:
    """The same trainings, computed as one network."""
    if len(trainings) == 1:
        return tuple(trainings)
    keys = tuple(training.key for training in trainings)
    # each by its place too: the same training may be in it twice
    return tuple(replace(t, model=(*keys, str(k))) for k, t in enumerate(trainings))


def new_network(settings: NetworkSettings, info: DatasetInfo, seed: int) -> nn.Module:
    """The network with its first weights, which depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return networks.build(settings.name, classes=len(info.classes), channels=info.channels, **settings.arguments())


def normalisation(info: DatasetInfo) -> Normalisation:
    """The training split's mean and standard deviation."""
    return Normalisation(info.mean, info.std)


def mean_fill(info: DatasetInfo) -> Fill:
    """The data set's mean color for PBA, whose code fills with what is 0 after normalisation (arcelien/pba)."""
    return {"pba": tuple(round(255 * mean) for mean in info.mean)}


def load_checked_info(folder: Path, fingerprint: str) -> DatasetInfo:
    """The prepared data set's description.

    Raises:
        DataError: another data set lies there.
    """
    info = load_info(folder / "dataset.json")
    if info.fingerprint != fingerprint:
        raise DataError(f"{folder}: holds data set {info.fingerprint[:12]}, not {fingerprint[:12]}; run `dvc repro prepare`")
    return info


@lru_cache(maxsize=1)
def visible_splits(folder: Path, fingerprint: str) -> tuple[Split, Split]:
    """Train and validation splits, once for each process, and memory-mapped, so that all processes share them.

    The test split is not among them: it is held out. The fingerprint keeps data apart that were prepared one after the
    other in the same folder.
    """
    return load_split(folder, "train"), load_split(folder, "val")


@lru_cache(maxsize=1)
def _validation(folder: Path, fingerprint: str, images: int) -> Split:
    """So many images of the validation split, each class in its proportion; always the same."""
    _, validation = visible_splits(folder, fingerprint)
    return take(validation, stratified(counts_of(validation, 0), images, "search.pba.validation"), 0)[0]


def _splits(training: Training, folder: Path) -> tuple[Split, Split]:
    train_split, validation = visible_splits(folder, training.data)
    if training.validation is not None:
        validation = _validation(folder, training.data, training.validation)
    return train_split, validation


def _run_whole(training: Training, bench: Bench) -> Outcome:
    """From first weights to the end of the learning rate; a long one goes on from its last checkpoint after a kill."""
    started, clock, epochs = time.time(), time.perf_counter(), 0
    info = load_checked_info(bench.workspace.data, training.data)
    partial = file_of(bench.files, training.key, "partial")
    before = Checkpoint.load(partial) if partial.exists() else None
    spent = before.seconds if before else 0.0

    def seconds() -> float:
        return spent + time.perf_counter() - clock

    def in_time(epoch: int, accuracy: float) -> None:
        nonlocal epochs
        epochs = epoch + 1
        if bench.timeout is not None and seconds() > bench.timeout:
            raise TimeLimitError(f"longer than search.trial_timeout ({bench.timeout:g}) after epoch {epoch}")

    def keep(checkpoint: Checkpoint) -> None:
        if checkpoint.epoch < training.epochs:  # nothing goes on from the end
            replace(checkpoint, seconds=seconds()).save(partial)

    try:
        trained = train(
            new_network(training.network, info, training.seed),
            *_splits(training, bench.workspace.data),
            training.augmentation and stretched(training.augmentation, training.recipe.epochs),
            training.recipe,
            normalisation(info),
            seed=training.seed,
            device=bench.device,
            fill=mean_fill(info),
            on_epoch=in_time,
            on_checkpoint=keep,
            checkpoint_seconds=_CHECKPOINT_SECONDS,
            resume=before,
        )
    except Exception as error:
        failure = _failure(error, seconds(), started, bench, epochs)
        if failure.kind != "out of time":  # with more time it goes on
            partial.unlink(missing_ok=True)
        return failure
    if training.keeps == "weights":
        state = {name: value.cpu() for name, value in trained.model.state_dict().items()}
        save_tensors(state, file_of(bench.files, training.key, "weights"))
    partial.unlink(missing_ok=True)
    curve = tuple((e.epoch + 1, e.accuracy) for e in trained.evaluations)
    recall = trained.evaluations[-1].recall
    return Result(curve, seconds(), started, environment(bench.device), recall, training.epochs)


def _run_round(trainings: Sequence[Training], bench: Bench) -> list[Outcome]:
    """From a checkpoint, or first weights, to an epoch before the learning rate's end; several as one network."""
    info = load_checked_info(bench.workspace.data, trainings[0].data)
    started, clock = time.time(), time.perf_counter()
    members = [_member(training, info, bench) for training in trainings]
    if len({member.since for member in members}) > 1:  # an ancestor of one failed: it goes on from farther back
        return [outcome for training in trainings for outcome in _run_round([training], bench)]
    first = trainings[0]
    try:
        ends = train_members(
            members,
            *_splits(first, bench.workspace.data),
            first.recipe,
            normalisation(info),
            until=first.epochs,
            device=bench.device,
            fill=mean_fill(info),
        )
    except (RuntimeError, MemoryError) as error:
        return [_failure(error, time.perf_counter() - clock, started, bench, 0) for _ in trainings]
    seconds = (time.perf_counter() - clock) / len(trainings)
    outcomes: list[Outcome] = []
    for training, member, end in zip(trainings, members, ends, strict=True):
        epochs = training.epochs - member.since
        if isinstance(end, NotFiniteError):
            outcomes.append(_failure(end, seconds, started, bench, epochs))
            continue
        if training.keeps == "checkpoint":
            end.save(file_of(bench.files, training.key, "checkpoint"))
        _, accuracy, recall = end.evaluations[-1]
        curve = ((training.epochs, accuracy),)
        outcomes.append(Result(curve, seconds, started, environment(bench.device), tuple(recall), epochs))
    return outcomes


def _member(training: Training, info: DatasetInfo, bench: Bench) -> Member:
    policies = _parts(training.augmentation)
    network = new_network(training.network, info, training.seed)
    state = Checkpoint.load(file_of(bench.files, training.resume, "checkpoint")) if training.resume else None
    return Member(network, policies, training.seed, state)


def operation_names(augmentation: Augmentation | None) -> set[str]:
    """The operations that a policy, a schedule or a chain may apply."""
    policies: list[Policy] = []
    for part in _parts(augmentation):
        policies += [segment.policy for segment in part.segments] if isinstance(part, Schedule) else [part]
    return {operation.name for policy in policies for sub_policy in policy.sub_policies for operation in sub_policy.operations}


def _parts(augmentation: Augmentation | None) -> tuple[Policy | Schedule, ...]:
    if augmentation is None:
        return ()
    return augmentation.parts if isinstance(augmentation, Chain) else (augmentation,)


def _failure(error: Exception, seconds: float, started: float, bench: Bench, epochs: int) -> Failure:
    """Why a training failed; an error that is not the training's own is raised again."""
    if isinstance(error, OSError):
        raise error
    kind: FailureKind = "error"
    if isinstance(error, NotFiniteError):
        kind = "diverged"
    elif isinstance(error, TimeLimitError):
        kind = "out of time"
    elif isinstance(error, torch.OutOfMemoryError | MemoryError):
        kind = "out of memory"
    message = f"{type(error).__name__}: {error}"
    return Failure(kind, message, seconds, started, environment(bench.device), epochs, bench.timeout)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
