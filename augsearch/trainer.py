"""One function trains one model. It knows nothing of tracking: whoever wants to watch passes `on_epoch`.

The data stay on the device as uint8, are augmented there some two thousand images ahead (small batches are
bound by overhead), then normalised and cut into mini-batches. On a CPU the same seed gives the same weights
to the last bit; on a GPU cuDNN's choice of algorithms may differ in the last bits of a float.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augsearch.augment import Augment
from augsearch.config import TrainSettings
from augsearch.datasets import Part
from augsearch.policy import Policy, Schedule

_AHEAD = 2048  # images augmented in one call
_EVALUATED = 1024  # images in one forward pass of an evaluation


class NotFiniteError(ArithmeticError):
    """The loss became NaN or infinite; the message says in which epoch."""


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
    accuracy: tuple[float, ...]
    """On the validation part, in [0, 1], after each epoch."""
    seconds: float


def train(
    model: nn.Module,
    part: Part,
    validation: Part | None,
    policy: Policy | Schedule | tuple[Policy | Schedule, ...] | None,
    settings: TrainSettings,
    normalisation: Normalisation,
    *,
    seed: int,
    device: str = "cpu",
    on_epoch: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train `model` in place.

    Args:
        part: training images (N, C, H, W) uint8 and labels (N,).
        validation: judged after each epoch; None to skip it.
        policy: the augmentation, or None.
        seed: of the order of images and of the augmentation; weights are drawn by whoever built the model.
        on_epoch: called with (epoch, validation accuracy); may raise to stop.

    Raises:
        NotFiniteError: the loss is no longer a number.
    """
    started = time.perf_counter()
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    images, labels = part.tensors(device)
    batch_size = min(settings.batch_size, len(images))
    steps = len(images) // batch_size
    optimizer = torch.optim.SGD(
        model.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay, nesterov=True, fused=True
    )
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=max(steps * settings.epochs, 2), pct_start=settings.warmup, cycle_momentum=False
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    augment = None if policy is None else Augment(policy, seed=seed, batch_size=batch_size)
    held = validation.tensors(device) if validation is not None else None
    accuracy: list[float] = []
    losses = torch.zeros((), device=device)
    stream = _batches(images, labels, augment, normalisation, batch_size, settings.epochs, seed)
    for step, (x, y) in enumerate(stream, 1):
        if step % steps == 1 or steps == 1:
            model.train()
        with _precision(settings, device):
            loss = loss_of(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rates.step()
        losses += loss.detach()
        if step % steps == 0:
            epoch = step // steps - 1
            if not math.isfinite(float(losses)):
                raise NotFiniteError(f"the loss is {float(losses)} in epoch {epoch} of {settings.epochs}")
            if held is not None:
                accuracy.append(_accuracy(model, *held, normalisation, settings, device))
                if on_epoch is not None:
                    on_epoch(epoch, accuracy[-1])
    return Trained(model, tuple(accuracy), time.perf_counter() - started)


def _batches(
    images: Tensor,
    labels: Tensor,
    augment: Augment | None,
    normalisation: Normalisation,
    batch_size: int,
    epochs: int,
    seed: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every mini-batch of a training, (b, C, H, W) float32 and (b,), augmented some thousands of images ahead."""
    order = torch.Generator().manual_seed(seed)
    steps = len(images) // batch_size
    # A schedule may change between epochs, so its images are not augmented past the end of one.
    mixed = augment is None or all(isinstance(part, Policy) for part in augment.parts)
    block = max(_AHEAD // (steps * batch_size), 1) if mixed else 1
    for first in range(0, epochs, block):
        here = range(first, min(first + block, epochs))
        index = torch.cat([torch.randperm(len(images), generator=order)[: steps * batch_size] for _ in here])
        chunk = max(_AHEAD // batch_size, 1) * batch_size
        for start in range(0, len(index), chunk):
            at = index[start : start + chunk].to(images.device)
            x = images[at]
            if augment is not None:
                x = augment(x, epoch=first, position=start)
            x = normalisation(x).contiguous(memory_format=torch.channels_last)
            yield from zip(torch.split(x, batch_size), torch.split(labels[at], batch_size), strict=True)


def _precision(settings: TrainSettings, device: str) -> torch.autocast:
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=settings.precision == "bfloat16")


def _accuracy(
    model: nn.Module, images: Tensor, labels: Tensor, normalisation: Normalisation, settings: TrainSettings, device: str
) -> float:
    predicted = _predict(model, images, normalisation, settings, device)
    return float((predicted == labels).double().mean())


def _predict(model: nn.Module, images: Tensor, normalisation: Normalisation, settings: TrainSettings, device: str) -> Tensor:
    model.eval()
    out = []
    with torch.inference_mode(), _precision(settings, device):
        for x in torch.split(images, _EVALUATED):
            x = normalisation(x).contiguous(memory_format=torch.channels_last)
            out.append(model(x).argmax(1))
    return torch.cat(out)


def predict(
    model: nn.Module, part: Part, settings: TrainSettings, normalisation: Normalisation, *, device: str = "cpu"
) -> NDArray[np.int64]:
    """The predicted class of every image, (N,)."""
    images, _ = part.tensors(device)
    classes: NDArray[np.int64] = _predict(model.to(device), images, normalisation, settings, device).cpu().numpy()
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
