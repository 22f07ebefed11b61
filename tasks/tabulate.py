"""The test part is read here and nowhere else: scores of the retrained models, the table, curves and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from augsearch import arms, datasets
from augsearch.config import Settings, override
from augsearch.figures import results_figure
from augsearch.files import replacing, write_text
from augsearch.objectives import OBJECTIVES, evaluation, spoken
from augsearch.provenance import provenance
from augsearch.results import Estimate, estimate, markdown_table, search_curves
from augsearch.trainer import predict
from augsearch.trials import new_network, normalisation
from tasks import paths
from tasks.tracking import Tracker
from tasks.trials import weights_file


@task(cache_policy=NO_CACHE)
def evaluate(settings: Settings) -> pd.DataFrame:
    """Every retrained model on test: columns dataset, arm, repeat, seed, seconds, and val_ and test_ of each objective."""
    card = datasets.load_card(paths.DATA / "card.json")
    test = datasets.load_part(paths.DATA, "test")
    rows = []
    for record in json.loads(paths.RETRAINED.read_text()):
        trained = override(settings, record.pop("settings"))
        network = new_network(trained.network, card, 0)
        network.load_state_dict(torch.load(weights_file(record["arm"], record["repeat"]), weights_only=True))
        predicted = predict(network, test, settings.train, normalisation(card))
        found = evaluation(predicted, test.labels, len(card.classes))
        tested = {f"test_{objective}": found.score(objective) for objective in OBJECTIVES}
        rows.append({"dataset": card.name, **record, **tested})
    return pd.DataFrame(rows)


@task(cache_policy=NO_CACHE)
def publish(scores: pd.DataFrame, settings: Settings) -> str:
    """Write the table and the curves under reports/, show them in Prefect and MLflow, and give the table."""
    card = datasets.load_card(paths.DATA / "card.json")
    confidence = settings.table.confidence
    objective = settings.search.objective
    by_measure = {measure: _estimates(scores, measure, confidence) for measure in ("accuracy", objective)}
    estimates = by_measure["accuracy"]
    searches = json.loads(paths.SEARCHES.read_text())
    curves = search_curves(searches)
    summary = _summary(scores, estimates, searches)
    table = markdown_table(
        {_row(card.name, measure): {arms.label(arm): e for arm, e in found.items()} for measure, found in by_measure.items()}
    )
    note = (
        f"Test {' and '.join(map(spoken, by_measure))} in percent, mean ± half of the {100 * confidence:g} % "
        f"interval (Student's t), n = {settings.retrain.seeds} trainings of each arm on fresh seeds."
    )
    origin = "\n".join(f"- {key}: {value}" for key, value in provenance(card).items())
    _csv(summary, paths.REPORTS / "results.csv")
    _csv(scores, paths.REPORTS / "scores.csv")
    _csv(curves, paths.REPORTS / "search.csv")
    write_text(paths.REPORTS / "results.md", f"{table}\n\n{note}\n\n{origin}\n")
    metrics = {
        arm: {"test_accuracy": e.mean, "low": e.low, "high": e.high, "n": e.n, **_means(scores, arm)}
        for arm, e in estimates.items()
    }
    write_text(paths.REPORTS / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    with replacing(paths.REPORTS / "results.png") as temporary:
        results_figure(
            card.name, {arms.label(a): e for a, e in by_measure[objective].items()}, curves, confidence, spoken(objective)
        ).savefig(temporary, format="png", dpi=150)
    _show(summary, card.fingerprint, card.name, estimates)
    return table


def _estimates(scores: pd.DataFrame, measure: str, confidence: float) -> dict[str, Estimate]:
    """{arm: its estimate} of accuracy or another objective on test."""
    groups = scores.groupby("arm", sort=False)
    return {str(arm): estimate(list(group[f"test_{measure}"]), confidence) for arm, group in groups}


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
                "search_trials": sum(len(searches[part]["trials"]) for part in used),
                "search_epochs": sum(t["epochs"] for part in used for t in searches[part]["trials"]),
                "search_seconds": round(sum(t["seconds"] for part in used for t in searches[part]["trials"]), 1),
                "training_seconds": round(float(of_arm["seconds"].mean()), 2),
            }
        )
    return pd.DataFrame(rows)


def _csv(frame: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)


def _show(summary: pd.DataFrame, mark: str, dataset: str, estimates: Mapping[str, Estimate]) -> None:
    create_table_artifact(
        key="results", table=json.loads(summary.to_json(orient="records")), description="Test accuracy of each arm"
    )
    tracker = Tracker(dataset, "table", mark, {"kind": "table"})
    for file in ("results.csv", "results.md", "results.png", "scores.csv", "search.csv"):
        tracker.artifact(paths.REPORTS / file)
    tracker.finish(metrics={f"test_accuracy_{arm.replace('+', '_and_')}": e.mean for arm, e in estimates.items()})
