"""The test part is read here and nowhere else: scores of the retrained models, the table, curves and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info, load_split
from augsearch.data.splits import Split
from augsearch.environment import provenance
from augsearch.evidence import arms
from augsearch.evidence.comparisons import compare, differences_frame
from augsearch.evidence.figures import results_figure
from augsearch.evidence.results import (
    Counts,
    Estimate,
    arm_scores,
    confusion,
    confusion_frame,
    estimate,
    markdown_table,
    optimism_frame,
    recall_frame,
    search_curves,
)
from augsearch.files import replacing, write_text
from augsearch.settings import Settings, override
from augsearch.training.metrics import OBJECTIVES, evaluation, spoken
from augsearch.training.trainer import predict
from augsearch.training.training import new_network, normalisation
from tasks import paths
from tasks.tracking import Tracker
from tasks.trials import weights_file

_TABLES = ("results", "scores", "search", "differences", "optimism", "confusion", "recall")
_FILES = ("results.md", "results.png", *(f"{table}.csv" for table in _TABLES))


@dataclass(frozen=True)
class Tested:
    """Every retrained model on test."""

    scores: pd.DataFrame
    """Columns dataset, arm, repeat, seed, epochs, seconds, and val_ and test_ of each objective."""
    confusion: dict[str, Counts]
    """For each arm (n, classes, classes): in each training, how often the first class was taken for the second."""


@task(cache_policy=NO_CACHE)
def evaluate(settings: Settings) -> Tested:
    info = load_info(paths.DATA / "dataset.json")
    test = load_split(paths.DATA, "test")
    rows = []
    mistaken: dict[str, list[Counts]] = {}
    for record in json.loads(paths.RETRAINED.read_text()):
        trained = override(settings, record.pop("settings"))
        predicted = _predicted(weights_file(record["arm"], record["repeat"]), trained, info, test)
        found = evaluation(predicted, test.labels, len(info.classes))
        tested = {f"test_{objective}": found.score(objective) for objective in OBJECTIVES}
        rows.append({"dataset": info.name, **record, **tested})
        mistaken.setdefault(record["arm"], []).append(confusion(predicted, test.labels, len(info.classes)))
    return Tested(pd.DataFrame(rows), {arm: np.stack(each) for arm, each in mistaken.items()})


# Not in the task itself: it is sent to the slots' processes with the flow, and `torch` beside the word `classes` would take
# `torch.classes` along, which cannot be sent.
def _predicted(weights: Path, settings: Settings, info: DatasetInfo, part: Split) -> Counts:
    """The predicted class of each image, (N,)."""
    network = new_network(settings.network, info, 0)
    network.load_state_dict(torch.load(weights, weights_only=True))
    return predict(network, part, settings.train, normalisation(info))


@task(cache_policy=NO_CACHE)
def publish(tested: Tested, originals: Mapping[str, float], settings: Settings) -> str:
    """Write the table and all that stands beside it under reports/, show it in Prefect and MLflow, and give the table.

    originals: what the best test score over epochs and trials would have claimed, for each method where that was asked.
    """
    info, scores = load_info(paths.DATA / "dataset.json"), tested.scores
    confidence = settings.table.confidence
    objective = settings.search.objective
    by_measure = {measure: _estimates(scores, measure, confidence) for measure in ("accuracy", objective)}
    estimates = by_measure["accuracy"]
    searches = json.loads(paths.SEARCHES.read_text())
    curves = search_curves(searches)
    summary = _summary(scores, estimates, searches)
    found = compare(arm_scores(scores, objective), confidence)
    differences = differences_frame(info.name, found, spoken(objective), confidence)
    optimism = optimism_frame(info.name, searches, by_measure[objective], originals)
    table = markdown_table(
        {_row(info.name, measure): {arms.label(arm): e for arm, e in each.items()} for measure, each in by_measure.items()}
    )
    note = (
        f"Test {' and '.join(map(spoken, by_measure))} in percent, mean ± half of the {100 * confidence:g} % "
        f"interval (Student's t), n = {settings.retrain.seeds} trainings of each arm on fresh seeds."
    )
    origin = "\n".join(f"- {key}: {value}" for key, value in provenance(info).items())
    _csv(summary, paths.REPORTS / "results.csv")
    _csv(scores, paths.REPORTS / "scores.csv")
    _csv(curves, paths.REPORTS / "search.csv")
    _csv(differences, paths.REPORTS / "differences.csv")
    _csv(optimism, paths.REPORTS / "optimism.csv")
    _csv(confusion_frame(info.name, info.classes, tested.confusion), paths.REPORTS / "confusion.csv")
    _csv(recall_frame(info.name, info.classes, tested.confusion, confidence), paths.REPORTS / "recall.csv")
    said = _said(differences, optimism, confidence)
    write_text(paths.REPORTS / "results.md", f"{table}\n\n{note}\n\n{said}{origin}\n")
    metrics = {
        arm: {"test_accuracy": e.mean, "low": e.low, "high": e.high, "n": e.n, **_means(scores, arm)}
        for arm, e in estimates.items()
    }
    write_text(paths.REPORTS / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    with replacing(paths.REPORTS / "results.png") as temporary:
        results_figure(
            info.name, {arms.label(a): e for a, e in by_measure[objective].items()}, curves, confidence, spoken(objective)
        ).savefig(temporary, format="png", dpi=150)
    _show(summary, info.fingerprint, info.name, estimates)
    return table


def _estimates(scores: pd.DataFrame, measure: str, confidence: float) -> dict[str, Estimate]:
    """{arm: its estimate} of accuracy or another objective on test."""
    groups = scores.groupby("arm", sort=False)
    return {str(arm): estimate(list(group[f"test_{measure}"]), confidence) for arm, group in groups}


def _said(differences: pd.DataFrame, optimism: pd.DataFrame, confidence: float) -> str:
    """The table in words: a sentence for each comparison, and one for each search whose policy is an arm."""
    lines = []
    if len(differences):
        each = [f"- {sentence[0].upper()}{sentence[1:]}." for sentence in differences["sentence"]]
        how = (
            f"Paired by training seed, {100 * confidence:g} % intervals; found means p < {1 - confidence:.2g} after Holm's "
            f"correction for these {len(each)} comparisons."
        )
        lines += ["## What the table says", "", *each, "", how, ""]
    seen = optimism.dropna(subset=["optimism"])
    if len(seen):
        lines += ["## How optimistic the searches were", ""]
        lines += [f"- {_optimism(row)}" for _, row in seen.iterrows()]
        lines += [""]
    return "".join(f"{line}\n" for line in lines)


def _optimism(row: pd.Series[Any]) -> str:
    claimed = f"; by the best test score over epochs and trials it would have claimed {row['originals_rule']:.1f} %"
    return (
        f"{arms.label(row['method'])}: its best trial scored {row['best_validation']:.1f} % on validation, the policy that it "
        f"chose {row['test']:.1f} % on test ({row['optimism']:+.1f} points of optimism)"
        f"{'' if np.isnan(row['originals_rule']) else claimed}."
    )


def _row(dataset: str, measure: str) -> str:
    return dataset if measure == "accuracy" else f"{dataset}, {spoken(measure)}"


def _means(scores: pd.DataFrame, arm: str) -> dict[str, float]:
    """The arm's mean of every objective but the accuracy, which has its interval."""
    of_arm = scores[scores["arm"] == arm]
    names = [f"test_{objective}" for objective in OBJECTIVES if objective != "accuracy"]
    return {name: float(of_arm[name].mean()) for name in names}


def _summary(scores: pd.DataFrame, estimates: Mapping[str, Estimate], searches: Mapping[str, Any]) -> pd.DataFrame:
    """One row for each arm, accuracies in percent."""
    rows = []
    for arm, e in estimates.items():
        of_arm = scores[scores["arm"] == arm]
        used = [part for part in arm.split("+") if part in searches]
        rows.append(
            {
                "dataset": of_arm["dataset"].iloc[0],
                "arm": arm,
                "label": arms.label(arm),
                "test_accuracy": round(100 * e.mean, 3),
                "low": round(100 * e.low, 3),
                "high": round(100 * e.high, 3),
                "n": e.n,
                **{measure: round(100 * mean, 3) for measure, mean in _means(scores, arm).items()},
                "val_accuracy": round(100 * float(of_arm["val_accuracy"].mean()), 3),
                **_search_cost([searches[part] for part in used]),
                "training_epochs": round(float(of_arm["epochs"].mean()), 1),
                "training_seconds": round(float(of_arm["seconds"].mean()), 2),
            }
        )
    return pd.DataFrame(rows)


def _search_cost(searches: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Trials and confirmations together; seconds of the devices that they ran on, one after the other."""
    trials = [trial for search in searches for trial in search["trials"]]
    again = [search["confirming"] for search in searches]
    return {
        "search_trials": len(trials),
        "search_confirmations": sum(cost["trainings"] for cost in again),
        "search_epochs": sum(cost["epochs"] for cost in [*trials, *again]),
        "search_seconds": round(sum(cost["seconds"] for cost in [*trials, *again]), 1),
    }


def _csv(frame: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)


def _show(summary: pd.DataFrame, mark: str, dataset: str, estimates: Mapping[str, Estimate]) -> None:
    create_table_artifact(
        key="results", table=json.loads(summary.to_json(orient="records")), description="Test accuracy of each arm"
    )
    tracker = Tracker(dataset, "table", mark, {"kind": "table"})
    for file in _FILES:
        tracker.artifact(paths.REPORTS / file)
    tracker.finish(metrics={f"test_accuracy_{arm}": e.mean for arm, e in estimates.items()})
