"""Random numbers that depend on where they are used, not on when: Philox4x32-10.

A counter-based generator (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011)
turns (seed, epoch, position, stream) into the same numbers whoever asks, in whatever order and however a
batch is split. It runs on the host, so that every device sees the same draws.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import get_worker_info

_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_SPREAD = 0x9E3779B97F4A7C15  # 2 ** 64 by the golden ratio, odd
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """counter (..., 4) of 32-bit words, key two 32-bit words -> (..., 4) random 32-bit words."""
    words = counter.reshape(-1, 4).T
    even, odd = words[::2], words[1::2]  # (2, N)
    for keys in _round_keys(*key):
        product = (_MULTIPLIERS * even)[::-1]
        even, odd = (product >> _SHIFT) ^ (odd ^ keys), product & _LOW
    out = np.empty((words.shape[1], 4), np.uint64)
    out[:, ::2], out[:, 1::2] = even.T, odd.T
    return out.reshape(counter.shape)


@lru_cache(maxsize=64)
def _round_keys(k0: int, k1: int) -> list[NDArray[np.uint64]]:
    """(2, 1) for each of the ten rounds."""
    keys = [[(k0 + i * _W0) & 0xFFFFFFFF, (k1 + i * _W1) & 0xFFFFFFFF] for i in range(10)]
    return list(np.array(keys, np.uint64)[:, :, None])


def uniform(seed: int, stream: int, epoch: int, position: ArrayLike, slot: ArrayLike = 0) -> NDArray[np.float64]:
    """Draw four numbers in [0, 1) for each (position, slot), broadcast together: shape (..., 4).

    `stream` keeps uses apart that share seed, epoch and position.
    """
    where, which = np.broadcast_arrays(np.asarray(position, np.uint64), np.asarray(slot, np.uint64))
    counter = np.empty((*where.shape, 4), np.uint64)
    counter[..., 0] = where & _LOW
    counter[..., 1] = which & _LOW
    counter[..., 2] = epoch & 0xFFFFFFFF
    counter[..., 3] = stream & 0xFFFFFFFF
    return philox(counter, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)) / 2.0**32


def worker_seed(seed: int) -> int:
    """Mix the seed with that of the DataLoader's worker that runs this; anywhere else it stays as it is.

    Torch draws workers' seeds anew for every epoch. Workers and epochs thus draw differently, and `torch.manual_seed`
    makes them the same again. Workers' seeds follow one another, so the seed is spread out first: a plain sum would give
    seed 1 in one worker what seed 0 has in the next.
    """
    worker = get_worker_info()
    return seed if worker is None else (seed * _SPREAD + worker.seed) % 2**63


class Positions:
    """Counts images: from one call to the next, and from 0 again with every other seed or epoch."""

    def __init__(self) -> None:
        self._next = (0, 0, 0)  # seed, epoch, position

    def at(self, seed: int, epoch: int) -> int:
        """The position of the next image."""
        return self._next[2] if self._next[:2] == (seed, epoch) else 0

    def passed(self, seed: int, epoch: int, position: int) -> None:
        """Go on from this position."""
        self._next = (seed, epoch, position)
