"""Policies as modules that run without this project, for other libraries.

A module is `standalone.py` with the policy in it, and the few lines that make it a transform of the target. How
exactly it does what this project does is measured when it is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

from augsearch.errors import PolicyError
from augsearch.files import write_text
from augsearch.policy import Augmentation, Chain, Operation, Policy, to_dict
from augsearch.policy.ops import OPS, apply

EXPORTERS = {"torchvision": "for_torchvision.py", "albumentations": "for_albumentations.py"}
"""Each target, and the file that makes a transform of it."""

_HERE = Path(__file__).parent
_SAMPLES = 64


def export(item: Augmentation, target: str, path: Path) -> list[str]:
    """Write the module; gives what it does otherwise than `augsearch.Augment`, a line each.

    Raises:
        PolicyError: the policy has an operation that no single image can get by Pillow.
    """
    policies = _policies(item)
    for policy in policies:
        for operation in _operations(policy):
            if operation.name not in OPS or OPS[operation.name].paired:
                raise PolicyError(f"{operation.name}: cannot be exported; it is not an operation on one image by Pillow")
    source = module_source(item)
    transform = (_HERE / EXPORTERS[target]).read_text().splitlines(keepends=True)
    here = "from augsearch."  # in the module this comes first in the same file
    write_text(path, source + "\n\n" + "".join(line for line in transform if not line.startswith(here)))
    lines = ["the module draws from the target's own generator: the same frequencies, not the same images"]
    if any(policy.draw == "batch" for policy in policies):
        lines.append("a sub-policy is drawn for each image: a transform of one image knows no mini-batch")
    return lines + differences(policies, source)


def module_source(item: Augmentation) -> str:
    empty = 'json.loads("""{}""")'
    text = (_HERE / "standalone.py").read_text()
    assert text.count(empty) == 1
    return text.replace(empty, f'json.loads("""{json.dumps(to_dict(item))}""")')


def differences(policies: list[Policy], source: str) -> list[str]:
    """How far the module's pixels are from this project's, on sample images, for each operation of the policies."""
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
