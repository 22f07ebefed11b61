"""The table of docs/operations.md: what a magnitude means in each dialect, in words."""

from __future__ import annotations

from fractions import Fraction

from augsearch.policy.ops.magnitudes import Linear
from augsearch.policy.ops.op import CONVENTIONS, DIALECTS, Dialect, Op
from augsearch.policy.ops.table import OPS


def dialect_table() -> str:
    """Write the table in Markdown; operations of the same meanings share a row, and * marks what the original lacks."""
    rows = {"a magnitude m": [CONVENTIONS[dialect].unit for dialect in DIALECTS]}
    rows |= _operations()
    rows["colour outside the frame"] = [str(CONVENTIONS[dialect].fill) for dialect in DIALECTS]
    rows["direction drawn for each image"] = [_listed(dialect) for dialect in DIALECTS]
    lines = [["", *(f"`{dialect}`" for dialect in DIALECTS)], ["---"] * (1 + len(DIALECTS))]
    lines += [[name, *cells] for name, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _operations() -> dict[str, list[str]]:
    """The dialects' cells by the names of the operations."""
    names: dict[tuple[str, ...], list[str]] = {}
    for op in OPS.values():
        names.setdefault(tuple(_cell(op, dialect) for dialect in DIALECTS), []).append(op.name)
    return {", ".join(shared): list(cells) for cells, shared in names.items()}


def _listed(dialect: Dialect) -> str:
    return ", ".join(op.name for op in OPS.values() if dialect in op.signed)


def _cell(op: Op, dialect: Dialect) -> str:
    meaning = op.meaning.get(dialect)
    if meaning is None:
        return "no magnitude"
    formula = meaning.words.format(_formula(meaning, dialect in op.signed)) if meaning.factor else ""
    return ", ".join(filter(None, [formula, meaning.way])) + (" *" if meaning.own else "")


def _formula(meaning: Linear, both_ways: bool) -> str:
    """Such as "round(8 - 4 m)"; an int() drops the fraction."""
    share = meaning.factor if isinstance(meaning.factor, Fraction) else meaning.factor / meaning.levels
    size = str(abs(share)) if isinstance(share, Fraction) else f"{abs(share):g}"
    product = "m" if size == "1" else f"{size} m"
    if meaning.of:
        product += " of the shorter side" if meaning.of == "shorter" else " of the side"
    if meaning.truncated:
        product = f"int({product})"
    if not meaning.start:
        return product
    sign = "±" if both_ways else "+" if share > 0 else "-"
    total = f"{meaning.start:g} {sign} {product}"
    return f"round({total})" if meaning.rounded else total
