"""A whole augmentation policy as one block of a search space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augsearch.errors import SettingsError
from augsearch.policy import Draw, Operation, Policy, SubPolicy
from augsearch.policy.ops import Floats, find
from augsearch.search.blocks import Params, Row


class PolicyBlock:
    """A policy of `sub_policies` x `operations_each` slots; a slot is an operation, a probability, a magnitude.

    Columns: (operation, probability, magnitude) for each slot. A row decodes to {"policy": Policy}, or, with
    `names` ({our operation: the file's spelling}), to NNI's parameters under the names that Tuun's file uses.
    """

    def __init__(
        self,
        operations: Sequence[str],
        sub_policies: int = 5,
        operations_each: int = 2,
        draw: Draw = "batch",
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.operations = tuple(operations)
        self.sub_policies = sub_policies
        self.operations_each = operations_each
        self.draw = draw
        self.names = names
        self.slots = sub_policies * operations_each
        places = [f"{i}_{j}" for i in range(1, sub_policies + 1) for j in range(1, operations_each + 1)]
        named = tuple(f"{key}{place}" for place in places for key in ("operation", "prob", "magnitude"))
        self.parameters = ("policy",) if names is None else named
        self.columns = 3 * self.slots
        self.resampled = np.tile([True, False, False], self.slots)
        self.units = np.repeat(np.arange(sub_policies), 3 * operations_each)
        self._with_magnitude = np.flatnonzero([find(name).magnitude for name in self.operations])
        self.groups = [len(self.operations) + len(self._with_magnitude)]

    def _arrays(self, rows: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Operation index, probability, magnitude, each (N, slots)."""
        table = rows.reshape(len(rows), self.slots, 3)
        count = len(self.operations)
        return np.minimum((table[..., 0] * count).astype(np.int64), count - 1), table[..., 1], table[..., 2]

    def decode(self, row: Row) -> Params:
        """The policy, or Tuun's parameters, that a row (columns,) stands for."""
        operation, probability, magnitude = (values[0] for values in self._arrays(np.asarray(row)[None]))
        flat = [
            # rounded: nobody can tell 0.3127 from 0.312698, but can read it
            Operation(self.operations[o], round(float(p), 4), round(float(m), 4))
            for o, p, m in zip(operation, probability, magnitude, strict=True)
        ]
        if self.names is None:
            return {"policy": self._policy(flat)}
        values = [value for o in flat for value in (self.names[o.name], o.probability, o.magnitude)]
        return dict(zip(self.parameters, values, strict=True))

    def row(self, params: Params) -> Floats:
        """The reverse of `decode`. Raises SettingsError or PolicyError if these are no parameters of this space."""
        if self.names is None:
            policy = params["policy"]
        else:
            ours = {theirs: name for name, theirs in self.names.items()}
            values = [params[name] for name in self.parameters]
            flat = [
                Operation(ours.get(o, str(o)), float(p), float(m))
                for o, p, m in zip(values[::3], values[1::3], values[2::3], strict=True)
            ]
            policy = self._policy(flat)
        row = self.encode(policy) if isinstance(policy, Policy) and policy.draw == self.draw else None
        if row is None:
            shape = f"{self.sub_policies} sub-policies, drawn by {self.draw}, of {self.operations_each} operations each"
            raise SettingsError(f"policy: {policy}; must be {shape}, which are of {', '.join(self.operations)}")
        return row

    def _policy(self, flat: Sequence[Operation]) -> Policy:
        """The policy of the operations of all slots."""
        each = self.operations_each
        pairs = tuple(SubPolicy(tuple(flat[i : i + each])) for i in range(0, self.slots, each))
        return Policy(pairs, "tuun", self.draw)

    def describe(self) -> dict[str, Any]:
        """The block as `augsearch.search.notation` reads it."""
        shape = {"sub_policies": self.sub_policies, "operations_each": self.operations_each, "draw": self.draw}
        names = {} if self.names is None else {"names": dict(self.names)}
        return {"policy": {"_type": "policy", "_value": list(self.operations), **shape, **names}}

    def encode(self, policy: Policy) -> Floats | None:
        """The row (columns,) that decodes to a policy; None if the policy is not one of this space's."""
        flat = [operation for sub_policy in policy.sub_policies for operation in sub_policy.operations]
        shape = [len(sub_policy.operations) for sub_policy in policy.sub_policies]
        known = all(operation.name in self.operations for operation in flat)
        if shape != [self.operations_each] * self.sub_policies or not known or policy.dialect != "tuun":
            return None
        middle = [(self.operations.index(o.name) + 0.5) / len(self.operations) for o in flat]
        return np.array([(m, o.probability, o.magnitude) for m, o in zip(middle, flat, strict=True)]).ravel()

    def features(self, rows: Floats) -> Floats:
        """Sum over an operation's slots of p, and of p * m where it has a magnitude, for each operation: (N, F).

        Sub-policies are exchangeable and their operations nearly so; what a policy does to a data set is mostly
        how often each operation is applied, and how strongly. A surrogate on these features need not learn that.
        """
        operation, probability, magnitude = self._arrays(rows)
        count, kinds = len(rows), len(self.operations)
        often, strong = np.zeros((count, kinds)), np.zeros((count, kinds))
        at = (np.repeat(np.arange(count), self.slots), operation.ravel())
        np.add.at(often, at, probability.ravel())
        np.add.at(strong, at, (probability * magnitude).ravel())
        return np.hstack([often, strong[:, self._with_magnitude]])

    def grid(self, limit: int) -> Floats | None:
        """None: probabilities and magnitudes cannot be counted."""
        return None
