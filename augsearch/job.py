"""Jobs: values with a key, and what a worker needs to compute their outcomes.

A job is a training, a run of a user's script, or the test of a trained network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from augsearch.outcome import Failure, Result
from augsearch.workspace import Workspace

Outcome = Result | Failure
Outcomes = tuple[Outcome, ...]


@dataclass(frozen=True)
class Bench:
    """What a worker gets besides its job: it decides where and how long the job runs, never its outcome."""

    workspace: Workspace
    device: str = "cpu"
    timeout: float | None = None
    """Seconds after which a training has failed; None: no limit."""

    @property
    def files(self) -> Path:
        """The folder of weights and checkpoints, named by key."""
        return self.workspace.store / "files"


class Job(Protocol):
    """Something to compute, complete and hashable: nothing else reaches a worker."""

    @property
    def key(self) -> str:
        """Hash of all that the outcome depends on."""
        ...

    @property
    def required(self) -> str | None:
        """The kind of file, such as "weights", without which the outcome does not count as known."""
        ...

    @property
    def continues(self) -> str | None:
        """The key of the job whose checkpoint this one continues; None: it begins at the beginning."""
        ...

    def describe(self) -> dict[str, Any]:
        """A description for people, as plain JSON data."""
        ...

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Result:
        """The result that the store holds."""
        ...

    @classmethod
    def run(cls, jobs: Sequence[Self], bench: Bench) -> list[Outcome]:
        """Compute the outcome of each. A failure of the job is an outcome; one of the infrastructure is raised."""
        ...


@dataclass(frozen=True, eq=False)
class Work:
    """Jobs of one kind that run together on one device, most often one."""

    name: str
    """Name for people, in logs and on Prefect's page."""
    jobs: tuple[Job, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the jobs, in their order."""
        return tuple(job.key for job in self.jobs)


def run(work: Work, bench: Bench) -> Outcomes:
    """Compute the outcomes of the jobs in this process."""
    return tuple(type(work.jobs[0]).run(work.jobs, bench))
