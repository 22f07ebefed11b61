"""The means of README's first table, and of each run's own README, are those of the run's files."""

import re
from pathlib import Path

import pandas as pd
import pytest

from augsearch.evidence import arms
from augsearch.evidence.scores import PERCENT, estimate, scores_by_arm
from tests.conftest import ROOT

RESULTS = ROOT / "docs/results"
CELL = re.compile(r"\d+\.\d ± \d+\.\d")


def table(page: Path, first: str) -> list[list[str]]:
    """The cells of the table whose head begins with `first`; its line of dashes is left out."""
    lines = page.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first}"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return [rows[0], *rows[2:]]


def shown(row: list[str], head: list[str]) -> dict[str, str]:
    return {name: cell.strip("*") for name, cell in zip(head[1:], row[1:], strict=True) if cell}


def kept(name: str, measure: str = "accuracy") -> dict[str, str]:
    """{arm's label: its cell}, computed from every retraining of the run."""
    scores = scores_by_arm(pd.read_csv(RESULTS / name / "scores.csv"), f"test_{measure}")
    return {arms.label(arm): PERCENT.mean(estimate(values)) for arm, values in scores.items()}


def test_the_first_table_is_what_the_runs_gave() -> None:
    head, *rows = table(ROOT / "README.md", "test accuracy, %")
    names = [re.search(r"docs/results/(\w+)/README.md", row[0]) for row in rows]
    assert len(rows) >= 2 and all(names)
    for row, name in zip(rows, names, strict=True):
        assert name
        expected = kept(name[1])
        assert shown(row, head) == expected
        best = max(expected.values(), key=lambda cell: float(cell.split()[0]))
        assert [cell.strip("*") for cell in row if cell.startswith("**")] == [best]


@pytest.mark.parametrize("page", sorted(RESULTS.glob("*/README.md")), ids=lambda page: page.parent.name)
def test_every_mean_of_a_run_is_in_its_files(page: Path) -> None:
    """`81.8 ± 0.5` in its README is an arm's accuracy, or balanced accuracy."""
    known = {cell for measure in ("accuracy", "balanced_accuracy") for cell in kept(page.parent.name, measure).values()}
    assert set(CELL.findall(page.read_text())) <= known
