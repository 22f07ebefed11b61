"""The file of a saved study: JSON with the space in NNI's notation, the settings, and every trial with its row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from augsearch.errors import SearchError
from augsearch.files import write_text
from augsearch.policy import Policy, from_dict, to_dict

_HEAD = {"format": "augsearch study", "version": 1}


def write(path: Path, space: dict[str, Any], settings: dict[str, Any], trials: list[dict[str, Any]]) -> None:
    """Write a study. A trial is {"params", "row"}, with "value" and "failure" once it is over.

    Raises:
        SearchError: an option or a parameter that JSON cannot hold, or a file that is not an earlier state of this study.
    """
    trials = [{**trial, "params": {name: _plain(value) for name, value in trial["params"].items()}} for trial in trials]
    for place in (space, *(trial["params"] for trial in trials)):
        for name, value in place.items():
            if not _survives(value):
                raise SearchError(
                    f"{path}: {name}: JSON cannot hold {value!r}; must be of text, numbers, lists, dicts and None"
                )
    study = {**_HEAD, "space": space, "settings": settings, "trials": trials}
    if path.exists() and not _continues(read(path), study):
        raise SearchError(f"{path}: holds another study, or more of this one; save to another file")
    write_text(path, json.dumps(study, indent=1))


def read(path: Path) -> dict[str, Any]:
    """The contents of a file: {"space", "settings", "trials"}, as `write` takes them, and its head.

    Raises:
        SearchError: no such file, or not one of these.
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SearchError(f"{path}: {error}") from None
    keys = {*_HEAD, "space", "settings", "trials"}
    if not isinstance(data, dict) or data.keys() != keys or any(data[key] != value for key, value in _HEAD.items()):
        raise SearchError(f"{path}: not a study that this version of augsearch saved")
    return data


def params(trial: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a trial that was read."""
    return {name: from_dict(value) if _is_policy(value) else value for name, value in trial["params"].items()}


def _plain(value: Any) -> Any:
    return to_dict(value) if isinstance(value, Policy) else value


def _is_policy(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= {"format", "version", "kind"}


def _survives(value: Any) -> bool:
    """Whether a value is the same after it was written and read."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def _continues(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether `old` is `new` at an earlier time: its first trials, with the values known then."""
    return (
        all(old[key] == new[key] for key in ("space", "settings"))
        and len(old["trials"]) <= len(new["trials"])
        and all({**now, **was} == now for was, now in zip(old["trials"], new["trials"], strict=False))
    )
