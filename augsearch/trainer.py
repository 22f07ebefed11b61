"""One function trains one model. It knows nothing of tracking: whoever wants to watch passes `on_epoch`.

The data stay on the device as uint8, are augmented there some two thousand images ahead (small batches are
bound by overhead), then normalised and cut into mini-batches. On a CPU the same seed gives the same weights
to the last bit; on a GPU cuDNN's choice of algorithms may differ in the last bits of a float.

    trained = train(model, part, validation, policy, settings, normalisation, seed=0,
                    on_checkpoint=lambda c: c.save("state.pt"))
    train(..., resume=Checkpoint.load("state.pt"))      # the same arguments: the same weights
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from augsearch.augment import Augment
from augsearch.checkpoints import Checkpoint
from augsearch.config import TrainSettings
from augsearch.datasets import Part
from augsearch.errors import CheckpointError
from augsearch.objectives import Evaluation, evaluation
from augsearch.policy import Augmentation, Policy, Schedule

_AHEAD = 2048  # images augmented in one call
_EVALUATED = 1024  # images in one forward pass of an evaluation


class NotFiniteError(ArithmeticError):
    """The loss became NaN or infinite; the message says in which epoch, and which was the last good one."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation for each channel, on the scale of 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> float32."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1) * 255
        scale = 1 / (torch.tensor(self.std, device=images.device).view(1, -1, 1, 1) * 255)
        return (images.float() - mean) * scale


@dataclass(frozen=True)
class Trained:
    model: nn.Module
    """With `ema`, of averaged weights."""
    evaluations: tuple[Evaluation, ...]
    """On the validation part, after each epoch or each `evaluate_every` epochs and the last."""
    seconds: float
    losses: tuple[float, ...]
    """Mean training loss of each epoch that was run here."""

    @property
    def accuracy(self) -> tuple[float, ...]:
        """Of each evaluation, in [0, 1]."""
        return tuple(e.accuracy for e in self.evaluations)

    def scores(self, objective: str) -> tuple[float, ...]:
        """Of each evaluation, in [0, 1]: accuracy, balanced_accuracy or worst_class_recall."""
        return tuple(e.score(objective) for e in self.evaluations)


def train(
    model: nn.Module,
    part: Part,
    validation: Part | None,
    policy: Augmentation | tuple[Policy | Schedule, ...] | None,
    settings: TrainSettings,
    normalisation: Normalisation,
    *,
    seed: int,
    device: str = "cpu",
    objective: str = "accuracy",
    on_epoch: Callable[[int, float], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
) -> Trained:
    """Train `model` in place.

    Args:
        part: training images (N, C, H, W) uint8 and labels (N,).
        validation: judged as `evaluate_every` says; None to skip it.
        policy: the augmentation, or None.
        seed: of the order of images, of the augmentation and of what the network draws in training; the first weights
            are drawn by whoever built the model.
        objective: which score `on_epoch` is given.
        on_epoch: called with (epoch, validation score) after each evaluation; may raise to stop.
        on_checkpoint: called after each epoch; the state lies on the CPU and is not touched later.
        resume: go on from there; everything else must be as it was.

    Raises:
        NotFiniteError: the loss is no longer a number.
        CheckpointError: the checkpoint is another network's, or has as many epochs as the settings or more.
    """
    started = time.perf_counter()
    batch_size = min(settings.batch_size, len(part))
    run = _Run(model, settings, normalisation, len(part) // batch_size, device)
    augment = None if policy is None else Augment(policy, seed=seed, batch_size=batch_size)
    losses: list[float] = []
    with _seeded(seed, device):
        if resume is not None:
            run.restore(resume)
        batches = _batches(*part.tensors(device), augment, normalisation, batch_size, settings.epochs, seed, run.epoch)
        while run.epoch < settings.epochs:
            losses.append(run.one_epoch(batches))
            if validation is not None and run.due():
                run.evaluations.append(run.judge(validation))
                if on_epoch is not None:
                    on_epoch(run.epoch - 1, run.evaluations[-1].score(objective))
            if on_checkpoint is not None:
                on_checkpoint(run.checkpoint())
    return Trained(run.judged, tuple(run.evaluations), time.perf_counter() - started, tuple(losses))


class _Run:
    """A training in progress: the model and all the state that changes with every step."""

    def __init__(
        self, model: nn.Module, settings: TrainSettings, normalisation: Normalisation, steps: int, device: str
    ) -> None:
        self.model: nn.Module = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        self.averaged = None if settings.ema is None else _moving_average(self.model, settings.ema)
        self.settings = settings
        self.normalisation = normalisation
        self.steps = steps
        self.device = device
        self.optimizer = torch.optim.SGD(
            model.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay, nesterov=True, fused=True
        )
        self.rates = learning_rates(self.optimizer, settings, steps)
        self.loss_of = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
        self.epoch = 0
        self.evaluations: list[Evaluation] = []
        self._loss: float | None = None

    @property
    def judged(self) -> nn.Module:
        """The model that is evaluated and kept."""
        if self.averaged is None:
            return self.model
        averaged: nn.Module = self.averaged.module
        return averaged

    def one_epoch(self, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
        """Take the epoch's batches; the mean loss."""
        self.model.train()
        total = torch.zeros((), device=self.device)
        for _ in range(self.steps):
            total += self._step(*next(batches))
        loss = float(total) / self.steps  # the one wait for the device
        if not math.isfinite(loss):
            good = (
                f"the last good one is epoch {self.epoch - 1}, loss {self._loss:.4g}"
                if self.epoch
                else "none before it was good"
            )
            raise NotFiniteError(f"the loss is {loss} in epoch {self.epoch} of {self.settings.epochs}; {good}")
        self.epoch += 1
        self._loss = loss
        return loss

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        with _precision(self.settings, self.device):
            loss: Tensor = self.loss_of(self.model(x), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.rates.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        return loss.detach()

    def due(self) -> bool:
        """Whether the epoch just ended is one to evaluate."""
        return self.epoch % self.settings.evaluate_every == 0 or self.epoch == self.settings.epochs

    def judge(self, validation: Part) -> Evaluation:
        images, labels = validation.tensors(self.device)
        predicted, classes = _predict(self.judged, images, self.normalisation, self.settings, self.device)
        return evaluation(predicted.cpu().numpy(), labels.cpu().numpy(), classes, self.epoch - 1)

    def checkpoint(self) -> Checkpoint:
        assert self._loss is not None  # there is one after an epoch
        return Checkpoint(
            epoch=self.epoch,
            model=_copied(self.model),
            averaged={} if self.averaged is None else _copied(self.averaged),
            optimizer=_on_cpu(self.optimizer.state_dict()),
            schedule={key: value for key, value in self.rates.state_dict().items() if not callable(value)},
            random=_random_state(self.device),
            evaluations=[(e.epoch, e.accuracy, list(e.recall)) for e in self.evaluations],
            loss=self._loss,
        )

    def restore(self, state: Checkpoint) -> None:
        if state.epoch >= self.settings.epochs:
            raise CheckpointError(f"resume: the checkpoint has {state.epoch} epochs; train.epochs is {self.settings.epochs}")
        if bool(state.averaged) != (self.averaged is not None):
            raise CheckpointError("resume: train.ema is set in one of the settings and the checkpoint, and not in the other")
        try:
            self.model.load_state_dict(state.model)
            if self.averaged is not None:
                self.averaged.load_state_dict(state.averaged)
            self.optimizer.load_state_dict(state.optimizer)
            self.rates.load_state_dict(state.schedule)
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(f"resume: the checkpoint is another network's ({str(error).split(chr(10))[0]})") from None
        torch.set_rng_state(state.random["cpu"])
        if "cuda" in state.random and torch.device(self.device).type == "cuda":
            torch.cuda.set_rng_state(state.random["cuda"], self.device)
        self.epoch, self._loss = state.epoch, state.loss
        self.evaluations = [Evaluation(epoch, accuracy, tuple(recall)) for epoch, accuracy, recall in state.evaluations]


def learning_rates(optimizer: torch.optim.Optimizer, settings: TrainSettings, steps: int) -> lr_scheduler.LRScheduler:
    """The learning rate of every step; `steps` make an epoch."""
    total = max(steps * settings.epochs, 2)
    if settings.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, total)
    if settings.schedule == "step":
        return lr_scheduler.MultiStepLR(optimizer, [epoch * steps for epoch in settings.milestones], settings.decay)
    # torch divides by the length of the rise, which is 0 when it ends at the first step
    rise = 1.5 / total if math.isclose(settings.warmup * total, 1) else settings.warmup
    return lr_scheduler.OneCycleLR(optimizer, settings.lr, total, pct_start=rise, cycle_momentum=False)


def _moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Weights and BatchNorm's statistics: decay * average + (1 - decay) * now, after every step."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """What a network draws in training (dropout, shake-shake) follows from the seed; afterwards all is as it was."""
    with torch.random.fork_rng([device] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _random_state(device: str) -> dict[str, Tensor]:
    on_gpu = torch.device(device).type == "cuda"
    return {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state(device)} if on_gpu else {})


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}


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
    augment: Augment | None,
    normalisation: Normalisation,
    batch_size: int,
    epochs: int,
    seed: int,
    begin: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every mini-batch of a training from epoch `begin`, (b, C, H, W) float32 and (b,), augmented some thousands of images
    ahead. Where it begins changes nothing in the batches that it gives."""
    order = torch.Generator().manual_seed(seed)
    steps = len(images) // batch_size
    # A schedule may change between epochs, so its images are not augmented past the end of one.
    mixed = augment is None or all(isinstance(part, Policy) for part in augment.parts)
    block = max(_AHEAD // (steps * batch_size), 1) if mixed else 1
    for first in range(0, epochs, block):
        here = range(first, min(first + block, epochs))
        index = torch.cat([torch.randperm(len(images), generator=order)[: steps * batch_size] for _ in here])
        chunk = max(_AHEAD // batch_size, 1) * batch_size
        for start in range(max(begin - first, 0) * steps * batch_size, len(index), chunk):
            at = index[start : start + chunk].to(images.device)
            x = images[at]
            if augment is not None:
                x = augment(x, epoch=first, position=start)
            x = normalisation(x).contiguous(memory_format=torch.channels_last)
            yield from zip(torch.split(x, batch_size), torch.split(labels[at], batch_size), strict=True)


def _precision(settings: TrainSettings, device: str) -> torch.autocast:
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=settings.precision == "bfloat16")


def _predict(
    model: nn.Module, images: Tensor, normalisation: Normalisation, settings: TrainSettings, device: str
) -> tuple[Tensor, int]:
    """The predicted class of every image, (N,), and how many classes there are."""
    model.eval()
    out = []
    with torch.inference_mode(), _precision(settings, device):
        for x in torch.split(images, _EVALUATED):
            x = normalisation(x).contiguous(memory_format=torch.channels_last)
            out.append(model(x))
    return torch.cat([logits.argmax(1) for logits in out]), out[0].shape[1]


def predict(
    model: nn.Module, part: Part, settings: TrainSettings, normalisation: Normalisation, *, device: str = "cpu"
) -> NDArray[np.int64]:
    """The predicted class of every image, (N,)."""
    images, _ = part.tensors(device)
    predicted, _ = _predict(model.to(device), images, normalisation, settings, device)
    classes: NDArray[np.int64] = predicted.cpu().numpy()
    return classes


class Classifier(nn.Module):
    """A network with its normalisation inside: (B, C, H, W) uint8 -> (B, classes) logits. What is handed to users."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, -1, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(normalisation.std).view(1, -1, 1, 1) * 255))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images.float() - self.mean) * self.scale)
        return logits
