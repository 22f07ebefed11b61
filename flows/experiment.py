"""Several settings, one table: the four stages for each case of an experiment, each in a folder of its own.

`python -m flows experiment experiments/NAME.yaml` works in experiments/runs/NAME/: a folder for each case, laid out like the
checkout, and the joined table. Run again, it goes on where it was: what a case finished is in its store.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from augsearch.errors import SearchError
from augsearch.evidence.experiments import Case, load_experiment
from augsearch.evidence.joining import join
from augsearch.files import write_text
from flows import STAGES

_SHARED = ("data/raw", "policies")  # what the settings of every case may name


def experiment(path: str) -> None:
    """Run what is not finished yet, and write the joined table and its page beside the cases' folders."""
    what = load_experiment(path)
    print(f"{what.name}: {what.about}\n{what.cost}", flush=True)
    root = Path("experiments/runs") / what.name
    for name, case in what.cases.items():
        _run(root / name, case)
    join(what, Path(path).read_text(), root)
    print(f"{(root / 'results.md').read_text()}\nThe page: {root / 'index.html'}", flush=True)


def _run(folder: Path, case: Case) -> None:
    for shared in _SHARED:
        link = folder / shared
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(shared, link.parent))
    write_text(folder / "params.yaml", case.params)
    here = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])
    print(f"case {folder.name}", flush=True)
    done = subprocess.run([sys.executable, "-m", "flows", *STAGES], cwd=folder, env=os.environ | {"PYTHONPATH": here})
    if done.returncode:
        raise SearchError(f"{folder}: ended with {done.returncode}; the same command goes on from there")
