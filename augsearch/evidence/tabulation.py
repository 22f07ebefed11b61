"""Tabulation: trainings and searches in, tables, figures and the page out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_split
from augsearch.evidence import plots
from augsearch.evidence.arms import label
from augsearch.evidence.origin import data_line, environments
from augsearch.evidence.report import charts
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.report.page import remove_others, write_page
from augsearch.evidence.report.sections import lead, note, sections, summary
from augsearch.evidence.report.strips import examples
from augsearch.evidence.tables import Counts, make_tables, markdown, measures_of
from augsearch.files import replacing, write_text
from augsearch.policy import Policy, Schedule, load_policy
from augsearch.policy.pictures import example_images, picture
from augsearch.script import command
from augsearch.settings import Settings
from augsearch.workspace import Workspace


@dataclass(frozen=True)
class Published:
    """The files that were written, and what Prefect and MLflow show of them."""

    table: str
    """The table in Markdown."""
    lead: str
    """The report's one sentence."""
    points: tuple[str, ...]
    """The sentences of the best arm's comparisons."""
    summary: list[dict[str, Any]]
    """The rows of results.csv."""
    metrics: dict[str, float]
    """Each arm's mean, such as test_accuracy_tuun+etp, in [0, 1] or a script's own unit."""
    files: tuple[Path, ...]
    key: str
    """SHA-256 over the keys of the trainings: another table has another."""


def publish(
    workspace: Workspace,
    settings: Settings,
    params: str,
    info: DatasetInfo | None,
    rows: Sequence[Mapping[str, Any]],
    confusions: Sequence[Counts],
) -> Published:
    """Write everything under reports/: tables, figures, results.md, metrics.json and index.html; remove old figures.

    Args:
        params: the settings as their file has them.
        info: the data set; None for a user's script.
        rows: models/retrain.json, a training each: arm, repeat, seed, key, val_ scores, epochs, seconds, environment.
        confusions: of each training (classes, classes) counts on the held-out test set, true x predicted; none for a script.
    """
    evidence = _gather(workspace, settings, params, info, rows, confusions)
    parts, reports = sections(evidence), workspace.reports
    table = markdown(evidence.tables.scores, evidence.unit, measures_of(settings), evidence.confidence)
    files = evidence.tables.write(reports)
    files += [_results_picture(evidence, reports / "results.png"), _metrics(evidence, reports / "metrics.json")]
    origin = [f"- {key}: {value}" for key, value in evidence.facts.items()]
    files.append(reports / "results.md")
    write_text(files[-1], "\n".join([table, "", note(evidence), "", *summary(evidence), *origin, ""]))
    files += write_page(reports, evidence.title, lead(evidence), parts)
    for method, policy in evidence.policies.items():
        files.append(reports / "figures" / f"policy-{method}.png")
        assert evidence.images is not None
        with replacing(files[-1]) as temporary:
            picture(policy, evidence.images).save(temporary, "png")
    remove_others(reports, files)
    measure = evidence.unit.column(measures_of(settings)[0])
    means = evidence.tables.scores.groupby("arm", sort=False)[measure].mean()
    return Published(
        table=table,
        lead=lead(evidence),
        points=tuple(point for part in parts for point in part.points),
        summary=json.loads(evidence.tables.results.to_json(orient="records")),
        metrics={f"{measure}_{arm}": float(mean) for arm, mean in means.items()},
        files=tuple(files),
        key=hashlib.sha256(" ".join(row["key"] for row in rows).encode()).hexdigest(),
    )


def _gather(
    workspace: Workspace,
    settings: Settings,
    params: str,
    info: DatasetInfo | None,
    rows: Sequence[Mapping[str, Any]],
    confusions: Sequence[Counts],
) -> Evidence:
    searches = json.loads(workspace.searches.read_text())
    name = info.name if info else command.name(settings.search.objective)
    train = load_split(workspace.data, "train") if info else None
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_arm.setdefault(label(row["arm"]), []).append(row)
    return Evidence(
        title=name,
        tables=make_tables(name, info.classes if info else (), settings, rows, confusions, searches),
        settings=settings,
        params=params,
        facts=environments(by_arm) | ({"data": data_line(info)} if info else {}),
        info=info,
        searches=searches,
        policies={m: _searched(file) for m in searches if (file := workspace.policies / f"{m}.json").exists()},
        images=examples(train.images, train.labels) if train else example_images(8),
    )


def _searched(file: Path) -> Policy | Schedule:
    policy = load_policy(file)
    assert isinstance(policy, Policy | Schedule)  # searches choose nothing else
    return policy


def _metrics(evidence: Evidence, file: Path) -> Path:
    """Each arm's means, in [0, 1] or a script's own unit, for `dvc metrics`."""
    scores, unit = evidence.tables.scores, evidence.unit
    first = unit.column(measures_of(evidence.settings)[0])
    others = [column for column in map(str, scores.columns) if column.startswith(f"{unit.split}_") and column != first]
    data = {
        arm: {first: e.mean, "low": e.low, "high": e.high, "n": e.n}
        | {column: float(scores.loc[scores["arm"] == arm, column].mean()) for column in others}
        for arm, e in next(iter(evidence.rows().values())).items()
    }
    write_text(file, json.dumps(data, indent=1) + "\n")
    return file


def _results_picture(evidence: Evidence, file: Path) -> Path:
    """The table and the searches in one picture."""
    rows, lines = charts.result_rows(evidence, evidence.title), charts.trial_lines(evidence, points=True)
    axis, validation = evidence.unit.axis(evidence.objective), evidence.unit.axis(evidence.objective, "validation")
    draw = [lambda axes: plots.dots(axes, rows, f"{axis} (mean and {evidence.interval})")]
    if lines:
        draw.append(lambda axes: plots.steps(axes, lines, "trials", f"{validation}: best so far, and each trial"))
    with replacing(file) as temporary:
        plots.side_by_side(temporary, max(plots.dots_height(rows), 270), *draw)
    return file
