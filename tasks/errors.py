"""Errors for people in Prefect: one line, no traceback in the log."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from prefect.states import Failed

from augsearch.errors import AugsearchError


def mendable(function: Callable[..., Any]) -> Callable[..., Any]:
    """A flow's function whose `AugsearchError`, its own or a task's, fails the run with its message alone."""

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except AugsearchError as error:
            return Failed(message=str(error), data=error)

    return guarded


def _no_traceback(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], AugsearchError))


logging.getLogger("prefect.task_runs").addFilter(_no_traceback)  # the flow says what the task raised
