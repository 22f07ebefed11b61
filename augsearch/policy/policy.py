"""Policies and schedules: what they are, and their one JSON format.

    policy = Policy((SubPolicy((Operation("Rotate", 0.8, 0.5), Operation("Color", 0.4, 0.9))),))
    save(policy, "policy.json"); load_policy("policy.json") == policy

A policy is some sub-policies; a sub-policy is some operations in order, each with the probability that an
image gets it and a magnitude in the unit of the policy's dialect (see `augsearch.policy.ops`). `draw` says how they
are applied:

- "batch": one sub-policy, drawn uniformly, for a whole mini-batch; each image gets each of its operations
  with that operation's own probability (Tuun, as its blog states it).
- "image": the same, but every image draws its own sub-policy (AutoAugment; Tuun's released code).
- "count": every sub-policy is one operation; a count is drawn from {0, 1, 2} with p = .2, .3, .5; the
  operations are tried in random order until that many were applied (PBA, section 3.2).

A schedule is policies over epochs; a fixed policy is a schedule of one segment. A chain is policies and schedules
applied one after the other to the same image, where one policy cannot say it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from augsearch.errors import PolicyError
from augsearch.files import write_text
from augsearch.policy.ops import CONVENTIONS, DIALECTS, find
from augsearch.policy.ops import Dialect as Dialect

Draw = Literal["batch", "image", "count"]
DRAWS: tuple[Draw, ...] = get_args(Draw)
FORMAT = "augsearch"
VERSION = 1
_MOST_PAIRS = 1000


@dataclass(frozen=True)
class Operation:
    """One operation of a sub-policy."""

    name: str
    """A key of `OPS`, or the import path of your own (see `augsearch.policy.ops.find`)."""
    probability: float
    """In [0, 1]: the chance that an image gets it."""
    magnitude: float
    """In the policy's dialect, without sign: the direction is drawn for each image."""


@dataclass(frozen=True)
class SubPolicy:
    """Operations that an image gets one after the other, each with its own probability."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Policy:
    """Sub-policies, the dialect of their magnitudes, and how they are drawn. Checked when made."""

    sub_policies: tuple[SubPolicy, ...]
    dialect: Dialect = "tuun"
    draw: Draw = "batch"

    def __post_init__(self) -> None:
        _check(self)

    def takes(self, other: Policy) -> bool:
        """Tell whether `then` can append that policy."""
        return (self.dialect, self.draw) == (other.dialect, other.draw) and self.draw != "count"

    def then(self, other: Policy) -> Policy:
        """Append a policy: this one, and `other` after it on the same image, as in Tuun + ETP.

        Uniform, independent draws of one sub-policy from each are one uniform draw from all the pairs.
        """
        if not self.takes(other):
            raise PolicyError(
                f"cannot append a {other.dialect} policy drawn by {other.draw} to a {self.dialect} one drawn by {self.draw}"
            )
        pairs = tuple(SubPolicy(a.operations + b.operations) for a in self.sub_policies for b in other.sub_policies)
        return Policy(pairs, self.dialect, self.draw)


@dataclass(frozen=True)
class Segment:
    """A policy for some epochs of a schedule."""

    epochs: int
    """At least 1."""
    policy: Policy


@dataclass(frozen=True)
class Schedule:
    """Policies over epochs; after its last segment a schedule keeps the last policy."""

    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        if not self.segments:
            raise PolicyError("schedule: no segments; must have at least one")
        for i, segment in enumerate(self.segments):
            if segment.epochs < 1:
                raise PolicyError(f"segments[{i}].epochs: {segment.epochs}; must be at least 1")

    @property
    def epochs(self) -> int:
        """Number of epochs of all segments."""
        return sum(segment.epochs for segment in self.segments)

    def at(self, epoch: int) -> Policy:
        """The policy of an epoch, counted from 0."""
        for segment in self.segments:
            if epoch < segment.epochs:
                return segment.policy
            epoch -= segment.epochs
        return self.segments[-1].policy

    @staticmethod
    def of(parts: Iterable[tuple[int, Policy]]) -> Schedule:
        """Make a schedule of (epochs, policy) in their order; neighbours with the same policy become one segment."""
        segments: list[Segment] = []
        for epochs, policy in parts:
            if segments and segments[-1].policy == policy:
                segments[-1] = Segment(segments[-1].epochs + epochs, policy)
            else:
                segments.append(Segment(epochs, policy))
        return Schedule(tuple(segments))

    def stretched(self, epochs: int) -> Schedule:
        """Stretch it to another number of epochs: every segment is rounded down, the last takes the rest (PBA's own replay)."""
        lengths = [segment.epochs * epochs // self.epochs for segment in self.segments[:-1]]
        lengths.append(epochs - sum(lengths))
        return Schedule(tuple(Segment(n, s.policy) for n, s in zip(lengths, self.segments, strict=True) if n))


@dataclass(frozen=True)
class Chain:
    """Policies and schedules, each applied to what the one before it gives; every one draws for itself."""

    parts: tuple[Policy | Schedule, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise PolicyError("parts: none; must have at least one")


Augmentation = Policy | Schedule | Chain


def stretched(item: Augmentation, epochs: int) -> Augmentation:
    """Stretch the schedules in it to that many epochs; policies stay as they are."""
    if isinstance(item, Chain):
        return Chain(tuple(part.stretched(epochs) if isinstance(part, Schedule) else part for part in item.parts))
    return item.stretched(epochs) if isinstance(item, Schedule) else item


def joined(parts: Iterable[Policy | Schedule]) -> Augmentation | None:
    """Compose policies in order: a single policy if they can be merged, otherwise a chain; None for no input.

    Neighbours of one dialect and draw are merged, unless the pairs of their sub-policies would be very many.
    """
    merged: list[Policy | Schedule] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, Policy) and isinstance(last, Policy) and _worth_pairing(last, part):
            merged[-1] = last.then(part)
        else:
            merged.append(part)
    return Chain(tuple(merged)) if len(merged) > 1 else merged[0] if merged else None


def _worth_pairing(a: Policy, b: Policy) -> bool:
    return a.takes(b) and len(a.sub_policies) * len(b.sub_policies) <= _MOST_PAIRS


def _check(policy: Policy) -> None:
    if policy.dialect not in DIALECTS:
        raise PolicyError(f"dialect: {policy.dialect!r}; must be one of {', '.join(DIALECTS)}")
    if policy.draw not in DRAWS:
        raise PolicyError(f"draw: {policy.draw!r}; must be one of {', '.join(DRAWS)}")
    if not policy.sub_policies:
        raise PolicyError("sub_policies: none; must have at least one")
    for i, sub_policy in enumerate(policy.sub_policies):
        if policy.draw == "count" and len(sub_policy.operations) != 1:
            raise PolicyError(f"sub_policies[{i}]: {len(sub_policy.operations)} operations; draw 'count' takes one each")
        for j, operation in enumerate(sub_policy.operations):
            _check_operation(operation, policy.dialect, f"sub_policies[{i}][{j}]")


def _check_operation(operation: Operation, dialect: Dialect, place: str) -> None:
    try:
        find(operation.name)
    except PolicyError as error:
        raise PolicyError(f"{place}.{error}") from None
    # `not (a <= x <= b)` is also true of NaN
    if not 0.0 <= operation.probability <= 1.0:
        raise PolicyError(f"{place}.probability: {operation.probability}; must be from 0 to 1")
    largest = CONVENTIONS[dialect].largest
    if not 0.0 <= operation.magnitude <= largest:
        raise PolicyError(f"{place}.magnitude: {operation.magnitude}; must be from 0 to {largest:g} in dialect {dialect}")


# --- JSON ---------------------------------------------------------------------------------------------


def to_dict(item: Augmentation) -> dict[str, Any]:
    """Give the JSON form, as plain dicts and lists."""
    return {"format": FORMAT, "version": VERSION} | _body(item)


def _body(item: Augmentation) -> dict[str, Any]:
    if isinstance(item, Policy):
        return {"kind": "policy"} | _policy_body(item)
    if isinstance(item, Chain):
        return {"kind": "chain", "parts": [_body(part) for part in item.parts]}
    segments = [{"epochs": segment.epochs} | _policy_body(segment.policy) for segment in item.segments]
    return {"kind": "schedule", "segments": segments}


def _policy_body(policy: Policy) -> dict[str, Any]:
    sub_policies = [
        [{"operation": o.name, "probability": o.probability, "magnitude": o.magnitude} for o in sub_policy.operations]
        for sub_policy in policy.sub_policies
    ]
    return {"dialect": policy.dialect, "draw": policy.draw, "sub_policies": sub_policies}


def from_dict(data: object) -> Augmentation:
    """Read what `to_dict` gives; an unknown or missing key, or a wrong type, is a PolicyError."""
    if not isinstance(data, dict):
        raise PolicyError(f"a policy file holds a {type(data).__name__}; must be an object")
    if data.get("format") != FORMAT:
        raise PolicyError(f"format: {data.get('format')!r}; must be {FORMAT!r} (other tools' files: augsearch policy import)")
    if data.get("version") != VERSION:
        raise PolicyError(f"version: {data.get('version')!r}; this release reads version {VERSION}")
    head = {"format", "version"}
    if data.get("kind") != "chain":
        return _read_part(data, head, "", "'policy', 'schedule' or 'chain'")
    _known_keys(data, head | {"kind", "parts"}, "")
    parts = enumerate(_list(data, "parts", ""))
    return Chain(tuple(_read_part(part, set(), f"parts[{i}].", "'policy' or 'schedule'") for i, part in parts))


def _read_part(data: object, head: set[str], place: str, kinds: str) -> Policy | Schedule:
    """head: the keys that it holds besides its own."""
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(data, dict) or kind not in ("policy", "schedule"):
        raise PolicyError(f"{place}kind: {kind!r}; must be {kinds}")
    head = head | {"kind"}
    if kind == "policy":
        return _read_policy(data, head, place)
    _known_keys(data, head | {"segments"}, place)
    segments = enumerate(_list(data, "segments", place))
    return Schedule(tuple(_read_segment(segment, f"{place}segments[{i}]") for i, segment in segments))


def _read_segment(data: object, place: str) -> Segment:
    if not isinstance(data, dict) or not isinstance(data.get("epochs"), int):
        raise PolicyError(f"{place}.epochs: must be a whole number")
    return Segment(data["epochs"], _read_policy(data, {"epochs"}, place + "."))


def _read_policy(data: dict[str, Any], head: set[str], place: str) -> Policy:
    _known_keys(data, head | {"dialect", "draw", "sub_policies"}, place)
    sub_policies = []
    for i, operations in enumerate(_list(data, "sub_policies", place)):
        where = f"{place}sub_policies[{i}]"
        if not isinstance(operations, list):
            raise PolicyError(f"{where}: must be a list of operations")
        sub_policies.append(SubPolicy(tuple(_read_operation(o, f"{where}[{j}]") for j, o in enumerate(operations))))
    try:
        return Policy(tuple(sub_policies), data["dialect"], data["draw"])
    except PolicyError as error:
        raise PolicyError(f"{place}{error}") from None


def _read_operation(data: object, place: str) -> Operation:
    if not isinstance(data, dict):
        raise PolicyError(f"{place}: must be an object with operation, probability, magnitude")
    _known_keys(data, {"operation", "probability", "magnitude"}, place + ".")
    for key in ("probability", "magnitude"):
        value = data[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise PolicyError(f"{place}.{key}: {value!r}; must be a number")
    return Operation(str(data["operation"]), float(data["probability"]), float(data["magnitude"]))


def _known_keys(data: dict[str, Any], keys: set[str], place: str) -> None:
    for key in data:
        if key not in keys:
            raise PolicyError(f"{place}{key}: unknown; there are {', '.join(sorted(keys))}")
    for key in sorted(keys):
        if key not in data:
            raise PolicyError(f"{place}{key}: missing")


def _list(data: dict[str, Any], key: str, place: str) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, list):
        raise PolicyError(f"{place}{key}: {value!r}; must be a list")
    return value


def save(item: Augmentation, path: str | Path) -> None:
    """Write the JSON file that `load_policy` reads; a file that lies there is replaced."""
    write_text(Path(path), json.dumps(to_dict(item), indent=1) + "\n")


def load_policy(path: str | Path) -> Augmentation:
    """Read a policy, schedule or chain from its JSON file; a PolicyError names the file and the place."""
    try:
        return from_dict(json.loads(Path(path).read_text()))
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such file") from None
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: not JSON ({error})") from None
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from None
