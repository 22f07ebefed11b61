"""A little SVG: shapes with CSS classes in place of colours, so that `chart.css` decides for light and dark."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from matplotlib.ticker import MaxNLocator

CSS = files(__package__).joinpath("chart.css").read_text()
"""Of every chart: the page holds it once, a chart in a file of its own brings it along."""

_CHARACTER = 7.3  # pixels of a letter of chart.css's 12 px text; on average and in a wide font


class Drawing:
    """An SVG in the making. Coordinates are pixels of its own width; a browser scales the whole."""

    def __init__(self, width: float, height: float, description: str) -> None:
        self._root = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "class": "chart",
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "role": "img",
                "aria-label": printable(description),
            },
        )
        self.rect(0, 0, width, height, "paper")

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def rect(self, x: float, y: float, width: float, height: float, kind: str, opacity: float = 1.0) -> None:
        self._add("rect", kind, x=x, y=y, width=width, height=height)
        if opacity < 1:
            self._root[-1].set("fill-opacity", _number(opacity))

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        self._add("circle", kind, cx=x, cy=y, r=radius)

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        self._add("path", kind)
        self._root[-1].set("d", "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points))

    def text(self, x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> None:
        self._add("text", kind, x=x, y=y)
        self._root[-1].set("text-anchor", anchor)
        self._root[-1].text = printable(content)

    def vertical_text(self, x: float, y: float, content: str) -> None:
        """Read from below, ending at (x, y)."""
        self.text(x, y, content)
        self._root[-1].set("transform", f"rotate(-90 {_number(x)} {_number(y)})")

    def _add(self, tag: str, kind: str, **place: float) -> None:
        attributes = {"class": kind} if kind else {}
        ET.SubElement(self._root, tag, attributes | {name: _number(value) for name, value in place.items()})

    def __str__(self) -> str:
        return ET.tostring(self._root, encoding="unicode")


def standalone(svg: str) -> str:
    """The same drawing as a file of its own."""
    head, _, rest = svg.partition(">")
    return f"{head}><style>{CSS}</style>{rest}\n"


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values on the scale."""
        values = MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
        return [float(value) for value in values if self.low <= value <= self.high]


def scale(values: Sequence[float], start: float, end: float, margin: float = 0.06) -> Scale:
    """One that holds all the values, and some air on both sides."""
    low, high = min(values), max(values)
    air = margin * (high - low) or 1.0
    return Scale(low - air, high + air, start, end)


def width_of(text: str) -> float:
    return _CHARACTER * len(text)


def shortened(text: str, most: int = 22) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def printable(text: str) -> str:
    """XML has no way to write a control character."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
