"""Scores -> the table: mean, interval and n for each arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean in [0, 1] with its Student-t interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} ± {50 * (self.high - self.low):.1f}"


def estimate(scores: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of independent scores and its two-sided Student-t interval; n >= 2."""
    values = np.asarray(scores, np.float64)
    mean = float(values.mean())
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, mean - reach, mean + reach, len(values))


def markdown_table(rows: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Data sets down, arms across; the best mean of a row in bold. rows: {data set: {arm's label: estimate}}."""
    labels = list(dict.fromkeys(label for row in rows.values() for label in row))
    lines = ["| | " + " | ".join(labels) + " |", "|---" * (len(labels) + 1) + "|"]
    for dataset, row in rows.items():
        best = max(row.values(), key=lambda e: e.mean)
        cells = ["" if label not in row else f"**{row[label]}**" if row[label] is best else str(row[label]) for label in labels]
        lines.append(f"| {dataset} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def search_curves(searches: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Best validation score so far, in percent, after each trial: columns method, trial, score, best."""
    rows = []
    for method, search in searches.items():
        best = float("nan")
        for k, trial in enumerate(search["trials"], 1):
            score = trial["score"]
            if score is not None:
                best = score if math.isnan(best) else max(best, score)
            now = float("nan") if score is None else 100 * score
            rows.append({"method": method, "trial": k, "score": now, "best": 100 * best})
    return pd.DataFrame(rows, columns=["method", "trial", "score", "best"])
