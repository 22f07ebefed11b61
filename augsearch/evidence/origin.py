"""Provenance of a table: the environments in which its models were trained, and the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from augsearch.data.info import DatasetInfo
from augsearch.environment import commit

Facts = dict[str, str]
"""A line for each thing that somebody needs to make the result again."""

_LINES = ("commit", "hardware", "versions")


def environments(trainings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Facts:
    """The environments of the trainings, and the commit that made the tables where no training has it.

    trainings: rows of models/retrain.json, each with its `environment` (commit, hardware, device, versions), in groups with
    names: where environments differ, each says which groups are its own.
    """
    by_environment: dict[tuple[str, ...], Counter[str]] = {}
    for name, rows in trainings.items():
        for place in (row["environment"] for row in rows):
            lines: tuple[str, ...] = (place["commit"], f"{place['hardware']} ({place['device']})", place["versions"])
            by_environment.setdefault(lines, Counter())[name] += 1
    columns = zip(*by_environment, strict=True)
    facts = {name: lines[0] for name, lines in zip(_LINES, columns, strict=True) if len(set(lines)) == 1}
    alike = set(facts)
    if len(by_environment) > 1:
        for i, (lines, counts) in enumerate(by_environment.items(), 1):
            differing = [line for name, line in zip(_LINES, lines, strict=True) if name not in alike]
            own = [name if n == len(trainings[name]) else f"{n} of {len(trainings[name])} {name}" for name, n in counts.items()]
            facts[f"environment {i}"] = f"{'; '.join(differing)}; trained there: {', '.join(own)}"
    if commit() not in {lines[0] for lines in by_environment}:
        facts["tabulated at"] = commit()
    return facts


def data_line(info: DatasetInfo) -> str:
    """The data set, its source, and the beginning of its SHA-256."""
    return f"{info.name}: {info.source}; SHA-256 {info.fingerprint[:16]}"


def commands(facts: Facts, stages: str) -> str:
    """From a clone to these results; stages: what follows `python -m flows`. Trainings of several commits have no one line."""
    revision = facts.get("commit", "not known")
    checkout = [] if revision.startswith("not ") else [f"git checkout {revision.split()[0]}"]
    return "\n".join([*checkout, "make setup", f".venv/bin/python -m flows {stages}"])
