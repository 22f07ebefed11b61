"""Formats that can be imported, by the name that the command line uses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

from augsearch.policy import Policy, Schedule
from augsearch.policy.exchange import fast_autoaugment, pba, tuun
from augsearch.policy.exchange.options import Options

Importer = Callable[[str, Options], Policy | Schedule]


def _from_torchvision(name: str, source: str, options: Options) -> Policy | Schedule:
    """torchvision takes seconds to import, and is no part of the core."""
    importer: Importer = getattr(import_module("augsearch.policy.exchange.torchvision_policies"), name)
    return importer(source, options)


IMPORTERS: dict[str, Importer] = {
    "pba": pba.load,
    "tuun": tuun.load,
    **{name: partial(_from_torchvision, name) for name in ("autoaugment", "randaugment", "trivialaugment")},
    "fast-autoaugment": fast_autoaugment.load,
}
