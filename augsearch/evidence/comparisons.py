"""Which arms differ: paired differences with intervals, Holm's correction, and a sentence in words for each.

Every arm is trained on the same seeds, so scores are compared pair by pair: what a seed does to both arms cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from augsearch.evidence import arms
from augsearch.evidence.results import Estimate, estimate

BASELINES = ("none", "etp", "random")


@dataclass(frozen=True)
class Difference:
    """An arm's score less another's, on the same seeds."""

    arm: str
    against: str
    estimate: Estimate
    """Of the mean difference, in [-1, 1]."""
    p: float
    """Two-sided, Student's t: how likely means so far apart were, if the arms did not differ."""
    p_holm: float
    """The same, corrected for how many differences the table asks about."""

    def found(self, confidence: float = 0.95) -> bool:
        return self.p_holm < 1 - confidence

    def sentence(self, confidence: float = 0.95, measure: str = "") -> str:
        """In words, such as "Tuun beats ETP by 1.9 points [1.1, 2.7], n = 10"; measure: points of what."""
        arm, against = arms.label(self.arm), arms.label(self.against)
        if not self.found(confidence):
            return (
                f"no difference found between {arm} and {against} "
                f"({_points(self.estimate, measure)}; p = {self.p_holm:.2g} after Holm's correction)"
            )
        if self.estimate.mean > 0:
            return f"{arm} beats {against} by {_points(self.estimate, measure)}"
        e = self.estimate
        return f"{arm} falls behind {against} by {_points(Estimate(-e.mean, -e.high, -e.low, e.n), measure)}"


def _points(e: Estimate, measure: str) -> str:
    of = f" of {measure}" if measure else ""
    return f"{100 * e.mean:.1f} points{of} [{100 * e.low:.1f}, {100 * e.high:.1f}], n = {e.n}"


def difference(arm: str, against: str, scores: Mapping[str, Sequence[float]], confidence: float = 0.95) -> Difference:
    """scores: each arm's, in the order of the seeds; `p_holm` is still p."""
    pairs = np.asarray(scores[arm], np.float64) - np.asarray(scores[against], np.float64)
    p = _p_value(pairs)
    return Difference(arm, against, estimate(list(pairs), confidence), p, p)


def _p_value(pairs: NDArray[np.float64]) -> float:
    """Of the two-sided one-sample t test against 0."""
    mean, error = float(pairs.mean()), float(pairs.std(ddof=1)) / math.sqrt(len(pairs))
    if error == 0:  # every pair differs by the same
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stats.t.sf(abs(mean) / error, len(pairs) - 1))


def compare(scores: Mapping[str, Sequence[float]], confidence: float = 0.95) -> list[Difference]:
    """Every arm against each of `BASELINES` that is there, each pair once; together they are Holm's family."""
    return compare_all({"": scores}, confidence)[""]


def compare_all(tables: Mapping[str, Mapping[str, Sequence[float]]], confidence: float = 0.95) -> dict[str, list[Difference]]:
    """The same within each of several tables; all comparisons of all tables are one family."""
    found = [
        (name, difference(arm, against, scores, confidence))
        for name, scores in tables.items()
        for arm in scores
        for against in BASELINES
        if against in scores and against not in BASELINES[_rank(arm) :]
    ]
    corrected = holm([d.p for _, d in found])
    pairs = [(name, replace(d, p_holm=p)) for (name, d), p in zip(found, corrected, strict=True)]
    return {name: [d for of, d in pairs if of == name] for name in tables}


def _rank(arm: str) -> int:
    """Baselines are compared with those before them; all other arms with all."""
    return BASELINES.index(arm) if arm in BASELINES else len(BASELINES)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values for which the chance of one false finding in the whole family is bounded (Holm, 1979).

    The smallest is multiplied by the number of all, the next by one less, and so on; none is below one before it.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty_like(p)
    out[order] = np.minimum(corrected, 1.0)
    return [float(value) for value in out]


_COLUMNS = ["dataset", "arm", "against", "difference", "low", "high", "p", "p_holm", "n", "measure", "sentence"]


def differences_frame(dataset: str, found: Sequence[Difference], measure: str, confidence: float) -> pd.DataFrame:
    """A row for each difference, in points; measure: what was scored, as people write it."""
    rows = [
        {
            "dataset": dataset,
            "arm": d.arm,
            "against": d.against,
            "difference": round(100 * d.estimate.mean, 3),
            "low": round(100 * d.estimate.low, 3),
            "high": round(100 * d.estimate.high, 3),
            "p": d.p,
            "p_holm": d.p_holm,
            "n": d.estimate.n,
            "measure": measure,
            "sentence": d.sentence(confidence, "" if measure == "accuracy" else measure),
        }
        for d in found
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)
