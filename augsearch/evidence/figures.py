"""Figures of results, drawn by matplotlib without a window."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from augsearch.evidence.arms import LABELS
from augsearch.evidence.results import Estimate

_COLOURS = {"tuun": "#1f77b4", "random": "#ff7f0e"}


def results_figure(
    dataset: str, estimates: Mapping[str, Estimate], curves: pd.DataFrame, confidence: float, measure: str = "accuracy"
) -> Figure:
    """Left: each arm's test score with its interval. Right: the best validation score so far, by trial.

    measure: what the scores are, as people write it.
    """
    figure = Figure(figsize=(11, 0.5 * len(estimates) + 2.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row, e in enumerate(estimates.values()):
        left.errorbar(100 * e.mean, row, xerr=50 * (e.high - e.low), fmt="o", capsize=4, color="#333333")
        left.annotate(str(e), (100 * e.mean, row), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=9)
    left.set_yticks(range(len(estimates)), list(estimates))
    left.set_ylim(len(estimates) - 0.4, -0.7)
    n = max(e.n for e in estimates.values())
    left.set_xlabel(f"test {measure}, % (mean and {100 * confidence:g} % interval, n = {n})")
    left.set_title(dataset)
    for method, group in curves.groupby("method", sort=False):
        colour = _COLOURS.get(str(method))
        right.plot(
            group["trial"], group["best"], label=LABELS.get(str(method), str(method)), color=colour, drawstyle="steps-post"
        )
        right.plot(group["trial"], group["score"], ".", color=colour, alpha=0.3)
    right.set_xlabel("trials")
    right.set_ylabel(f"validation {measure}, %: best so far, and each trial")
    if len(curves):
        right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
