"""The journal: what is appended is there after a kill; what does not belong is set aside, never lost."""

from pathlib import Path

import pytest

from augsearch.errors import JournalError
from augsearch.journal import Journal, fingerprint


def test_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "j.jsonl"
    with Journal.open(path, "f") as journal:
        journal.append({"trial": 0})
    with Journal.open(path, "f") as journal:
        assert journal.records == [{"trial": 0}]
        journal.append({"trial": 1})
    with Journal.open(path, "f") as journal:
        assert journal.records == [{"trial": 0}, {"trial": 1}]


@pytest.mark.parametrize("torn", [b'{"trial": 1, "sc', b'{"trial": 1}', b"\x00\x00\x00\n", b'["no record"]\n'])
def test_a_torn_last_line_is_dropped_with_a_notice(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "j.jsonl"
    with Journal.open(path, "f") as journal:
        journal.append({"trial": 0})
    with path.open("ab") as file:
        file.write(torn)
    notices: list[str] = []
    with Journal.open(path, "f", notices.append) as journal:
        assert journal.records == [{"trial": 0}]
        journal.append({"trial": 2})
    assert "torn last line" in notices[0]
    with Journal.open(path, "f") as journal:
        assert journal.records == [{"trial": 0}, {"trial": 2}]


def test_a_changed_fingerprint_starts_afresh_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    notices: list[str] = []
    for mark in ("aaaaaaaa1", "bbbbbbbb1", "aaaaaaaa1", "bbbbbbbb1"):
        with Journal.open(path, mark, notices.append) as journal:
            assert journal.records == []
            journal.append({"of": mark})
    assert len(notices) == 3
    assert all("starting afresh" in notice for notice in notices)
    kept = sorted(f.name for f in tmp_path.iterdir())
    assert kept == ["j-aaaaaaaa-2.jsonl", "j-aaaaaaaa.jsonl", "j-bbbbbbbb.jsonl", "j.jsonl"]


def test_two_runs_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal.open(path, "f"), pytest.raises(JournalError, match="in use by another run"):
        Journal.open(path, "f")


def test_a_record_that_json_cannot_hold_is_refused_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal.open(path, "f") as journal, pytest.raises(ValueError, match="not JSON compliant"):
        journal.append({"score": float("nan")})
    with Journal.open(path, "f") as journal:
        assert journal.records == []


def test_fingerprint_depends_on_values_not_on_order() -> None:
    assert fingerprint(a=1, b={"x": 1, "y": 2}) == fingerprint(b={"y": 2, "x": 1}, a=1)
    assert fingerprint(a=1) != fingerprint(a=2)
