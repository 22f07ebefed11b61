"""A stage as a command: `python -m flows search [params.yaml]`.

Each process of a slot imports this module again, so nothing heavy may be imported at its top.
"""

import sys

STAGES = ("prepare", "search", "retrain", "tabulate", "pipeline")


def main(arguments: list[str]) -> int:
    """Run a stage's flow. Exit codes: 0; 2, something for the user to mend; 130, stopped by Ctrl-C."""
    if not 1 <= len(arguments) <= 2 or arguments[0] not in STAGES:
        print(f"usage: python -m flows {{{'|'.join(STAGES)}}} [params.yaml]", file=sys.stderr)
        return 2
    from importlib import import_module

    from augsearch.config import load
    from augsearch.errors import AugsearchError
    from flows.interrupts import end_at_once
    from flows.server import one_server

    stage, params = arguments[0], arguments[1] if len(arguments) > 1 else "params.yaml"
    try:
        settings = load(params)  # before a server is started or a file touched
        if settings.search.space or not settings.search.sub_policies:
            from augsearch.searchers import check_space  # seconds to import

            check_space(settings)
        with one_server():
            end_at_once()
            getattr(import_module(f"flows.{stage}"), stage)(params)
    except AugsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
