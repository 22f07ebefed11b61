"""A user's own network or data set, named by import path: `my_module:MyNet`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

from augsearch.errors import SettingsError

PATTERN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_import_path(name: str) -> bool:
    return PATTERN.fullmatch(name) is not None


def load(name: str, field: str) -> Any:
    """What `module:attribute` names; the module is looked for in the current folder too, as `python -m` does.

    Raises:
        SettingsError: no such module or attribute, it cannot be called, or the module fails on import.
    """
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except AttributeError:
        raise SettingsError(f"{field}: {name!r}: module {module_name!r} has no {attribute!r}") from None
    except ModuleNotFoundError as error:
        raise SettingsError(f"{field}: {name!r}: {error}; it must be importable from the folder of params.yaml") from None
    except Exception as error:  # a user's module may raise anything while it is imported
        raise SettingsError(f"{field}: {name!r}: its import fails with {type(error).__name__}: {error}") from error
    if not callable(found):
        raise SettingsError(f"{field}: {name!r} is a {type(found).__name__}; must be a function or a class")
    return found


def source_hash(name: str) -> str | None:
    """SHA-256 of the file of an import path's module, so that results are not mixed over its changes."""
    if not is_import_path(name):
        return None
    spec = importlib.util.find_spec(name.partition(":")[0])
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
