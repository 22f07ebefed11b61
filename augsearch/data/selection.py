"""Which images of a source become train, validation and test: split off, thinned, without duplicates, groups kept together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augsearch.data.duplicates import Ids, drop_duplicates, find_duplicates, identities, repeated
from augsearch.data.grouping import Units, check_groups, draw_units, units_by_class, units_of
from augsearch.data.info import check_counts
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import (
    SPLITS,
    Chosen,
    Counts,
    Labels,
    Raw,
    Selection,
    draw,
    fraction_of,
    long_tail,
    named_counts,
    stratified,
)
from augsearch.errors import DataError


def choose(raw: Raw, settings: DatasetSettings) -> tuple[Chosen, list[str]]:
    """Choose the images of every split.

    Returns:
        The choice, and notes for DatasetInfo.

    Raises:
        DataError: the settings ask for what the source does not have, or duplicates are to be refused and there are some.
    """
    check_groups(raw.groups)
    ids = identities(raw.splits)
    chosen: Chosen = {name: Selection(name, np.arange(len(split))) for name, split in raw.splits.items()}
    notes: list[str] = []
    if settings.duplicates == "drop":
        chosen, dropped = drop_duplicates(raw, ids, chosen)
        notes += [f"dropped {line}" for line in dropped]
        check_counts({name: _counts(raw, one) for name, one in chosen.items()}, raw, notes)
    if "val" in chosen and settings.val_size is not None:
        quota = stratified(_counts(raw, chosen["val"]), settings.val_size, "dataset.val_size")
        chosen["val"] = _drawn(raw, chosen["val"], quota, settings.seed)
    chosen, split_notes = _split_off(raw, ids, chosen, settings)
    chosen["train"] = _reduced(raw, chosen["train"], settings)
    chosen = {name: chosen[name] for name in SPLITS}
    check_counts({name: _counts(raw, one) for name, one in chosen.items()}, raw)
    return chosen, [*notes, *split_notes, *_duplicate_notes(raw, ids, chosen, settings.duplicates)]


def _counts(raw: Raw, selection: Selection) -> Counts:
    return np.bincount(selection.labels(raw), minlength=len(raw.classes)).astype(np.int64)


def _drawn(raw: Raw, selection: Selection, quota: Counts, seed: int) -> Selection:
    return selection.where(draw(selection.labels(raw), quota, seed))


def _split_off(raw: Raw, ids: Ids, chosen: Chosen, settings: DatasetSettings) -> tuple[Chosen, list[str]]:
    """Split off train what the source lacks of test and val, equal pictures and groups kept together."""
    missing = [split for split in ("test", "val") if split not in chosen]
    if not missing:
        return chosen, []
    chosen, train = dict(chosen), chosen["train"]
    labels, pictures = train.labels(raw), ids["train"][train.rows]
    units = units_of(pictures, raw.groups["train"][train.rows] if raw.groups else None)
    _check_enough(raw, labels, units, missing)
    left, shares = np.ones(len(labels), bool), []
    for i, name in enumerate(missing):
        here = np.flatnonzero(left)
        quota = _quota(np.bincount(labels[here], minlength=len(raw.classes)), name, settings)
        _check_left(raw, quota, labels[here], name, [*missing[i + 1 :], "train"], settings)
        rows = here[draw_units(labels[here], units[here], quota, settings.seed, stay=len(missing) - i)]
        left[rows] = False
        chosen[name] = Selection("train", train.rows[rows])
        groups = f"{len(np.unique(units[rows]))} of {len(np.unique(units))} groups"
        shares.append(f"{name} has {groups} and {len(rows)} of {len(labels)} images ({quota.sum()} asked for)")
    chosen["train"] = train.where(left)
    notes = [f"images of one group stay in one split: {', '.join(shares)}"] if raw.groups else []
    if "val" in raw.splits:
        notes.append(f"the source has no test split: {len(chosen['test'].rows)} images of train became it")
    if line := _repeated(raw, train, pictures):
        notes.append(line)
    return chosen, notes


def _quota(counts: Counts, name: str, settings: DatasetSettings) -> Counts:
    """Find how many images of each class are to be split off: (classes,)."""
    if name == "val" and settings.val_size is not None:
        return stratified(counts, settings.val_size, "dataset.val_size")
    return fraction_of(counts, settings.val_fraction if name == "val" else settings.test_fraction)


def _check_left(raw: Raw, quota: Counts, labels: Labels, name: str, others: list[str], settings: DatasetSettings) -> None:
    """Check that what is split off leaves every class an image for each of the other splits."""
    left = np.bincount(labels, minlength=len(raw.classes)) - quota
    if left.min() < len(others):
        setting = "val_size" if name == "val" and settings.val_size is not None else f"{name}_fraction"
        raise DataError(
            f"dataset.{setting}: {getattr(settings, setting)}; leaves {left.min()} images of class "
            f"{raw.classes[left.argmin()]!r} for {' and '.join(others)}; must be smaller"
        )


def _check_enough(raw: Raw, labels: Labels, units: Units, missing: list[str]) -> None:
    """Check that there are as many groups, or different pictures, of each class as splits to be made."""
    needed = len(missing) + 1
    for name, count in zip(raw.classes, units_by_class(labels, units, len(raw.classes)), strict=True):
        if count < needed:
            what = "groups" if raw.groups else "different pictures"
            wanted = ", ".join(split for split in SPLITS if split == "train" or split in missing)
            raise DataError(f"{raw.source}: {what} of class {name!r}: {count}; must be at least {needed}, for {wanted}")


def _repeated(raw: Raw, train: Selection, pictures: NDArray[np.int64]) -> str | None:
    """Describe the pictures that are in the source more than once."""
    mask = repeated(pictures)
    if not mask.any():
        return None
    first, second = np.flatnonzero(pictures == pictures[mask.argmax()])[:2].tolist()
    example = f"{train.name(raw, first)} and {train.name(raw, second)}"
    return f"pictures that are more than once in the source: {mask.sum()}, such as {example}; equal ones stay in one split"


def _reduced(raw: Raw, train: Selection, settings: DatasetSettings) -> Selection:
    """Reduce train to the size, the long tail or the counts that are set; the draw is another than the splits'."""
    counts = _counts(raw, train)
    if settings.train_size is not None:
        quota = stratified(counts, settings.train_size, "dataset.train_size")
    elif settings.imbalance is not None:
        quota = long_tail(counts, settings.imbalance)
    elif settings.counts is not None:
        quota = named_counts(counts, raw.classes, settings.counts)
    else:
        return train
    return _drawn(raw, train, quota, settings.seed + 1)


def _duplicate_notes(raw: Raw, ids: Ids, chosen: Chosen, rule: str) -> list[str]:
    """Describe the duplicates that are left, or refuse them."""
    found = find_duplicates(raw, ids, chosen)
    if found and rule == "refuse":
        raise DataError(f"{raw.source}: {'; '.join(found)}; remove them, or set dataset.duplicates to report or drop")
    advice = "test stays as it is" if rule == "drop" else "dataset.duplicates: drop leaves them out of train and val"
    return [f"{line}; {advice}" for line in found]
