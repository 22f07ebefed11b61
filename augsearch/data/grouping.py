"""Images that must stay on one side of a split: of one patient, object or video, or the same picture twice."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from augsearch.data.splits import Counts, Labels, Mask, draw
from augsearch.errors import DataError

Units = NDArray[np.int64]
_ATTEMPTS = 30
_Contents = list[list[tuple[int, int]]]  # for each unit its (class, images)


def units_of(ids: NDArray[np.int64], groups: NDArray[np.str_] | None) -> Units:
    """Number the units that stay together, (N,): images of one group, equal pictures, and whatever these connect.

    Args:
        ids: (N,) equal for equal pictures.
        groups: (N,) names; None: no groups.
    """
    pictures = np.unique(ids, return_inverse=True)[1]
    if groups is None:
        return pictures.astype(np.int64)
    named = np.unique(groups, return_inverse=True)[1] + pictures.max(initial=-1) + 1  # nodes beside the pictures'
    size = int(named.max(initial=-1)) + 1
    links = coo_array((np.ones(len(ids)), (pictures, named)), (size, size))
    components: Units = connected_components(links, directed=False)[1].astype(np.int64)
    return components[pictures]


def units_by_class(labels: Labels, units: Units, classes: int) -> Counts:
    """Count the units that have images of each class: (classes,)."""
    pairs = np.unique(units * classes + labels)
    return np.bincount(pairs % classes, minlength=classes).astype(np.int64)


def draw_units(labels: Labels, units: Units, quota: Counts, seed: int, *, stay: int) -> Mask:
    """Draw whole units with about quota[c] images of each class c: (N,), true where an image is drawn.

    Where every unit is one image this is `draw`, image for image. Elsewhere units are taken in a random order while they bring
    the numbers nearer to the quota; the best of some orders counts.

    Args:
        stay: units of each class that are never drawn, as other splits need them.

    Raises:
        DataError: no order found gives each class images on both sides.
    """
    units = np.unique(units, return_inverse=True)[1]
    if units.max(initial=-1) + 1 == len(labels):
        return draw(labels, quota, seed)
    table = csr_array((np.ones(len(labels), np.int64), (units, labels)), (int(units.max()) + 1, len(quota)))
    table.sum_duplicates()
    contents = [
        list(zip(table.indices[a:b].tolist(), table.data[a:b].tolist(), strict=True))
        for a, b in zip(table.indptr[:-1], table.indptr[1:], strict=True)
    ]
    rng = np.random.default_rng(seed)
    best, chosen = np.inf, None
    for attempt in range(_ATTEMPTS):
        first = attempt == 0
        order = _as_drawn(labels, units, len(quota), rng) if first else rng.permutation(len(contents)).tolist()
        distance, drawn = _attempt(contents, order, quota.tolist(), stay, every_class=first)
        if distance < best:
            best, chosen = distance, drawn
        if best == 0:
            break
    if chosen is None:
        raise DataError(
            "dataset.groups: no way was found to give every split images of every class; the groups are too few or too large"
        )
    return np.isin(units, chosen)


def _as_drawn(labels: Labels, units: Units, classes: int, rng: np.random.Generator) -> list[int]:
    """Order the units as `draw` comes upon their images, so that few equal pictures change little of what it draws."""
    rows = np.concatenate([rng.permutation(np.flatnonzero(labels == label)) for label in range(classes)])
    met, first = np.unique(units[rows], return_index=True)
    ordered: list[int] = met[np.argsort(first)].tolist()
    return ordered


def _attempt(
    contents: _Contents, order: list[int], quota: list[int], stay: int, *, every_class: bool
) -> tuple[float, list[int]]:
    """Take units in this order while they bring the numbers nearer to the quota.

    Args:
        every_class: nearer for each class that the unit has images of, not only for all classes together.

    Returns:
        The distance from the quota, infinite where a class is missing, and the units.
    """
    taken, left = [0] * len(quota), [0] * len(quota)
    for label, _ in chain.from_iterable(contents):
        left[label] += 1
    drawn: set[int] = set()

    def free(unit: int) -> bool:
        return unit not in drawn and all(left[label] > stay for label, _ in contents[unit])

    def changes(unit: int) -> list[float]:
        """Change of the distance for each class of the unit if it is taken."""
        return [n * (2 * (taken[label] - quota[label]) + n) / max(quota[label], 1) for label, n in contents[unit]]

    def take(unit: int) -> None:
        drawn.add(unit)
        for label, n in contents[unit]:
            taken[label] += n
            left[label] -= 1

    for unit in order:
        if free(unit) and (max(changes(unit)) < 0 if every_class else sum(changes(unit)) < 0):
            take(unit)
    for label, wanted in enumerate(quota):
        if wanted and not taken[label]:
            able = [unit for unit in order if free(unit) and any(label == other for other, _ in contents[unit])]
            if not able:
                return np.inf, []
            take(min(able, key=lambda unit: sum(changes(unit))))
    return sum((a - b) ** 2 / max(b, 1) for a, b in zip(taken, quota, strict=True)), sorted(drawn)


def check_groups(groups: dict[str, NDArray[np.str_]]) -> None:
    """Check that the splits a source has share no group.

    Raises:
        DataError: names a group that is in two of them.
    """
    for split, other in combinations(groups, 2):
        shared = np.intersect1d(groups[split], groups[other])
        if len(shared):
            raise DataError(
                f"dataset.groups: {len(shared)} groups are in {split} and in {other}, such as {str(shared[0])!r}; a group must "
                "be in one split, and different groups must have different names"
            )
