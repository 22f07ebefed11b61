"""Outcomes of a training: a result with its environment, or a failure with its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from augsearch.environment import Environment

FailureKind = Literal["diverged", "out of time", "out of memory", "error", "script"]
KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


@dataclass(frozen=True)
class Result:
    """A training that ended well."""

    curve: tuple[tuple[int, float], ...]
    """(epochs trained, validation accuracy) of each evaluation; for a user's script (number of the report, reported score)."""
    seconds: float
    started: float
    """Unix time."""
    environment: Environment
    recall: tuple[float, ...] = ()
    """The fraction of each class's validation images that is recognised after the last epoch; empty for a user's script."""
    epochs: int = 0
    """Epochs trained here; the reports of a user's script."""
    score: float | None = None
    """The score that a user's script reported; None for this project's own trainer, whose objective makes one."""

    def data(self) -> dict[str, Any]:
        """The same as plain JSON data."""
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Result:
        """The reverse of `data`."""
        fixed = {"curve": tuple((int(e), float(v)) for e, v in data["curve"]), "recall": tuple(data["recall"])}
        return cls(**{**data, **fixed, "environment": Environment(**data["environment"])})


@dataclass(frozen=True)
class Failure:
    """A training that failed by its own fault. A lost worker or a full disk is no failure."""

    kind: FailureKind
    message: str
    seconds: float
    started: float
    environment: Environment
    epochs: int = 0
    """Epochs completed up to the last evaluation."""
    limit: float | None = None
    """The time limit in force, in seconds; with a higher one a training that ran out of time is tried again."""
    output: tuple[str, ...] = ()
    """The last lines that a user's script printed."""

    def data(self) -> dict[str, Any]:
        """The same as plain JSON data."""
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Failure:
        """The reverse of `data`."""
        return cls(**{**data, "output": tuple(data["output"]), "environment": Environment(**data["environment"])})

    def stands(self, limit: float | None) -> bool:
        """Whether the same training would fail again under this time limit."""
        return self.kind != "out of time" or (limit is not None and self.limit is not None and limit <= self.limit)
