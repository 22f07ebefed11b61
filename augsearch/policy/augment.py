"""A policy, schedule or chain applied to batches: which image gets which operation, and then the pixels.

    augment = Augment(load_policy("policy.json"), seed=0)
    for epoch in range(epochs):
        for images, labels in loader:             # (B, C, H, W) uint8: a mini-batch of any size
            images = augment(images, epoch=epoch)

Every decision is a function of (seed, epoch, position of the image in the epoch). With a `batch_size` the same seed
therefore gives the same pixels however the stream of images is cut into calls, on a CPU and on a GPU alike (SamplePairing
needs a pool for that, or cuts between mini-batches). Decisions are drawn on the host; images then go through each
operation together, grouped by operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augsearch.errors import PolicyError
from augsearch.policy import Augmentation, Chain, Operation, Policy, Schedule
from augsearch.policy.ops import Dialect, Floats, apply, check_images, find
from augsearch.policy.ops.magnitudes import CHANCE
from augsearch.policy.randomness import Positions, uniform, worker_seed

_SUB_POLICY, _OPERATION, _COUNT, _ORDER, _PARTNER = range(5)
_STREAMS_PER_POLICY = 16
_AHEAD = 1024
_COUNT_AT_MOST = np.array([0.2, 0.5, 1.0])  # PBA, section 3.2: 0, 1 or 2 operations with p = .2, .3, .5

Color = int | tuple[int, ...]
Fill = Color | Mapping[Dialect, Color] | None
"""A colour for all policies, or by their dialect; None for each dialect's own."""
Piece = tuple[int, int, int]
"""(epoch, position of the first image in it, images): images that lie one after the other in an epoch."""


@dataclass(frozen=True)
class Plan:
    """The operations that each image gets: up to K, one after the other.

    operation: (B, K) index into `names`, -1 for none. magnitude: (B, K), signed. noise: (B, K, 2).
    """

    names: tuple[str, ...]
    operation: NDArray[np.int64]
    magnitude: Floats
    noise: Floats

    def part(self, rows: slice) -> Plan:
        """The plan of some of the images."""
        return Plan(self.names, self.operation[rows], self.magnitude[rows], self.noise[rows])

    @staticmethod
    def concatenate(plans: Sequence[Plan]) -> Plan:
        """Join plans of one policy, whose images follow one another."""
        if len(plans) == 1:
            return plans[0]
        arrays = zip(*((plan.operation, plan.magnitude, plan.noise) for plan in plans), strict=True)
        return Plan(plans[0].names, *(np.concatenate(each) for each in arrays))

    @staticmethod
    def stack(plans: Sequence[Plan]) -> Plan:
        """Join plans of several policies, whose images follow one another; all get the largest number of steps."""
        if len(plans) == 1:
            return plans[0]
        steps = max(plan.operation.shape[1] for plan in plans)
        before = np.cumsum([0] + [len(plan.names) for plan in plans])
        wide = [plan._with_steps(steps, int(first)) for plan, first in zip(plans, before[:-1], strict=True)]
        arrays = zip(*wide, strict=True)
        return Plan(tuple(name for plan in plans for name in plan.names), *(np.concatenate(each) for each in arrays))

    def _with_steps(self, steps: int, first: int) -> tuple[NDArray[np.int64], Floats, Floats]:
        """operation, magnitude and noise for `steps` steps, operations counted from `first`."""
        more = ((0, 0), (0, steps - self.operation.shape[1]))
        operation = np.where(self.operation < 0, -1, self.operation + first)
        return (
            np.pad(operation, more, constant_values=-1),
            np.pad(self.magnitude, more),
            np.pad(self.noise, (*more, (0, 0))),
        )


class Augment:
    """A policy, a schedule, or several of them one after the other, applied to batches.

    Args:
        policy: what to apply; a chain or a sequence is applied in its order.
        seed: the same seed, the same pixels.
        batch_size: images of a mini-batch, which share a sub-policy where policies are drawn by "batch". Without it a
            call is a mini-batch, whatever its size. With it, calls may hold parts of mini-batches or several: images at
            positions [k * batch_size, (k + 1) * batch_size) of an epoch are one.
        fill: colour outside the frame, for all policies or by dialect; the dialect's own when absent. PBA's is the data set's
            mean: {"pba": (125, 122, 113)} is CIFAR-10's.
        pool: (N, C, H, W) uint8, the images that SamplePairing mixes in. Without one an image's partner is drawn
            from its own mini-batch, as the images came, and "however cut" holds for cuts between mini-batches.
        one_sided_rotate: Tuun's released code never turns Rotate's sign; the default draws it, as for shears.

    Raises:
        PolicyError: a batch size below 1, or a pool of another shape or type.
    """

    def __init__(
        self,
        policy: Augmentation | Sequence[Policy | Schedule],
        *,
        seed: int = 0,
        batch_size: int | None = None,
        fill: Fill = None,
        one_sided_rotate: bool = False,
        pool: Tensor | None = None,
    ) -> None:
        if pool is not None and (pool.ndim != 4 or pool.dtype != torch.uint8 or not len(pool)):
            raise PolicyError(f"pool: {tuple(pool.shape)} {pool.dtype}; must be (N, C, H, W) uint8, N >= 1")
        if batch_size is not None and batch_size < 1:
            raise PolicyError(f"batch_size: {batch_size}; must be at least 1, or None: a call is a mini-batch")
        if isinstance(policy, Chain):
            policy = policy.parts
        self.parts = (policy,) if isinstance(policy, (Policy, Schedule)) else tuple(policy)
        self.seed = seed
        self.batch_size = batch_size
        self.fill = fill
        self.one_sided_rotate = one_sided_rotate
        self.pool = pool
        self._positions = Positions()
        self._in_worker: Augment | None = None
        self._tables: dict[int, Table] = {}
        self._blocks: dict[int, tuple[tuple[int, int, int], Plan]] = {}  # for each stream the latest block and its place

    def __call__(self, images: Tensor, *, epoch: int = 0, position: int | None = None) -> Tensor:
        """Augment a batch: (B, C, H, W) uint8 -> the same.

        position: the first image's place in its epoch. Without it images are counted from one call to the
        next, starting at 0 whenever `epoch` changes. In a DataLoader's worker (in a `collate_fn`, say), which counts
        only its own images, decisions then follow from that worker's seed too: workers and epochs differ, and
        `torch.manual_seed` makes them the same again.

        Raises:
            PolicyError: images of another shape or type.
        """
        check_images(images)
        counted = worker_seed(self.seed)
        augment = self if position is not None else self._with_seed(counted)
        if position is None:
            position = self._positions.at(counted, epoch)
        self._positions.passed(counted, epoch, position + len(images))
        for i, (policy, plan) in enumerate(augment.plans(len(images), epoch, position)):
            images = _apply_part([augment], i, [policy], [plan], images, [(epoch, position, len(images))])
        return images

    def _with_seed(self, seed: int) -> Augment:
        """The same with another seed: made once for each worker."""
        if seed == self.seed:
            return self
        if self._in_worker is None or self._in_worker.seed != seed:
            self._in_worker = copy(self)
            self._in_worker.seed = seed
        return self._in_worker

    def __getstate__(self) -> dict[str, object]:
        """Leave out of copies what was made ahead: it is found by `id`, which means another policy in another process."""
        return self.__dict__ | {"_tables": {}, "_blocks": {}, "_in_worker": None}

    def _part(self, i: int, epoch: int) -> Policy:
        part = self.parts[i]
        return part.at(epoch) if isinstance(part, Schedule) else part

    def plans(self, count: int, epoch: int, position: int) -> list[tuple[Policy, Plan]]:
        """Each part's policy in that epoch, and its plan of `count` images; without SamplePairing's partners."""
        policies = [self._part(i, epoch) for i in range(len(self.parts))]
        streams = range(0, len(policies) * _STREAMS_PER_POLICY, _STREAMS_PER_POLICY)
        return [(p, self.planned(p, count, epoch, position, stream)) for p, stream in zip(policies, streams, strict=True)]

    def planned(self, policy: Policy, count: int, epoch: int, position: int, stream: int = 0) -> Plan:
        """The plan of `count` images, out of blocks of `_AHEAD`: numpy draws a thousand as fast as fifty."""
        if policy.draw == "batch" and self.batch_size is None:  # the call decides what a mini-batch is
            return self._plan(policy, count, epoch, position, stream)
        parts = []
        for block in range(position // _AHEAD, (position + max(count, 1) - 1) // _AHEAD + 1):
            first, place = block * _AHEAD, (id(policy), epoch, block)
            if stream not in self._blocks or self._blocks[stream][0] != place:
                self._blocks[stream] = place, self._plan(policy, _AHEAD, epoch, first, stream)
            rows = slice(max(position - first, 0), min(position + count - first, _AHEAD))
            parts.append(self._blocks[stream][1].part(rows))
        return Plan.concatenate(parts)

    def _plan(self, policy: Policy, count: int, epoch: int, position: int, stream: int) -> Plan:
        where = np.arange(position, position + count)
        table = self._table(policy)
        rows = self._rows(policy, table, where, epoch, stream)
        draws = uniform(self.seed, stream + _OPERATION, epoch, where[:, None], np.arange(rows.shape[1])[None, :])
        if policy.draw != "count":
            rows = np.where(draws[..., 0] < table.chance[rows], rows, -1)
        sign = np.where(table.signed[rows] & (draws[..., 1] < 0.5), -1.0, 1.0)
        return Plan(table.names, rows, table.magnitude[rows] * sign, draws[..., 2:])

    def _table(self, policy: Policy) -> Table:
        """Made once for each policy; `parts` keep the policies alive, so that no other one gets their id."""
        if id(policy) not in self._tables:
            self._tables[id(policy)] = Table.of(policy, self.one_sided_rotate)
        return self._tables[id(policy)]

    def _partners(self, images: Tensor, epoch: int, position: int, stream: int) -> Tensor:
        """For each image the one that SamplePairing mixes in: of the pool, or of the image's own mini-batch."""
        where = np.arange(position, position + len(images))
        draws = uniform(self.seed, stream, epoch, where)[:, 0]
        if self.pool is not None:
            chosen, source = (draws * len(self.pool)).astype(np.int64), self.pool
        else:
            batch = self._mini_batch(where)
            first, end = (np.searchsorted(batch, batch, side) for side in ("left", "right"))
            chosen, source = first + (draws * (end - first)).astype(np.int64), images
        return _take(source, chosen).to(images.device)

    def _rows(self, policy: Policy, table: Table, where: NDArray[np.int64], epoch: int, stream: int) -> NDArray[np.int64]:
        """(B, K) places in the table: the operations that an image may get, in order, -1 for none."""
        if policy.draw == "count":
            return self._counted(table.chance[:-1], where, epoch, stream)
        draws, member = np.unique(self._mini_batch(where) if policy.draw == "batch" else where, return_inverse=True)
        chosen = uniform(self.seed, stream + _SUB_POLICY, epoch, draws)[:, 0] * len(table.sub_policies)
        return table.sub_policies[chosen.astype(np.int64)[member]]

    def _mini_batch(self, where: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B,) a number for each image's mini-batch; where: (B,) positions of a call, one after the other."""
        return np.repeat(where[:1], len(where)) if self.batch_size is None else where // self.batch_size

    def _counted(self, chance: Floats, where: NDArray[np.int64], epoch: int, stream: int) -> NDArray[np.int64]:
        """PBA: trying shuffled operations until `count` were applied is keeping the `count` accepted ones of lowest key."""
        quads = uniform(self.seed, stream + _ORDER, epoch, where[:, None], np.arange(-(-len(chance) // 4))[None, :])
        draws = quads.reshape(len(where), 4 * quads.shape[1])[:, : len(chance)]
        # Given that a draw is below the chance, draw / chance is itself uniform: it serves as the order too.
        key = np.where(draws < chance, draws / np.maximum(chance, 1e-12), np.inf)
        count = np.searchsorted(_COUNT_AT_MOST, uniform(self.seed, stream + _COUNT, epoch, where)[:, 0], side="right")
        slots = min(2, len(chance))
        order = np.argsort(key, axis=1, kind="stable")[:, :slots]
        accepted = np.isfinite(np.take_along_axis(key, order, 1)) & (np.arange(slots) < count[:, None])
        return np.where(accepted, order, -1)


def augment_together(augments: Sequence[Augment], images: Tensor, pieces: Sequence[Piece]) -> Tensor:
    """Apply several Augments at once, each to its own images, as if each were called alone for each piece.

    Args:
        augments: K of them. Their parts are as many, part by part of the same dialect, and their `fill` is the same.
        images: (K * B, C, H, W) uint8, those of the first Augment first. All go through each operation together.
        pieces: where the B images of each Augment lie; of several epochs, one after the other.
    """
    for i in range(len(augments[0].parts)):
        policies = [augment._part(i, epoch) for augment in augments for epoch, _, _ in pieces]
        places = [(augment, *piece) for augment in augments for piece in pieces]
        stream = i * _STREAMS_PER_POLICY
        plans = [
            augment._plan(policy, count, epoch, position, stream)
            for policy, (augment, epoch, position, count) in zip(policies, places, strict=True)
        ]
        images = _apply_part(augments, i, policies, plans, images, pieces)
    return images


def _apply_part(
    augments: Sequence[Augment],
    i: int,
    policies: Sequence[Policy],
    plans: Sequence[Plan],
    images: Tensor,
    pieces: Sequence[Piece],
) -> Tensor:
    """Apply the i-th part of each Augment; policies and plans: of each Augment's pieces, the first Augment's first."""
    owners = [augment for augment in augments for _ in pieces]
    partners = None
    if any(owner._table(policy).paired for owner, policy in zip(owners, policies, strict=True)):
        counts = [count for _ in augments for _, _, count in pieces]
        places = [(epoch, position, i * _STREAMS_PER_POLICY + _PARTNER) for _ in augments for epoch, position, _ in pieces]
        own = zip(owners, torch.split(images, counts), places, strict=True)
        partners = torch.cat([owner._partners(x, *place) for owner, x, place in own])
    return perform(Plan.stack(plans), images, policies[0], _fill_of(augments[0].fill, policies[0].dialect), partners)


def _fill_of(fill: Fill, dialect: Dialect) -> Color | None:
    return fill.get(dialect) if isinstance(fill, Mapping) else fill


@dataclass(frozen=True)
class Table:
    """A policy's N operations as arrays of N + 1, the last for none, which index -1 finds.

    names: N. sub_policies: (S, K) places of each one's operations, -1 for none. paired: whether any mixes in others.
    """

    names: tuple[str, ...]
    magnitude: Floats
    chance: Floats
    signed: NDArray[np.bool_]
    sub_policies: NDArray[np.int64]
    paired: bool

    @staticmethod
    def of(policy: Policy, one_sided_rotate: bool) -> Table:
        """Make the table of a policy."""
        flat = [operation for sub_policy in policy.sub_policies for operation in sub_policy.operations]
        ops = [find(operation.name) for operation in flat]
        lengths = [len(sub_policy.operations) for sub_policy in policy.sub_policies]
        places = np.full((len(lengths), max(max(lengths), 1)), -1)
        places[np.arange(places.shape[1]) < np.array(lengths)[:, None]] = np.arange(len(flat))
        return Table(
            names=tuple(operation.name for operation in flat),
            magnitude=np.array([operation.magnitude for operation in flat] + [0.0]),
            chance=np.array([_chance(policy, operation) for operation in flat] + [0.0]),
            signed=np.array(
                [policy.dialect in op.signed and not (one_sided_rotate and op.name == "Rotate") for op in ops] + [False]
            ),
            sub_policies=places,
            paired=any(op.paired for op in ops),
        )


def _chance(policy: Policy, operation: Operation) -> float:
    """The probability, by that which the magnitude is in some dialects."""
    meaning = find(operation.name).meaning.get(policy.dialect)
    return operation.probability * (operation.magnitude if meaning and meaning.way == CHANCE else 1)


def perform(
    plan: Plan, images: Tensor, policy: Policy, fill: int | tuple[int, ...] | None = None, partners: Tensor | None = None
) -> Tensor:
    """Apply a plan: for each of its steps, the images of each operation together.

    The images are sorted by operation, so that each group is a slice, and put back in order at the end.
    """
    names = tuple(dict.fromkeys(plan.names))
    kinds = np.array([names.index(name) for name in plan.names] + [-1])[plan.operation]  # (B, K), -1 for none
    order = np.arange(len(images))  # the image that now lies in each place
    for k in range(kinds.shape[1]):
        if (kinds[:, k] < 0).all():
            continue
        step = np.argsort(kinds[order, k], kind="stable")
        order, images = order[step], _take(images, step)
        kind, first = np.unique(kinds[order, k], return_index=True)
        done = []
        for i, start, end in zip(kind, first, [*first[1:], len(order)], strict=True):
            part, group = images[start:end], order[start:end]
            if i >= 0:
                part = apply(
                    part,
                    names[i],
                    plan.magnitude[group, k],
                    dialect=policy.dialect,
                    noise=plan.noise[group, k],
                    fill=fill,
                    partners=None if partners is None else _take(partners, group),
                )
            done.append(part)
        images = torch.cat(done)
    return _take(images, np.argsort(order))


def _take(images: Tensor, rows: NDArray[np.int64]) -> Tensor:
    return images.index_select(0, torch.from_numpy(rows).to(images.device))
