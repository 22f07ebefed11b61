"""The report: what the stages left is gathered, set as one page, and shown in Prefect and MLflow."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info, load_split
from augsearch.environment import provenance
from augsearch.evidence.report.evidence import Evidence, Search
from augsearch.evidence.report.page import render
from augsearch.evidence.report.sections import Section, all_figures, lead, sections
from augsearch.evidence.report.strips import examples
from augsearch.evidence.report.svg import standalone
from augsearch.files import write_text
from augsearch.journal import read_records
from augsearch.policy import Policy, Schedule, from_dict, load_policy
from augsearch.policy.pictures import picture
from augsearch.settings import Settings
from tasks import paths
from tasks.tracking import Tracker

PAGE = paths.REPORTS / "index.html"
FIGURES = paths.REPORTS / "figures"


@task(cache_policy=NO_CACHE)
def report(table: str, settings: Settings, params: str) -> None:
    """Write reports/index.html and reports/figures/, and show them in Prefect and in the table's MLflow run.

    table: the results in Markdown. params: the settings' file.
    """
    info = load_info(paths.DATA / "dataset.json")
    evidence = _gather(settings, Path(params).read_text(), info)
    parts = sections(evidence)
    write_text(PAGE, render(evidence, parts))
    files = _draw(evidence, parts)
    _to_prefect(evidence, parts, files, table)
    tracker = Tracker(info.name, "table", info.fingerprint, {"kind": "table"})
    tracker.artifact(PAGE)
    for file in files:
        tracker.artifact(file, "figures")
    tracker.finish()


def _gather(settings: Settings, params: str, info: DatasetInfo) -> Evidence:
    train = load_split(paths.DATA, "train")
    return Evidence(
        info=info,
        settings=settings,
        params=params,
        scores=pd.read_csv(paths.REPORTS / "scores.csv"),
        results=pd.read_csv(paths.REPORTS / "results.csv"),
        searches=tuple(_search(method, found["trials"]) for method, found in json.loads(paths.SEARCHES.read_text()).items()),
        images=examples(train.images, train.labels),
        origin=provenance(info),
        **{name: _read(paths.REPORTS / f"{name}.csv") for name in ("differences", "optimism", "confusion", "recall")},
    )


def _search(method: str, trials: list[dict[str, Any]]) -> Search:
    """trials: as models/search.json has them. A population's trials have no policy each, and are in no record by themselves."""
    records = {r["trial"]: r for r in read_records(paths.JOURNALS / f"{method}.jsonl") if "trial" in r}
    tried = [records.get(trial["trial"], {}).get("policy") for trial in trials]
    file = paths.POLICIES / f"{method}.json"
    return Search(
        method=method,
        scores=tuple(None if trial["score"] is None else 100 * trial["score"] for trial in trials),
        seconds=tuple(trial["seconds"] for trial in trials),
        policies=tuple(_searched(from_dict(data)) if data else None for data in tried),
        found=_searched(load_policy(file)) if file.exists() else None,
    )


def _searched(item: object) -> Policy | Schedule:
    assert isinstance(item, Policy | Schedule)  # searches find nothing else
    return item


def _read(path: Path) -> pd.DataFrame | None:
    """A table that another part of the tabulation makes where it has something to say."""
    if not path.exists():
        return None
    names = {"class": str, "true": str, "predicted": str}  # a class may be called 0, or NA
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=names)


def _draw(evidence: Evidence, parts: list[Section]) -> list[Path]:
    """Every figure as a file of its own; an earlier run's are taken away."""
    files = []
    for figure in all_figures(parts):
        files.append(FIGURES / f"{figure.name}.svg")
        write_text(files[-1], standalone(figure.svg))
    for search in evidence.searches:
        if search.found is not None:
            files.append(FIGURES / f"policy-{search.method}.png")
            picture(search.found, evidence.images).save(files[-1])
    for file in FIGURES.iterdir():
        if file not in files:
            file.unlink()
    return files


def _to_prefect(evidence: Evidence, parts: list[Section], files: list[Path], table: str) -> None:
    said = "\n".join(f"- {point}" for part in parts for point in part.points)
    create_markdown_artifact(f"{lead(evidence)}\n\n{table}\n\n{said}\n", key="report", description=str(PAGE))
    for file in files:
        kind = "svg+xml" if file.suffix == ".svg" else "png"
        uri = f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
        key = "figure-" + "".join(c if c.isalnum() else "-" for c in file.stem.lower())
        create_image_artifact(uri, key=key, description=str(file))
