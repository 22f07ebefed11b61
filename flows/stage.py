"""What every stage's command has in common: settings first, one line for what the user can mend, a clean exit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from augsearch.config import load
from augsearch.errors import AugsearchError


def run(stage: Callable[..., Any], params: str = "params.yaml") -> None:
    """Run a stage's flow as a command. Exit codes: 2, something to mend; 130, stopped by Ctrl-C."""
    try:
        load(params)  # before a server is started or a file touched
        stage(params)
    except AugsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\nstopped; what was finished is kept, and `dvc repro` goes on from there ({stage.__name__})", file=sys.stderr)
        sys.exit(130)
