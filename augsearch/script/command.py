"""One's own training script, as `search.objective` names it: a function by import path, or a command.

objective: my_module:train
objective: python train.py --epochs 20
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from augsearch import plugins
from augsearch.errors import SettingsError
from augsearch.training.metrics import OBJECTIVES

MEASURE = "score"
"""The name of the score that one's own script reports."""


def is_script(objective: str) -> bool:
    """Whether an objective is a user's script, that is, no metric of this project."""
    return objective not in OBJECTIVES


def command(objective: str) -> list[str]:
    """The command line of a trial's process."""
    if plugins.is_import_path(objective):
        return [sys.executable, "-m", "augsearch.trial", objective]
    return shlex.split(objective)


def environment() -> dict[str, str]:
    """The environment of a trial's process: this process's, with this Python first on PATH and unbuffered output."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    return {"PYTHONUNBUFFERED": "1", **os.environ, "PATH": path}


def name(objective: str) -> str:
    """A short name for people and for the MLflow experiment: the module, or the script's file."""
    if plugins.is_import_path(objective):
        return objective.partition(":")[0]
    program, *words = command(objective)
    return Path(next((word for word in words if Path(word).is_file()), program)).stem


def sources(objective: str) -> dict[str, str | None]:
    """SHA-256 of the files that the objective names, so that results are not mixed over their changes.

    What those files import is not among them.
    """
    if plugins.is_import_path(objective):
        return {objective: plugins.source_hash(objective)}
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in _files(objective)}


def _files(objective: str) -> list[str]:
    """The words of a command, after the program, that are files; the program itself where it is one in a folder named."""
    program, *words = command(objective)
    return [word for word in ([program] if os.sep in program else []) + words if Path(word).is_file()]


def check(objective: str) -> None:
    """Whether a script could be started; nothing of it is imported or run.

    Raises:
        SettingsError: one line with what is wrong, without the objective.
    """
    if plugins.is_import_path(objective):
        _check_function(objective)
    elif " " in objective.strip() or os.sep in objective:
        _check_command(objective)
    else:
        raise SettingsError(
            f"must be one of {', '.join(OBJECTIVES)}, or module:function, or a command such as 'python train.py'"
        )


def _check_function(objective: str) -> None:
    module, _, function = objective.partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # the import of a package around it may raise anything
        raise SettingsError(f"{type(error).__name__}: {error}") from None
    if spec is None:
        raise SettingsError(f"no module named {module!r}; it must be importable from the folder of params.yaml")
    if spec.origin is None or not spec.origin.endswith(".py"):
        return
    text = Path(spec.origin).read_text(errors="replace")
    if not re.search(rf"\b{function}\b", text) and "import *" not in text:
        raise SettingsError(f"module {module!r} has no {function!r}")


def _check_command(objective: str) -> None:
    try:
        words = command(objective)
    except ValueError as error:
        raise SettingsError(f"not a command: {error}") from None
    if shutil.which(words[0], path=environment()["PATH"]) is None:
        raise SettingsError(f"no program {words[0]!r}")
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    if script is not None and not Path(script).is_file():
        raise SettingsError(f"no file {script!r}; paths are relative to the folder of params.yaml")
