"""Scores -> the table: mean, interval and n for each arm; and what was mistaken for what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from augsearch.evidence import arms

Counts = NDArray[np.int64]


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


def arm_scores(scores: pd.DataFrame, measure: str) -> dict[str, list[float]]:
    """{arm: its test scores in the order of the seeds} of `reports/scores.csv`."""
    ordered = scores.sort_values("repeat", kind="stable").groupby("arm", sort=False)
    found = {str(arm): [float(score) for score in group[f"test_{measure}"]] for arm, group in ordered}
    return {arm: found[arm] for arm in dict.fromkeys(scores["arm"])}


def experiment_table(by_case: Mapping[str, Mapping[str, Sequence[float]]], confidence: float) -> str:
    """Cases down, arms across. by_case: {case: {arm: scores}}."""
    return markdown_table(
        {
            case: {arms.label(arm): estimate(scores, confidence) for arm, scores in of_case.items()}
            for case, of_case in by_case.items()
        }
    )


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


def optimism_frame(
    dataset: str,
    searches: Mapping[str, Mapping[str, Any]],
    test: Mapping[str, Estimate],
    originals: Mapping[str, float],
) -> pd.DataFrame:
    """How far each search's best validation score lies above the sealed test score of the policy it chose, in points.

    searches: `models/search.json`. test: each arm's estimate of the search's objective; empty cells where the search's
    policy is no arm. originals: what the best test score over epochs and trials would have claimed, where it is known.
    """
    rows = []
    for method, search in searches.items():
        best = max(trial["score"] for trial in search["trials"] if trial["score"] is not None)
        again = search["confirmations"].get(str(search["chosen"]), [])
        tested = test[method].mean if method in test else math.nan
        points = {
            "best_validation": best,
            "confirmed": float(np.mean(again)) if again else math.nan,
            "test": tested,
            "optimism": best - tested,
            "originals_rule": originals.get(method, math.nan),
        }
        rows.append({"dataset": dataset, "method": method, **{key: round(100 * value, 3) for key, value in points.items()}})
    columns = ["dataset", "method", "best_validation", "confirmed", "test", "optimism", "originals_rule"]
    return pd.DataFrame(rows, columns=columns)


def confusion(predicted: Counts, labels: Counts, classes: int) -> Counts:
    """(N,) and (N,) of 0 .. classes - 1 -> (classes, classes): how often the first was taken for the second."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def confusion_frame(dataset: str, classes: Sequence[str], found: Mapping[str, Counts]) -> pd.DataFrame:
    """found: for each arm (n, classes, classes), one for each training; the counts are their sum."""
    rows = [
        {"dataset": dataset, "arm": arm, "true": classes[i], "predicted": classes[j], "count": int(count)}
        for arm, each in found.items()
        for (i, j), count in np.ndenumerate(each.sum(0))
    ]
    return pd.DataFrame(rows, columns=["dataset", "arm", "true", "predicted", "count"])


def recall_frame(dataset: str, classes: Sequence[str], found: Mapping[str, Counts], confidence: float) -> pd.DataFrame:
    """What part of each class's images is recognised, in percent, with its interval over the trainings, cut to 0 to 100."""
    rows = []
    for arm, each in found.items():
        recall = each.diagonal(axis1=1, axis2=2) / each.sum(2)  # (n, classes)
        for name, values in zip(classes, recall.T, strict=True):
            e = estimate(values.tolist(), confidence)
            points = {"recall": e.mean, "low": max(e.low, 0.0), "high": min(e.high, 1.0)}
            rows.append({"dataset": dataset, "arm": arm, "class": name} | {k: round(100 * v, 3) for k, v in points.items()})
    return pd.DataFrame(rows, columns=["dataset", "arm", "class", "recall", "low", "high"])
