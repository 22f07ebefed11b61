"""PBA's schedule logs (Ho et al.: Population Based Augmentation, 2019; github.com/arcelien/pba, `schedules/`).

A line for each change of policy in one lineage, oldest first, as JSON or as a Python literal:

    [target_trial, clone_trial, target_epochs, clone_epochs, old_config, new_config]

A config is 60 integers, or a dict that holds them as `hp_policy`: twice the 15 of `ops.PBA_OPERATIONS`, each with a
probability level (0..10, tenths) and a magnitude level (0..9).
"""

from __future__ import annotations

from typing import Any

from augsearch.errors import PolicyError
from augsearch.policy import Operation, Policy, Schedule, Segment, SubPolicy
from augsearch.policy.exchange.options import Options
from augsearch.policy.exchange.reading import number, parse, read_text
from augsearch.policy.ops import PBA_OPERATIONS


def load(source: str, options: Options) -> Schedule:
    """The schedule of a log, stretched to `options.epochs`.

    Raises:
        PolicyError: a line that is not as above, or epochs that do not fit; it names the file and the line.
    """
    lines = enumerate(read_text(source).splitlines(), 1)
    rows = _lineage([_row(line, f"{source}:{number}") for number, line in lines if line.strip()])
    if not rows:
        raise PolicyError(f"{source}: empty; must hold a schedule log")
    starts = [epochs for epochs, _ in rows]
    ends = [*starts[1:], options.search_epochs]
    lengths = [starts[0], *(end - start for start, end in zip(starts, ends, strict=True))]
    if min(lengths) < 0:
        raise PolicyError(
            f"{source}: policies change after {starts} epochs; must rise, up to --search-epochs {options.search_epochs}"
        )
    policies = [rows[0][1][0], *(new for _, (_, new) in rows)]
    found = Schedule(tuple(Segment(n, policy) for n, policy in zip(lengths, policies, strict=True) if n))
    return found.stretched(options.epochs or options.search_epochs)


Row = tuple[int, tuple[Policy, Policy]]  # after how many epochs; the policies before and after


def _lineage(rows: list[tuple[str, str, Row]]) -> list[Row]:
    """Without the leading rows of other lineages: each row's target is cloned by the next."""
    breaks = [i for i in range(len(rows) - 1) if rows[i][0] != rows[i + 1][1]]
    first = breaks[-1] + 1 if breaks else 0
    return [row for _, _, row in rows[first:]]


def _row(line: str, place: str) -> tuple[str, str, Row]:
    """(target trial, clone trial, row)."""
    row = parse(line, place)
    if not isinstance(row, list | tuple) or len(row) != 6:
        raise PolicyError(f"{place}: must be a list of six: two trials, two epochs, the old and the new policy")
    epochs = int(number(row[3], 0, 1e9, f"{place}, epochs"))
    return str(row[0]), str(row[1]), (epochs, (_policy(row[4], f"{place}, old"), _policy(row[5], f"{place}, new")))


def _policy(config: Any, place: str) -> Policy:
    levels = config.get("hp_policy") if isinstance(config, dict) else config
    if not isinstance(levels, list | tuple) or len(levels) != 4 * len(PBA_OPERATIONS):
        raise PolicyError(f"{place}: must be {4 * len(PBA_OPERATIONS)} integers, or a dict with them as 'hp_policy'")
    entries = []
    for i, name in enumerate(PBA_OPERATIONS * 2):
        probability = number(levels[2 * i], 0, 10, f"{place}[{2 * i}]") / 10
        entries.append(Operation(name, probability, number(levels[2 * i + 1], 0, 10, f"{place}[{2 * i + 1}]")))
    return Policy(tuple(SubPolicy((entry,)) for entry in entries), "pba", "count")
