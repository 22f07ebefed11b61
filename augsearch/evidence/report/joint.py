"""The report of an experiment: several cases, each a run of its own with a report of its own, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from augsearch.evidence.experiments import Experiment
from augsearch.evidence.report import figures
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.report.sections import Section, commands, cost, promises, result, unbroken
from augsearch.training.metrics import spoken


@dataclass(frozen=True)
class Joint:
    """An experiment's cases together."""

    experiment: Experiment
    evidence: Evidence
    """Of all cases: the column `dataset` of its frames names the case, `card` and `settings` are the first case's, and
    `params` is the experiment's file."""
    reports: Mapping[str, str]
    """Where each case's own report lies."""
    data: Mapping[str, str]
    """Each case's data: source and fingerprint."""


def joint_lead(joint: Joint) -> str:
    """Which arm is best where, in a sentence."""
    objective = joint.evidence.settings.search.objective
    best: dict[str, list[str]] = {}
    for case, found in joint.evidence.estimates(objective).items():
        best.setdefault(max(found, key=lambda arm: found[arm].mean), []).append(case)
    said = "; ".join(f"{joint.evidence.label(arm)} on {', '.join(cases)}" for arm, cases in best.items())
    return f"The highest mean test {spoken(objective)}: {said}."


def joint_sections(joint: Joint) -> list[Section]:
    evidence = joint.evidence
    parts = [result(evidence), _comparisons(evidence), promises(evidence, evidence.optimism), cost(evidence), _origin(joint)]
    return [section for section in parts if section is not None]


def _comparisons(evidence: Evidence) -> Section | None:
    frame = evidence.differences
    if frame is None or frame.empty:
        return None
    found = frame["p_holm"] < 1 - evidence.settings.table.confidence
    return Section(
        "What it says",
        text=(
            "Arms are compared training by training on the same seeds. Holm's correction counts the comparisons of all cases "
            f"together, {len(frame)} of them. {'These differences were found:' if found.any() else 'No difference was found.'}",
        ),
        points=_sentences(frame[found]),
        more=_sentences(frame[~found]),
        figures=tuple(
            figures.differences(evidence, str(rows["measure"].iloc[0]), rows, str(case))
            for case, rows in frame.groupby("dataset", sort=False)
        ),
    )


def _sentences(frame: pd.DataFrame) -> tuple[str, ...]:
    rows = zip(frame["dataset"], frame["sentence"], strict=True)
    return tuple(unbroken(f"{case}: {sentence}") for case, sentence in rows)


def _origin(joint: Joint) -> Section:
    name = joint.experiment.name
    facts = [("cost", joint.experiment.cost), *joint.evidence.origin.items()]
    facts += [(case, f"{joint.data[case]}; its own report: {report}") for case, report in joint.reports.items()]
    return Section(
        "How to make it again",
        text=(joint.experiment.about, f"In a checkout of augsearch, with the text below as experiments/{name}.yaml:"),
        code=commands(joint.evidence, f"experiment experiments/{name}.yaml"),
        facts=tuple(facts),
        listing=(f"experiments/{name}.yaml", joint.evidence.params),
    )
