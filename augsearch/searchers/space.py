"""The space of policies: Tuun's, as a scikit-optimize space, and as arrays that a surrogate can work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skopt.space import Categorical, Real, Space

from augsearch.ops import Floats, find
from augsearch.policy import Draw, Operation, Policy, SubPolicy


@dataclass(frozen=True)
class Points:
    """N policies of S slots each, as arrays: operation (N, S) index, probability and magnitude (N, S) in [0, 1]."""

    operation: NDArray[np.int64]
    probability: Floats
    magnitude: Floats

    def __len__(self) -> int:
        return len(self.operation)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[np.int64]) -> Points:
        return Points(self.operation[rows], self.probability[rows], self.magnitude[rows])

    @staticmethod
    def concatenate(parts: Sequence[Points]) -> Points:
        return Points(
            np.concatenate([p.operation for p in parts]),
            np.concatenate([p.probability for p in parts]),
            np.concatenate([p.magnitude for p in parts]),
        )


class PolicySpace:
    """Policies of `sub_policies` x `operations_each` slots; a slot is an operation, a probability, a magnitude."""

    def __init__(
        self, operations: Sequence[str], sub_policies: int = 5, operations_each: int = 2, draw: Draw = "batch"
    ) -> None:
        self.operations = tuple(operations)
        self.sub_policies = sub_policies
        self.operations_each = operations_each
        self.draw = draw
        self.slots = sub_policies * operations_each
        # Categories are index strings: scikit-optimize mangles other kinds.
        indices = [str(i) for i in range(len(self.operations))]
        self.space = Space(
            [
                dimension
                for i in range(1, sub_policies + 1)
                for j in range(1, operations_each + 1)
                for dimension in (
                    Categorical(indices, name=f"operation{i}_{j}"),
                    Real(0.0, 1.0, name=f"prob{i}_{j}"),
                    Real(0.0, 1.0, name=f"magnitude{i}_{j}"),
                )
            ]
        )
        with_magnitude = np.array([find(name).magnitude for name in self.operations])
        self._with_magnitude = np.flatnonzero(with_magnitude)

    def sample(self, n: int, seed: Sequence[int]) -> Points:
        """n policies, uniform over the space."""
        state = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
        return self.points(self.space.rvs(n, random_state=state))

    def points(self, rows: Sequence[Sequence[object]]) -> Points:
        """scikit-optimize's rows, [operation, probability, magnitude] for each slot, as arrays."""
        table = np.array(rows, dtype=object).reshape(len(rows), self.slots, 3)
        return Points(table[:, :, 0].astype(np.int64), table[:, :, 1].astype(np.float64), table[:, :, 2].astype(np.float64))

    def policy(self, points: Points, row: int) -> Policy:
        flat = [
            # rounded: nobody can tell 0.3127 from 0.312698, but can read it
            Operation(self.operations[int(o)], round(float(p), 4), round(float(m), 4))
            for o, p, m in zip(points.operation[row], points.probability[row], points.magnitude[row], strict=True)
        ]
        each = self.operations_each
        pairs = tuple(SubPolicy(tuple(flat[i : i + each])) for i in range(0, self.slots, each))
        return Policy(pairs, "tuun", self.draw)

    def features(self, points: Points) -> Floats:
        """(N, F): for each operation the sum over its slots of p, and of p * m where it has a magnitude.

        Sub-policies are exchangeable and their operations nearly so; what a policy does to a data set is mostly
        how often each operation is applied, and how strongly. A surrogate on these features need not learn that.
        """
        count, kinds = len(points), len(self.operations)
        often, strong = np.zeros((count, kinds)), np.zeros((count, kinds))
        rows = np.repeat(np.arange(count), self.slots)
        at = (rows, points.operation.ravel())
        np.add.at(often, at, points.probability.ravel())
        np.add.at(strong, at, (points.probability * points.magnitude).ravel())
        return np.hstack([often, strong[:, self._with_magnitude]])

    def mutants(self, points: Points, n: int, rng: np.random.Generator) -> Points:
        """n changed copies of the given policies: a few slots of each resampled or moved."""
        parents = points[rng.integers(len(points), size=n)]
        shape = parents.operation.shape
        changed = rng.random(shape) < rng.uniform(0.05, 0.5, (n, 1))
        changed[np.arange(n), rng.integers(self.slots, size=n)] = True
        replaced = changed & (rng.random(shape) < 0.4)
        moved = changed & ~replaced
        operation = np.where(replaced, rng.integers(len(self.operations), size=shape), parents.operation)

        def move(values: Floats) -> Floats:
            near = np.clip(values + rng.normal(0, 0.2, shape), 0, 1)
            return np.where(replaced, rng.random(shape), np.where(moved, near, values))

        return Points(operation, move(parents.probability), move(parents.magnitude))
