"""A report's figures: what of the evidence goes into which chart, and what must be known to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from augsearch.evidence.arms import label
from augsearch.evidence.importance import importance, strengths
from augsearch.evidence.plots import Chart, Line, Mark, Row, chart, dots_chart, heat, matrix, members, steps
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.scores import best
from augsearch.policy import Policy, Schedule, from_dict
from augsearch.policy.ops import find

Floats = NDArray[np.float64]

_COLOURS = {"tuun": "s0", "random": "s1", "pba": "s2"}  # a search's, in every figure
_CLASSES = 30  # rows of a chart of classes


def result_rows(evidence: Evidence, dataset: str) -> list[Row]:
    """Every arm's mean with its interval, the best in colour."""
    unit, estimates = evidence.unit, evidence.by_dataset()[dataset]
    rows = []
    for arm, e in estimates.items():
        first = arm == best(estimates)
        mark = Mark(unit.factor * e.mean, unit.factor * e.low, unit.factor * e.high, "s0" if first else "soft")
        rows.append(Row(label(arm), (mark,), unit.mean(e), first))
    return rows


def results(evidence: Evidence, dataset: str) -> Chart:
    """Every arm on one data set."""
    caption = f"Mean and {evidence.interval} over trainings on fresh seeds."
    rows, axis = result_rows(evidence, dataset), evidence.unit.axis(evidence.objective)
    return dots_chart(f"results-{dataset}", f"Every arm on {dataset}", caption, rows, axis)


def differences(evidence: Evidence, dataset: str) -> Chart:
    """All comparisons on one data set."""
    frame, points = evidence.tables.differences, evidence.unit.points.strip()
    frame = frame[frame["dataset"] == dataset]
    rows = []
    for _, row in frame.iterrows():
        mark = _mark(row, "difference", "s0" if row["p_holm"] < 1 - evidence.confidence else "soft")
        text = f"{mark.value:+{evidence.unit.text_format}}".replace("-", "−")
        rows.append(Row(f"{label(row['arm'])} − {label(row['against'])}", (mark,), text))
    measure = frame["measure"].iloc[0]
    where = () if dataset == evidence.title else (dataset,)
    title = " on ".join([f"Differences in {measure}", *where])
    caption = f"{'In points, each' if points else 'Each'} with its {evidence.interval}. Gray: no difference found."
    axis = points or f"difference in {measure}"
    return dots_chart("-".join(["differences", *where, measure]), title, caption, rows, axis, zero=True)


def _mark(row: pd.Series, value: str, colour: str) -> Mark:
    return Mark(float(row[value]), float(row["low"]), float(row["high"]), colour)


def trial_lines(evidence: Evidence, *, by_seconds: bool = False, points: bool = False) -> list[Line]:
    """Each search's best score so far, against trials or against device-seconds; a population only against the latter.

    points: with every trial's own score, in place of the band of luck.
    """
    sequential = {method: search for method, search in evidence.searches.items() if not search.get("rounds")}
    lines = []
    for method, search in sequential.items():
        scores = evidence.unit.factor * np.array([trial["score"] for trial in search["trials"]], np.float64)
        seconds = np.cumsum([trial["seconds"] for trial in search["trials"]])
        x = seconds if by_seconds else np.arange(1.0, len(scores) + 1)
        there = slice(int(np.flatnonzero(~np.isnan(scores))[0]), None)
        band = None
        if method == "random" and not points:
            low, high = chance(scores[~np.isnan(scores)], len(scores), evidence.confidence)
            band = low[there], high[there]
        y = np.fmax.accumulate(scores)[there]
        lines.append(Line(label(method), x[there], y, _colour(method), band, scores if points else None))
    floor = min((float(line.y[0]) for line in lines), default=-np.inf)
    populations = [method for method in evidence.searches if method not in sequential and by_seconds]
    return lines + [_population_line(evidence, method, floor) for method in populations]


def _population_line(evidence: Evidence, method: str, floor: float) -> Line:
    """The best score that any member had had after each round, from where it reaches `floor`."""
    rounds = evidence.searches[method]["rounds"]
    scores = evidence.unit.factor * np.array([r["scores"] for r in rounds], np.float64)
    y, x = np.fmax.accumulate(np.fmax.reduce(scores, axis=1)), np.cumsum([r["seconds"] for r in rounds])
    shown = y >= min(floor, y[-1])
    return Line(label(method), x[shown], y[shown], _colour(method))


def searches(evidence: Evidence) -> list[Chart]:
    """The best validation score so far, against trials and against device-seconds; and each population by itself."""
    axis, charts = evidence.unit.axis(evidence.objective, "validation"), []
    for name, x_axis in (("trials", "trials"), ("seconds", "device-seconds")):
        if lines := trial_lines(evidence, by_seconds=name == "seconds"):
            title = f"Best so far, by {x_axis}"
            words = "; ".join(f"{line.label} ends at {line.y[-1]:.4g}" for line in lines)
            draw = partial(steps, lines=lines, x_axis=x_axis, y_axis=f"best {axis} so far")
            charts.append(chart(f"search-{name}", title, "", f"{title}, {axis}: {words}", 270, draw))
    for method, search in evidence.searches.items():
        if rounds := search.get("rounds"):
            title = f"{label(method)}'s population"
            caption = "A line for each member; where a copy replaces it, a stroke leads up to the member copied."
            words = f"{title}: {axis} of {len(rounds[0]['scores'])} members over {rounds[-1]['until']} epochs"
            draw = partial(members, rounds=rounds, chosen=search["chosen"], factor=evidence.unit.factor, y_axis=axis)
            charts.append(chart(f"population-{method}", title, caption, words, 270, draw))
    return charts


def _colour(method: str) -> str:
    return _COLOURS.get(method, "s3")


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


def effects(evidence: Evidence) -> Chart | None:
    """Which operations matter: random search's trials, and the other searches' beside them.

    Not a population's: its members are copies of each other, so they are no independent trials.
    """
    by_method = {}
    for method, search in sorted(evidence.searches.items(), key=lambda item: item[0] != "random"):
        trials = [t for t in search["trials"] if t["policy"] and t["score"] is not None and not search.get("rounds")]
        scores = [evidence.unit.factor * t["score"] for t in trials]
        if found := importance([_strengths(t["policy"]) for t in trials], scores, evidence.confidence):
            by_method[method] = {e.operation: Mark(e.difference, e.low, e.high, _colour(method)) for e in found}
    if not by_method:
        return None
    names = dict.fromkeys(name for marks in by_method.values() for name in marks)
    rows = [Row(name, tuple(marks[name] for marks in by_method.values() if name in marks)) for name in names]
    title = "Policies with the operation against policies without"
    caption = f"Difference of the mean validation score, with its {evidence.interval}."
    axis = "points of validation score" if evidence.unit.points else "difference in score"
    legend = {_colour(method): label(method) for method in by_method}
    return dots_chart("importance", title, caption, rows, axis, zero=True, legend=legend)


def _strengths(data: Mapping[str, Any]) -> dict[str, float]:
    policy = from_dict(data)
    assert isinstance(policy, Policy | Schedule)  # searches propose nothing else
    return strengths(policy)


def bands(method: str, schedule: Schedule) -> list[Chart]:
    """Probability and magnitude of each operation over the epochs of a schedule."""
    names = list(dict.fromkeys(o.name for s in schedule.segments for p in s.policy.sub_policies for o in p.operations))
    starts = np.cumsum([0] + [segment.epochs for segment in schedule.segments]).astype(float).tolist()
    probability, magnitude = np.zeros((2, len(names), len(schedule.segments)))
    for i, segment in enumerate(schedule.segments):
        for operation in (o for sub_policy in segment.policy.sub_policies for o in sub_policy.operations):
            at = (names.index(operation.name), i)
            probability[at] = min(probability[at] + operation.probability, 1.0)
            magnitude[at] = max(magnitude[at], operation.magnitude if find(operation.name).magnitude else 0.0)
    charts = []
    for kind, values in (("probability", probability), ("magnitude", magnitude)):
        most = float(values.max()) or 1.0
        rows = {name: values[i] / most for i, name in enumerate(names)}
        caption = f"The strongest colour is a {kind} of {most:.3g}."
        words = f"{label(method)}: {kind} of {', '.join(names)} over {schedule.epochs} epochs. {caption}"
        draw = partial(heat, rows=rows, starts=starts, x_axis="epoch", colour=_colour(method))
        title, height = f"{label(method)}: {kind}", 48 + 18 * len(rows)
        charts.append(chart(f"schedule-{method}-{kind}", title, caption, words, height, draw))
    return charts


def recall(evidence: Evidence, arms: Sequence[str]) -> Chart:
    """Recall of each class, arm beside arm."""
    by_arm = {arm: rows.set_index("class") for arm, rows in evidence.tables.recall.groupby("arm")}
    colours = {arm: "soft" if i == 0 else "s0" for i, arm in enumerate(arms)}
    classes = by_arm[arms[0]].sort_values("recall", kind="stable").index
    rows = [Row(str(c), tuple(_mark(by_arm[arm].loc[c], "recall", colours[arm]) for arm in arms)) for c in classes[:_CLASSES]]
    caption = f"The percentage of a class's images that is recognised, with its {evidence.interval}; the worst class first."
    if len(classes) > _CLASSES:
        caption += f" The {_CLASSES} classes that fare worst without."
    legend = {colours[arm]: label(arm) for arm in arms}
    return dots_chart("recall", "Recall of each class", caption, rows, "recall on test, %", legend=legend)


def confusion(evidence: Evidence, arm: str, name: str) -> Chart:
    """The confusion matrices."""
    frame = evidence.tables.confusion
    classes = list(frame["true"].unique())
    counts = frame.loc[frame["arm"] == arm, "count"].to_numpy(np.float64).reshape(len(classes), -1)  # as its rows stand
    total = counts.sum(1, keepdims=True)
    shares = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    wrong = np.where(np.eye(len(classes), dtype=bool), 0.0, np.nan_to_num(shares))
    i, j = np.unravel_index(int(wrong.argmax()), wrong.shape)
    title = f"Mistakes, {label(arm)}"
    worst = f"Most often mistaken: {classes[i]} for {classes[j]}, {100 * wrong[i, j]:.1f} % of its images."
    caption = f"Percent of each class's images (rows), over all trainings. {worst}"
    draw = partial(matrix, shares=shares, classes=classes)
    return chart(f"confusion-{name}", title, caption, f"{title}. {caption}", 400, draw)
