"""Which of the project's files import which, read from their sources."""

import ast
from collections.abc import Iterable
from functools import cache

from tests.conftest import ROOT

PACKAGES = ("augsearch", "flows", "tasks")
# They name the modules of their package for users, and load them when asked.
LAZY = {"augsearch/__init__.py", "augsearch/policy/__init__.py"}


def closure(start: Iterable[str], but: frozenset[str] = frozenset()) -> set[str]:
    """The project's files that these import, directly or not, wherever in the file; what `but` names is not followed."""
    closed: set[str] = set()
    waiting = list(start)
    while waiting:
        file = waiting.pop()
        if file not in closed and file not in but:
            closed.add(file)
            waiting += [] if file in LAZY else imported(file)
    return closed


@cache
def imported(file: str, *, at_import: bool = False) -> tuple[str, ...]:
    """The project's files that a file imports.

    at_import: only those that are loaded with it, not inside a function or for the type checker.
    """
    tree = ast.parse((ROOT / file).read_text())
    nodes = list(_at_import(tree)) if at_import else list(ast.walk(tree))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if _file(name) else node.module for name in modules]
    files = dict.fromkeys(_file(name) for name in names if name.split(".")[0] in PACKAGES)
    return tuple(f for f in files if f is not None and f != file)


def _file(module: str) -> str | None:
    path = module.replace(".", "/")
    return next((f for f in (f"{path}.py", f"{path}/__init__.py") if (ROOT / f).exists()), None)


def _at_import(node: ast.AST) -> Iterable[ast.AST]:
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not typing_only:
            yield child
            yield from _at_import(child)
