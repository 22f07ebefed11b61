"""Scores of trainings: how they are written, and their means with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from augsearch.training.metrics import spoken


@dataclass(frozen=True)
class Estimate:
    """The mean of a score with its Student-t interval, as the scores are: in [0, 1], or in a user's script's own unit."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Unit:
    """The unit of the table's scores, and how they are printed."""

    split: str
    """The split that they are measured on; the columns are called test_accuracy or val_score."""
    factor: float
    """Tables and figures hold so many times the score."""
    sign: str
    """Stands behind a score."""
    points: str
    """Stands behind a difference."""
    cell_format: str
    text_format: str
    spread_format: str

    def column(self, measure: str) -> str:
        """A measure's column of scores.csv."""
        return f"{self.split}_{measure}"

    def name(self, measure: str, prefix: str = "test") -> str:
        """A measure in words: "test balanced accuracy", but "score" for a user's script, which knows no splits."""
        return f"{prefix} {spoken(measure)}" if self.split == "test" else spoken(measure)

    def axis(self, measure: str, prefix: str = "test") -> str:
        """The same as an axis's name."""
        return self.name(measure, prefix) + (f", {self.sign.strip()}" if self.sign else "")

    def cell(self, score: float) -> float:
        """A score, or a difference, as CSV files hold it."""
        return float(format(self.factor * score, self.cell_format))

    def text(self, score: float) -> str:
        """The same for a sentence."""
        return format(self.factor * score, self.text_format)

    def mean(self, e: Estimate) -> str:
        """A mean with half its interval, such as "87.0 ± 2.0"."""
        return f"{self.text(e.mean)} ± {format(self.factor * (e.high - e.low) / 2, self.spread_format)}"


PERCENT = Unit("test", 100.0, " %", " points", ".3f", ".1f", ".1f")
"""This project's own scores, on the held-out test set."""
PLAIN = Unit("val", 1.0, "", "", ".12g", ".4g", ".2g")
"""Scores that a user's own script gives."""


def estimate(scores: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of independent scores and its two-sided Student-t interval; n >= 2."""
    mean = float(np.mean(scores))
    error = float(np.std(scores, ddof=1)) / math.sqrt(len(scores))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(scores) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach, len(scores))


def scores_by_arm(scores: pd.DataFrame, column: str) -> dict[str, list[float]]:
    """{arm: its scores in the order of the seeds}, from the rows of scores.csv for one data set."""
    ordered = scores.sort_values("repeat", kind="stable")
    return {str(arm): ordered.loc[ordered["arm"] == arm, column].tolist() for arm in scores["arm"].unique()}


def estimates(scores: pd.DataFrame, column: str, confidence: float) -> dict[str, dict[str, Estimate]]:
    """{data set: {arm: estimate}}, in the order of scores.csv."""
    return {
        str(dataset): {arm: estimate(values, confidence) for arm, values in scores_by_arm(rows, column).items()}
        for dataset, rows in scores.groupby("dataset", sort=False)
    }


def best(row: Mapping[str, Estimate]) -> str:
    """The arm with the highest mean."""
    return max(row, key=lambda arm: row[arm].mean)
