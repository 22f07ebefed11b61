"""One function trains one model. It knows nothing of tracking: whoever wants to follow it passes `on_epoch`.

The data stay on the device as uint8, are augmented there some two thousand images ahead (small batches are
bound by overhead), then normalised and cut into mini-batches. On a CPU the same seed gives the same weights
to the last bit; on a GPU cuDNN's choice of algorithms may differ in the last bits of a float.

    trained = train(model, split, validation, policy, settings, normalisation, seed=0,
                    on_checkpoint=lambda c: c.save("state.pt"))
    train(..., resume=Checkpoint.load("state.pt"))      # the same arguments: the same weights
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augsearch.data.splits import Split
from augsearch.errors import CheckpointError
from augsearch.policy import Augmentation, Policy, Schedule
from augsearch.policy.augment import Augment, Fill, Piece, augment_together
from augsearch.training.checkpoints import Checkpoint
from augsearch.training.metrics import Evaluation, evaluation
from augsearch.training.networks.grouped import join, split
from augsearch.training.normalisation import Normalisation
from augsearch.training.settings import TrainSettings
from augsearch.training.steps import Steps, precision

_AHEAD = 2048  # images augmented in one call
_EVALUATED = 1024  # images in one forward pass of an evaluation


class NotFiniteError(ArithmeticError):
    """The loss became NaN or infinite; the message says in which epoch, and which was the last good one."""


@dataclass(frozen=True)
class Trained:
    """A trained model, and what was measured on the way."""

    model: nn.Module
    """The network; with `ema_decay`, with averaged weights."""
    evaluations: tuple[Evaluation, ...]
    """Evaluations on the validation split, after every `evaluate_every` epochs and the last."""
    seconds: float
    losses: tuple[float, ...]
    """Mean training loss of each epoch that was run here."""

    @property
    def accuracy(self) -> tuple[float, ...]:
        """Accuracy at each evaluation, in [0, 1]."""
        return tuple(e.accuracy for e in self.evaluations)

    def scores(self, objective: str) -> tuple[float, ...]:
        """An objective at each evaluation, in [0, 1]: accuracy, balanced_accuracy or worst_class_recall."""
        return tuple(e.score(objective) for e in self.evaluations)


def train(
    model: nn.Module,
    train_split: Split,
    validation: Split | None,
    policy: Augmentation | tuple[Policy | Schedule, ...] | None,
    settings: TrainSettings,
    normalisation: Normalisation,
    *,
    seed: int,
    device: str = "cpu",
    fill: Fill = None,
    objective: str = "accuracy",
    on_epoch: Callable[[int, float], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    checkpoint_seconds: float = 0.0,
    resume: Checkpoint | None = None,
) -> Trained:
    """Train `model` in place.

    Args:
        train_split: training images (N, C, H, W) uint8 and labels (N,).
        validation: evaluated as `evaluate_every` says; None to skip it.
        policy: the augmentation, or None.
        seed: decides the order of images, the augmentation and what the network draws in training; the first weights
            are drawn by whoever built the model.
        fill: colour outside the frame, as `Augment` takes it.
        objective: which score `on_epoch` is given.
        on_epoch: called with (epoch, validation score) after each evaluation; may raise to stop.
        on_checkpoint: called with the state after an epoch; it lies on the CPU and is not touched later.
        checkpoint_seconds: from one checkpoint to the next; 0: after each epoch.
        resume: go on from there; everything else must be as it was.

    Raises:
        NotFiniteError: the loss is no longer a number.
        CheckpointError: the checkpoint is another network's, or has as many epochs as the settings or more.
    """
    started = saved = time.perf_counter()
    run = _Run([model], settings, normalisation, len(train_split), device)
    augments = None if policy is None else [Augment(policy, seed=seed, batch_size=run.batch_size, fill=fill)]
    losses: list[float] = []
    with _seeded(seed, device):
        if resume is not None:
            run.restore([resume], settings.epochs)
        batches = _batches(
            *train_split.tensors(device), augments, normalisation, run.batch_size, [seed], run.epoch, settings.epochs
        )
        while run.epoch < settings.epochs:
            losses += run.one_epoch(batches)
            if run.failures:
                raise NotFiniteError(run.failures[0])
            if validation is not None and run.due():
                run.evaluate(validation)
                if on_epoch is not None:
                    on_epoch(run.epoch - 1, run.evaluations[0][-1].score(objective))
            if on_checkpoint is not None and time.perf_counter() - saved >= checkpoint_seconds:
                on_checkpoint(run.checkpoints()[0])
                saved = time.perf_counter()
    return Trained(run.kept, tuple(run.evaluations[0]), time.perf_counter() - started, tuple(losses))


@dataclass(frozen=True)
class Member:
    """One of several models that are trained side by side, between two epochs."""

    network: nn.Module
    """Its weights are used only where there is no state."""
    policies: tuple[Policy | Schedule, ...]
    """Applied one after the other; for every member as many, and each of the same dialect."""
    seed: int
    state: Checkpoint | None
    """The state that it continues; None: it begins with the network's weights."""

    @property
    def since(self) -> int:
        """Epochs trained before."""
        return 0 if self.state is None else self.state.epoch


def train_members(
    members: Sequence[Member],
    train_split: Split,
    validation: Split,
    settings: TrainSettings,
    normalisation: Normalisation,
    *,
    until: int,
    device: str = "cpu",
    fill: Fill = None,
) -> list[Checkpoint | NotFiniteError]:
    """Train models of one kind as one (`networks.grouped`), from the same epoch up to epoch `until`; evaluate them there.

    What a network draws in training follows from the first member's seed.

    Returns:
        For each member its state, whose last evaluation is the one at `until`; or why it has none.

    Raises:
        CheckpointError: a state is another network's, or has `until` epochs or more.
        SettingsError: the networks cannot be trained as one.
    """
    run = _Run([member.network for member in members], settings, normalisation, len(train_split), device)
    seeds = [member.seed for member in members]
    augments = None
    if members[0].policies:
        augments = [Augment(m.policies, seed=m.seed, batch_size=run.batch_size, fill=fill) for m in members]
    with _seeded(seeds[0], device):
        states = [member.state for member in members if member.state is not None]
        if states:
            run.restore([replace(state, random={}) for state in states], until)
        batches = _batches(*train_split.tensors(device), augments, normalisation, run.batch_size, seeds, run.epoch, until)
        while run.epoch < until and len(run.failures) < len(members):
            run.one_epoch(batches)
        run.evaluate(validation)
    return [NotFiniteError(run.failures[k]) if k in run.failures else state for k, state in enumerate(run.checkpoints())]


class _Run(Steps):
    """A training in progress: its steps, its evaluations, and its states between two epochs."""

    def __init__(
        self, networks: Sequence[nn.Module], settings: TrainSettings, normalisation: Normalisation, images: int, device: str
    ) -> None:
        super().__init__(networks, settings, normalisation, images, device)
        self.evaluations: list[list[Evaluation]] = [[] for _ in networks]

    @property
    def kept(self) -> nn.Module:
        """The model that is evaluated and kept."""
        if self.averaged is None:
            return self.model
        averaged: nn.Module = self.averaged.module
        return averaged

    def due(self) -> bool:
        """Whether the epoch just ended is one to evaluate."""
        return self.epoch % self.settings.evaluate_every == 0 or self.epoch == self.settings.epochs

    def evaluate(self, validation: Split) -> None:
        """Add an evaluation for each member."""
        images, labels = validation.tensors(self.device)
        predicted, classes = _predict(self.kept, images, self.normalisation, self.settings, self.device, self.members)
        for k, evaluations in enumerate(self.evaluations):
            evaluations.append(evaluation(predicted[:, k].cpu().numpy(), labels.cpu().numpy(), classes, self.epoch - 1))

    def checkpoints(self) -> list[Checkpoint]:
        """Each member's state."""
        assert self._losses  # there are some after an epoch
        models = self._split(self._body(self.model))
        averages = [{} for _ in models] if self.averaged is None else self._split(self._body(self.averaged))
        optimizer = self.optimizer.state_dict()
        each_optimizer = [optimizer] if self.members == 1 else split(optimizer, self.members)
        rates = {key: value for key, value in self.rates.state_dict().items() if not callable(value)}
        return [
            Checkpoint(
                epoch=self.epoch,
                model=_on_cpu(models[k]),
                averaged=_on_cpu(averages[k]),
                optimizer=_on_cpu(each_optimizer[k]),
                schedule=rates,
                random=_random_state(self.device),
                evaluations=[(e.epoch, e.accuracy, list(e.recall)) for e in self.evaluations[k]],
                loss=self._losses[k],
            )
            for k in range(self.members)
        ]

    def _split(self, state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        return [state] if self.members == 1 else split(state, self.members)

    def _body(self, model: nn.Module) -> dict[str, Tensor]:
        """The state under the names that a single network has."""
        return {name.replace("body.", "", 1) if self.members > 1 else name: value for name, value in model.state_dict().items()}

    def restore(self, states: Sequence[Checkpoint], end: int) -> None:
        """Go on from the members' states; training shall last until epoch `end`."""
        first = states[0]
        if first.epoch >= end:
            raise CheckpointError(f"resume: the checkpoint has {first.epoch} epochs; train.epochs is {end}")
        if bool(first.averaged) != (self.averaged is not None):
            raise CheckpointError("resume: train.ema_decay is set in one of the settings and the checkpoint, not in both")
        try:
            self._load(self.model, [state.model for state in states])
            if self.averaged is not None:
                self._load(self.averaged, [state.averaged for state in states])
            self.optimizer.load_state_dict(first.optimizer if self.members == 1 else join([s.optimizer for s in states]))
            self.rates.load_state_dict(first.schedule)
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(f"resume: the checkpoint is another network's ({str(error).split(chr(10))[0]})") from None
        if "cpu" in first.random:
            torch.set_rng_state(first.random["cpu"])
        if "cuda" in first.random and torch.device(self.device).type == "cuda":
            torch.cuda.set_rng_state(first.random["cuda"], self.device)
        self.epoch, self._losses = first.epoch, [state.loss for state in states]
        self.evaluations = [
            [Evaluation(epoch, accuracy, tuple(recall)) for epoch, accuracy, recall in state.evaluations] for state in states
        ]

    def _load(self, model: nn.Module, states: Sequence[dict[str, Tensor]]) -> None:
        if self.members == 1:
            model.load_state_dict(states[0])
            return
        names = dict(zip(self._body(model), model.state_dict(), strict=True))
        model.load_state_dict({names[name]: value for name, value in join(states).items()})


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Seed what a network draws in training (dropout, shake-shake); restore the generators afterwards."""
    with torch.random.fork_rng([device] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _random_state(device: str) -> dict[str, Tensor]:
    on_gpu = torch.device(device).type == "cuda"
    return {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state(device)} if on_gpu else {})


def _on_cpu(state: Any) -> Any:
    """A copy of nested dicts and lists whose tensors lie on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return type(state)((key, _on_cpu(value)) for key, value in state.items())
    return type(state)(map(_on_cpu, state)) if isinstance(state, list | tuple) else state


def _batches(
    images: Tensor,
    labels: Tensor,
    augments: Sequence[Augment] | None,
    normalisation: Normalisation,
    batch_size: int,
    seeds: Sequence[int],
    begin: int,
    end: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every mini-batch from epoch `begin` to `end`, augmented some thousands of images ahead: (b, C, H, W) float32 and
    (b,); of K > 1 members side by side, (b, K * C, H, W) and (b, K). Where it begins and ends changes nothing in the
    batches that it gives, nor do a member's batches depend on the others."""
    orders = [torch.Generator().manual_seed(seed) for seed in seeds]
    steps = len(images) // batch_size
    used = steps * batch_size  # images of an epoch
    block = max(_AHEAD // used, 1)  # epochs that are augmented together
    chunk = max(_AHEAD // batch_size, 1) * batch_size
    for first in range(0, end, block):
        here = range(first, min(first + block, end))
        index = torch.stack([_order(order, len(images), used, len(here)) for order in orders])
        for start in range(max(begin - first, 0) * used, index.shape[1], chunk):
            at = index[:, start : start + chunk].to(images.device)
            x = images[at.flatten()]
            if augments is not None:
                x = augment_together(augments, x, list(_pieces(first, used, start, start + at.shape[1])))
            x = _side_by_side(normalisation(x), len(at)).contiguous(memory_format=torch.channels_last)
            y = labels[at].T if len(at) > 1 else labels[at[0]]
            yield from zip(torch.split(x, batch_size), torch.split(y, batch_size), strict=True)


def _pieces(first: int, used: int, start: int, end: int) -> Iterator[Piece]:
    """The pieces of epochs in images `start` to `end`, counted from the beginning of epoch `first`; `used` make an epoch."""
    while start < end:
        count = min(used - start % used, end - start)
        yield first + start // used, start % used, count
        start += count


def _order(generator: torch.Generator, images: int, used: int, epochs: int) -> Tensor:
    """(epochs * used,) which images some epochs take, one after the other."""
    return torch.cat([torch.randperm(images, generator=generator)[:used] for _ in range(epochs)])


def _side_by_side(x: Tensor, members: int) -> Tensor:
    """(K * n, C, H, W), member after member -> (n, K * C, H, W)."""
    return x if members == 1 else x.view(members, -1, *x.shape[1:]).transpose(0, 1).flatten(1, 2)


def _predict(
    model: nn.Module, images: Tensor, normalisation: Normalisation, settings: TrainSettings, device: str, members: int = 1
) -> tuple[Tensor, int]:
    """The class of every image that each member predicts, (N, K), and how many classes there are."""
    model.eval()
    out = []
    with torch.inference_mode(), precision(settings, device):
        for x in torch.split(images, max(_EVALUATED // members, 1)):
            x = normalisation(x)
            x = (x.repeat(1, members, 1, 1) if members > 1 else x).contiguous(memory_format=torch.channels_last)
            out.append(model(x).view(len(x), members, -1))
    return torch.cat([logits.argmax(2) for logits in out]), out[0].shape[2]


def predict(
    model: nn.Module, evaluated: Split, settings: TrainSettings, normalisation: Normalisation, *, device: str = "cpu"
) -> NDArray[np.int64]:
    """The predicted class of every image, (N,)."""
    images, _ = evaluated.tensors(device)
    predicted, _ = _predict(model.to(device), images, normalisation, settings, device)
    classes: NDArray[np.int64] = predicted[:, 0].cpu().numpy()
    return classes


class Classifier(nn.Module):
    """A network with its normalisation inside: (B, C, H, W) uint8 -> (B, classes) logits. This is the form that users get."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, -1, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(normalisation.std).view(1, -1, 1, 1) * 255))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> (B, classes) logits."""
        logits: Tensor = self.network((images.float() - self.mean) * self.scale)
        return logits
