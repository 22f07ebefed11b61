"""The settings that docs/data.md shows, typed line by line into params.yaml, are valid and leave what DVC reads."""

import re
from pathlib import Path

import pytest
import yaml

from augsearch.settings import load
from tests.conftest import ROOT

SNIPPETS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/data.md").read_text(), re.DOTALL)


def typed(snippet: str, params: str) -> str:
    """Replace the lines of the section that the snippet shows, or add them; every other line stays."""
    head, *shown = snippet.splitlines()
    assert head == "dataset:"
    for line in shown:
        key = re.match(r"  (\w+): ", line)
        assert key, f"{line!r} is not a line of a section"
        changed, count = re.subn(rf"^  {key[1]}:.*$", lambda _, line=line: line, params, count=1, flags=re.MULTILINE)
        params = changed if count else params.replace("\ndataset:\n", f"\ndataset:\n{line}\n")
    return params


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_what_is_shown_can_be_typed_as_it_stands(snippet: str, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(typed(snippet, (ROOT / "params.yaml").read_text()))
    settings, section = load(params).dataset, yaml.safe_load(snippet)["dataset"]
    assert settings.root == yaml.safe_load(params.read_text())["dataset"]["root"] == "data/raw"  # dvc.yaml interpolates it
    for key, value in section.items():
        assert getattr(settings, key) == ((value, value) if key == "size" else value)


def test_every_way_in_is_shown() -> None:
    shown = [yaml.safe_load(snippet)["dataset"] for snippet in SNIPPETS]
    assert {key for section in shown for key in section} >= {"name", "npz", "folder", "groups", "depth"}
