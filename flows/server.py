"""One Prefect server for a stage and its workers' processes.

    python -m flows.server DESCRIPTOR       # the server itself, on a listening socket that it inherits

It ends with the process that started it, however that ends: its standard input is a pipe whose other end only that
process holds.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.context import refresh_global_settings_context
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, temporary_settings

from augsearch.errors import AugsearchError
from augsearch.processes import defaults, end_with_standard_input


@contextmanager
def one_server() -> Iterator[None]:
    """The Prefect server that is configured, or a temporary one shared with the workers' processes.

    Left to itself each of those processes would start a server of its own.

    Raises:
        AugsearchError: the temporary server does not start.
    """
    if PREFECT_API_URL.value():
        yield
        return
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "flows.server", str(descriptor)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[descriptor])
    try:
        _wait_for(server, url)
        with defaults({"PREFECT_API_URL": url}), temporary_settings({PREFECT_API_URL: url}):
            refresh_global_settings_context()  # threads of Prefect's own read it, or each would start a server again
            yield
    finally:
        APILogHandler().flush()  # or the last lines would be sent to a server that is gone
        _stop(server)


def _wait_for(server: subprocess.Popen[bytes], url: str) -> None:
    """The socket listens already: the request is answered as soon as the server is ready."""
    seconds = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    try:
        httpx.get(f"{url}/health", timeout=seconds, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        ended = server.poll()
        reason = f"it ended with {ended}" if ended is not None else f"{error or type(error).__name__}"
        raise AugsearchError(
            f"the temporary Prefect server did not start within {seconds} s ({reason}); PREFECT_API_URL may name one that runs "
            "(`prefect server start`), PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS may allow more time"
        ) from None


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End it in good order; closing its standard input ends it at once."""
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
    server.communicate()


def serve(descriptor: int) -> None:
    """Serve Prefect's API on a listening socket until this process is told to end."""
    end_with_standard_input()
    import uvicorn
    from prefect.server.api.server import create_app  # seconds to import, which no worker should pay

    app = create_app(ephemeral=True, final=True)
    config = uvicorn.Config(app, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
