"""What it is worth to train a population's members as one network: `search.pba.members_per_model`.

    python -m benchmarks.population                   # some minutes; prints the table of benchmarks/population.md
    python -m benchmarks.population --device cuda     # the same on a GPU

A round of three epochs of 16 members, from their states to their states: augmentation by policies that were explored eight
times, training, validation. "One after the other" is `members_per_model: 1`. On a CPU seconds are the process's own (one
thread), so that waiting for a busy machine does not count; on a GPU they are the wall's. The variants alternate; medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from augsearch.data.info import DatasetInfo
from augsearch.data.splits import Split
from augsearch.environment import commit, hardware, versions
from augsearch.errors import SettingsError
from augsearch.policy import Policy
from augsearch.policy.ops import PBA_OPERATIONS
from augsearch.search.population import PbaSpace
from augsearch.training.settings import NetworkSettings, TrainSettings
from augsearch.training.trainer import Member, train_members
from augsearch.training.training import new_network, normalisation

MEMBERS, EPOCHS = 16, 3
# network, side of the images, training and validation images (fewer where a round takes long), batch
CASES = {
    "small": (NetworkSettings(), 16, 200, 600, 50),
    "resnet9 (16)": (NetworkSettings(name="resnet9", width=16), 32, 128, 128, 64),
    "wrn-16-1": (NetworkSettings(name="wrn-16-1"), 32, 128, 128, 64),
}


def _policy(seed: int) -> Policy:
    space, rng = PbaSpace(PBA_OPERATIONS), np.random.default_rng(seed)
    levels = space.start()
    for _ in range(8):
        levels = space.explore(levels, rng)
    return space.policy(levels)


def _part(side: int, count: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 256, (count, 3, side, side), np.uint8), rng.integers(0, 10, count))


def _round(case: str, together: int, precision: str, device: str) -> float:
    """Seconds."""
    network, side, train, val, batch = CASES[case]
    part, validation = _part(side, train, 0), _part(side, val, 1)
    settings = TrainSettings.model_validate({"epochs": 200, "batch_size": batch, "schedule": "cosine", "precision": precision})
    info = DatasetInfo(
        "random pixels", "made by this script", tuple("0123456789"), 3, side, side, (0.5,) * 3, (0.3,) * 3, {}, "none"
    )
    members = [Member(new_network(network, info, k), (_policy(k),), k, None) for k in range(MEMBERS)]
    clock = time.perf_counter if device != "cpu" else time.process_time
    started = clock()
    for k in range(0, MEMBERS, together):
        train_members(members[k : k + together], part, validation, settings, normalisation(info), until=EPOCHS, device=device)
    return clock() - started


def throughput(rounds: int, device: str) -> None:
    sizes = (1, 4, 8, 16)
    print("| network, precision | one after the other, s | " + " | ".join(f"{n} as one" for n in sizes[1:]) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for case in CASES:
        for precision in ("float32", "bfloat16"):
            taken: dict[int, list[float]] = {n: [] for n in sizes}
            for _ in range(rounds):
                for n in sizes:
                    taken[n].append(_round(case, n, precision, device))
            median = {n: statistics.median(values) for n, values in taken.items()}
            ratios = " | ".join(f"{median[1] / median[n]:.2f}x" for n in sizes[1:])
            print(f"| {case}, {precision} | {median[1]:.2f} | {ratios} |", flush=True)
    print(f"\nMedian of {rounds} rounds that alternated.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        throughput(arguments.rounds, arguments.device)
    except SettingsError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"- commit: {commit()}\n- hardware: {hardware(arguments.device)}\n- versions: {versions()}")


if __name__ == "__main__":
    main()
