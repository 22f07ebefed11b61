"""One trial or retraining, from settings to scores: what a slot runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from augsearch import plugins
from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info, load_split
from augsearch.data.splits import Split
from augsearch.errors import TimeLimitError
from augsearch.journal import code_version, fingerprint
from augsearch.policy import Augmentation, stretched
from augsearch.settings import NetworkSettings, Settings, TrainSettings
from augsearch.training import networks
from augsearch.training.trainer import Normalisation, Trained, train


@dataclass(frozen=True)
class TrialResult:
    """What became of a training."""

    score: float | None
    """The search's objective on the validation part after the last epoch, in [0, 1]; None: it failed.
    Of one's own script, what it said: any number."""
    accuracy: tuple[float, ...]
    """Validation accuracy after each epoch (or each `train.evaluate_every` epochs); what one's own script reported."""
    seconds: float
    started: float
    """Unix time."""
    failure: str | None = None
    recall: tuple[float, ...] = ()
    """Of each class, after the last epoch."""
    epochs: int = 0
    """That it was trained; of a failed one, as far as it was evaluated."""
    output: tuple[str, ...] = ()
    """The last lines that one's own script printed before it failed."""


@lru_cache(maxsize=1)
def visible_parts(folder: Path, fingerprint: str) -> tuple[Split, Split]:
    """Train and validation parts, once for each process, and memory-mapped, so that all processes share them.

    The test part is not among them: it is sealed. The fingerprint keeps data apart that were prepared one after the
    other in the same folder.
    """
    return load_split(folder, "train"), load_split(folder, "val")


def new_network(settings: NetworkSettings, info: DatasetInfo, seed: int) -> nn.Module:
    """The network with its first weights, which depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return networks.build(settings.name, classes=len(info.classes), channels=info.channels, **settings.arguments())


def normalisation(info: DatasetInfo) -> Normalisation:
    return Normalisation(info.mean, info.std)


def train_policy(
    policy: Augmentation | None,
    seed: int,
    settings: Settings,
    folder: Path,
    device: str,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train a fresh network with a policy on the prepared data set in `folder`, judged on its validation part."""
    info = load_info(folder / "dataset.json")
    return train_on(*visible_parts(folder, info.fingerprint), info, policy, seed, settings, device, on_epoch)


def train_on(
    part: Split,
    validation: Split,
    info: DatasetInfo,
    policy: Augmentation | None,
    seed: int,
    settings: Settings,
    device: str,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train a fresh network with a policy on one part of a data set, judged on another; schedules are stretched."""
    if torch.device(device).type == "cpu":
        torch.set_num_threads(1)  # trials run side by side; two busy threads each would fight over the cores
    return train(
        new_network(settings.network, info, seed),
        part,
        validation,
        policy and stretched(policy, settings.train.epochs),
        settings.train,
        normalisation(info),
        seed=seed,
        device=device,
        objective=settings.search.objective,
        on_epoch=on_epoch,
    )


def run_trial(policy: Augmentation | None, seed: int, settings: Settings, folder: Path, device: str) -> TrialResult:
    """`train_policy`, where whatever goes wrong is a failed trial with its reason, not the end of the search."""
    started, clock = time.time(), time.perf_counter()
    limit = settings.search.trial_timeout
    epochs = 0

    def in_time(epoch: int, accuracy: float) -> None:
        nonlocal epochs
        epochs = epoch + 1
        if limit is not None and time.perf_counter() - clock > limit:
            raise TimeLimitError(f"longer than search.trial_timeout ({limit:g}) after epoch {epoch}")

    try:
        trained = train_policy(policy, seed, settings, folder, device, in_time)
    except Exception as error:
        return TrialResult(None, (), time.perf_counter() - clock, started, f"{type(error).__name__}: {error}", epochs=epochs)
    score = trained.scores(settings.search.objective)[-1]
    return TrialResult(score, trained.accuracy, trained.seconds, started, recall=trained.evaluations[-1].recall, epochs=epochs)


def training_fingerprint(settings: Settings, info: DatasetInfo, **more: object) -> str:
    """Of everything that a training's outcome depends on: data, network, recipe, seed, code, and what else is given."""
    return fingerprint(
        data=info.fingerprint,
        network=settings.network.model_dump() | {"source": plugins.source_hash(settings.network.name)},
        operations={name: plugins.source_hash(name) for name in _own_operations(settings)},
        train=settings.train.model_dump(),
        seed=settings.seed,
        code=code_version(),
        **more,
    )


def _own_operations(settings: Settings) -> list[str]:
    """Operations by import path, whose code may change under a journal."""
    return sorted({name for name in (*settings.search.operations, *settings.search.pba.operations) if ":" in name})


def as_record(result: TrialResult) -> dict[str, object]:
    """For the journal."""
    return asdict(result) | {
        "accuracy": [round(a, 6) for a in result.accuracy],
        "recall": [round(r, 6) for r in result.recall],
    }


def by_epoch(accuracy: Sequence[float], settings: TrainSettings) -> dict[int, float]:
    """Each evaluation under the number of epochs after which it was made."""
    return {min((k + 1) * settings.evaluate_every, settings.epochs): value for k, value in enumerate(accuracy)}
