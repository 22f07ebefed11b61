"""Tables of the operations for a transform by Pillow, made from `augsearch.policy.ops`: as Python objects for this project,
and as source text for an exported module."""

from __future__ import annotations

from augsearch.policy.ops import CONVENTIONS, OPS
from augsearch.policy.ops.magnitudes import Linear

_SINGLE = {name: op for name, op in OPS.items() if not op.paired}

FILL: dict[str, tuple[int, int, int]] = {dialect: convention.fill for dialect, convention in CONVENTIONS.items()}
"""Colour outside the frame, by dialect."""
MEANING: dict[str, dict[str, Linear]] = {
    name: {str(dialect): meaning for dialect, meaning in op.meaning.items()} for name, op in _SINGLE.items() if op.meaning
}
"""The meaning of a magnitude, by operation and dialect."""
SIGNED: dict[str, tuple[str, ...]] = {name: op.signed for name, op in _SINGLE.items() if op.signed}
"""The dialects that draw a magnitude's sign, by operation."""
MOVES: tuple[str, ...] = tuple(name for name, op in _SINGLE.items() if op.moves)
"""Operations after which masks and boxes no longer match the image."""


def source() -> str:
    """Write the tables above as Python."""
    return "\n".join(
        (
            f"FILL: dict[str, tuple[int, int, int]] = {_written(FILL)}",
            f"MEANING: dict[str, dict[str, Linear]] = {_written(MEANING)}",
            f"SIGNED: dict[str, tuple[str, ...]] = {_written(SIGNED)}",
            f"MOVES: tuple[str, ...] = {_written(MOVES)}",
        )
    )


def _written(value: object, indent: str = "") -> str:
    """Dicts with an entry on each line; anything else as `repr` has it."""
    if not isinstance(value, dict):
        return repr(value)
    entries = "".join(f"{indent}    {key!r}: {_written(each, indent + '    ')},\n" for key, each in value.items())
    return f"{{\n{entries}{indent}}}"
