"""Finished work, one JSON line each, on disk before it counts: what survives kill -9.

    with Journal.open(path, fingerprint) as journal:
        journal.records        # what an earlier run finished
        journal.append({...})  # flushed to the disk when this returns

The first line holds the fingerprint of everything that the records depend on. A journal with another
fingerprint is another search's: it is set aside, never mixed in and never deleted. Two processes cannot have
one journal open.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from augsearch.errors import JournalError

VERSION = 1


def fingerprint(**parts: object) -> str:
    """SHA-256 over named parts that JSON can hold; the order of names does not matter."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def code_version() -> str:
    """A hash of the sources that decide a trial's outcome: a changed operation or trainer starts afresh."""
    root = Path(__file__).parent
    files = sorted(file for folder in ("policy", "training", "search") for file in (root / folder).rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


class Journal:
    """Open with `Journal.open`; holds an exclusive lock until closed."""

    def __init__(self, path: Path, file: IO[bytes], records: list[dict[str, Any]]) -> None:
        self.path = path
        self.records = records
        self._file = file

    @classmethod
    def open(cls, path: str | Path, fingerprint: str, notice: Callable[[str], None] = print) -> Journal:
        """Continue the journal at `path`, or begin it.

        Args:
            fingerprint: of what the records depend on; see the module.
            notice: told, in one line, when an old journal was set aside or a torn line dropped.

        Raises:
            JournalError: another process has it open.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(path)
        records, good = _read(file)
        head = records[0] if records else None
        if head is not None and head.get("fingerprint") != fingerprint:
            file.close()
            _set_aside(path, str(head.get("fingerprint", "unknown")), len(records) - 1, notice)
            return cls.open(path, fingerprint, notice)
        size = file.seek(0, os.SEEK_END)
        if good < size:
            notice(f"{path}: dropped a torn last line ({size - good} bytes); what it recorded runs again")
            file.truncate(good)
            file.seek(good)
        journal = cls(path, file, records[1:])
        if head is None:
            journal._write({"journal": VERSION, "fingerprint": fingerprint})
        return journal

    def append(self, record: dict[str, Any]) -> None:
        """Write a record and wait until it is on the disk."""
        self._write(record)
        self.records.append(record)

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """The records of a journal that somebody else may be writing, without its first line.

    Raises:
        JournalError: there is no such journal.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(file)[0][1:]
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from None


def _locked(path: Path) -> IO[bytes]:
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise JournalError(f"{path}: in use by another run; wait for it to end, or stop it") from None
    return file


def _read(file: IO[bytes]) -> tuple[list[dict[str, Any]], int]:
    """The records, and how many bytes of the file they take; a torn end is not among them."""
    file.seek(0)
    records: list[dict[str, Any]] = []
    good = 0
    for line in file:
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(record, dict):
            break
        records.append(record)
        good += len(line)
    return records, good


def _set_aside(path: Path, old: str, count: int, notice: Callable[[str], None]) -> None:
    kept = path.with_name(f"{path.stem}-{old[:8]}{path.suffix}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.stem}-{old[:8]}-{number}{path.suffix}")
    os.replace(path, kept)
    notice(f"{path}: settings, data or code have changed: starting afresh; its {count} records are kept as {kept.name}")
