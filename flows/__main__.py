"""Stages as a command: `python -m flows search [params.yaml]`, or several; or `python -m flows experiment FILE`.

Each worker's process imports this module again, so nothing heavy may be imported at its top.
"""

import sys
from itertools import takewhile

from flows import STAGES

FLOWS = (*STAGES, "pipeline")


def main(arguments: list[str]) -> int:
    """Run a stage's flow. Exit codes: 0; 2, something for the user to mend; 130, stopped by Ctrl-C."""
    if len(arguments) == 2 and arguments[0] == "experiment":
        return _experiment(arguments[1])
    stages = list(takewhile(lambda argument: argument in FLOWS, arguments))
    if not stages or len(arguments) > len(stages) + 1:
        print(f"usage: python -m flows {{{'|'.join(FLOWS)}}} ... [params.yaml], or experiment FILE", file=sys.stderr)
        return 2
    from importlib import import_module

    from augsearch.check import checked_settings
    from augsearch.errors import AugsearchError
    from augsearch.processes import end_at_once
    from flows.server import one_server

    params = arguments[-1] if len(arguments) > len(stages) else "params.yaml"
    try:
        checked_settings(params)  # before a server is started or a file touched
        with one_server():
            end_at_once()
            for stage in stages:
                getattr(import_module(f"flows.{stage}"), stage)(params)
    except AugsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _experiment(path: str) -> int:
    import signal

    from augsearch.errors import AugsearchError
    from flows.experiment import experiment

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the case that runs, too
    try:
        experiment(path)
    except AugsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # the stage that it reached has said what is kept
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
