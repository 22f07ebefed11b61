"""Figures, by matplotlib alone: SVG for the page, in colours that follow its light or dark scheme, and PNG.

A chart is 400 pixels wide, so that a phone shows one and a desk two side by side. Colours are names in `report/chart.css`.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CSS = files("augsearch.evidence.report").joinpath("chart.css").read_text()
"""The colours, and the font; a page holds it once, a chart in a file of its own brings it along."""
COLOURS = dict(re.findall(r"--(\w+): (#\w{6})", CSS.partition("@media")[0]))
"""The light scheme; in an SVG each becomes `var(--name)`, and so follows the scheme."""

_WIDTH, _PIXEL = 400, 1 / 72  # inches: matplotlib's SVG has 72 units an inch, so that a unit is a pixel
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "augsearch",  # the same figure gives the same file
    "text.parse_math": False,  # a class may be called $x$
    "font.sans-serif": ["DejaVu Sans"],  # for measuring: it is wider than what browsers take in its place
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), 12),
    **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), COLOURS["rule"]),
    **dict.fromkeys(("axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"), COLOURS["soft"]),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.spines.left", "legend.frameon"), False),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 0),
    "text.color": COLOURS["ink"],
    "figure.facecolor": COLOURS["paper"],
    "axes.facecolor": "none",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "legend.handlelength": 1,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}
_SVG, _HREF = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_FONT = re.compile(r" ?font-family:[^;]*;?")  # which chart.css decides


@dataclass(frozen=True)
class Chart:
    """A figure of the page."""

    name: str
    """Its file's, without the ending."""
    title: str
    caption: str
    svg: str

    def write(self, file: Path) -> None:
        """The same drawing as a file of its own, with its colours."""
        head, _, rest = self.svg.partition(">")
        file.write_text(f"{head}><style>{CSS}</style>{rest}\n")


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)  # a browser has more fonts
        yield


def chart(name: str, title: str, caption: str, description: str, height: float, draw: Callable[[Axes], None]) -> Chart:
    """A chart so many pixels high, in SVG.

    Args:
        name: in the file's name, characters other than letters, digits, "_", "." and "-" are replaced.
        description: what it shows, for those who do not see it.
        draw: puts everything onto the axes.
    """
    name = re.sub(r"[^\w.-]", "_", name)
    with _style(), io.StringIO() as file:
        figure = Figure(figsize=(_WIDTH * _PIXEL, height * _PIXEL), layout="constrained")
        draw(figure.subplots())
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        return Chart(name, title, caption, _for_a_page(file.getvalue(), name, description))


def _for_a_page(svg: str, name: str, description: str) -> str:
    """matplotlib's SVG with colours by name, a description, and ids that no other chart of the page has."""
    text = re.sub(r"\n\s*<", "<", svg.partition("?>")[2])
    root = ET.fromstring("".join(c for c in text if c.isprintable() or c == "\n"))  # XML has no control characters
    for element in root.iter():
        if element.tag == f"{{{_SVG}}}g":
            element.attrib.pop("id", None)
        if _HREF in element.attrib:
            element.set("href", element.attrib.pop(_HREF))
        for key, value in element.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key in ("clip-path", "href"):
                element.set(key, value.replace("#", f"#{name}-"))
            elif key == "style":
                element.set(key, re.sub(r"#\w{6}", _variable, _FONT.sub("", value)))
    del root.attrib["width"], root.attrib["height"]
    words = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in description)
    root.attrib |= {"class": "chart", "role": "img", "aria-label": words}
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _variable(colour: re.Match[str]) -> str:
    return next((f"var(--{name})" for name, value in COLOURS.items() if value == colour[0]), colour[0])


def side_by_side(file: Path, height: float, *draw: Callable[[Axes], None]) -> None:
    """Charts beside each other, `height` pixels high, as PNG."""
    with _style():
        figure = Figure(figsize=(len(draw) * _WIDTH * _PIXEL, height * _PIXEL), layout="constrained")
        for axes, one in zip(figure.subplots(1, len(draw), squeeze=False)[0], draw, strict=True):
            one(axes)
        figure.savefig(file, format="png", dpi=150)


@dataclass(frozen=True)
class Mark:
    """A value with its interval."""

    value: float
    low: float
    high: float
    colour: str = "s0"


@dataclass(frozen=True)
class Row:
    """A label with one or several values, of which `text`, at the right end, may say one."""

    label: str
    marks: tuple[Mark, ...]
    text: str = ""
    strong: bool = False

    def __str__(self) -> str:
        return f"{self.label} {self.text or ' and '.join(f'{mark.value:.3g}' for mark in self.marks)}"


def dots_chart(name: str, title: str, caption: str, rows: Sequence[Row], axis: str, **options: Any) -> Chart:
    """`dots` as a chart."""
    words = f"{title}; {axis}: {'; '.join(map(str, rows))}"
    height = dots_height(rows) + 22 * len(options.get("legend", ()))
    return chart(name, title, caption, words, height, partial(dots, rows=rows, axis=axis, **options))


def dots_height(rows: Sequence[Row]) -> float:
    """Pixels that `dots` needs without a legend."""
    return 48 + (16 + 9 * max(len(row.marks) for row in rows)) * len(rows)


def dots(axes: Axes, rows: Sequence[Row], axis: str, *, zero: bool = False, legend: Mapping[str, str] = {}) -> None:
    """A row for each label, in it a dot with its interval for each mark.

    zero: a line at 0. legend: {colour: its name}.
    """
    for i, row in enumerate(rows):
        for j, mark in enumerate(row.marks):
            y, colour = i + (j - (len(row.marks) - 1) / 2) * 9 / (16 + 9 * len(row.marks)), COLOURS[mark.colour]
            axes.plot([mark.low, mark.high], [y, y], color=colour)
            axes.plot([mark.value], [y], "o", color=colour, markersize=7)
        weight = "bold" if row.strong else "normal"
        axes.text(1.03, i, row.text, transform=axes.get_yaxis_transform(), va="center_baseline", fontweight=weight)
    axes.set_yticks(range(len(rows)), [shortened(row.label, 30) for row in rows], color=COLOURS["ink"])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.strong else "normal")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    if zero:
        axes.axvline(0, color=COLOURS["soft"], linewidth=1, zorder=0)
    for colour, name in legend.items():
        axes.plot([], [], "o", color=COLOURS[colour], label=shortened(name, 40))
    if legend:
        axes.figure.legend(loc="outside upper left", borderpad=0)
    axes.set_xlabel(axis)
    axes.xaxis.set_major_locator(_ticks(4))
    axes.grid(axis="x")


def _ticks(most: int = 6) -> MaxNLocator:
    return MaxNLocator(most, steps=[1, 2, 2.5, 5, 10])


@dataclass(frozen=True)
class Line:
    """A value that holds from each x to the next; where given, a band around it, and (N,) single values drawn faintly."""

    label: str
    x: Floats
    y: Floats
    colour: str
    band: tuple[Floats, Floats] | None = None
    points: Floats | None = None


def steps(axes: Axes, lines: Sequence[Line], x_axis: str, y_axis: str) -> None:
    """Lines in steps, each with its name at its end. Bands are cut off below the lines."""
    seen = [line.y for line in lines] + [line.band[1] for line in lines if line.band]
    seen += [line.points for line in lines if line.points is not None]
    low, high = float(np.nanmin(np.concatenate(seen))), float(np.nanmax(np.concatenate(seen)))
    air = 0.06 * (high - low) or 1.0
    axes.set(xlabel=x_axis, title=y_axis, xlim=(0, max(line.x[-1] for line in lines)), ylim=(low - air, high + air))
    heights = _apart([float(line.y[-1]) for line in lines], 0.08 * (high - low + 2 * air))
    for line, height in zip(lines, heights, strict=True):
        colour, name = COLOURS[line.colour], shortened(line.label, 22)
        axes.plot(line.x, line.y, color=colour, drawstyle="steps-post")
        if line.band:
            axes.fill_between(line.x, *line.band, step="post", color=colour, alpha=0.16, linewidth=0)
        if line.points is not None:
            axes.plot(np.arange(1, len(line.points) + 1), line.points, ".", color=colour, alpha=0.3, markersize=4)
        at_the_end = axes.get_yaxis_transform()
        axes.text(1.02, height, name, color=colour, fontweight="bold", transform=at_the_end, va="center_baseline")
    axes.xaxis.set_major_locator(_ticks())
    axes.yaxis.set_major_locator(_ticks())
    axes.grid(axis="y")


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, moved down where two are closer than `gap`."""
    placed = list(heights)
    for above, below in pairwise(sorted(range(len(placed)), key=lambda i: -placed[i])):
        placed[below] = min(placed[below], placed[above] - gap)
    return placed


def matrix(axes: Axes, shares: Floats, classes: Sequence[str]) -> None:
    """A confusion matrix: row i, column j is the fraction of class i that was predicted as class j.

    shares: (K, K) in [0, 1], NaN in the row of a class without images. Names and numbers are left out where they would
    not be legible: beyond 25 and beyond 12 classes.
    """
    shares, count = np.nan_to_num(shares), len(classes)
    depth = np.where(shares >= 0.002, 0.1 + 0.9 * shares**0.6, np.nan)
    right = np.eye(count, dtype=bool)
    edges = np.arange(count + 1) - 0.5
    for colour, cells in (("s0", right), ("wrong", ~right)):
        axes.pcolormesh(edges, edges, np.where(cells, depth, np.nan), cmap=_shades(colour), vmin=0, vmax=1)
    for i, j in np.argwhere(shares >= 0.005) if count <= 12 else ():
        colour = COLOURS["paper" if depth[i, j] > 0.62 else "ink"]
        axes.text(j, i, f"{100 * shares[i, j]:.0f}", color=colour, ha="center", va="center_baseline")
    labels = [shortened(name, 14) for name in classes] if count <= 25 else []
    upright = max(map(len, labels), default=0) > 3
    axes.set_xticks(range(len(labels)), labels, rotation=90 if upright else 0, color=COLOURS["ink"])
    axes.set_yticks(range(len(labels)), labels, color=COLOURS["ink"])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(xlabel="predicted", ylabel="true")
    axes.invert_yaxis()
    axes.spines["bottom"].set_visible(False)


def heat(axes: Axes, rows: Mapping[str, Floats], starts: Sequence[float], x_axis: str, colour: str) -> None:
    """A strip for each row, the stronger its colour the higher its value (0 to 1).

    rows: {label: (S,) values}; starts: (S + 1,) where on the axis each value begins, and where the last one ends.
    """
    values, edges = np.array(list(rows.values())), np.arange(len(rows) + 1) - 0.5
    axes.pcolormesh(starts, edges, np.where(values > 0, values, np.nan), cmap=_shades(colour), vmin=0, vmax=1)
    for edge in edges:
        axes.axhline(edge, color=COLOURS["paper"], linewidth=4)
    axes.set_yticks(range(len(rows)), [shortened(label, 22) for label in rows], color=COLOURS["ink"])
    axes.invert_yaxis()
    axes.set_xlabel(x_axis)


def _shades(colour: str) -> LinearSegmentedColormap:
    """From nearly nothing of a colour to all of it; by transparency, so that it is right on any paper."""
    return LinearSegmentedColormap.from_list(colour, [to_rgba(COLOURS[colour], 0.06), to_rgba(COLOURS[colour], 1.0)])


def members(axes: Axes, rounds: Sequence[Mapping[str, Any]], chosen: int, factor: float, y_axis: str) -> None:
    """A population's scores over the epochs, a line for each member, exploits marked; the chosen member's lineage in bold.

    rounds: `until`, `scores` and `exchanges` of each, as models/search.json has them; drawn is `factor` times a score.
    """
    epochs = [r["until"] for r in rounds]
    scores = factor * np.array([r["scores"] for r in rounds], np.float64)  # (R, M), NaN where a member failed
    axes.plot(epochs, scores, color=COLOURS["s2"], alpha=0.3, linewidth=0.8)
    copies = [(i - 1, int(loser), source) for i, r in enumerate(rounds) for loser, source in r["exchanges"].items()]
    if copies:
        at, losers, sources = map(list, zip(*copies, strict=True))
        epoch, lost = [epochs[i] for i in at], scores[at, losers]
        axes.vlines(epoch, lost, scores[at, sources], color=COLOURS["s1"], alpha=0.35, linewidth=0.8)
        axes.plot(epoch, lost, "v", color=COLOURS["s1"], markersize=3, label="replaced by a copy of the member above")
    axes.plot(epochs, scores[range(len(rounds)), lineage(rounds, chosen)], color=COLOURS["s2"], label="the best's lineage")
    axes.set(xlabel="epoch", title=y_axis)
    axes.legend(loc="lower right")
    axes.grid(axis="y")


def lineage(rounds: Sequence[Mapping[str, Any]], chosen: int) -> list[int]:
    """In each round the member whose weights the chosen one goes back to."""
    back = [chosen]
    for later in reversed(rounds[1:]):
        back.append(later["exchanges"].get(str(back[-1]), back[-1]))
    return back[::-1]


def population_figure(rounds: Sequence[Mapping[str, Any]], chosen: int) -> Figure:
    """A population by itself; rounds as for `members`, with scores in [0, 1]."""
    with _style():
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        members(figure.subplots(), rounds, chosen, 100.0, "validation score, %")
        figure.draw_without_rendering()  # ticks take their style when they are made
    return figure


def shortened(text: str, most: int) -> str:
    """At most so many characters, the last of them … where some are left out."""
    return text if len(text) <= most else text[: most - 1] + "…"
