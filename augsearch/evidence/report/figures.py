"""A run's figures: what of the evidence goes into which chart, and what must be known to read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from augsearch.evidence.report.charts import Line, Mark, Row, dots, heat, matrix, steps
from augsearch.evidence.report.evidence import Evidence, Search
from augsearch.evidence.report.importance import importance, strengths
from augsearch.policy import Schedule
from augsearch.policy.ops import find
from augsearch.training.metrics import spoken

Floats = NDArray[np.float64]

_SERIES = {"tuun": 0, "random": 1, "pba": 2}
_CLASSES = 30  # rows of a chart of classes


@dataclass(frozen=True)
class Figure:
    name: str
    """Of its file, without the ending."""
    title: str
    caption: str
    svg: str


def results(evidence: Evidence, dataset: str) -> Figure:
    objective = evidence.settings.search.objective
    estimates = evidence.estimates(objective)[dataset]
    best = max(estimates, key=lambda arm: estimates[arm].mean)
    rows = [
        Row(evidence.label(arm), (Mark(100 * e.mean, 100 * e.low, 100 * e.high, 0 if arm == best else 5),), str(e), arm == best)
        for arm, e in estimates.items()
    ]
    said = "; ".join(f"{row.label} {row.text}" for row in rows)
    axis = f"test {spoken(objective)}, %"
    return Figure(
        _name("results", dataset),
        f"Every arm on {dataset}",
        f"Mean and {_interval(evidence)} over trainings on fresh seeds.",
        dots(rows, axis, f"{axis} on {dataset}: {said}"),
    )


def differences(evidence: Evidence, measure: str, frame: pd.DataFrame, dataset: str = "") -> Figure:
    """frame: the comparisons of one measure, and of one data set, whose name is said where there are several."""
    chance = 1 - evidence.settings.table.confidence
    rows = []
    for _, row in frame.iterrows():
        value, low, high = (float(row[column]) for column in ("difference", "low", "high"))
        label = f"{evidence.label(str(row['arm']))} − {evidence.label(str(row['against']))}"
        mark = Mark(value, low, high, 0 if float(row["p_holm"]) < chance else 5)
        rows.append(Row(label, (mark,), f"{value:+.1f}".replace("-", "−")))
    said = "; ".join(f"{row.label} {row.text}" for row in rows)
    return Figure(
        _name("differences", *filter(None, [dataset]), measure),
        f"Differences in {measure}" + (f" on {dataset}" if dataset else ""),
        f"In points, each with its {_interval(evidence)}. Grey: no difference found.",
        dots(rows, "points", f"Differences in {measure}, in points: {said}", zero=True),
    )


def curves(evidence: Evidence) -> list[Figure]:
    """The best validation score so far, against trials and against device-seconds; none where nothing was searched."""
    searches = [search for search in evidence.searches if _scored(search)]
    if not searches:
        return []
    objective = spoken(evidence.settings.search.objective)
    confidence = evidence.settings.table.confidence
    figures = []
    for name, axis in (("trials", "trials"), ("seconds", "device-seconds")):
        lines = [_curve(evidence, search, name, confidence) for search in searches]
        said = "; ".join(f"{line.label} ends at {line.y[-1]:.1f} %" for line in lines)
        figures.append(
            Figure(
                f"search-{name}",
                f"Best so far, by {axis}",
                "",
                steps(lines, axis, f"best validation {objective} so far, %", f"Best validation {objective} by {axis}: {said}"),
            )
        )
    return figures


def _curve(evidence: Evidence, search: Search, against: str, confidence: float) -> Line:
    scores = np.array([np.nan if score is None else score for score in search.scores])
    first = int(np.flatnonzero(~np.isnan(scores))[0])
    best = np.fmax.accumulate(scores)[first:]
    x = np.arange(1, len(scores) + 1) if against == "trials" else np.cumsum(search.seconds)
    low, high = chance(scores[~np.isnan(scores)], len(scores), confidence) if search.method == "random" else (None, None)
    return Line(
        evidence.label(search.method),
        x[first:].astype(float),
        best,
        series(search.method),
        None if low is None else low[first:],
        None if high is None else high[first:],
    )


def chance(scores: Floats, most: int, confidence: float) -> tuple[Floats, Floats]:
    """Between which values the best of k random trials lies, for k from 1 to `most`.

    These are quantiles under the trials' own distribution; the k are drawn with replacement, so the band does not close
    at the end (Dodge et al., 2019, Show Your Work).
    scores: (N,); gives two arrays (most,).
    """
    ordered, k = np.sort(scores), np.arange(1, most + 1)
    low, high = (
        ordered[np.ceil(len(ordered) * quantile ** (1 / k) - 1e-9).astype(int).clip(1, len(ordered)) - 1]
        for quantile in ((1 - confidence) / 2, (1 + confidence) / 2)
    )
    return low, high


def effects(evidence: Evidence) -> Figure | None:
    """Which operations matter: random search's trials, and the other searches' beside them."""
    confidence = evidence.settings.table.confidence
    found = {}
    for search in sorted(evidence.searches, key=lambda s: s.method != "random"):
        tried = [(p, s) for p, s in zip(search.policies, search.scores, strict=True) if p is not None and s is not None]
        by_name = importance([strengths(p) for p, _ in tried], [s for _, s in tried], confidence) if tried else []
        if by_name:
            found[search.method] = {effect.operation: effect for effect in by_name}
    if not found:
        return None
    names = list(dict.fromkeys(name for by_name in found.values() for name in by_name))
    rows = [
        Row(name, tuple(Mark(e.difference, e.low, e.high, series(m)) for m, of in found.items() if (e := of.get(name))))
        for name in names
    ]
    first = next(iter(found.values()))
    said = "; ".join(f"{e.operation} {e.difference:+.1f} [{e.low:+.1f}, {e.high:+.1f}]" for e in first.values())
    return Figure(
        "importance",
        "Policies with the operation against policies without",
        f"Difference of the mean validation score, with its {_interval(evidence)}.",
        dots(
            rows,
            "points of validation score",
            f"What each operation adds, in points: {said}",
            zero=True,
            legend={series(method): evidence.label(method) for method in found},
        ),
    )


def bands(evidence: Evidence, method: str, schedule: Schedule) -> list[Figure]:
    """Probability and magnitude of each operation over the epochs of a schedule."""
    names = list(dict.fromkeys(o.name for s in schedule.segments for p in s.policy.sub_policies for o in p.operations))
    starts = np.cumsum([0] + [segment.epochs for segment in schedule.segments]).astype(float).tolist()
    probability, magnitude = np.zeros((2, len(names), len(schedule.segments)))
    for i, segment in enumerate(schedule.segments):
        for operation in (o for sub_policy in segment.policy.sub_policies for o in sub_policy.operations):
            at = (names.index(operation.name), i)
            probability[at] = min(probability[at] + operation.probability, 1.0)
            magnitude[at] = max(magnitude[at], operation.magnitude if find(operation.name).magnitude else 0.0)
    figures = []
    for kind, values in (("probability", probability), ("magnitude", magnitude)):
        most = float(values.max()) or 1.0
        rows = {name: values[i] / most for i, name in enumerate(names)}
        described = f"{kind} of {len(names)} operations over {schedule.epochs} epochs; the darkest is {most:g}"
        figures.append(
            Figure(
                f"schedule-{method}-{kind}",
                f"{evidence.label(method)}: {kind}",
                f"The strongest colour is a {kind} of {most:.3g}.",
                heat(rows, starts, "epoch", described, series(method)),
            )
        )
    return figures


def recall(evidence: Evidence, frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """Recall of each class, arm beside arm."""
    by_arm = {arm: frame[frame["arm"] == arm].set_index("class") for arm in arms}
    worst_first = by_arm[arms[0]].sort_values("recall", kind="stable").index[:_CLASSES]
    marks = {arm: 5 if i == 0 else 0 for i, arm in enumerate(arms)}
    rows = []
    for name in worst_first:
        values = {arm: [float(v) for v in by_arm[arm].loc[name, ["recall", "low", "high"]]] for arm in arms}
        rows.append(Row(str(name), tuple(Mark(v[0], v[1], v[2], marks[arm]) for arm, v in values.items())))
    said = "; ".join(f"{row.label} " + " and ".join(f"{m.value:.1f}" for m in row.marks) for row in rows)
    cut = f" The {_CLASSES} classes that fare worst without." if len(by_arm[arms[0]]) > _CLASSES else ""
    names = {s: evidence.label(arm) for arm, s in marks.items()}
    return Figure(
        "recall",
        "Recall of each class",
        f"Which part of a class is recognised, with its {_interval(evidence)}; the worst class first.{cut}",
        dots(rows, "recall on test, %", f"Recall in percent, {' and '.join(names.values())}: {said}", legend=names),
    )


def confusion(evidence: Evidence, frame: pd.DataFrame, arm: str, name: str) -> Figure:
    classes = evidence.info.classes
    shares = _shares(frame[frame["arm"] == arm], classes)
    wrong = np.where(np.eye(len(classes), dtype=bool), 0.0, np.nan_to_num(shares))
    i, j = np.unravel_index(int(wrong.argmax()), wrong.shape)
    label = evidence.label(arm)
    worst = f"Most often mistaken: {classes[i]} for {classes[j]}, {100 * wrong[i, j]:.1f} % of its images."
    return Figure(
        f"confusion-{name}",
        f"Mistakes, {label}",
        f"Percent of each class's images (rows), over all trainings. {worst}",
        matrix(shares, classes, f"Confusion matrix of {label}. {worst}"),
    )


def _shares(frame: pd.DataFrame, classes: Sequence[str]) -> Floats:
    """(K, K): which part of the images of class i was taken for class j; NaN for a class without images."""
    at = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)))
    for true, predicted, count in zip(frame["true"], frame["predicted"], frame["count"], strict=True):
        counts[at[true], at[predicted]] += count
    total = counts.sum(1, keepdims=True)
    shares: Floats = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    return shares


def series(method: str) -> int:
    """The colour of a search, the same in every figure."""
    return _SERIES.get(method, 3)


def _name(*words: str) -> str:
    """A file's name; a data set may be called anything."""
    return re.sub(r"[^\w.-]", "_", "-".join(words))


def _scored(search: Search) -> bool:
    return any(score is not None for score in search.scores)


def _interval(evidence: Evidence) -> str:
    return f"{100 * evidence.settings.table.confidence:g} % interval"
