"""Policies from and to other projects: a file for each format.

`IMPORTERS` and `EXPORTERS` say what the command `augsearch policy` offers.
"""

from augsearch.exchange.export import EXPORTERS, export
from augsearch.exchange.imports import IMPORTERS
from augsearch.exchange.options import Options

__all__ = ["EXPORTERS", "IMPORTERS", "Options", "export"]
