"""Which arms differ: paired differences with intervals, Holm's correction, and a sentence in words for each.

Every arm is trained on the same seeds, so scores are compared pair by pair: what a seed does to both arms cancels out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from augsearch.evidence import arms
from augsearch.evidence.scores import PERCENT, Estimate, Unit
from augsearch.training.metrics import spoken

BASELINES = ("none", "etp", "random")


@dataclass(frozen=True)
class Difference:
    """An arm's score less another's, on the same seeds."""

    arm: str
    against: str
    estimate: Estimate
    """The mean difference with its interval."""
    p: float
    """Two-sided, Student's t: how likely means so far apart were, if the arms did not differ."""
    p_holm: float
    """The same, corrected for how many differences the table asks about."""

    def significant(self, confidence: float = 0.95) -> bool:
        """Whether the arms differ, after the correction."""
        return self.p_holm < 1 - confidence

    def sentence(self, confidence: float = 0.95, unit: Unit = PERCENT, measure: str = "") -> str:
        """In words, such as "Tuun beats ETP by 1.9 points [1.1, 2.7], n = 10"; measure: points of what."""
        arm, against, e = arms.label(self.arm), arms.label(self.against), self.estimate
        if not self.significant(confidence):
            return (
                f"no difference found between {arm} and {against} "
                f"({_points(e, unit, measure)}; p = {self.p_holm:.2g} after Holm's correction)"
            )
        if e.mean > 0:
            return f"{arm} beats {against} by {_points(e, unit, measure)}"
        return f"{arm} falls behind {against} by {_points(Estimate(-e.mean, -e.high, -e.low, e.n), unit, measure)}"


def _points(e: Estimate, unit: Unit, measure: str) -> str:
    of = f" of {measure}" if measure else ""
    return f"{unit.text(e.mean)}{unit.points}{of} [{unit.text(e.low)}, {unit.text(e.high)}], n = {e.n}"


def difference(arm: str, against: str, scores: Mapping[str, Sequence[float]], confidence: float = 0.95) -> Difference:
    """The paired t-test of two arms. scores: each arm's, in the order of the seeds; `p_holm` is still p."""
    return _paired([(arm, against)], scores, confidence)[0]


def _paired(pairs: Sequence[tuple[str, str]], scores: Mapping[str, Sequence[float]], confidence: float) -> list[Difference]:
    """`difference` of each pair, computed together."""
    apart = np.array([np.subtract(scores[arm], scores[against]) for arm, against in pairs]).reshape(len(pairs), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where every seed gives the same difference, t is undefined
        test = stats.ttest_1samp(apart, 0.0, axis=1)
        low, high = test.confidence_interval(confidence)
    constant = np.ptp(apart, axis=1) <= 1e-12 * np.abs(apart).max(axis=1)
    p = np.where(constant, np.where(apart[:, 0] == 0, 1.0, 0.0), test.pvalue)
    return [
        Difference(*pair, Estimate(float(mean), float(low), float(high), apart.shape[1]), float(p), float(p))
        for pair, mean, low, high, p in zip(pairs, apart.mean(axis=1), low, high, p, strict=True)
    ]


def compare(scores: Mapping[str, Sequence[float]], confidence: float = 0.95) -> list[Difference]:
    """Every arm against each of `BASELINES` that is there, each pair once; together they are Holm's family."""
    return compare_all({"": scores}, confidence)[""]


def compare_all(tables: Mapping[str, Mapping[str, Sequence[float]]], confidence: float = 0.95) -> dict[str, list[Difference]]:
    """The same within each of several tables; all comparisons of all tables are one family."""
    pairs = {
        name: [(arm, other) for arm in scores for other in BASELINES[: _rank(arm)] if other in scores]
        for name, scores in tables.items()
    }
    differences = [
        (name, d) for name, scores in tables.items() if pairs[name] for d in _paired(pairs[name], scores, confidence)
    ]
    corrected = holm([d.p for _, d in differences])
    by_table: dict[str, list[Difference]] = {name: [] for name in tables}
    for (name, d), p in zip(differences, corrected, strict=True):
        by_table[name].append(replace(d, p_holm=p))
    return by_table


def _rank(arm: str) -> int:
    """Baselines are compared with those before them; all other arms with all."""
    return BASELINES.index(arm) if arm in BASELINES else len(BASELINES)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values for which the chance of one false discovery in the whole family is bounded (Holm, 1979).

    The smallest is multiplied by the number of all, the next by one less, and so on; none is below one before it.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return [float(value) for value in corrected]


_COLUMNS = ["dataset", "arm", "against", "difference", "low", "high", "p", "p_holm", "n", "measure", "sentence"]


def differences_frame(
    by_table: Mapping[str, Sequence[Difference]], measure: str, unit: Unit, confidence: float
) -> pd.DataFrame:
    """differences.csv: a row for each difference. by_table: {data set: its differences}; measure: the objective's name."""
    of = "" if measure in ("accuracy", "score") else spoken(measure)
    rows = [
        {
            "dataset": dataset,
            "arm": d.arm,
            "against": d.against,
            "difference": unit.cell(d.estimate.mean),
            "low": unit.cell(d.estimate.low),
            "high": unit.cell(d.estimate.high),
            "p": d.p,
            "p_holm": d.p_holm,
            "n": d.estimate.n,
            "measure": spoken(measure),
            "sentence": d.sentence(confidence, unit, of),
        }
        for dataset, differences in by_table.items()
        for d in differences
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)
