"""Arms: the ways of augmenting that the final table compares, and what each of them applies.

An arm is a name of `retrain.arms`, or several joined by "+": none; etp; a search method, which stands for the policy that
it chose; autoaugment; randaugment or randaugment-N-M; trivialaugment; published:NAME; file:PATH.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from augsearch.errors import PolicyError, SettingsError
from augsearch.evidence.settings import split
from augsearch.policy import Augmentation, Chain, Operation, Policy, Schedule, Segment, SubPolicy, joined, load_policy
from augsearch.policy.exchange import IMPORTERS, Options
from augsearch.search.settings import METHODS
from augsearch.settings import Settings
from augsearch.workspace import Workspace

LABELS = {
    "none": "No Aug",
    "etp": "ETP",
    "random": "Random search",
    "tuun": "Tuun",
    "pba": "PBA",
    "pba:last": "PBA's last policy",
    "pba:shuffled": "PBA shuffled",
    "pba:random": "Random schedule",
    "autoaugment": "AutoAugment",
    "randaugment": "RandAugment",
    "trivialaugment": "TrivialAugment",
    "published:pba-cifar10": "PBA's CIFAR-10 schedule",
    "published:pba-svhn": "PBA's SVHN schedule",
}
PUBLISHED = Path(__file__).parent.parent / "policy" / "published"
"""Schedules that came with papers, as policy files; their README says from where."""


def _last(schedule: Schedule, rng: np.random.Generator) -> Augmentation:
    return schedule.segments[-1].policy


def _shuffled(schedule: Schedule, rng: np.random.Generator) -> Augmentation:
    policies = [segment.policy for segment in schedule.segments]
    order = rng.permutation(len(policies))
    return Schedule(tuple(Segment(s.epochs, policies[k]) for s, k in zip(schedule.segments, order, strict=True)))


def _at_random(schedule: Schedule, rng: np.random.Generator) -> Augmentation:
    """The same operations and lengths, all levels drawn uniformly."""

    def drawn(policy: Policy) -> Policy:
        levels = [(int(rng.integers(11)) / 10, float(rng.integers(10))) for _ in policy.sub_policies]
        entries = zip((s.operations[0].name for s in policy.sub_policies), levels, strict=True)
        return replace(policy, sub_policies=tuple(SubPolicy((Operation(name, *level),)) for name, level in entries))

    return Schedule(tuple(Segment(segment.epochs, drawn(segment.policy)) for segment in schedule.segments))


ABLATIONS: dict[str, Callable[[Schedule, np.random.Generator], Augmentation]] = {
    "pba:last": _last,
    "pba:shuffled": _shuffled,
    "pba:random": _at_random,
}
"""Ablations of a searched schedule (Ho et al., section 4.3): its last policy held, its order shuffled, random levels."""

_RANDAUGMENT = re.compile(r"randaugment(?:-(\d+)-(\d+))?")
_AUTOAUGMENT = {"cifar10": "cifar10", "cifar100": "cifar10", "svhn": "svhn", "svhn_extra": "svhn"}
"""Which of AutoAugment's policies its paper used on a data set; on any other, ImageNet's."""


def label(arm: str) -> str:
    """The name that the table prints: "tuun+etp" is "Tuun + ETP", a file is its stem."""
    return " + ".join(_label(part) for part in split(arm))


def _label(part: str) -> str:
    if part.startswith("file:"):
        return Path(part.removeprefix("file:")).stem
    levels = _RANDAUGMENT.fullmatch(part)
    return f"RandAugment {levels[1]}, {levels[2]}" if levels and levels[1] else LABELS.get(part, part)


def file_name(arm: str) -> str:
    """A file-system-safe name for the arm. If sanitising changed it, a hash is appended so that two arms never share a file."""
    safe = re.sub(r"[^A-Za-z0-9.+_-]", "-", arm)[-100:]
    return safe if safe == arm else f"{safe}-{hashlib.sha256(arm.encode()).hexdigest()[:8]}"


def check(arm: str, methods: Sequence[str]) -> None:
    """Raise SettingsError, one line, unless this is an arm; methods: names of the searches."""
    parts = split(arm)
    if len(set(parts)) < len(parts):
        raise SettingsError(f"{arm!r}; must not name a part twice")
    if "none" in parts and len(parts) > 1:
        raise SettingsError(f"{arm!r}; none stands alone")
    for part in parts:
        if part not in ("none", "etp", *methods, *ABLATIONS):
            _check_fixed(part, ("none", "etp", *methods))


def _check_fixed(part: str, others: Sequence[str]) -> None:
    kind, _, _ = part.partition(":")
    if kind == "file" or part in (*FIXED, *_published()) or _RANDAUGMENT.fullmatch(part):
        try:
            fixed(part, None, (32, 32))
        except PolicyError as error:
            raise SettingsError(f"{part!r}: {error}") from None
        return
    known = [*others, *FIXED, "randaugment-2-9", *_published(), "file:PATH"]
    near = difflib.get_close_matches(part, known, 1, 0.5)
    guess = f", did you mean {near[0]!r}?" if near else ""
    raise SettingsError(f"{part!r} is unknown{guess}; there are {', '.join(known)}, and several joined by +")


def _published() -> list[str]:
    return [f"published:{file.stem}" for file in sorted(PUBLISHED.glob("*.json"))]


def fixed(part: str, dataset: str | None, sides: tuple[int, int], root: Path = Path()) -> Augmentation:
    """The augmentation of a fixed name: one of `FIXED`, randaugment-N-M, published:NAME or file:PATH.

    Args:
        sides: the images' height and width; some translations are fractions of them.
        root: where a relative file lies.

    Raises:
        PolicyError: the file or the numbers cannot be used.
    """
    kind, _, rest = part.partition(":")
    if kind == "file":
        return load_policy(root / rest)
    if kind == "published":
        return load_policy(PUBLISHED / f"{rest}.json")
    if part in FIXED:
        return FIXED[part](dataset, sides)
    levels = _RANDAUGMENT.fullmatch(part)
    assert levels  # `check` lets nothing else pass
    return _imported("randaugment", f"{levels[1] or 2},{levels[2] or 9}", sides)


def _imported(kind: str, source: str, sides: tuple[int, int]) -> Augmentation:
    return IMPORTERS[kind](source, Options(size=sides))


FIXED: dict[str, Callable[[str | None, tuple[int, int]], Augmentation]] = {
    "autoaugment": lambda dataset, sides: _imported("autoaugment", _AUTOAUGMENT.get(dataset or "", "imagenet"), sides),
    "trivialaugment": lambda dataset, sides: _imported("trivialaugment", "wide", sides),
}
"""The arms that a name alone says: the augmentation of a data set by name, and of the images' height and width."""


def _one(*operations: tuple[str, float, float]) -> Policy:
    return Policy((SubPolicy(tuple(Operation(*operation) for operation in operations)),))


# What somebody who looked at twenty of the digits would write: they are turned, shifted and scaled.
_DIGITS = Policy(
    (
        SubPolicy((Operation("Rotate", 0.8, 0.4), Operation("TranslateX", 0.5, 0.15))),
        SubPolicy((Operation("Rotate", 0.8, 0.7), Operation("TranslateY", 0.5, 0.15))),
        SubPolicy((Operation("ShearX", 0.5, 0.5), Operation("RandomCrop", 0.5, 0.5))),
    )
)
# The blog's expert policy for CIFAR: reflect-pad an eighth, random crop, horizontal flip.
_CROP_AND_FLIP = _one(("RandomCrop", 1.0, 1.0), ("HorizontalFlip", 1.0, 0.5))
_CROP = _one(("RandomCrop", 1.0, 1.0))  # a mirrored digit is none
EXPERT = {"digits": _DIGITS, "mnist": _CROP, "svhn": _CROP, "svhn_extra": _CROP}


def expert_policy(dataset: str | None, file: Path | None) -> Policy:
    """The expert policy (ETP): the given policy file, else the data set's own, else crop and flip."""
    if file is None:
        return EXPERT.get(dataset or "", _CROP_AND_FLIP)
    policy = load_policy(file)
    if not isinstance(policy, Policy):
        raise SettingsError(f"expert_policy: {file} holds no single policy; must be one, no schedule and no chain")
    return policy


@dataclass(frozen=True)
class Sources:
    """The sources of arms: searches, files and the expert policy."""

    workspace: Workspace
    settings: Settings
    sides: tuple[int, int] = (0, 0)
    """The images' height and width; (0, 0) for a user's script, whose arms are files."""

    @property
    def searched(self) -> dict[str, dict[str, Any]]:
        """The settings that each search chose, by method."""
        settings: dict[str, dict[str, Any]] = json.loads(self.workspace.found_settings.read_text())
        return settings

    def settings_of(self, arm: str) -> dict[str, Any]:
        """The searched settings that an arm is trained with, by dotted key."""
        searched = self.searched
        return {name: value for part in split(arm) for name, value in searched.get(part, {}).items()}

    def augmentation_of(self, arm: str) -> Augmentation | None:
        """The augmentation of an arm; the expert policy comes first, whatever the order in the arm's name."""
        names = () if arm == "none" else sorted(split(arm), key=lambda name: name != "etp")
        augmentations = [augmentation for name in names if (augmentation := self._part(name)) is not None]
        return joined(part for a in augmentations for part in (a.parts if isinstance(a, Chain) else (a,)))

    def expert(self) -> Policy:
        """The expert policy (ETP) of these settings."""
        file = self.settings.expert_policy
        own_script = self.settings.search.own_script
        return expert_policy(
            None if own_script else self.settings.dataset.name, None if file is None else self.workspace.resolve(file)
        )

    def _part(self, name: str) -> Augmentation | None:
        if name == "etp":
            return self.expert()
        if name in ABLATIONS:
            schedule = self._part(name.partition(":")[0])
            assert isinstance(schedule, Schedule)  # as a population's search makes them
            return ABLATIONS[name](schedule, np.random.default_rng(self.settings.seed))
        if name not in METHODS:
            return fixed(name, self.settings.dataset.name, self.sides, self.workspace.root)
        file = self.workspace.policies / f"{name}.json"
        if not file.exists() and name in self.searched:
            return None  # that search was over settings alone
        return load_policy(file)
