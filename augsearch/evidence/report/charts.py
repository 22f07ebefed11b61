"""The kinds of charts that a report has, data in, SVG out; narrow, so that a phone shows one and a desk two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from augsearch.evidence.report.svg import Drawing, Scale, scale, shortened, width_of

Floats = NDArray[np.float64]

WIDTH = 400
_AXIS = 40  # pixels below a chart, for ticks and the axis' name
_TOP = 8


@dataclass(frozen=True)
class Mark:
    """A value with its interval, drawn in the colour of a series (0 to 5)."""

    value: float
    low: float
    high: float
    series: int = 0


@dataclass(frozen=True)
class Row:
    label: str
    marks: tuple[Mark, ...]
    text: str = ""
    """Written at the right end."""
    strong: bool = False


def dots(
    rows: Sequence[Row], axis: str, description: str, *, zero: bool = False, legend: Mapping[int, str] | None = None
) -> str:
    """A row for each label, in it a dot with its interval for each mark.

    zero: a line at 0, which the axis then contains. legend: {series: its name}.
    """
    most = max(len(row.marks) for row in rows)
    height = 16 + 9 * most
    left = 12 + max(width_of(shortened(row.label, 30)) for row in rows)
    top = _TOP
    if legend:
        left_of_legend = left if _fits_one_line(legend, left) else 4.0
        top += 20 if _fits_one_line(legend, left_of_legend) else 18 * len(legend) + 4
    right = WIDTH - 8 - max(width_of(row.text) for row in rows)
    bottom = top + height * len(rows)
    drawing = Drawing(WIDTH, bottom + _AXIS, description)
    ends = [end for row in rows for mark in row.marks for end in (mark.low, mark.high)]
    x = scale([*ends, 0.0] if zero else ends, left + 6, right - 10)
    _horizontal_axis(drawing, x, top, bottom, axis)
    if zero:
        drawing.line(x(0), top, x(0), bottom, "zero")
    if legend:
        _legend(drawing, legend, left_of_legend)
    for i, row in enumerate(rows):
        middle = top + height * (i + 0.5)
        drawing.text(left - 6, middle + 4, shortened(row.label, 30), "strong" if row.strong else "", "end")
        drawing.text(WIDTH - 2, middle + 4, row.text, "strong" if row.strong else "", "end")
        for j, mark in enumerate(row.marks):
            y = middle + 9 * (j - (len(row.marks) - 1) / 2)
            drawing.line(x(mark.low), y, x(mark.high), y, f"span s{mark.series}")
            drawing.circle(x(mark.value), y, 4, f"dot s{mark.series}")
    return str(drawing)


@dataclass(frozen=True)
class Line:
    """A value that holds from each x to the next; `low` and `high`, where given, are a band around it."""

    label: str
    x: Floats
    y: Floats
    series: int
    low: Floats | None = None
    high: Floats | None = None


def steps(lines: Sequence[Line], x_axis: str, y_axis: str, description: str) -> str:
    """Lines in steps, each with its name at its end. Bands are cut off where they leave the lines' part of the axis."""
    bottom, left = 230, 40
    right = WIDTH - 8 - 1.15 * max(width_of(shortened(line.label)) for line in lines)  # names are bold
    drawing = Drawing(WIDTH, bottom + _AXIS, description)
    x = Scale(0.0, max(float(line.x[-1]) for line in lines), left, right)
    highs = [float(line.high.max()) for line in lines if line.high is not None]
    y = scale([float(v) for line in lines for v in line.y] + highs, bottom, _TOP + 16)
    _horizontal_axis(drawing, x, bottom, bottom, x_axis)
    for tick in y.ticks():
        drawing.line(left, y(tick), right, y(tick), "rule")
        drawing.text(left - 6, y(tick) + 4, _number(tick), "soft", "end")
    drawing.text(2, _TOP + 4, y_axis, "soft")
    for line in lines:
        if line.low is not None and line.high is not None:
            upper, lower = _stairs(line.x, line.high, x, y), _stairs(line.x, line.low, x, y)
            drawing.path([*upper, *reversed(lower)], f"band s{line.series}")
    for line in lines:
        drawing.path(_stairs(line.x, line.y, x, y), f"line s{line.series}")
    for line, height in zip(lines, _apart([y(float(line.y[-1])) for line in lines], 15), strict=True):
        drawing.text(right + 6, height + 4, shortened(line.label), f"named strong s{line.series}")
    return str(drawing)


def matrix(shares: Floats, classes: Sequence[str], description: str) -> str:
    """A confusion matrix: row i, column j holds which part of class i was taken for class j.

    shares: (K, K) in [0, 1], NaN in the row of a class without images. Names and numbers are left out where they would
    not be legible: of more than 25 and of more than 12 classes.
    """
    count = len(classes)
    named, numbered = count <= 25, count <= 12
    labels = [shortened(name, 14) for name in classes] if named else []
    across = max(map(width_of, labels), default=0.0)
    upright = across > 24  # too wide to stand side by side
    left = 10 + max(across, width_of("is ↓"))
    cell = (WIDTH - left) / count
    top = 24 + (across if upright else 14)
    drawing = Drawing(WIDTH, top + cell * count + 2, description)
    drawing.text(left, 12, "taken for →", "soft")
    drawing.text(left - 4, top - 6, "is ↓", "soft", "end")
    for i, label in enumerate(labels):
        middle = cell * (i + 0.5)
        drawing.text(left - 6, top + middle + 4, label, "", "end")
        if upright:
            drawing.vertical_text(left + middle + 4, top - 6, label)
        else:
            drawing.text(left + middle, top - 6, label, "", "middle")
    for i, j in np.ndindex(count, count):
        share = float(np.nan_to_num(shares[i, j]))
        if share < 0.002:
            continue
        x, y, depth = left + cell * j, top + cell * i, 0.1 + 0.9 * share**0.6
        drawing.rect(x, y, cell * 0.96, cell * 0.96, "cell s0" if i == j else "cell wrong", depth)
        if numbered and round(100 * share):
            drawing.text(x + cell * 0.48, y + cell * 0.48 + 4, f"{100 * share:.0f}", "inside" if depth > 0.62 else "", "middle")
    drawing.line(left, top - 1, WIDTH, top - 1, "rule")
    return str(drawing)


def heat(rows: Mapping[str, Floats], starts: Sequence[float], x_axis: str, description: str, series: int = 0) -> str:
    """A strip for each row, the stronger its colour the higher its value (0 to 1).

    rows: {label: (S,) values}; starts: (S + 1,) where on the axis each value begins, and where the last one ends.
    """
    height, top = 18, _TOP
    left = 10 + max(width_of(shortened(label)) for label in rows)
    bottom = top + height * len(rows)
    drawing = Drawing(WIDTH, bottom + _AXIS, description)
    x = Scale(starts[0], starts[-1], left, WIDTH - 10)
    for i, (label, values) in enumerate(rows.items()):
        y = top + height * i
        drawing.text(left - 6, y + 13, shortened(label), "", "end")
        for value, (start, end) in zip(values, pairwise(starts), strict=True):
            if value > 0:
                drawing.rect(x(start), y + 2, x(end) - x(start), height - 4, f"cell s{series}", 0.06 + 0.94 * float(value))
    _horizontal_axis(drawing, x, bottom, bottom, x_axis)
    return str(drawing)


def _horizontal_axis(drawing: Drawing, x: Scale, top: float, bottom: float, name: str) -> None:
    for tick in x.ticks():
        drawing.line(x(tick), top, x(tick), bottom + 4, "rule")
        drawing.text(x(tick), bottom + 17, _number(tick), "soft", "middle")
    drawing.line(x.start, bottom, x.end, bottom, "rule")
    drawing.text((x.start + x.end) / 2, bottom + 34, name, "soft", "middle")


def _legend(drawing: Drawing, legend: Mapping[int, str], x: float) -> None:
    """A line for each name, or all in one where they fit."""
    beside = _fits_one_line(legend, x)
    for i, (series, name) in enumerate(legend.items()):
        y = _TOP + 5 + (0 if beside else 18 * i)
        drawing.circle(x + 4, y, 4, f"dot s{series}")
        drawing.text(x + 13, y + 4, shortened(name, 40))
        x += (30 + width_of(name)) if beside else 0


def _fits_one_line(legend: Mapping[int, str], x: float) -> bool:
    return x + sum(30 + width_of(name) for name in legend.values()) < WIDTH


def _stairs(xs: Floats, ys: Floats, x: Scale, y: Scale) -> list[tuple[float, float]]:
    points = [(x(float(xs[0])), y(float(ys[0])))]
    for now, value in zip(xs[1:], ys[1:], strict=True):
        points += [(x(float(now)), points[-1][1]), (x(float(now)), y(float(value)))]
    return points


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, moved down where two are closer than `gap`."""
    placed = list(heights)
    order = sorted(range(len(placed)), key=lambda i: placed[i])
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + gap)
    return placed


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")
