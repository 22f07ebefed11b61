"""Sections -> the page: one HTML file with its styles, drawings and pictures inside, and no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from augsearch.evidence import plots
from augsearch.evidence.plots import Chart
from augsearch.evidence.report.strips import Strip
from augsearch.files import replacing


@dataclass(frozen=True)
class Table:
    """Text in rows under a head; `strong` names the cells (row, column) in bold."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Section:
    """The contents under one heading, in this order."""

    title: str
    text: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """Points that are folded away."""
    tables: tuple[Table, ...] = ()
    strips: tuple[tuple[str, tuple[Strip, ...]], ...] = ()
    """(heading, its rows of images)."""
    charts: tuple[Chart, ...] = ()
    code: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    listing: tuple[str, str] | None = None
    """(heading, a text that is folded away)."""


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """A page under a title and a sentence.

    All text is escaped; drawings, which escape by themselves, and styles go in as they are.
    """
    environment = Environment(
        loader=PackageLoader("augsearch.evidence.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = environment.loader
    assert source is not None
    style = source.get_source(environment, "page.css")[0]
    return environment.get_template("page.html").render(
        title=title, lead=lead, sections=sections, style=Markup(plots.CSS + style), drawing=Markup
    )


def write_page(folder: Path, title: str, lead: str, sections: Sequence[Section]) -> list[Path]:
    """Write index.html, and every chart as a file of its own in figures/; the files written."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)  # DVC wants every output, if only an empty one
    files = [folder / "index.html"]
    with replacing(files[0]) as temporary:
        temporary.write_text(page(title, lead, sections))
    for chart in (chart for section in sections for chart in section.charts):
        files.append(folder / "figures" / f"{chart.name}.svg")
        with replacing(files[-1]) as temporary:
            chart.write(temporary)
    return files


def remove_others(folder: Path, files: Sequence[Path]) -> None:
    """Remove what an earlier run left in figures/."""
    for file in (folder / "figures").iterdir():
        if file not in files:
            file.unlink()
