"""The design, held against the code: who imports whom, and what DVC's stages depend on."""

import ast
from collections.abc import Iterator

import pytest
import yaml

from flows import STAGES
from tests.conftest import ROOT
from tests.imports import LAZY, PACKAGES, closure, imported

FILES = sorted(str(f.relative_to(ROOT)) for package in PACKAGES for f in (ROOT / package).rglob("*.py"))
# What decides no number: whether settings are refused, what is tracked and shown.
_WATCHERS = ("errors", "observers", "showing", "tracking")
DECIDES_NOTHING = frozenset({"augsearch/check.py", "augsearch/progress.py", *(f"tasks/{name}.py" for name in _WATCHERS)})
# Named by DVC's params, by the store's keys, or the same for everything: paths, errors, reading and writing files.
_COMMON = """__init__ devices environment errors files fingerprint outcome plugins processes section settings workspace
    yaml_files"""
# what the settings' sections need to be read
_SECTIONS = ("script/command", "training/metrics", "training/recipes")
COMMON = frozenset(f"augsearch/{name}.py" for name in (*_COMMON.split(), *_SECTIONS))


def test_no_file_imports_itself_through_others() -> None:
    """Nor for the type checker, nor inside a function: a circle is one however it is hidden."""
    circles = {file: path for file in FILES if (path := _way_back(file))}
    assert circles == {}


def _way_back(file: str) -> list[str] | None:
    before: dict[str, str] = {}
    waiting = [file]
    while waiting:
        at = waiting.pop(0)
        for other in imported(at):
            if other == file:
                path = [other, at]
                while path[-1] != file:
                    path.append(before[path[-1]])
                return path
            if other not in before and other not in LAZY:
                before[other] = at
                waiting.append(other)
    return None


LAYERS = ("policy", "data", "training", "search", "evidence")


@pytest.mark.parametrize("file", FILES)
def test_nothing_imports_upward(file: str) -> None:
    """flows -> tasks -> augsearch; inside it policy <- data <- training <- search <- evidence, but for settings' sections."""
    package = file.split("/")[0]
    above = {"augsearch": ("flows", "tasks"), "tasks": ("flows",), "flows": ()}[package]
    others = [other for other in imported(file) if not other.endswith("settings.py")]
    assert not [other for other in others if other.split("/")[0] in above]
    layer = next((name for name in LAYERS if file.startswith(f"augsearch/{name}/")), None)
    if layer is not None and file != "augsearch/policy/pictures.py":
        higher = LAYERS[LAYERS.index(layer) + 1 :]
        assert not [other for other in others if any(other.startswith(f"augsearch/{name}/") for name in higher)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_decides_its_outputs(stage: str) -> None:
    """And on none that its flow does not reach."""
    deps = [d for d in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"] if d.split("/")[0] in PACKAGES]
    needed = closure([f"flows/{stage}.py"], DECIDES_NOTHING) - COMMON - {f for f in FILES if f.endswith("__init__.py")}
    needed = {file for file in needed if not file.endswith("/settings.py")}
    assert {file for file in needed if not any(file == d or file.startswith(f"{d}/") for d in deps)} == set()
    assert {d for d in deps if not any(file == d or file.startswith(f"{d}/") for file in needed)} == set()


def test_classes_are_short() -> None:
    """Docstrings aside."""
    long = {}
    for file in FILES:
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.ClassDef) and (lines := _lines(node) - sum(map(_lines, _strings(node)))) > 120:
                long[f"{file}:{node.name}"] = lines
    assert long == {}


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def _strings(of: ast.ClassDef) -> list[ast.Expr]:
    """The docstrings of a class, its methods and its attributes."""
    expressions = [node for node in ast.walk(of) if isinstance(node, ast.Expr)]
    return [e for e in expressions if isinstance(e.value, ast.Constant) and isinstance(e.value.value, str)]


@pytest.mark.parametrize("flow", [*STAGES, "pipeline"])
def test_a_flow_is_an_outline(flow: str) -> None:
    (function,) = (n for n in ast.parse((ROOT / f"flows/{flow}.py").read_text()).body if isinstance(n, ast.FunctionDef))
    assert (function.end_lineno or 0) - function.lineno < 25


def test_adapters_stay_thin() -> None:
    assert sum(len((ROOT / file).read_text().splitlines()) for file in FILES if file.startswith("tasks/")) <= 600


def test_the_science_knows_no_orchestrator() -> None:
    for file in FILES:
        if file.startswith("augsearch/"):
            names = {n.split(".")[0] for n in _modules(file)}
            assert not names & {"prefect", "mlflow", "dvc"}, file


def _modules(file: str) -> list[str]:
    nodes = list(ast.walk(ast.parse((ROOT / file).read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return names + [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]


def test_every_public_name_has_a_docstring() -> None:
    """And no docstring begins with "Of"."""
    faults = [f"{file}:{line} {name}" for file in FILES for line, name, text in _docstrings(file) if _unfit(text)]
    assert faults == []


def _unfit(docstring: str | None) -> bool:
    return docstring is None or docstring.startswith("Of ") or "\nOf " in docstring


def _docstrings(file: str) -> Iterator[tuple[int, str, str | None]]:
    """Line, name and docstring of every public class, function and method; a property's setter shares its getter's."""
    waiting: list[ast.AST] = [ast.parse((ROOT / file).read_text())]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                setter = any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list)
                if not setter:
                    yield node.lineno, node.name, ast.get_docstring(node)
                if isinstance(node, ast.ClassDef):
                    waiting.append(node)
