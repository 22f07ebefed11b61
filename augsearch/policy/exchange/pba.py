"""PBA's schedule logs (Ho et al.: Population Based Augmentation, 2019; github.com/arcelien/pba, `schedules/`).

A line for each time that a trial became a copy of another with a changed policy, as JSON or as a Python literal:

    [target_trial, clone_trial, target_epochs, clone_epochs, old_config, new_config]

A config is 60 integers, or a dict that holds them as `hp_policy`: twice the 15 of `ops.PBA_OPERATIONS`, each with a
probability level (0..10, tenths) and a magnitude level (0..9). Ray Tune, which PBA searches with, writes two kinds of files:
`pbt_policy_3.txt` is the lineage of trial 3, oldest first; `pbt_global.txt` has the lines of all trials as they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from augsearch.errors import PolicyError
from augsearch.policy import Operation, Policy, Schedule, Segment, SubPolicy
from augsearch.policy.exchange.options import Options
from augsearch.policy.exchange.reading import number, parse, read_text
from augsearch.policy.ops import PBA_OPERATIONS


@dataclass(frozen=True)
class Row:
    """A trial that became a copy of another."""

    target: str
    clone: str
    epochs: int
    """Epochs that the clone had trained."""
    old: Policy
    """The clone's policy."""
    new: Policy
    """The target's from then on."""


def load(source: str, options: Options) -> Schedule:
    """Read the schedule of a trial from a log, stretched to `options.epochs`.

    Raises:
        PolicyError: a line that is not as above, epochs that do not fit, or a log of several trials of which
            `options.trial` names none; it names the file and the line.
    """
    lines = enumerate(read_text(source).splitlines(), 1)
    rows = [_row(line, f"{source}:{number}") for number, line in lines if line.strip()]
    if not rows:
        raise PolicyError(f"{source}: empty; must hold a schedule log")
    trial = _chosen(rows, source, options.trial)
    lineage = _lineage(rows, trial)
    if lineage:
        schedule = _schedule(lineage, source, options.search_epochs)
    else:  # others copied it, and it kept its first policy
        schedule = Schedule((Segment(options.search_epochs, next(row.old for row in rows if row.clone == trial)),))
    return schedule.stretched(options.epochs or options.search_epochs)


def _chosen(rows: list[Row], source: str, trial: str | None) -> str:
    """Choose the trial to follow: the one named, or else the one that a log of one lineage ends with."""
    trials = sorted({row.target for row in rows} | {row.clone for row in rows}, key=lambda name: (len(_number(name)), name))
    if trial is not None:
        named = [name for name in trials if trial in (name, _number(name))]
        if len(named) != 1:
            raise PolicyError(f"{source}: --trial {trial}: must be one of {', '.join(trials)}")
        return named[0]
    if Path(source).name == "pbt_global.txt" or not _is_lineage(rows):
        raise PolicyError(
            f"{source}: the lines of {len(trials)} trials ({', '.join(trials)}) as they came, and not which was best; "
            "name the one whose schedule to follow with --trial, or import its pbt_policy_N.txt"
        )
    return rows[-1].target


def _number(name: str) -> str:
    """The number that a trial's name begins with, before what Ray Tune adds of its parameters."""
    return "".join(takewhile(str.isdecimal, name))


def _is_lineage(rows: list[Row]) -> bool:
    """Tell whether the rows can be one trial's own file.

    A trial's file is its clone's with a row added. Where the clone has none, as it never was a copy itself, the row is added
    to what the trial had before: those rows of an earlier life have the same target.
    """
    return all(after.clone == before.target or after.target == before.target for before, after in pairwise(rows))


def _lineage(rows: list[Row], trial: str) -> list[Row]:
    """The rows that led to the trial's last state, oldest first: its clone's up to then, and its own last one."""
    lineages: dict[str, list[Row]] = {}
    for row in rows:
        lineages[row.target] = [*lineages.get(row.clone, []), row]
    return lineages.get(trial, [])


def _schedule(rows: list[Row], source: str, search_epochs: int) -> Schedule:
    for before, after in pairwise(rows):
        if before.new != after.old:
            raise PolicyError(
                f"{source}: trial {after.clone} has another policy after {after.epochs} epochs than the lines before gave it; "
                "lines are missing"
            )
    starts = [row.epochs for row in rows]
    lengths = [starts[0], *(end - start for start, end in pairwise([*starts, search_epochs]))]
    if min(lengths) < 0:
        raise PolicyError(f"{source}: policies change after {starts} epochs; must rise, up to --search-epochs {search_epochs}")
    policies = [rows[0].old, *(row.new for row in rows)]
    return Schedule(tuple(Segment(n, policy) for n, policy in zip(lengths, policies, strict=True) if n))


def _row(line: str, place: str) -> Row:
    row = parse(line, place)
    if not isinstance(row, list | tuple) or len(row) != 6:
        raise PolicyError(f"{place}: must be a list of six: two trials, two epochs, the old and the new policy")
    epochs = int(number(row[3], 0, 1e9, f"{place}, epochs"))
    return Row(str(row[0]), str(row[1]), epochs, _policy(row[4], f"{place}, old"), _policy(row[5], f"{place}, new"))


def _policy(config: Any, place: str) -> Policy:
    levels = config.get("hp_policy") if isinstance(config, dict) else config
    if not isinstance(levels, list | tuple) or len(levels) != 4 * len(PBA_OPERATIONS):
        raise PolicyError(f"{place}: must be {4 * len(PBA_OPERATIONS)} integers, or a dict with them as 'hp_policy'")
    entries = []
    for i, name in enumerate(PBA_OPERATIONS * 2):
        probability = number(levels[2 * i], 0, 10, f"{place}[{2 * i}]") / 10
        entries.append(Operation(name, probability, number(levels[2 * i + 1], 0, 10, f"{place}[{2 * i + 1}]")))
    return Policy(tuple(SubPolicy((entry,)) for entry in entries), "pba", "count")
