"""The cases of an experiment, each finished in a folder of its own, joined in one table and one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from augsearch.data.prepared import load_info
from augsearch.environment import data_line, provenance
from augsearch.evidence.comparisons import compare_all, differences_frame
from augsearch.evidence.experiments import Experiment
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.report.joint import Joint, joint_lead, joint_sections
from augsearch.evidence.report.page import page
from augsearch.evidence.report.sections import all_figures
from augsearch.evidence.report.svg import standalone
from augsearch.evidence.results import arm_scores, experiment_table
from augsearch.files import replacing, write_text
from augsearch.training.metrics import spoken
from tasks.paths import DATA, REPORTS


def join(experiment: Experiment, text: str, root: Path) -> None:
    """Write results.md, scores.csv, differences.csv, index.html and figures/ into `root`, which holds a folder for each case.

    text: the experiment's file.
    """
    first = next(iter(experiment.cases.values())).settings
    measure, confidence = first.search.objective, first.table.confidence
    scores = _of_all(experiment, root, "scores")
    by_case = {str(case): arm_scores(frame, measure) for case, frame in scores.groupby("dataset", sort=False)}
    found = compare_all(by_case, confidence)
    differences = pd.concat([differences_frame(name, each, spoken(measure), confidence) for name, each in found.items()])
    cards = {case: load_info(root / case / DATA / "dataset.json") for case in experiment.cases}
    some = next(iter(cards.values()))
    origin = provenance(some)
    del origin["data"]  # each case has its own
    evidence = Evidence(
        info=some,
        settings=first,
        params=text,
        scores=scores,
        results=_of_all(experiment, root, "results"),
        searches=(),
        images=np.empty((0, some.channels, some.height, some.width), np.uint8),
        origin=origin,
        differences=differences,
        optimism=_of_all(experiment, root, "optimism"),
    )
    joint = Joint(
        experiment,
        evidence,
        reports={case: str(root / case / REPORTS / "index.html") for case in experiment.cases},
        data={case: data_line(info) for case, info in cards.items()},
    )
    _write(joint, experiment_table(by_case, confidence), root)


def _of_all(experiment: Experiment, root: Path, table: str) -> pd.DataFrame:
    """A table of every case's report; `dataset` names the case, since two cases may share a data set."""
    frames = [pd.read_csv(root / case / REPORTS / f"{table}.csv").assign(dataset=case) for case in experiment.cases]
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _write(joint: Joint, table: str, root: Path) -> None:
    evidence, parts = joint.evidence, joint_sections(joint)
    confidence = evidence.settings.table.confidence
    differences = evidence.differences
    assert differences is not None
    for name, frame in {"scores.csv": evidence.scores, "differences.csv": differences}.items():
        with replacing(root / name) as temporary:
            frame.to_csv(temporary, index=False)
    said = "\n".join(f"- {row['dataset']}: {row['sentence']}." for _, row in differences.iterrows())
    note = (
        f"Test {spoken(evidence.settings.search.objective)} in percent, mean ± half of the {100 * confidence:g} % interval. "
        f"Paired by training seed; Holm's correction for all {len(differences)} comparisons."
    )
    origin = "\n".join(f"- {key}: {value}" for key, value in {**evidence.origin, **joint.data}.items())
    write_text(root / "results.md", f"{joint.experiment.about}\n\n{table}\n\n{note}\n\n{said}\n\n{origin}\n")
    write_text(root / "index.html", page(joint.experiment.name, joint_lead(joint), parts))
    drawn = {root / "figures" / f"{figure.name}.svg": figure.svg for figure in all_figures(parts)}
    for file, svg in drawn.items():
        write_text(file, standalone(svg))
    for file in (root / "figures").iterdir():
        if file not in drawn:  # of a case that is no more
            file.unlink()
