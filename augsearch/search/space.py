"""Search spaces: rows of numbers in [0, 1], the parameters that they stand for, and how rows are drawn and varied."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from augsearch.policy import Draw
from augsearch.policy.ops import Floats
from augsearch.search.blocks import Block, Blocks, Choice, Params
from augsearch.search.notation import read_blocks
from augsearch.search.number import Number
from augsearch.search.policy_block import PolicyBlock

__all__ = ["Block", "Choice", "Number", "Params", "PolicyBlock", "Space", "policy_space", "read_space"]

_LISTED = 5000


class Space(Blocks):
    """Blocks side by side, as a space to search: rows in [0, 1]^D."""

    @cached_property
    def every_row(self) -> Floats | None:
        """One row for each point, (K, D), of a space of at most `_LISTED` points; None for a larger one."""
        return self.grid(_LISTED)

    def keys(self, rows: Floats) -> list[bytes]:
        """A key for each row (N, D), equal for rows that decode to equal parameters."""
        return [row.tobytes() for row in self.features(rows).round(9) + 0.0]

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Uniformly random rows, (n, D)."""
        return rng.random((n, self.columns))

    def offspring(self, rows: Floats, n: int, rng: np.random.Generator) -> Floats:
        """Rows (n, D) that take each unit (a sub-policy, a parameter) from one of two of the given rows."""
        one, other = (rows[rng.integers(len(rows), size=n)] for _ in range(2))
        from_one = rng.random((n, int(self.units.max()) + 1)) < 0.5
        return np.where(from_one[:, self.units], one, other)

    def mutants(self, rows: Floats, n: int, rng: np.random.Generator) -> Floats:
        """Changed copies (n, D) of the given rows: some columns resampled or moved, by steps of very different sizes."""
        parents = rows[rng.integers(len(rows), size=n)]
        shape = parents.shape
        changed = rng.random(shape) < rng.uniform(0.03, 0.5, (n, 1))
        changed[np.arange(n), rng.integers(self.columns, size=n)] = True
        replaced = changed & (rng.random(shape) < np.where(self.resampled, 0.5, 0.2))
        moved = changed & ~replaced & ~self.resampled
        near = np.clip(parents + rng.normal(size=shape) * 10 ** rng.uniform(-2, -0.6, (n, 1)), 0, 1)
        return np.where(replaced, rng.random(shape), np.where(moved, near, parents))


def policy_space(operations: Sequence[str], sub_policies: int = 5, operations_each: int = 2, draw: Draw = "batch") -> Space:
    """Tuun's space of policies alone."""
    return Space([PolicyBlock(operations, sub_policies, operations_each, draw)])


def read_space(space: object) -> Space:
    """Read any notation of a space (`augsearch.search.notation`); a `Space` is returned as it is.

    Raises:
        SettingsError: one line with the parameter, what it says and what is allowed.
    """
    return space if isinstance(space, Space) else Space(read_blocks(space))
