"""Text files of other tools: one line that says what is wrong, when something is."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from augsearch.errors import PolicyError


def read_text(path: str) -> str:
    """Read a text file; a PolicyError if it cannot be read."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise PolicyError(f"{path}: cannot be read ({reason})") from None


def parse(text: str, place: str) -> Any:
    """Read JSON, or else a Python literal (never evaluated)."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise PolicyError(f"{place}: neither JSON nor a Python literal") from None


def number(value: Any, low: float, high: float, place: str) -> float:
    """Check that a value is a number in a range; a PolicyError names the place."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise PolicyError(f"{place}: {value!r}; must be a number from {low:g} to {high:g}")
    return float(value)
