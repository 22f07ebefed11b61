"""Sections -> the page: one HTML file with its styles, drawings and pictures inside, and no script."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from augsearch.evidence.report import svg
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.report.sections import Section, lead


def render(evidence: Evidence, parts: Sequence[Section]) -> str:
    """The whole page of one run."""
    return page(evidence.info.name, lead(evidence), parts)


def page(title: str, said: str, parts: Sequence[Section]) -> str:
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
        title=title,
        lead=said,
        sections=parts,
        style=Markup(svg.CSS + style),
        drawing=Markup,
    )
