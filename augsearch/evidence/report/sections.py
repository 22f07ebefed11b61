"""The report's sections: text, figures and tables; a section without content is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from augsearch.evidence import origin
from augsearch.evidence.arms import label
from augsearch.evidence.report import charts
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.report.page import Section, Table
from augsearch.evidence.report.strips import strips
from augsearch.evidence.scores import PERCENT, best
from augsearch.evidence.tables import measures_of
from augsearch.policy import Schedule
from augsearch.training.metrics import spoken


def lead(evidence: Evidence) -> str:
    """The one sentence for those who read only one."""
    unit, row = evidence.unit, evidence.by_dataset()[evidence.title]
    winner = evidence.best
    text = f"{label(winner)} has the highest mean {unit.name(evidence.objective)}: {unit.mean(row[winner])}{unit.sign}"
    if "none" in row and winner != "none":
        text += f", against {unit.mean(row['none'])}{unit.sign} without augmentation"
    return unbroken(f"{text}.")


def sections(evidence: Evidence) -> list[Section]:
    """The whole report of one run."""
    parts = [result(evidence), _comparisons(evidence), _searches(evidence), promises(evidence), _policies(evidence)]
    parts += [_importance(evidence), _mistakes(evidence), cost(evidence), _origin(evidence)]
    return [section for section in parts if section is not None]


def note(evidence: Evidence) -> str:
    """A note on the table's numbers."""
    unit, measures = evidence.unit, measures_of(evidence.settings)
    counts = evidence.tables.scores.groupby(["dataset", "arm"]).size()
    n = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    how = f"mean ± half of the {evidence.interval} (Student's t), n = {n} trainings of each arm on fresh seeds"
    if unit is PERCENT:
        return f"Test {' and '.join(map(spoken, measures))} in percent, {how}."
    return (
        f"The scores are those that the script {evidence.settings.search.objective} gave itself, {how}. The search chose by "
        "the same scores; whether they hold on images that no choice has seen, only a test of the script's own can tell."
    )


def result(evidence: Evidence) -> Section:
    """The table, a row for each data set and measure, and a chart for each data set."""
    rows, unit = evidence.rows(), evidence.unit
    arms = list(dict.fromkeys(arm for row in rows.values() for arm in row))
    strong = frozenset((i, 1 + arms.index(best(row))) for i, row in enumerate(rows.values()))
    body = tuple((name, *(unit.mean(row[arm]) if arm in row else "" for arm in arms)) for name, row in rows.items())
    held_out = " The held-out test set was read after every policy was fixed." if unit is PERCENT else ""
    return Section(
        "Result",
        text=(note(evidence), f"The best mean of a row is in bold. No search had used the seeds.{held_out}"),
        tables=(Table(("", *map(label, arms)), body, strong),),
        charts=tuple(charts.results(evidence, dataset) for dataset in evidence.by_dataset()),
    )


def _comparisons(evidence: Evidence) -> Section | None:
    frame = evidence.tables.differences
    if frame.empty:
        return None
    first = frame["arm"] == evidence.best
    return Section(
        "What it says",
        text=("Arms are compared training by training on the same seeds, with Holm's correction for asking so often.",),
        points=tuple(map(unbroken, frame[first]["sentence"])),
        more=tuple(map(unbroken, frame[~first]["sentence"])),
        charts=(charts.differences(evidence, evidence.title),),
    )


def _searches(evidence: Evidence) -> Section | None:
    if not evidence.searches:
        return None
    text = ["The best validation score that each search had seen after so many trials, and after so many seconds of computing."]
    if "random" in evidence.searches:
        text.append(
            f"The band is luck: where the best of so many random trials lies in {100 * evidence.confidence:g} % "
            "of repetitions, by random search's own trials. A curve inside the band may have been lucky."
        )
    notes = dict(zip(evidence.tables.optimism["method"], evidence.tables.optimism["note"], strict=True))
    for method, search in evidence.searches.items():
        if search.get("rounds"):
            text.append(
                f"{label(method)} trains its members side by side, so it has no curve by trials; by seconds it is the best of "
                f"its members after each round{', and ' * bool(notes[method])}{notes[method]}."
            )
    return Section("The searches", tuple(text), charts=tuple(charts.searches(evidence)))


def promises(evidence: Evidence) -> Section | None:
    """The optimism of the searches' own scores; where there are several data sets, each row names its own."""
    frame, unit = evidence.tables.optimism, evidence.unit
    if frame.empty:
        return None
    heads = {"best_validation": "best on validation", "confirmed": "again, on fresh seeds", "test": "held-out test"}
    heads["optimism"] = "optimism, points"
    table = _table(frame, "method", {column: (head, unit.text_format) for column, head in heads.items()})
    text = ["The best of many noisy scores promises too much."]
    if unit is PERCENT:
        text[0] += " Optimism is by how much the held-out test set fell short of it. Scores are in percent."
    text += [f"{row[0]}: {note}; no optimism is computed." for row, note in zip(table.rows, frame["note"], strict=True) if note]
    return Section("What the searches promised", tuple(text), tables=(table,))


def _table(frame: pd.DataFrame, key: str, columns: Mapping[str, tuple[str, str]]) -> Table:
    """A row for each arm or search, with the data set's name where there are several. columns: {column: (head, format)}."""
    several = frame["dataset"].nunique() > 1
    shown = {column: words for column, words in columns.items() if frame[column].notna().any()}
    rows = []
    for _, row in frame.iterrows():
        cells = ("" if pd.isna(row[c]) else format(row[c], spec).replace("-", "−") for c, (_, spec) in shown.items())
        rows.append((label(row[key]) + (f", {row['dataset']}" if several else ""), *cells))
    return Table((key, *(head for head, _ in shown.values())), tuple(rows))


def _policies(evidence: Evidence) -> Section | None:
    if not evidence.policies or evidence.images is None:
        return None
    schedules = {method: policy for method, policy in evidence.policies.items() if isinstance(policy, Schedule)}
    text = "Each row is one sub-policy: operations in order, each with its probability @ its magnitude."
    if schedules:
        text += " A schedule changes over the epochs: six of them are drawn."
    text += f" The images are {evidence.title}'s own, from the training split." if evidence.info else " The images are made up."
    return Section(
        "The policies that were chosen",
        text=(text,),
        strips=tuple((label(method), strips(policy, evidence.images)) for method, policy in evidence.policies.items()),
        charts=tuple(chart for method, schedule in schedules.items() for chart in charts.bands(method, schedule)),
    )


def _importance(evidence: Evidence) -> Section | None:
    chart = charts.effects(evidence)
    if chart is None:
        return None
    text = [
        "An operation counts as used where probability × magnitude, summed over the policy, is above the median of all trials. "
        "Each interval stands by itself: of twenty, one misses by chance."
    ]
    if "random" in evidence.searches:
        text.append(
            "Random search draws its policies blindly, so its differences are the operations' own doing. "
            "The other searches repeat together what did well together, and theirs are not."
        )
    else:
        text.append("The searches repeat together what did well together, so no difference is one operation's doing alone.")
    return Section("Which operations matter", tuple(text), charts=(chart,))


def _mistakes(evidence: Evidence) -> Section | None:
    there = set(evidence.tables.recall["arm"])
    arms = [arm for arm in dict.fromkeys(("none", evidence.best)) if arm in there]
    if not arms:
        return None
    names = ["before" if arm == "none" else "after" for arm in arms]
    drawn = [charts.confusion(evidence, arm, name) for arm, name in zip(arms, names, strict=True)]
    text = "Without augmentation, and with the best arm; on the held-out test set."
    return Section("Mistakes, before and after", (text,), charts=(charts.recall(evidence, arms), *drawn))


def cost(evidence: Evidence) -> Section:
    """A row for each arm, and each data set where there are several."""
    columns = {
        "search_trials": ("trials", ",.0f"),
        "search_confirmations": ("confirmations", ",.0f"),
        "search_epochs": ("epochs searched", ",.0f"),
        "search_seconds": ("device-seconds searched", ",.0f"),
        "n": ("trainings", ",.0f"),
        "training_epochs": ("epochs a training", ",.0f"),
        "training_seconds": ("device-seconds a training", ",.1f"),
    }
    return Section("What it cost", tables=(_table(evidence.tables.results, "arm", columns),))


def _origin(evidence: Evidence) -> Section:
    info, facts = evidence.info, list(evidence.facts.items())
    if info is not None:
        sizes = ", ".join(f"{sum(counts)} {split}" for split, counts in info.counts.items())
        shape = f"{info.channels} × {info.height} × {info.width}"
        facts += [("images", f"{sizes}; {len(info.classes)} classes; {shape}"), ("SHA-256", info.fingerprint)]
        facts += [("note", note) for note in info.notes]
    stages = ["prepare"] * (info is not None) + ["search", "retrain", "tabulate"]
    return Section(
        "How to make it again",
        text=("In a checkout of augsearch, with the settings below as params.yaml:",),
        code=origin.commands(evidence.facts, " ".join(stages)),
        facts=tuple(facts),
        listing=("params.yaml", evidence.params),
    )


def summary(evidence: Evidence) -> list[str]:
    """The tables in words, as lines of Markdown: each comparison, and how optimistic each search was."""
    differences, optimism, lines = evidence.tables.differences, evidence.tables.optimism, list[str]()
    if len(differences):
        how = (
            f"Paired by training seed, {evidence.interval}s; a difference counts as found where p < "
            f"{1 - evidence.confidence:.2g} after Holm's correction for {len(differences)} of them."
        )
        each = [f"- {sentence[0].upper()}{sentence[1:]}." for sentence in differences["sentence"]]
        lines += ["## What the table says", "", *each, "", how, ""]
    tested = optimism[optimism["test"].notna()]
    if len(tested):
        lines += ["## How optimistic the searches were", "", *(_promise(row) for _, row in tested.iterrows()), ""]
    return lines


def _promise(row: pd.Series) -> str:
    if row["note"]:
        return f"- {label(row['method'])}: {row['note']}, so its validation score is not compared with the arm's on test."
    return (
        f"- {label(row['method'])}: its best trial scored {row['best_validation']:.1f} % on validation, the policy that it "
        f"chose {row['test']:.1f} % on test ({row['optimism']:+.1f} points of optimism)."
    )


def unbroken(text: str) -> str:
    """No line may end inside `81.8 ± 0.5 %` or `n = 10`."""
    return re.sub(r" (±|=|%) ?", lambda found: found[0].replace(" ", "\u00a0"), text)
