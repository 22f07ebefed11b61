"""Running jobs, and looking up those whose outcomes are known.

`Evaluator` puts the store in front of an executor: a job whose outcome is stored is not computed again.

    evaluator = Evaluator(store, SerialExecutor(Bench(workspace)))
    for done in evaluate([Work("first", (training,))], evaluator):
        done.outcomes
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from augsearch.errors import AugsearchError, WorkerError
from augsearch.job import Bench, Job, Outcome, Outcomes, Work, run
from augsearch.outcome import Failure
from augsearch.store import Store


@dataclass(frozen=True)
class Done:
    """Work that ended, with the outcome of each of its jobs."""

    work: Work
    outcomes: Outcomes
    stored: bool
    """Whether the store knew it, so that nothing ran."""


class Executor(Protocol):
    """Runs work, some of it at a time."""

    bench: Bench

    @property
    def free(self) -> int:
        """Number of further units of work that would start at once."""
        ...

    def submit(self, work: Work) -> None:
        """Run the work as soon as a worker is free."""
        ...

    def completed(self) -> Iterator[tuple[Work, Outcomes | WorkerError]]:
        """Each unit as it ends, including those submitted meanwhile; a WorkerError where the infrastructure failed."""
        ...


class SerialExecutor:
    """Runs work in this process, one unit after the other."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._waiting: deque[Work] = deque()

    @property
    def free(self) -> int:
        """Units of work that would start at once: 1, or 0 while one waits."""
        return 1 - len(self._waiting)

    def submit(self, work: Work) -> None:
        """Put work at the end of the queue; it runs in `completed`."""
        self._waiting.append(work)

    def completed(self) -> Iterator[tuple[Work, Outcomes | WorkerError]]:
        """Run the waiting work, one unit after the other, and give each with its outcomes."""
        while self._waiting:
            work = self._waiting[0]
            outcomes = run(work, self.bench)
            self._waiting.popleft()
            yield work, outcomes


class Evaluator:
    """An executor with the store in front: known outcomes are not computed, new ones are stored before they are given."""

    def __init__(self, store: Store, executor: Executor) -> None:
        self.store = store
        self.executor = executor
        self._ready: deque[Done] = deque()
        self._submitted: dict[str, Work] = {}

    @property
    def free(self) -> int:
        """Number of further units of work that would start at once; none while known outcomes wait to be given."""
        return 0 if self._ready else self.executor.free

    def known(self, work: Work) -> Outcomes | None:
        """The stored outcomes, if every job of the work has one that still stands."""
        outcomes = [self._known(job) for job in work.jobs]
        return None if any(outcome is None for outcome in outcomes) else tuple(o for o in outcomes if o is not None)

    def _known(self, job: Job) -> Outcome | None:
        outcome = self.store.get(job)
        if isinstance(outcome, Failure):
            return outcome if outcome.stands(self.executor.bench.timeout) else None
        if job.required is not None and not self.store.file(job.key, job.required).exists():
            return None
        return outcome

    def submit(self, work: Work) -> None:
        """Queue work, whose outcomes `completed` gives: known ones first."""
        for key in work.keys:
            self._submitted[key] = work
        outcomes = self.known(work)
        if outcomes is not None:
            self._ready.append(Done(work, outcomes, stored=True))
        else:
            self._restore_checkpoints(work)
            self.executor.submit(work)

    def completed(self) -> Iterator[Done]:
        """Each unit as it ends, including those submitted meanwhile.

        Raises:
            WorkerError: the infrastructure failed; what other workers finished is stored first.
        """
        while self._ready:
            yield self._ready.popleft()
        failed: WorkerError | None = None
        for work, outcomes in self.executor.completed():
            if isinstance(outcomes, WorkerError):
                failed = failed or outcomes
                continue
            self._store(work, outcomes)
            if failed is None:
                yield Done(work, outcomes, stored=False)
                while self._ready:
                    yield self._ready.popleft()
        if failed is not None:
            raise failed

    def _store(self, work: Work, outcomes: Outcomes) -> None:
        self.store.put(list(zip(work.jobs, outcomes, strict=True)))

    def _restore_checkpoints(self, work: Work) -> None:
        """Run again the trainings that the work continues, where a checkpoint is missing although the result is known."""
        for key in dict.fromkeys(job.continues for job in work.jobs):
            if key is None or self.store.file(key, "checkpoint").exists():
                continue
            if key not in self._submitted:
                raise AugsearchError(f"{work.name}: the checkpoint {self.store.file(key, 'checkpoint')} is gone")
            before = self._submitted[key]
            self._restore_checkpoints(before)
            self._store(before, run(before, self.executor.bench))


def evaluate(works: Iterable[Work], evaluator: Evaluator) -> Iterator[Done]:
    """Evaluate works: known outcomes first, then the others as they end, each on the disk before it is given."""
    for work in works:
        evaluator.submit(work)
    yield from evaluator.completed()
