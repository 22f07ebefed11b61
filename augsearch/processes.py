"""Ctrl-C and SIGTERM: everything ends at once, and what was finished is kept.

Prefect would first tell its server about the interruption and wait for the workers' processes; but a terminal's
Ctrl-C has already reached that server. Since every finished trial is on the disk, nothing has to be waited for.
MLflow is left alone, for the signal may have come in the middle of a write to its database: what is RUNNING
there is closed by the run that goes on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType


def end_at_once() -> None:
    """From now on SIGINT and SIGTERM end this process and its workers' processes."""
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)


def follow_the_flow() -> None:
    """In a worker's process: end when the flow that started it ends, however it ends, and not before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    flow = multiprocessing.parent_process()
    assert flow is not None  # and not getppid(), for the flow may have been killed already
    assert flow.pid is not None
    threading.Thread(target=_watch, args=(flow.pid,), daemon=True).start()


def end_with_standard_input() -> None:
    """End this process as soon as its standard input closes: a pipe from the process that it must not outlive."""
    threading.Thread(target=_until_closed, daemon=True).start()


def _until_closed() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _watch(flow: int) -> None:
    while os.getppid() == flow:
        time.sleep(0.5)
    os._exit(1)  # the flow was killed: nobody will read what this process computes


def _end(number: int, frame: FrameType | None) -> None:
    for child in multiprocessing.active_children():
        child.kill()
    print("\nstopped; what was finished is kept, and `dvc repro` goes on from there", file=sys.stderr, flush=True)
    os._exit(128 + number)


@contextmanager
def defaults(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the length of a block; those that are set already stay."""
    unset = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(unset)
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)
