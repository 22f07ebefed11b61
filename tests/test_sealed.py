"""The sealed test part: search and retrain work where it does not exist, and nothing that they import speaks of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from augsearch.data.digits import digits
from augsearch.data.prepare import prepare
from augsearch.data.prepared import load_split, save
from augsearch.data.settings import DatasetSettings
from augsearch.errors import DataError
from tests.conftest import ROOT, new_checkout
from tests.imports import closure

PREPARATION = ("augsearch/data/",)  # makes the test part; what is called of it is looked at
SEALED_STAGES = ("search", "retrain")


def test_search_and_retrain_run_where_no_test_label_is(
    tmp_path: Path, environment: dict[str, str], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the prepared test part nor the file that it came from is there any more: whoever wants a test label fails."""
    checkout = new_checkout(tmp_path, environment | {"PREFECT_API_URL": server})
    source = tmp_path / "data/raw/own.npz"
    images = {f"{split}_images": pixels.transpose(0, 2, 3, 1)[:200] for split, (pixels, _) in digits().items()}
    np.savez(source, **images, **{f"{split}_labels": labels[:200] for split, (_, labels) in digits().items()})
    monkeypatch.chdir(tmp_path)
    save(*prepare(DatasetSettings(npz="own.npz")), tmp_path / "data")
    checkout.set_params(
        {
            "dataset": {"name": None, "npz": "own.npz"},
            "search": {"methods": ["random"], "trials": 2, "batch": 2, "confirm": {"top": 1}},
            "retrain": {"arms": ["none", "random+etp", "trivialaugment"]},
            "train": {"epochs": 1},
            "workers": {"per_device": 1},
        }
    )
    source.unlink()
    for file in (tmp_path / "data").glob("test_*"):
        file.unlink()
    for stage in SEALED_STAGES:
        checkout.run("python", "-m", "flows", stage)
    assert len(list((tmp_path / "models/weights").glob("*.pt"))) == 3 * 2
    with pytest.raises(DataError, match="test_images"):  # it is what was taken away that tabulation reads
        load_split(tmp_path / "data", "test")


def test_dvc_gives_the_test_part_to_tabulation_alone() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {name for name, stage in stages.items() if any("data/test_" in dep for dep in stage["deps"])} == {"tabulate"}


def test_what_search_and_retrain_import_never_speaks_of_the_test_part() -> None:
    files = closure([f"flows/{stage}.py" for stage in SEALED_STAGES])
    assert {"augsearch/search/loop.py", "augsearch/evidence/retraining.py", "augsearch/training/training.py"} <= files
    assert "augsearch/evidence/testing.py" not in files
    found = {file: breaches((ROOT / file).read_text()) for file in files if not file.startswith(PREPARATION)}
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "cheat",
    [
        'load_split(paths.DATA, "test")',
        'load_split(folder, split="test")',
        'np.load("data/test_labels.npy")',
        "load_split(folder, SPLITS[-1])",
        "load_split(folder, name)",
        "prepare(settings)",
        "DATASETS[settings.dataset.name](settings.dataset)",
        "from augsearch.data.prepare import prepare",
        "np.load(folder / f'{part}_labels.npy')",
    ],
)
def test_a_cheat_would_be_seen(cheat: str) -> None:
    assert breaches(f"import numpy as np\n{cheat}\n")


def test_tabulation_itself_would_be_seen() -> None:
    assert breaches((ROOT / "augsearch/evidence/testing.py").read_text())


def breaches(source: str) -> list[str]:
    """What in a module's code could lead to the test part, docstrings aside."""
    tree = ast.parse(source)
    documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    return [f"line {line}: {what}" for node in ast.walk(tree) for line, what in _breach(node) if id(node) not in documentation]


def _breach(node: ast.AST) -> Iterator[tuple[int, str]]:
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"^test$|test_|^_(labels|images)", node.value)
    ):
        yield node.lineno, repr(node.value)
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("augsearch.data"):
        yield from ((node.lineno, alias.name) for alias in node.names if alias.name in ("prepare", "SPLITS"))
    if isinstance(node, ast.Attribute | ast.Name):
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        of_datasets = isinstance(node, ast.Name) or (isinstance(node.value, ast.Name) and node.value.id == "datasets")
        if name == "SPLITS" or (name == "prepare" and of_datasets):
            yield node.lineno, name
    if isinstance(node, ast.Subscript) and getattr(node.value, "attr", getattr(node.value, "id", "")) == "DATASETS":
        yield node.lineno, "a data set read anew"
    if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "load_split":
        split = node.args[1] if len(node.args) > 1 else None
        if not (isinstance(split, ast.Constant) and split.value in ("train", "val")):
            yield node.lineno, "load_split of what is not plainly train or val"
