"""Figures of results, drawn by matplotlib without a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from augsearch.arms import LABELS
from augsearch.results import Estimate

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


def population_figure(rounds: Sequence[Mapping[str, Any]], lineage: Sequence[int]) -> Figure:
    """The members' scores over the epochs, a line each, with the exploits marked; the best member's lineage in bold.

    rounds: `until`, `scores` and `exchanges` of each, as models/search.json has them. lineage: a member for each round.
    """
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    epochs = [r["until"] for r in rounds]
    scores = np.array([[np.nan if s is None else 100 * s for s in r["scores"]] for r in rounds])  # (R, M)
    axes.plot(epochs, scores, color="#1f77b4", alpha=0.3, linewidth=0.8)
    start = len(rounds) - len(lineage)  # a member that began anew has a shorter history
    axes.plot(
        epochs[start:], scores[np.arange(start, len(rounds)), lineage], color="#1f77b4", linewidth=2, label="the best's lineage"
    )
    copied = [(epochs[i - 1], scores[i - 1, int(loser)], scores[i - 1, source])
              for i, r in enumerate(rounds) for loser, source in r["exchanges"].items()]  # fmt: skip
    if copied:
        at, lost, won = zip(*copied, strict=True)
        axes.vlines(at, lost, won, color="#ff7f0e", alpha=0.35, linewidth=0.8)
        axes.plot(at, lost, "v", color="#ff7f0e", markersize=3, label="replaced by a copy of the member above")
    axes.set(xlabel="epoch", ylabel="validation score, %")
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
