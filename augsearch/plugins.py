"""A user's own network, data set, operation or objective, named by import path: `my_module:MyNet`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from augsearch.errors import AugsearchError, SettingsError

PATTERN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_import_path(name: str) -> bool:
    """Tell whether a name has the form `module:attribute`."""
    return PATTERN.fullmatch(name) is not None


def load(name: str, field: str) -> Any:
    """Import a function or a class by its path, `module:attribute`.

    Raises:
        SettingsError: as `imported`, or the attribute cannot be called.
    """
    thing = imported(name, field, SettingsError)
    if not callable(thing):
        raise SettingsError(f"{field}: {name!r} is a {type(thing).__name__}; must be a function or a class")
    return thing


def imported(name: str, field: str, kind: type[AugsearchError]) -> Any:
    """Import anything by its path, `module:attribute`; the module is looked for in the current folder too, as `python -m` does.

    Args:
        field: where the name stands, for the error.
        kind: the error to raise.

    Raises:
        AugsearchError: of that kind: no such module or attribute, or the module fails on import.
    """
    where = f"{field}: {name!r} cannot be imported"
    if not is_import_path(name):
        raise kind(f"{where}: must be module:name")
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise kind(f"{where}: {error}; it must be importable from the current folder") from None
    except Exception as error:  # a user's module may raise anything while it is imported
        reason = " ".join(str(error).split())
        raise kind(f"{where}: its import fails with {type(error).__name__}: {reason}") from error
    if not hasattr(module, attribute):
        raise kind(f"{where}: module {module_name!r} has no {attribute!r}")
    return getattr(module, attribute)


def source_hash(name: str) -> str | None:
    """Hash (SHA-256) the file of an import path's module, so that results are not mixed over its changes."""
    if not is_import_path(name):
        return None
    spec = importlib.util.find_spec(name.partition(":")[0])
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def own_code(classes: Iterable[type]) -> list[str]:
    """The files and folders that classes come from: this project's and the user's own, no other installed package's."""
    tops = {kind.__module__.partition(".")[0] for kind in classes}
    files = {top: Path(sys.modules[top].__file__ or "") for top in tops}
    own = [file for top, file in files.items() if top == "augsearch" or "site-packages" not in file.parts]
    return sorted(str(file.parent if file.name == "__init__.py" else file) for file in own)
