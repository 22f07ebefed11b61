"""Arms: the ways of augmenting that the final table compares, and the policy that each stands for."""

from __future__ import annotations

from collections.abc import Callable

from augsearch.errors import SettingsError
from augsearch.policy import Operation, Policy, Schedule, SubPolicy, load_policy

LABELS = {"none": "No Aug", "etp": "ETP", "random": "Random search", "tuun": "Tuun", "pba": "PBA"}


def label(arm: str) -> str:
    """As the table prints it: "tuun+etp" is "Tuun + ETP"."""
    return " + ".join(LABELS[part] for part in arm.split("+"))


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
EXPERT = {"digits": _DIGITS}


def expert_policy(dataset: str | None, file: str | None) -> Policy:
    """The data set's ETP: the given policy file, else the data set's own, else crop and flip."""
    if file is None:
        return EXPERT.get(dataset or "", _CROP_AND_FLIP)
    policy = load_policy(file)
    if not isinstance(policy, Policy):
        raise SettingsError(f"retrain.etp: {file} holds no single policy; must be one, no schedule and no chain")
    return policy


def parts_of(arm: str, part: Callable[[str], tuple[Policy | Schedule, ...]]) -> tuple[Policy | Schedule, ...]:
    """What an arm applies, one after the other; the expert policy comes first, whatever the order in the arm's name.

    part: gives what one name ("etp", "tuun") applies; nothing where a search was over settings alone.
    """
    names = () if arm == "none" else sorted(arm.split("+"), key=lambda name: name != "etp")
    return tuple(found for name in names for found in part(name))
