"""The sections `retrain` and `table`: which arms are compared, and how surely."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from augsearch.section import Names, Section


def split(arm: str) -> list[str]:
    """The parts of an arm's name; a plus sign in a file's name separates none."""
    return re.findall(r"file:.*?\.json(?=\+|$)|[^+]+", arm)


class RetrainSettings(Section):
    """The final trainings: which arms the table compares."""

    seeds: int = Field(10, ge=2)
    """Number of trainings of each arm, each on a seed that no search has used."""
    arms: Names = ("none", "etp", "random", "tuun", "tuun+etp")
    """Each a name or several joined by +, the expert policy first: see `augsearch.evidence.arms`."""

    @field_validator("arms")
    @classmethod
    def _different(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if not arms or len(set(arms)) < len(arms):
            raise ValueError("must be a list of different arms, at least one")
        return arms


class TableSettings(Section):
    """The statistics of the table."""

    confidence: float = Field(0.95, gt=0, lt=1)
    """The intervals' confidence; a difference counts as found below its complement, after Holm's correction."""
