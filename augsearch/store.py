"""The store: every outcome under its key, on the disk before it counts, so that it survives kill -9.

    with Store.open(workspace.store) as store:
        store.get(job)                  # its outcome, or None
        store.put([(job, outcome)])     # on the disk when this returns, all of it or nothing

One SQLite file holds the outcomes; transactions, locking and torn writes are its business. Weights and checkpoints lie
beside it in `files/`, named by key. Two runs cannot have one store open. Nothing here is ever deleted but checkpoints that
no training goes on from: the folder may be removed by hand, at the price of computing everything again.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from augsearch.errors import StoreError
from augsearch.job import Job, Outcome
from augsearch.outcome import Failure

VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (
    key TEXT PRIMARY KEY, job TEXT NOT NULL, failed INTEGER NOT NULL, outcome TEXT NOT NULL,
    stored TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS asked (
    search TEXT, position INTEGER, ended TEXT NOT NULL, PRIMARY KEY (search, position)
);
"""


class Store:
    """Open with `Store.open`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Store]:
        """The store of a workspace, begun if there is none; no other process can open it meanwhile.

        Raises:
            StoreError: another process has it open, or its file cannot be read.
        """
        (folder / "files").mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"{folder}: in use by another run; wait for it to end, or stop it") from None
            with _errors(folder):
                connection = sqlite3.connect(folder / "store.sqlite", isolation_level=None)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                _check_version(connection, folder)
                connection.executescript(_SCHEMA)
            try:
                yield cls(folder, connection)
            finally:
                connection.close()

    def get(self, job: Job) -> Outcome | None:
        """The job's outcome; None if it is not known."""
        with _errors(self.folder):
            row = self._connection.execute("SELECT failed, outcome FROM outcomes WHERE key = ?", (job.key,)).fetchone()
        if row is None:
            return None
        data = json.loads(row[1])
        return Failure.read(data) if row[0] else type(job).read(data)

    def put(self, outcomes: Sequence[tuple[Job, Outcome]]) -> None:
        """Store the outcomes of some jobs, all or none; on the disk when this returns."""
        rows = [
            (job.key, json.dumps(job.describe(), sort_keys=True), isinstance(outcome, Failure), json.dumps(outcome.data()))
            for job, outcome in outcomes
        ]
        with _errors(self.folder), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR REPLACE INTO outcomes (key, job, failed, outcome) VALUES (?, ?, ?, ?)", rows
            )

    def __len__(self) -> int:
        """Number of outcomes."""
        return int(self._connection.execute("SELECT COUNT(*) FROM outcomes").fetchone()[0])

    def file(self, key: str, kind: str) -> Path:
        """The path of a job's weights or checkpoint."""
        return file_of(self.folder / "files", key, kind)

    def forget(self, key: str, kind: str) -> None:
        """Delete a file that nothing will need again."""
        self.file(key, kind).unlink(missing_ok=True)

    def asked(self, search: str) -> list[list[int]]:
        """For each proposal of an asynchronous search: the trials that had ended since the proposal before it."""
        with _errors(self.folder):
            rows = self._connection.execute("SELECT ended FROM asked WHERE search = ? ORDER BY position", (search,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def record_asked(self, search: str, position: int, ended: Sequence[int]) -> None:
        """Note which trials ended between the proposal before and this one."""
        with _errors(self.folder):
            self._connection.execute(
                "INSERT OR REPLACE INTO asked VALUES (?, ?, ?)", (search, position, json.dumps(list(ended)))
            )


def file_of(folder: Path, key: str, kind: str) -> Path:
    """A job's file of a kind ("weights", "checkpoint", "partial") in the folder of such files."""
    return folder / f"{key}.{kind}.pt"


def _check_version(connection: sqlite3.Connection, folder: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise StoreError(f"{folder / 'store.sqlite'}: version {version}; this release reads {VERSION}: move the folder aside")
    connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def _errors(folder: Path) -> Iterator[Any]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"{folder / 'store.sqlite'}: {error}; is the disk full, or the folder read-only?") from None
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{folder / 'store.sqlite'}: {error}; nothing was deleted: move the folder {folder} aside to begin afresh, or put "
            "back a good copy"
        ) from None
