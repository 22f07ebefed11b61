"""Batching: when a search asks for how many trials, whole batches or one whenever a worker is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from augsearch.store import Store


class Batching(Protocol):
    """Decides how many trials are asked for, and remembers it where that depends on timing."""

    def wanted(self, running: int, free: int) -> int:
        """Number of trials to ask for, given the units of work that run and those that would start at once."""
        ...

    def history(self) -> list[list[int]]:
        """For each proposal of an earlier run of this search: the trials that had ended since the proposal before it."""
        ...

    def record(self, position: int, ended: list[int]) -> None:
        """Remember which trials ended between the proposal before and this one."""
        ...


@dataclass(frozen=True)
class Synchronous:
    """Whole batches: all of one are evaluated before the next is asked for, so nothing depends on timing."""

    size: int

    def wanted(self, running: int, free: int) -> int:
        """A whole batch when nothing is running, else nothing."""
        return 0 if running else self.size

    def history(self) -> list[list[int]]:
        """Nothing: what a batch knew follows from the trials before it."""
        return []

    def record(self, position: int, ended: list[int]) -> None:
        """Record nothing; see `history`."""


@dataclass(frozen=True)
class Asynchronous:
    """A new trial for every free worker. What was known at each proposal is on record, so that a killed search resumes."""

    store: Store
    search: str
    """Key of the search."""

    def wanted(self, running: int, free: int) -> int:
        """One trial if a worker is free, else none."""
        return min(free, 1)

    def history(self) -> list[list[int]]:
        """The trials that had ended at each proposal, from the store."""
        return self.store.asked(self.search)

    def record(self, position: int, ended: list[int]) -> None:
        """Write to the store which trials ended since the proposal before."""
        self.store.record_asked(self.search, position, ended)
