"""Steps of an optimizer: the forward and backward pass, the learning rate, the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from augsearch.training.networks.grouped import Grouped
from augsearch.training.normalisation import Normalisation
from augsearch.training.settings import TrainSettings


class Steps:
    """Takes the steps of a training, of one model or of several as one: all the state that changes with every step."""

    def __init__(
        self, networks: Sequence[nn.Module], settings: TrainSettings, normalisation: Normalisation, images: int, device: str
    ) -> None:
        self.members = len(networks)
        model = networks[0] if self.members == 1 else Grouped(networks)
        self.model: nn.Module = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        self.averaged = None if settings.ema_decay is None else _moving_average(self.model, settings.ema_decay)
        self.settings = settings
        self.normalisation = normalisation
        self.batch_size = min(settings.batch_size, images)
        self.steps = images // self.batch_size
        self.device = device
        self.optimizer = torch.optim.SGD(
            model.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay, nesterov=True, fused=True
        )
        self.rates = learning_rates(self.optimizer, settings, self.steps)
        self.loss_of = nn.CrossEntropyLoss(
            label_smoothing=settings.label_smoothing, reduction="mean" if self.members == 1 else "none"
        )
        self.epoch = 0
        self.failures: dict[int, str] = {}
        """Error message of each member whose loss became NaN or infinite, by member index."""
        self._losses: list[float] = []

    def one_epoch(self, batches: Iterator[tuple[Tensor, Tensor]]) -> list[float]:
        """Take the epoch's batches; each member's mean loss."""
        self.model.train()
        total = torch.zeros(self.members, device=self.device)
        for _ in range(self.steps):
            total += self._step(*next(batches))
        losses = (total / self.steps).tolist()  # the one wait for the device
        for member, loss in enumerate(losses):
            if not math.isfinite(loss) and member not in self.failures:
                self.failures[member] = self._failure(member, loss)
        self.epoch += 1
        self._losses = losses
        return losses

    def _failure(self, member: int, loss: float) -> str:
        good = (
            f"the last good one is epoch {self.epoch - 1}, loss {self._losses[member]:.4g}"
            if self._losses
            else "none before it was good"
        )
        return f"the loss is {loss} in epoch {self.epoch} of {self.settings.epochs}; {good}"

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        with precision(self.settings, self.device):
            losses = self._losses_of(self.model(x), y)
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]  # untyped in torch
        if self.settings.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_grad_norm)
        self.optimizer.step()
        self.rates.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        return losses.detach()

    def _losses_of(self, logits: Tensor, y: Tensor) -> Tensor:
        """The mean loss of the one model, (), or of each member, (K,), from (B, K, classes) and (B, K)."""
        losses: Tensor = self.loss_of(logits, y) if self.members == 1 else self.loss_of(logits.flatten(0, 1), y.flatten())
        return losses if self.members == 1 else losses.view(y.shape).mean(0)


def learning_rates(optimizer: torch.optim.Optimizer, settings: TrainSettings, steps: int) -> lr_scheduler.LRScheduler:
    """The learning rate of every step; `steps` make an epoch."""
    total = max(steps * settings.epochs, 2)
    if settings.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, total)
    if settings.schedule == "step":
        return lr_scheduler.MultiStepLR(optimizer, [epoch * steps for epoch in settings.milestones], settings.decay)
    # torch divides by the length of the rise, which is 0 when it ends at the first step
    rise = 1.5 / total if math.isclose(settings.warmup_fraction * total, 1) else settings.warmup_fraction
    return lr_scheduler.OneCycleLR(optimizer, settings.lr, total, pct_start=rise, cycle_momentum=False)


def _moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Weights and BatchNorm's statistics: decay * average + (1 - decay) * now, after every step."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]  # untyped in torch


def precision(settings: TrainSettings, device: str) -> torch.autocast:
    """The autocast context of `train.precision` on a device; it does nothing for float32."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=settings.precision == "bfloat16")
