"""What the report says, section by section, in words, figures and tables; where there is nothing to say, no section."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from augsearch.evidence.report import figures
from augsearch.evidence.report.evidence import Evidence
from augsearch.evidence.report.figures import Figure
from augsearch.evidence.report.strips import Strip, strips
from augsearch.evidence.results import Estimate
from augsearch.policy import Schedule
from augsearch.training.metrics import spoken


@dataclass(frozen=True)
class Table:
    """Text in rows under a head; `strong` names the cells (row, column) in bold."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Section:
    title: str
    text: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """Points that are folded away."""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    strips: tuple[tuple[str, tuple[Strip, ...]], ...] = ()
    """(heading, its rows of images)."""
    facts: tuple[tuple[str, str], ...] = ()
    code: str = ""
    listing: tuple[str, str] | None = None
    """(heading, a text that is folded away)."""


def lead(evidence: Evidence) -> str:
    """The one sentence for those who read only one."""
    objective = evidence.settings.search.objective
    found = evidence.estimates(objective)[evidence.info.name]
    best = evidence.best
    against = f", against {found['none']} % without augmentation" if "none" in found and best != "none" else ""
    return unbroken(f"{evidence.label(best)} has the highest mean test {spoken(objective)}: {found[best]} %{against}.")


def sections(evidence: Evidence) -> list[Section]:
    parts = [result(evidence), _comparisons(evidence), _searches(evidence)]
    parts += [promises(evidence, evidence.own(evidence.optimism)), _policies(evidence)]
    parts += [_importance(evidence), _mistakes(evidence), cost(evidence), _origin(evidence)]
    return [section for section in parts if section is not None]


def result(evidence: Evidence) -> Section:
    """The table, a row for each data set and measure, and a chart for each data set."""
    objective = evidence.settings.search.objective
    by_measure = {measure: evidence.estimates(measure) for measure in dict.fromkeys(("accuracy", objective))}
    note = (
        f"Test {' and '.join(map(spoken, by_measure))} in percent: mean ± half of the "
        f"{100 * evidence.settings.table.confidence:g} % interval (Student's t); the best mean of a row in bold."
    )
    rows = {
        name if measure == "accuracy" else f"{name}, {spoken(measure)}": row
        for measure, found in by_measure.items()
        for name, row in found.items()
    }
    counts = [e.n for row in rows.values() for e in row.values()]
    count = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{min(counts)}"
    return Section(
        "Result",
        text=(
            note,
            f"Each arm was trained {count} times on seeds that no search had used. "
            "The test part was read after every policy was fixed.",
        ),
        tables=(_scores_table(evidence, rows),),
        figures=tuple(figures.results(evidence, dataset) for dataset in by_measure[objective]),
    )


def _scores_table(evidence: Evidence, rows: dict[str, dict[str, Estimate]]) -> Table:
    arms = list(dict.fromkeys(arm for row in rows.values() for arm in row))
    best = {(i, 1 + arms.index(max(row, key=lambda arm: row[arm].mean))) for i, row in enumerate(rows.values())}
    body = tuple((name, *(str(row[arm]) if arm in row else "" for arm in arms)) for name, row in rows.items())
    return Table(("", *map(evidence.label, arms)), body, frozenset(best))


def _comparisons(evidence: Evidence) -> Section | None:
    frame = evidence.own(evidence.differences)
    if frame is None:
        return None
    first = frame["arm"] == evidence.best
    return Section(
        "What it says",
        text=("Arms are compared training by training on the same seeds, with Holm's correction for asking so often.",),
        points=tuple(map(unbroken, frame[first]["sentence"].astype(str))),
        more=tuple(map(unbroken, frame[~first]["sentence"].astype(str))),
        figures=tuple(
            figures.differences(evidence, str(measure), rows) for measure, rows in frame.groupby("measure", sort=False)
        ),
    )


def _searches(evidence: Evidence) -> Section | None:
    curves = figures.curves(evidence)
    if not curves:
        return None
    text = ["The best validation score that each search had seen after so many trials, and after so many seconds of computing."]
    if any(search.method == "random" for search in evidence.searches):
        text.append(
            f"The band is luck: where the best of so many random trials lies in {100 * evidence.settings.table.confidence:g} % "
            "of repetitions, by random search's own trials. A curve inside the band may have been lucky."
        )
    return Section("The searches", tuple(text), figures=tuple(curves))


def promises(evidence: Evidence, frame: pd.DataFrame | None) -> Section | None:
    """frame: rows of `Evidence.optimism`; where they are of several data sets, each row names its own."""
    if frame is None or frame.empty:
        return None
    several = frame["dataset"].nunique() > 1
    head = {
        "best_validation": "best on validation",
        "confirmed": "again, on fresh seeds",
        "test": "sealed test",
        "optimism": "optimism, points",
        "originals_rule": "the originals' rule",
    }
    columns = [column for column in head if column in frame and frame[column].notna().any()]
    rows = tuple(
        (
            evidence.label(str(row["method"])) + (f", {row['dataset']}" if several else ""),
            *(_one_decimal(float(row[column])) for column in columns),
        )
        for _, row in frame.iterrows()
    )
    text = [
        "The best of many noisy scores promises too much; optimism is by how much the sealed test fell short of it.",
        "Scores are in percent.",
    ]
    if "originals_rule" in columns:
        text[1] += " The originals' rule takes the best test score over all epochs and trials: what it would have claimed."
    table = Table(("search", *(head[column] for column in columns)), rows)
    return Section("What the searches promised", tuple(text), tables=(table,))


def _policies(evidence: Evidence) -> Section | None:
    found = [search for search in evidence.searches if search.found is not None]
    if not found:
        return None
    text = "Each row is one sub-policy: operations in order, each with its probability @ its magnitude."
    if any(isinstance(search.found, Schedule) for search in found):
        text += " A schedule changes over the epochs: six of them are drawn."
    bands = [figure for s in found if isinstance(s.found, Schedule) for figure in figures.bands(evidence, s.method, s.found)]
    return Section(
        "The policies that were found",
        text=(text + f" The images are {evidence.info.name}'s own, from the training part.",),
        strips=tuple(
            (evidence.label(search.method), strips(search.found, evidence.images)) for search in found if search.found
        ),
        figures=tuple(bands),
    )


def _importance(evidence: Evidence) -> Section | None:
    figure = figures.effects(evidence)
    if figure is None:
        return None
    text = [
        "An operation counts as used where probability × magnitude, summed over the policy, is above the median of all trials. "
        "Each interval stands by itself: of twenty, one misses by chance."
    ]
    if any(search.method == "random" for search in evidence.searches):
        text.append(
            "Random search draws its policies blindly, so its differences are the operations' own doing. "
            "The other searches repeat together what did well together, and theirs are not."
        )
    else:
        text.append("The searches repeat together what did well together, so no difference is one operation's doing alone.")
    return Section("Which operations matter", tuple(text), figures=(figure,))


def _mistakes(evidence: Evidence) -> Section | None:
    confusion, recall = evidence.own(evidence.confusion), evidence.own(evidence.recall)
    drawn: list[Figure] = []
    for frame in (recall, confusion):
        if frame is None:
            continue
        arms = [arm for arm in dict.fromkeys(("none", evidence.best)) if (frame["arm"] == arm).any()]
        if frame is recall and arms:
            drawn.append(figures.recall(evidence, frame, arms))
        elif frame is confusion:
            drawn += [figures.confusion(evidence, frame, arm, "before" if arm == "none" else "after") for arm in arms]
    if not drawn:
        return None
    text = "Without augmentation, and with the best arm; on the test part."
    return Section("Mistakes, before and after", (text,), figures=tuple(drawn))


def cost(evidence: Evidence) -> Section:
    """A row for each arm, and each data set where there are several."""
    head = {
        "search_trials": ("trials", "{:,.0f}"),
        "search_confirmations": ("confirmations", "{:,.0f}"),
        "search_epochs": ("epochs searched", "{:,.0f}"),
        "search_seconds": ("device-seconds searched", "{:,.0f}"),
        "n": ("trainings", "{:,.0f}"),
        "training_epochs": ("epochs a training", "{:,.0f}"),
        "training_seconds": ("device-seconds a training", "{:,.1f}"),
    }
    frame = evidence.results
    columns = [column for column in head if column in frame]
    several = frame["dataset"].nunique() > 1
    rows = tuple(
        (f"{row['label']}, {row['dataset']}" if several else str(row["label"]), *(head[c][1].format(row[c]) for c in columns))
        for _, row in frame.iterrows()
    )
    return Section("What it cost", tables=(Table(("arm", *(head[c][0] for c in columns)), rows),))


def _origin(evidence: Evidence) -> Section:
    info = evidence.info
    sizes = ", ".join(f"{sum(counts)} {split}" for split, counts in info.counts.items())
    shape = f"{info.channels} × {info.height} × {info.width}"
    facts = [*evidence.origin.items(), ("images", f"{sizes}; {len(info.classes)} classes; {shape}")]
    facts += [("SHA-256", info.fingerprint), *(("note", note) for note in info.notes)]
    return Section(
        "How to make it again",
        text=("In a checkout of augsearch, with the settings below as params.yaml:",),
        code=commands(evidence, "prepare search retrain tabulate"),
        facts=tuple(facts),
        listing=("params.yaml", evidence.params),
    )


def commands(evidence: Evidence, stages: str) -> str:
    """From a clone to these results; stages: what follows `python -m flows`."""
    commit = evidence.origin.get("commit", "")
    checkout = [f"git checkout {commit.split()[0]}"] if commit and not commit.startswith("not ") else []
    return "\n".join([*checkout, "make setup", f".venv/bin/python -m flows {stages}"])


def all_figures(parts: Sequence[Section]) -> Iterator[Figure]:
    for part in parts:
        yield from part.figures


def unbroken(text: str) -> str:
    """No line may end inside `81.8 ± 0.5 %` or `n = 10`."""
    return re.sub(r" (±|=|%) ?", lambda found: found[0].replace(" ", "\u00a0"), text)


def _one_decimal(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}".replace("-", "−")
