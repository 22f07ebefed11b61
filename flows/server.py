"""One Prefect server for a stage and the processes of its slots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, temporary_settings


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
