"""Several settings, one table: the four stages for each case of an experiment, each in a folder of its own.

`python -m flows experiment experiments/NAME.yaml` works in experiments/runs/NAME/: a folder for each case, laid out like the
checkout, and the joined table. Run again, it goes on where it was: what a case finished is in its journals.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from augsearch.comparisons import compare_all, differences_frame
from augsearch.errors import SearchError
from augsearch.experiments import Case, Experiment, load_experiment
from augsearch.files import replacing, write_text
from augsearch.objectives import spoken
from augsearch.results import arm_scores, experiment_table

_STAGES = ("prepare", "search", "retrain", "tabulate")  # in one process: each start takes seconds
_SHARED = ("data/raw", "policies")  # what the settings of every case may name


def experiment(path: str) -> None:
    """Run what is not finished yet, and write results.md, scores.csv and differences.csv beside the cases' folders."""
    what = load_experiment(path)
    print(f"{what.name}: {what.about}\n{what.cost}", flush=True)
    root = Path("experiments/runs") / what.name
    for name, case in what.cases.items():
        _run(root / name, case)
    _join(what, root)
    print((root / "results.md").read_text(), flush=True)


def _run(folder: Path, case: Case) -> None:
    for shared in _SHARED:
        link = folder / shared
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(shared, link.parent))
    write_text(folder / "params.yaml", case.params)
    here = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])
    print(f"case {folder.name}", flush=True)
    done = subprocess.run([sys.executable, "-m", "flows", *_STAGES], cwd=folder, env=os.environ | {"PYTHONPATH": here})
    if done.returncode:
        raise SearchError(f"{folder}: ended with {done.returncode}; the same command goes on from there")


def _join(what: Experiment, root: Path) -> None:
    scores = {name: pd.read_csv(root / name / "reports/scores.csv") for name in what.cases}
    first = next(iter(what.cases.values())).settings
    measure, confidence = first.search.objective, first.table.confidence
    by_case = {name: arm_scores(frame, measure) for name, frame in scores.items()}
    found = compare_all(by_case, confidence)
    differences = pd.concat([differences_frame(name, each, spoken(measure), confidence) for name, each in found.items()])
    for file, frame in {"scores.csv": _with_case(scores), "differences.csv": differences}.items():
        with replacing(root / file) as temporary:
            frame.to_csv(temporary, index=False)
    said = "\n".join(f"- {row['dataset']}: {row['sentence']}." for _, row in differences.iterrows())
    text = (
        f"{what.about}\n\n{experiment_table(by_case, confidence)}\n\nTest {spoken(measure)} in percent, mean ± half of the "
        f"{100 * confidence:g} % interval. Paired by training seed; Holm's correction for all {len(differences)} comparisons.\n"
    )
    write_text(root / "results.md", f"{text}\n{said}\n")


def _with_case(scores: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([frame.assign(case=name) for name, frame in scores.items()])
