"""A training's state between two epochs: what goes on from it ends with the same weights, to the last bit on a CPU."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from augsearch.errors import CheckpointError
from augsearch.files import replacing

VERSION = 2


def save_tensors(state: dict[str, Any], path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        OSError: it cannot be written, as on a full disk; torch's own writer would raise a RuntimeError, as trainings do.
    """
    packed = io.BytesIO()
    torch.save(state, packed)
    with replacing(path) as temporary:
        temporary.write_bytes(packed.getbuffer())


@dataclass(frozen=True)
class Checkpoint:
    """Everything that the rest of a training depends on, besides the settings, the data, the policy and the seed."""

    epoch: int
    """Epochs that are finished."""
    model: dict[str, Tensor]
    averaged: dict[str, Tensor]
    """The moving average of the weights; empty without one."""
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    """The learning rate's schedule and its position."""
    random: dict[str, Tensor]
    """State of torch's generator of each kind of device. Augmentation has none: its draws are counted (Philox)."""
    evaluations: list[tuple[int, float, list[float]]]
    """(epoch, accuracy, recall of each class) so far."""
    loss: float
    """Mean of the last epoch."""
    seconds: float = 0.0
    """Time that the training had taken."""

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        state = {"checkpoint": VERSION} | {field.name: getattr(self, field.name) for field in fields(self)}
        save_tensors(state, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read a file that `save` wrote; tensors and numbers only, so that it can run no code.

        Raises:
            CheckpointError: no such file, or not a checkpoint.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise CheckpointError(f"{path}: no such file") from None
        except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
            raise CheckpointError(f"{path}: not a readable checkpoint ({' '.join(str(error).split())[:120]})") from None
        if not isinstance(state, dict) or state.pop("checkpoint", None) != VERSION:
            raise CheckpointError(f"{path}: not a checkpoint of version {VERSION}")
        missing = [field.name for field in fields(cls) if field.name not in state]
        if missing:
            raise CheckpointError(f"{path}: lacks {', '.join(missing)}")
        return cls(**state)
