"""The base of every section of the settings: frozen, strict, unknown keys refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A section of params.yaml, as typed fields that do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


FromList = BeforeValidator(_as_tuple)
"""Marks a tuple field that YAML gives as a list."""
Names = Annotated[tuple[str, ...], FromList]


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint such as ", did you mean 'cifar10'?", or nothing."""
    near = difflib.get_close_matches(name, list(choices), 1, 0.5)
    return f", did you mean {near[0]!r}?" if near else ""
