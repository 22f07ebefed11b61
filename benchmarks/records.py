"""Finished work of a benchmark, one JSON line each, so that it goes on where it was stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """Every record of a file; none where there is none. A last line that was cut off does not count."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def append(path: Path, record: Record) -> None:
    """Add a record; it is on the disk when this returns."""
    with path.open("ab") as file:
        file.write(json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
