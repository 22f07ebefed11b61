"""The inputs of every stage: checked settings, and the workspace."""

from pathlib import Path

from augsearch.check import checked_settings
from augsearch.settings import Settings
from augsearch.workspace import Workspace


def read(params: str) -> tuple[Settings, Workspace]:
    """The checked settings of a file, and the workspace that they are for: the current folder."""
    return checked_settings(params), Workspace(Path.cwd())
