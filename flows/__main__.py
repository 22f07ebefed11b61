"""Stages as a command: `python -m flows search [params.yaml]`, or several; or `python -m flows experiment FILE`.

Each worker's process imports this module again, so nothing heavy may be imported at its top.
"""

import sys
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path

from flows import STAGES

FLOWS = (*STAGES, "pipeline")
USAGE = f"""usage: python -m flows STAGE ... [params.yaml]    STAGE: {", ".join(FLOWS)}
       python -m flows experiment FILE"""


def main(arguments: list[str]) -> int:
    """Run a stage's flow. Exit codes: 0; 2, something for the user to mend; 130, stopped by Ctrl-C."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    if arguments[:1] == ["experiment"] and len(arguments) == 2:
        return _experiment(arguments[1])
    stages = list(takewhile(lambda argument: argument in FLOWS, arguments))
    rest = arguments[len(stages) :]
    if not stages or len(rest) > 1 or (rest and not _may_be_settings(rest[0])):
        print(f"{_unknown(rest)}{USAGE}", file=sys.stderr)
        return 2
    from importlib import import_module

    from augsearch.check import checked_settings
    from augsearch.errors import AugsearchError
    from augsearch.processes import end_at_once
    from flows.server import one_server

    params = rest[0] if rest else "params.yaml"
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


def _may_be_settings(argument: str) -> bool:
    return Path(argument).suffix in (".yaml", ".yml") or Path(argument).is_file()


def _unknown(rest: list[str]) -> str:
    """A line about the first word that is neither a stage nor a file of settings."""
    known = (*FLOWS, "experiment")
    word = next((word for word in rest if word not in known and not _may_be_settings(word)), None)
    if word is None:
        return ""
    near = get_close_matches(word, known, 1, 0.5)
    return f"error: {word}: no such stage{f', did you mean {near[0]!r}?' if near else ''}\n"


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
