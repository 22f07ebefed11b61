"""What every stage's command has in common: settings first, one line for what the user can mend, a clean exit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, temporary_settings

from augsearch.config import load
from augsearch.errors import AugsearchError


def run(stage: Callable[..., Any], params: str = "params.yaml") -> None:
    """Run a stage's flow as a command. Exit codes: 2, something to mend; 130, stopped by Ctrl-C."""
    try:
        load(params)  # before a server is started or a file touched
        with one_server():
            stage(params)
    except AugsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped; what was finished is kept, and `dvc repro` goes on from there", file=sys.stderr)
        sys.exit(130)


@contextmanager
def one_server() -> Iterator[None]:
    """The Prefect server that is configured, or a temporary one shared with the slots' processes.

    Left to itself each of those processes would start a server of its own.
    """
    if PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer  # seconds to import, which no slot should pay

    server = SubprocessASGIServer()
    server.start()
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield
    finally:
        APILogHandler().flush()  # or the last lines would be sent to a server that is gone
        server.stop()
