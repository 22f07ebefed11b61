"""Policies from and to other projects: a file for each format.

`IMPORTERS` and `EXPORTERS` say what the command `augsearch policy` offers.
"""

from augsearch.policy.exchange.export import EXPORTERS, export
from augsearch.policy.exchange.imports import IMPORTERS
from augsearch.policy.exchange.options import Options

__all__ = ["EXPORTERS", "IMPORTERS", "Options", "export"]
