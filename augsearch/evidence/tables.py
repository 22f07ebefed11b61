"""The tables of reports/: what the trainings of all arms, and the searches before them, come to. Each is one CSV file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from augsearch.evidence import arms
from augsearch.evidence.comparisons import compare_all, differences_frame
from augsearch.evidence.scores import PERCENT, PLAIN, Estimate, Unit, best, estimate, estimates, scores_by_arm
from augsearch.evidence.settings import split
from augsearch.files import replacing
from augsearch.settings import Settings
from augsearch.training.metrics import OBJECTIVES, Evaluation, spoken

Counts = NDArray[np.int64]
Searches = Mapping[str, Mapping[str, Any]]
"""models/search.json: for each method its trials, which was chosen, confirmations, and a population's rounds."""


@dataclass(frozen=True)
class Tables:
    """The CSV files by name; scores.csv holds scores as they are, all others hold them in the unit that people read."""

    results: pd.DataFrame
    """A row for each arm: dataset, arm, label, mean score with low, high and n, the other objectives' means, what it cost."""
    scores: pd.DataFrame
    """A row for each training: dataset, arm, repeat, seed, its scores, epochs, seconds."""
    search: pd.DataFrame
    """A row for each trial: method, trial, score, best so far. A population is not here: its members train side by side."""
    differences: pd.DataFrame
    """A row for each comparison of two arms."""
    optimism: pd.DataFrame
    """A row for each search: dataset, method, best_validation, confirmed, test, optimism, and a note where that is empty."""
    confusion: pd.DataFrame
    """A row for each arm and pair of classes: dataset, arm, true, predicted, count over the trainings."""
    recall: pd.DataFrame
    """A row for each arm and class: dataset, arm, class, recall, low, high."""

    def write(self, folder: Path, *names: str) -> list[Path]:
        """A CSV file for each table, or for those that are named."""
        files = [folder / f"{name}.csv" for name in names or [field.name for field in fields(self)]]
        for file in files:
            with replacing(file) as temporary:
                getattr(self, file.stem).to_csv(temporary, index=False)
        return files


def unit_of(settings: Settings) -> Unit:
    """The unit of this run's scores."""
    return PLAIN if settings.search.own_script else PERCENT


def measures_of(settings: Settings) -> tuple[str, ...]:
    """The metrics of the table's rows: the accuracy and the objective, or a user's script's score; the objective comes last."""
    return tuple(dict.fromkeys(([] if settings.search.own_script else ["accuracy"]) + [settings.search.measure]))


def make_tables(
    name: str,
    classes: Sequence[str],
    settings: Settings,
    rows: Sequence[Mapping[str, Any]],
    confusions: Sequence[Counts],
    searches: Searches,
) -> Tables:
    """All tables of one run.

    Args:
        name: of the data set, or of the user's script.
        classes: their names; none for a user's script.
        rows: a training each, as models/retrain.json has them.
        confusions: of each training (classes, classes) counts on the held-out test set, true x predicted; none for a script.
    """
    unit, confidence, measures = unit_of(settings), settings.table.confidence, measures_of(settings)
    scores, objective, column = _scores(name, rows, confusions), measures[-1], unit.column(measures[-1])
    compared = compare_all({name: scores_by_arm(scores, column)}, confidence)
    by_arm: dict[str, list[Counts]] = {}
    for row, counts in zip(rows, confusions, strict=bool(classes)):
        by_arm.setdefault(row["arm"], []).append(counts)
    each = {arm: np.stack(counts) for arm, counts in by_arm.items()}
    return Tables(
        results=_results(scores, searches, unit, measures[0], confidence),
        scores=scores,
        search=search_curves(searches, unit),
        differences=differences_frame(compared, objective, unit, confidence),
        optimism=optimism(name, searches, estimates(scores, column, confidence)[name], settings),
        confusion=_confusion(name, classes, each),
        recall=recall(name, classes, each, confidence),
    )


def _scores(name: str, rows: Sequence[Mapping[str, Any]], confusions: Sequence[Counts]) -> pd.DataFrame:
    tested = [{f"test_{key}": score for key, score in held_out_scores(counts).items()} for counts in confusions]
    frame = pd.DataFrame([{"dataset": name, **row, **test} for row, test in zip(rows, tested or [{}] * len(rows), strict=True)])
    return frame.drop(columns=["key", "settings", "environment"])


def held_out_scores(counts: Counts) -> dict[str, float]:
    """Every objective from how often each class (rows) was taken for each; a class without images counts for nothing."""
    total = counts.sum(1)
    recall = np.divide(counts.diagonal(), total, out=np.full(len(counts), np.nan), where=total > 0)
    evaluation = Evaluation(-1, float(counts.trace() / total.sum()), tuple(recall.tolist()))
    return {name: evaluation.score(name) for name in OBJECTIVES}


def _results(scores: pd.DataFrame, searches: Searches, unit: Unit, measure: str, confidence: float) -> pd.DataFrame:
    others = [*(unit.column(name) for name in OBJECTIVES if name != measure), "val_accuracy"] if unit is PERCENT else []
    rows = []
    for (dataset, arm), of_arm in scores.groupby(["dataset", "arm"], sort=False):
        e = estimate(of_arm[unit.column(measure)].tolist(), confidence)
        rows.append(
            {
                "dataset": dataset,
                "arm": arm,
                "label": arms.label(str(arm)),
                unit.column(measure): unit.cell(e.mean),
                "low": unit.cell(e.low),
                "high": unit.cell(e.high),
                "n": e.n,
                **{column: unit.cell(float(of_arm[column].mean())) for column in others},
                **_search_cost([searches[part] for part in split(str(arm)) if part in searches]),
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


def search_curves(searches: Searches, unit: Unit) -> pd.DataFrame:
    """Each trial's score and the best so far; NaN where it failed."""
    frames = [pd.DataFrame(columns=["method", "trial", "score", "best"])]
    for method, search in searches.items():
        if not search.get("rounds"):
            score = unit.factor * pd.Series([trial["score"] for trial in search["trials"]], dtype=float)
            columns = {"trial": score.index + 1, "score": score, "best": score.cummax().ffill()}
            frames.append(pd.DataFrame({"method": method, **columns}))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def optimism(name: str, searches: Searches, tested: Mapping[str, Estimate], settings: Settings) -> pd.DataFrame:
    """The optimism of each search: its best validation score less the test score of the policy that it chose.

    Empty where the policy is no arm, and, with a note, where a population was trained otherwise than the arm: another length
    or network moves the score more than selection does.

    Args:
        tested: each arm's estimate of the search's objective on the held-out test set, or of a script's own score.
    """
    unit, rows = unit_of(settings), []
    for method, search in searches.items():
        best = max(trial["score"] for trial in search["trials"] if trial["score"] is not None)
        again = search["confirmations"].get(str(search["chosen"]), [])
        parts = {method, "etp"} if method == "pba" and settings.search.pba.expert else {method}
        test = next((e.mean for arm, e in tested.items() if set(split(arm)) == parts), math.nan)
        note = _other_training(settings) if method == "pba" else ""
        points = {
            "best_validation": best,
            "confirmed": float(np.mean(again)) if again else math.nan,
            "test": test if unit is PERCENT else math.nan,
            "optimism": best - test if unit is PERCENT and not note else math.nan,
        }
        rows.append({"dataset": name, "method": method, **{k: unit.cell(v) for k, v in points.items()}, "note": note})
    return pd.DataFrame(rows, columns=["dataset", "method", "best_validation", "confirmed", "test", "optimism", "note"])


def _other_training(settings: Settings) -> str:
    """The differences between a population's training and the arms', in words; empty where there are none."""
    pairs = ((settings.population_network, settings.network), (settings.population_train, settings.train))
    differing = [
        f"{'network' if key == 'name' else key} {value}"
        for of_population, of_arms in pairs
        for key, value in of_population.model_dump(exclude={"recipe", "evaluate_every"}).items()
        if value != getattr(of_arms, key)
    ]
    return f"its population was trained otherwise than the arm ({', '.join(differing)})" if differing else ""


def _confusion(name: str, classes: Sequence[str], each: Mapping[str, Counts]) -> pd.DataFrame:
    rows = [
        {"dataset": name, "arm": arm, "true": classes[i], "predicted": classes[j], "count": int(count)}
        for arm, counts in each.items()
        for (i, j), count in np.ndenumerate(counts.sum(0))
    ]
    return pd.DataFrame(rows, columns=["dataset", "arm", "true", "predicted", "count"])


def recall(name: str, classes: Sequence[str], each: Mapping[str, Counts], confidence: float) -> pd.DataFrame:
    """The percentage of each class's images that is recognised, with its interval over the trainings, cut to 0 to 100.

    each: for each arm (n, classes, classes).
    """
    rows = []
    for arm, counts in each.items():
        shares = counts.diagonal(axis1=1, axis2=2) / counts.sum(2)  # (n, classes)
        for label, values in zip(classes, shares.T, strict=True):
            e = estimate(values.tolist(), confidence)
            points = {"recall": e.mean, "low": max(e.low, 0.0), "high": min(e.high, 1.0)}
            rows.append({"dataset": name, "arm": arm, "class": label} | {k: PERCENT.cell(v) for k, v in points.items()})
    return pd.DataFrame(rows, columns=["dataset", "arm", "class", "recall", "low", "high"])


def markdown(scores: pd.DataFrame, unit: Unit, measures: Sequence[str], confidence: float) -> str:
    """Data sets and measures down, arms across; the best mean of a row in bold."""
    head = "" if unit is PERCENT else "the script's own score "
    columns = list(dict.fromkeys(scores["arm"]))
    lines = [f"| {head}| {' | '.join(map(arms.label, columns))} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in table_rows(scores, unit, measures, confidence).items():
        cells = {arm: f"**{unit.mean(e)}**" if arm == best(row) else unit.mean(e) for arm, e in row.items()}
        lines.append(f"| {name} | {' | '.join(cells.get(arm, '') for arm in columns)} |")
    return "\n".join(lines)


def table_rows(scores: pd.DataFrame, unit: Unit, measures: Sequence[str], confidence: float) -> dict[str, dict[str, Estimate]]:
    """{row's name: {arm: estimate}}, for each measure and data set."""
    return {
        dataset if measure in ("accuracy", "score") else f"{dataset}, {spoken(measure)}": row
        for measure in measures
        for dataset, row in estimates(scores, unit.column(measure), confidence).items()
    }
