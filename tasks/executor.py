"""Trainings on devices, by Prefect: each unit of work is a task run in a process that serves one device."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ProcessPoolTaskRunner

from augsearch.errors import AugsearchError, WorkerError
from augsearch.job import Bench, Outcomes, Work, run
from augsearch.processes import follow_the_flow


def _is_infrastructure(task: object, task_run: object, state: Any) -> bool:
    """Whether trying again may help: a file system that was full or away, never a training that failed."""
    return isinstance(state.result(raise_on_failure=False), OSError)


@task(
    name="training",
    task_run_name="{name}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=_is_infrastructure,
)
def train_task(name: str, work: Work, bench: Bench) -> Outcomes:
    """The outcomes of one unit of work."""
    return run(work, bench)


class PrefectExecutor:
    """Runs work on a list of devices; no device ever has more of it than its entries.

    Use it as a context manager inside a flow: leaving ends the workers' processes.
    """

    def __init__(self, devices: Sequence[str], bench: Bench) -> None:
        self.bench = replace(bench, device=devices[0])
        self._free = deque(devices)
        self._waiting: deque[Work] = deque()
        self._running: dict[PrefectFuture[Any], tuple[Work, str]] = {}
        # a process that served several devices would hold a context, and a copy of the data, on each
        self._runners = {
            device: ProcessPoolTaskRunner(max_workers=count, initializer=follow_the_flow)
            for device, count in Counter(devices).items()
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for runner in self._runners.values():
            self._stack.enter_context(runner)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def free(self) -> int:
        """Units of work that would start at once: free workers, less the units that wait."""
        return max(len(self._free) - len(self._waiting), 0)

    def submit(self, work: Work) -> None:
        """Start work on a free worker, or let it wait for one."""
        self._waiting.append(work)
        self._start()

    def completed(self) -> Iterator[tuple[Work, Outcomes | WorkerError]]:
        """Each unit with its outcomes as it ends, or with a WorkerError; after one, no waiting unit is started."""
        while self._running:
            future = next(iter(as_completed(list(self._running))))
            work, device = self._running.pop(future)
            self._free.append(device)
            ended = future.result(raise_on_failure=False)
            if isinstance(ended, BaseException):
                self._waiting.clear()  # the run ends once the other workers have
                yield work, _explained(work, ended)
            else:
                self._start()
                yield work, ended

    def _start(self) -> None:
        while self._waiting and self._free:
            work, device = self._waiting.popleft(), self._free.popleft()
            parameters = {"name": work.name, "work": work, "bench": replace(self.bench, device=device)}
            self._running[self._runners[device].submit(train_task, parameters)] = (work, device)


def _explained(work: Work, error: BaseException) -> WorkerError:
    """One line for people; an error that is a bug of this project keeps its traceback."""
    if isinstance(error, BrokenProcessPool):
        return WorkerError(
            "a worker's process died, often because memory ran out: fewer workers.per_device need less; "
            "what was finished is kept, and `dvc repro` goes on from there"
        )
    if isinstance(error, AugsearchError | OSError):
        return WorkerError(f"{work.name}: {error}; what was finished is kept, and `dvc repro` goes on from there")
    raise error
