"""What works with the core alone: policies, transforms and the search, without the pipeline's packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PIPELINE = ("prefect", "mlflow", "dvc", "pandas", "matplotlib", "jinja2", "torchvision", "fastapi")
BLOCKED = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {PIPELINE!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", BLOCKED + code], cwd=folder, env=variables, capture_output=True, text=True)


PUBLISHED = ROOT / "augsearch/policy/published/pba-cifar10.json"
USES = {
    "a policy on a batch": f"""
import torch, augsearch
schedule = augsearch.load_policy({str(PUBLISHED)!r})
images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
assert augsearch.Augment(schedule, seed=0)(images, epoch=150).shape == images.shape
assert augsearch.Transform(schedule, seed=0)(images[0]).shape == (3, 32, 32)
""",
    "a search": """
import augsearch
space = {"x": {"_type": "uniform", "_value": [0, 1]}}
assert augsearch.minimize(lambda p: (p["x"] - 0.3) ** 2, space, trials=14).best_value < 0.01
""",
    "the version": "import augsearch; assert augsearch.__version__[0].isdigit()",
    "importing and exporting": f"""
from augsearch.cli import main
assert main(["policy", "export", {str(PUBLISHED)!r}, "--to", "torchvision", "-o", "policy.py"]) == 0
""",
    "showing": """
import augsearch
from augsearch.cli import main
from augsearch.policy import Operation, Policy, SubPolicy, save
save(Policy((SubPolicy((Operation("Rotate", 1.0, 0.5),)),)), "p.json")
assert main(["policy", "show", "p.json", "-o", "p.png"]) == 0
""",
}


@pytest.mark.parametrize("use", USES)
def test_the_core_is_enough_for(use: str, tmp_path: Path) -> None:
    done = run(USES[use], tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_needs_more_says_what_to_install(tmp_path: Path) -> None:
    done = run(
        f"from augsearch.cli import main; sys.exit(main(['policy', 'show', {str(PUBLISHED)!r}, '-o', 'p.png']))", tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith("needs matplotlib: pip install 'augsearch[pipeline]'")
