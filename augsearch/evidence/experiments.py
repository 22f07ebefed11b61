"""Experiments: several settings whose tables belong together, in one file.

about: what it shows, and where it is published
cost: what to expect
base: {train: {recipe: tuun}}           # sections of params.yaml
cases:                                  # a row of the table each; what differs from the base
  cifar10: {dataset: {name: cifar10}}
  cifar100: {dataset: {name: cifar100}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from augsearch.check import check
from augsearch.errors import SettingsError
from augsearch.settings import Settings, settings_from
from augsearch.training.metrics import OBJECTIVES
from augsearch.yaml_files import read_yaml

_TAKEN = ("figures", "index.html", "results.md", "scores.csv", "differences.csv")


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    params: str
    """Its params.yaml."""
    settings: Settings


@dataclass(frozen=True)
class Experiment:
    """An experiment's file."""

    name: str
    about: str
    cost: str
    cases: dict[str, Case]


def load_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment with all its cases.

    Raises:
        SettingsError: one line with the file, the case, the key, the value and what is allowed.
    """
    data = read_yaml(path)
    keys = {"about": str, "cost": str, "base": dict, "cases": dict}
    if set(data) != set(keys) or not all(isinstance(data[key], kind) for key, kind in keys.items()):
        raise SettingsError(f"{path}: must hold about and cost (text), base and cases (sections of settings), and no more")
    if not data["cases"]:
        raise SettingsError(f"{path}: cases: none; must have at least one")
    cases = {name: _case(str(path), name, data["base"], changes) for name, changes in data["cases"].items()}
    _share_a_table(str(path), cases)
    return Experiment(Path(path).stem, data["about"].strip(), data["cost"].strip(), cases)


def _share_a_table(path: str, cases: Mapping[str, Case]) -> None:
    """One table has one measure, and one confidence; and it is made of what this project's trainer leaves."""
    settings = {name: case.settings for name, case in cases.items()}
    for name, each in settings.items():
        if each.search.own_script:
            raise SettingsError(
                f"{path}: cases.{name}: search.objective: {each.search.objective!r}; must be one of {', '.join(OBJECTIVES)}: "
                "your own training script has a table of its own in params.yaml's run"
            )
    _same(path, "search.objective", {name: each.search.objective for name, each in settings.items()})
    _same(path, "table.confidence", {name: each.table.confidence for name, each in settings.items()})


def _same(path: str, key: str, values: Mapping[str, object]) -> None:
    if len(set(values.values())) > 1:
        each = ", ".join(f"{name}: {value}" for name, value in values.items())
        raise SettingsError(f"{path}: {key}: {each}; must be the same in every case, for they share a table")


def _case(path: str, name: str, base: Mapping[str, Any], changes: object) -> Case:
    if name in _TAKEN:
        raise SettingsError(
            f"{path}: cases.{name}: must not be one of {', '.join(_TAKEN)}, which stand beside the cases' folders"
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise SettingsError(f"{path}: cases.{name}: must be of letters, digits, '.', '_' and '-', for it names a folder")
    if not isinstance(changes, dict):
        raise SettingsError(f"{path}: cases.{name}: {changes!r}; must be sections of settings")
    data = _merged(base, changes)
    settings = settings_from(data, f"{path}: cases.{name}")
    check(settings, f"{path}: cases.{name}")
    return Case(yaml.safe_dump(data, sort_keys=False), settings)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Sections are merged, all else is replaced."""
    both = {k: _merged(base[k], v) for k, v in changes.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **changes, **both}
