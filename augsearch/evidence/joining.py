"""The cases of an experiment, each finished in a workspace of its own, joined in one table and one page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from augsearch.data.prepared import load_info
from augsearch.evidence.arms import label
from augsearch.evidence.comparisons import compare_all, differences_frame
from augsearch.evidence.experiments import Experiment
from augsearch.evidence.origin import commands, data_line, environments
from augsearch.evidence.report import charts
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.report.page import Section, remove_others, write_page
from augsearch.evidence.report.sections import cost, note, promises, result, unbroken
from augsearch.evidence.scores import best, scores_by_arm
from augsearch.evidence.tables import Tables, markdown, measures_of, unit_of
from augsearch.files import write_text
from augsearch.workspace import Workspace


def join(experiment: Experiment, text: str, root: Path) -> None:
    """Write results.md, scores.csv, differences.csv, index.html and figures/ into `root`, which holds a folder for each case.

    text: the experiment's file.
    """
    evidence = _gather(experiment, root)
    tables = evidence.tables
    data = {case: data_line(load_info(Workspace(root / case).info)) for case in experiment.cases}
    cases = {case: f"{line}; its own report: {case}/reports/index.html" for case, line in data.items()}
    tables.write(root, "scores", "differences")
    table = markdown(tables.scores, evidence.unit, measures_of(evidence.settings), evidence.confidence)
    sentences = [f"- {row['dataset']}: {row['sentence']}." for _, row in tables.differences.iterrows()]
    origin = [f"- {key}: {value}" for key, value in (evidence.facts | data).items()]
    notes = f"{note(evidence)} {_correction(tables.differences)}"
    write_text(root / "results.md", "\n".join([experiment.about, "", table, "", notes, "", *sentences, "", *origin, ""]))
    parts = [result(evidence), _comparisons(evidence), promises(evidence), cost(evidence)]
    parts.append(_origin(experiment, evidence, cases, text))
    remove_others(root, write_page(root, experiment.name, _lead(evidence), [part for part in parts if part is not None]))


def _gather(experiment: Experiment, root: Path) -> Evidence:
    """All cases' evidence; `dataset` names the case, since two cases may share a data set."""

    def of_all(table: str) -> pd.DataFrame:
        files = {case: Workspace(root / case).reports / f"{table}.csv" for case in experiment.cases}
        frames = [pd.read_csv(file, keep_default_na=False, na_values=[""]).assign(dataset=case) for case, file in files.items()]
        return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)

    settings = next(iter(experiment.cases.values())).settings
    unit, objective, confidence = unit_of(settings), measures_of(settings)[-1], settings.table.confidence
    scores, none = of_all("scores"), pd.DataFrame()
    by_case = {str(case): scores_by_arm(rows, unit.column(objective)) for case, rows in scores.groupby("dataset", sort=False)}
    return Evidence(
        title=experiment.name,
        tables=Tables(
            results=of_all("results"),
            scores=scores,
            search=none,
            differences=differences_frame(compare_all(by_case, confidence), objective, unit, confidence),
            optimism=of_all("optimism").fillna({"note": ""}),
            confusion=none,
            recall=none,
        ),
        settings=settings,
        params="",
        facts=environments({case: json.loads(Workspace(root / case).retrained.read_text()) for case in experiment.cases}),
    )


def _lead(evidence: Evidence) -> str:
    """Which arm is best where, in a sentence."""
    cases: dict[str, list[str]] = {}
    for case, row in evidence.by_dataset().items():
        cases.setdefault(best(row), []).append(case)
    where = "; ".join(f"{label(arm)} on {', '.join(names)}" for arm, names in cases.items())
    return f"The highest mean {evidence.unit.name(evidence.objective)}: {where}."


def _correction(differences: pd.DataFrame) -> str:
    return f"Paired by training seed; Holm's correction for all {len(differences)} comparisons."


def _comparisons(evidence: Evidence) -> Section | None:
    frame = evidence.tables.differences
    if frame.empty:
        return None
    found = frame["p_holm"] < 1 - evidence.confidence
    sentences = frame["dataset"].str.cat(frame["sentence"], sep=": ").map(unbroken)
    return Section(
        "What it says",
        text=(f"{_correction(frame)} {'These differences were found:' if found.any() else 'No difference was found.'}",),
        points=tuple(sentences[found]),
        more=tuple(sentences[~found]),
        charts=tuple(charts.differences(evidence, case) for case in frame["dataset"].unique()),
    )


def _origin(experiment: Experiment, evidence: Evidence, cases: Mapping[str, str], text: str) -> Section:
    file = f"experiments/{experiment.name}.yaml"
    return Section(
        "How to make it again",
        text=(experiment.about, f"In a checkout of augsearch, with the text below as {file}:"),
        code=commands(evidence.facts, f"experiment {file}"),
        facts=(("cost", experiment.cost), *evidence.facts.items(), *cases.items()),
        listing=(file, text),
    )
