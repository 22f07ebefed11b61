"""The table of one's own training script: the scores that it gave itself, as it gave them. No test part is read."""

from __future__ import annotations

import html
import json
import platform
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from augsearch.environment import commit, hardware
from augsearch.evidence import arms
from augsearch.evidence.results import Estimate, estimate
from augsearch.files import replacing, write_text
from augsearch.script import command
from augsearch.settings import Settings
from tasks import paths
from tasks.tracking import Tracker

_NOTE = (
    "The scores are those that the script `{objective}` gave itself, mean ± half of the {confidence:g} % interval "
    "(Student's t), n = {n} runs of each arm on fresh seeds. The search chose by the same scores; whether they hold on "
    "images that no choice has seen, only a test of the script's own can tell."
)


@task(cache_policy=NO_CACHE)
def publish_script(settings: Settings) -> str:
    """Write the table and the curves under reports/, keep them in MLflow, and give the table."""
    scores = pd.DataFrame(json.loads(paths.RETRAINED.read_text())).drop(columns="settings")
    searches = json.loads(paths.SEARCHES.read_text())
    confidence = settings.table.confidence
    estimates = {
        str(arm): estimate(list(group[f"val_{command.MEASURE}"]), confidence)
        for arm, group in scores.groupby("arm", sort=False)
    }
    name = command.name(settings.search.objective)
    curves = _curves(searches)
    frames = {"results.csv": _summary(scores, estimates, searches), "scores.csv": scores, "search.csv": curves}
    for file, frame in frames.items():
        with replacing(paths.REPORTS / file) as temporary:
            frame.to_csv(temporary, index=False)
    table = _table(name, estimates)
    note = _NOTE.format(objective=settings.search.objective, confidence=100 * confidence, n=settings.retrain.seeds)
    origin = {"commit": commit(), "hardware": hardware(), "versions": f"Python {platform.python_version()}"}
    lines = "\n".join(f"- {key}: {value}" for key, value in origin.items())
    write_text(paths.REPORTS / "results.md", f"{table}\n\n{note}\n\n{lines}\n")
    metrics = {arm: {"val_score": e.mean, "low": e.low, "high": e.high, "n": e.n} for arm, e in estimates.items()}
    write_text(paths.REPORTS / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    with replacing(paths.REPORTS / "results.png") as temporary:
        _figure(name, estimates, curves, confidence).savefig(temporary, format="png", dpi=150)
    _leave_empty(table, note)
    tracker = Tracker(name, "table", name, {"kind": "table"})
    for file in (*frames, "results.md", "results.png"):
        tracker.artifact(paths.REPORTS / file)
    tracker.finish(metrics={f"val_score_{arm.replace('+', '_and_')}": e.mean for arm, e in estimates.items()})
    return table


def _leave_empty(table: str, note: str) -> None:
    """What the sealed test part is needed for, since DVC wants every output."""
    for name in ("differences", "optimism", "confusion", "recall"):
        write_text(paths.REPORTS / f"{name}.csv", "")
    (paths.REPORTS / "figures").mkdir(parents=True, exist_ok=True)
    said = f"<pre>{html.escape(table)}</pre><p>{html.escape(note)}</p>"
    write_text(paths.REPORTS / "index.html", f"<!doctype html><meta charset=utf-8><title>augsearch</title>{said}\n")


def _table(name: str, estimates: Mapping[str, Estimate]) -> str:
    best = max(estimates.values(), key=lambda e: e.mean)
    cells = [f"{e.mean:.4g} ± {(e.high - e.low) / 2:.2g}" for e in estimates.values()]
    cells = [f"**{cell}**" if e is best else cell for cell, e in zip(cells, estimates.values(), strict=True)]
    labels = [arms.label(arm) for arm in estimates]
    head = f"| the script's own score | {' | '.join(labels)} |\n" + "|---" * (len(labels) + 1) + "|"
    return f"{head}\n| {name} | {' | '.join(cells)} |"


def _summary(scores: pd.DataFrame, estimates: Mapping[str, Estimate], searches: Mapping[str, Any]) -> pd.DataFrame:
    """One row for each arm."""
    rows = []
    for arm, e in estimates.items():
        used = [trial for part in arm.split("+") for trial in searches.get(part, {"trials": ()})["trials"]]
        rows.append(
            {
                "arm": arm,
                "label": arms.label(arm),
                "val_score": e.mean,
                "low": e.low,
                "high": e.high,
                "n": e.n,
                "search_trials": len(used),
                "search_seconds": round(sum(trial["seconds"] for trial in used), 1),
                "training_seconds": round(float(scores[scores["arm"] == arm]["seconds"].mean()), 2),
            }
        )
    return pd.DataFrame(rows)


def _curves(searches: Mapping[str, Any]) -> pd.DataFrame:
    """Each trial's score and the best so far: columns method, trial, score, best."""
    parts = []
    for method, search in searches.items():
        score = pd.Series([trial["score"] for trial in search["trials"]], dtype=float)
        parts.append(pd.DataFrame({"method": method, "trial": score.index + 1, "score": score, "best": score.cummax().ffill()}))
    return pd.concat(parts, ignore_index=True)


def _figure(name: str, estimates: Mapping[str, Estimate], curves: pd.DataFrame, confidence: float) -> Figure:
    """Left: each arm's score with its interval. Right: the best score so far, by trial."""
    figure = Figure(figsize=(11, 0.5 * len(estimates) + 2.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row, e in enumerate(estimates.values()):
        left.errorbar(e.mean, row, xerr=(e.high - e.low) / 2, fmt="o", capsize=4, color="#333333")
    left.set_yticks(range(len(estimates)), [arms.label(arm) for arm in estimates])
    left.invert_yaxis()
    left.set(title=name, xlabel=f"the script's own score (mean and {100 * confidence:g} % interval)")
    for method, group in curves.groupby("method", sort=False):
        (line,) = right.plot(group["trial"], group["best"], label=arms.label(str(method)), drawstyle="steps-post")
        right.plot(group["trial"], group["score"], ".", color=line.get_color(), alpha=0.3)
    right.set(xlabel="trials", ylabel="score: best so far, and each trial")
    right.legend()
    return figure
