"""Policies as modules that run without this project, for other libraries.

A module is `ops/magnitudes.py`, the tables of the operations, `standalone.py` with the policy in it, and the lines that
make it a transform of the target. How exactly it does what this project does is measured when it is written.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

from augsearch.errors import PolicyError
from augsearch.files import write_text
from augsearch.policy import Augmentation, Chain, Operation, Policy, to_dict
from augsearch.policy.exchange import tables
from augsearch.policy.ops import OPS, apply, magnitudes

EXPORTERS = {"torchvision": "for_torchvision.py", "albumentations": "for_albumentations.py"}
"""Each target, and the file that makes a transform of it."""

_HERE = Path(__file__).parent
_SAMPLES = 64


def export(item: Augmentation, target: str, path: Path) -> list[str]:
    """Write the module, and list what it does otherwise than `augsearch.Augment`, a line each.

    Raises:
        PolicyError: the policy has an operation that no single image can get by Pillow.
    """
    policies = _policies(item)
    for policy in policies:
        for operation in _operations(policy):
            if operation.name not in OPS or OPS[operation.name].paired:
                raise PolicyError(f"{operation.name}: cannot be exported; it is not an operation on one image by Pillow")
    write_text(path, module_source(item, target))
    lines = ["the module draws from the target's own generator: the same frequencies, not the same images"]
    if any(policy.draw == "batch" for policy in policies):
        lines.append("a sub-policy is drawn for each image: a transform of one image knows no mini-batch")
    moving = sorted({o.name for policy in policies for o in _operations(policy) if o.probability > 0 and OPS[o.name].moves})
    if moving:
        lines.append(
            f"it moves pixels ({', '.join(moving)}): samples with masks or boxes are refused without allow_unmatched=True"
        )
    return lines + differences(policies, module_source(item))


def module_source(item: Augmentation, target: str | None = None) -> str:
    """Write the text of the module; without a target, of its part that does the work by Pillow alone."""
    files = [_HERE / "standalone.py", *([_HERE / EXPORTERS[target]] if target else [])]
    body, *transform = [file.read_text() for file in files]
    title, body = body.split("\n\n", 1)
    empty = 'json.loads("""{}""")'
    assert body.count(empty) == 1
    body = body.replace(empty, f'json.loads("""{json.dumps(to_dict(item))}""")')
    texts = [Path(magnitudes.__file__).read_text(), tables.source(), body, *transform]
    whole = "\n\n\n".join([f"{title}\n\n{_imports(texts)}", *(_without_imports(text) for text in texts)]) + "\n"
    return re.sub(r"\n{4,}", "\n\n\n", whole)


def _imports(texts: list[str]) -> str:
    """Collect every import that is not of this project, once, in the usual three groups."""
    modules: dict[str, set[str]] = {}
    plain = set()
    for node in (node for text in texts for node in ast.parse(text).body):
        if isinstance(node, ast.Import):
            plain.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("augsearch"):
            modules.setdefault(node.module, set()).update(ast.unparse(alias) for alias in node.names)
    lines = sorted(plain) + [f"from {module} import {', '.join(sorted(modules[module]))}" for module in sorted(modules)]
    groups: list[list[str]] = [[], [], []]
    for line in lines:
        module = line.split()[1].split(".")[0]
        groups[0 if module == "__future__" else 1 if module in sys.stdlib_module_names else 2].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group)


def _without_imports(text: str) -> str:
    """The text without its docstring and its imports."""
    lines: list[str | None] = list(text.splitlines())
    tree = ast.parse(text).body
    for i, node in enumerate(tree):
        docstring = i == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [None] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(line for line in lines if line is not None).strip("\n")


def differences(policies: list[Policy], source: str) -> list[str]:
    """Measure how far the module's pixels are from this project's, on sample images, for each operation of the policies."""
    module = ModuleType("exported")
    exec(compile(source, "exported", "exec"), module.__dict__)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_SAMPLES, 3, 32, 32)).astype(np.uint8)
    lines = []
    for dialect, operation in sorted({(p.dialect, o) for p in policies for o in _operations(p)}, key=str):
        noise = rng.random((_SAMPLES, 2))
        m = np.full(_SAMPLES, operation.magnitude)
        if dialect in OPS[operation.name].signed:
            m[::2] *= -1
        ours = apply(torch.from_numpy(images), operation.name, m, dialect=dialect, noise=noise).numpy()
        theirs = np.stack([_perform(module, *case, operation.name, dialect) for case in zip(images, m, noise, strict=True)])
        apart = np.abs(ours.astype(int) - theirs)
        if apart.max():
            lines.append(
                f"{operation.name} {operation.magnitude:g}: {100 * (apart > 0).mean():.2g} % of the values differ, "
                f"by at most {apart.max()} of 255, on {_SAMPLES} images of noise"
            )
    return lines or [f"each operation gives the same pixels, measured on {_SAMPLES} images of noise"]


def _perform(module: Any, pixels: Any, m: float, noise: Any, name: str, dialect: str) -> Any:
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return np.asarray(module.perform(image, name, float(m), dialect, *noise)).transpose(2, 0, 1)


def _policies(item: Augmentation) -> list[Policy]:
    if isinstance(item, Chain):
        return [policy for part in item.parts for policy in _policies(part)]
    return [item] if isinstance(item, Policy) else [segment.policy for segment in item.segments]


def _operations(policy: Policy) -> list[Operation]:
    return [operation for sub_policy in policy.sub_policies for operation in sub_policy.operations]
