"""How fast one core trains: `augsearch.training.trainer.train` against a plain PyTorch loop that does the same work.

    python benchmarks/trainer.py                    # five rounds, some minutes; prints the table of benchmarks/trainer.md
    python benchmarks/trainer.py --rounds 1 --networks small resnet9

The plain loop is what a PyTorch tutorial would write: a DataLoader over PIL images, torchvision's transforms for
each image, float32. The work is the same: the same networks and batches, five sub-policies of two operations, one
drawn for each image, each operation with its probability; normalisation; SGD with Nesterov, one-cycle. The second
half of the table leaves the data out: one training step on a batch that lies ready, in float32 as PyTorch lays
images out, and in bfloat16 autocast with channels_last.

Seconds are the process's own on one core (`time.process_time`; there is one thread), so that waiting for a busy
machine does not count; rounds of all variants alternate, and the figures are medians.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from augsearch.data.splits import Split
from augsearch.environment import commit, hardware, versions
from augsearch.policy import Operation, Policy, SubPolicy
from augsearch.settings import TrainSettings
from augsearch.training import networks
from augsearch.training.normalisation import Normalisation
from augsearch.training.trainer import train

BATCH = 128
NORMALISATION = Normalisation((0.5,) * 3, (0.25,) * 3)
# name: options, side in pixels, images in a round
CASES: dict[str, tuple[dict[str, int], int, int]] = {
    "small": ({"width": 16}, 16, 64 * BATCH),
    "resnet9": ({"width": 16}, 32, 6 * BATCH),
    "wrn-16-1": ({}, 32, 6 * BATCH),
    "wrn-40-2": ({}, 32, BATCH),
    "preact-resnet18": ({}, 32, BATCH),
}
SUB_POLICIES = (
    (("Rotate", 0.8, 0.5), ("Color", 0.6, 0.5)),
    (("ShearX", 0.6, 0.5), ("Posterize", 0.6, 0.5)),
    (("TranslateY", 0.6, 0.3), ("AutoContrast", 0.6, 0.5)),
    (("Solarize", 0.4, 0.3), ("Sharpness", 0.6, 0.5)),
    (("Equalize", 0.6, 0.5), ("Contrast", 0.6, 0.5)),
)


def policy() -> Policy:
    pairs = tuple(SubPolicy(tuple(Operation(*operation) for operation in pair)) for pair in SUB_POLICIES)
    return Policy(pairs, draw="image")


def perform(image: Image.Image, name: str, magnitude: float) -> Image.Image:
    """One operation by torchvision, at the strength that the magnitude has in a policy of this project."""
    signed = magnitude * random.choice((-1, 1))
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    calls: dict[str, Callable[[], Image.Image]] = {
        "Rotate": lambda: tv.rotate(image, 30 * signed, fill=128),
        "ShearX": lambda: tv.affine(
            image,
            **still | {"shear": [np.degrees(np.arctan(0.3 * signed)), 0.0]},
            interpolation=v2.InterpolationMode.BICUBIC,
            fill=128,
        ),
        "TranslateY": lambda: tv.affine(
            image, **still | {"translate": [0, round(150 / 331 * signed * image.height)]}, fill=128
        ),
        "Color": lambda: tv.adjust_saturation(image, 1 + 0.9 * signed),
        "Contrast": lambda: tv.adjust_contrast(image, 1 + 0.9 * signed),
        "Sharpness": lambda: tv.adjust_sharpness(image, 1 + 0.9 * signed),
        "Posterize": lambda: tv.posterize(image, 8 - round(4 * magnitude)),
        "Solarize": lambda: tv.solarize(image, 256 - 256 * magnitude),
        "AutoContrast": lambda: tv.autocontrast(image),
        "Equalize": lambda: tv.equalize(image),
    }
    return calls[name]()


class Pictures(Dataset[tuple[Tensor, int]]):
    """PIL images, each transformed when it is asked for."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self.pictures = [Image.fromarray(image) for image in images.transpose(0, 2, 3, 1)]
        self.labels = labels.tolist()
        self.finish = v2.Compose(
            [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(NORMALISATION.mean, NORMALISATION.std)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.pictures[index]
        for name, probability, magnitude in random.choice(SUB_POLICIES):
            if random.random() < probability:
                image = perform(image, name, magnitude)
        return self.finish(image), self.labels[index]


def plain_loop(model: nn.Module, pictures: Pictures) -> None:
    """One epoch as a tutorial has it."""
    loader = DataLoader(pictures, BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=max(len(loader), 2))
    loss_of = nn.CrossEntropyLoss()
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()
        schedule.step()


def steps(model: nn.Module, count: int, side: int, *, low: bool) -> None:
    """Training steps on one batch that lies ready."""
    layout = torch.channels_last if low else torch.contiguous_format
    model = model.to(memory_format=layout)
    x = torch.randn(BATCH, 3, side, side).contiguous(memory_format=layout)
    y = torch.arange(BATCH) % 10
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    model.train()
    for _ in range(count):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(name: str, rounds: int) -> dict[str, list[float]]:
    """{variant: images/s of each round}, after one round that is thrown away."""
    options, side, count = CASES[name]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    part = Split(images, np.arange(count) % 10)
    pictures = Pictures(images, part.labels)
    settings = TrainSettings(epochs=1, batch_size=BATCH, precision="bfloat16")

    def fresh() -> nn.Module:
        return networks.build(name, classes=10, **options)

    variants: dict[str, Callable[[nn.Module], object]] = {
        "plain": lambda model: plain_loop(model, pictures),
        "train": lambda model: train(model, part, None, policy(), settings, NORMALISATION, seed=0),
        "float32": lambda model: steps(model, count // BATCH, side, low=False),
        "bfloat16": lambda model: steps(model, count // BATCH, side, low=True),
    }
    found: dict[str, list[float]] = {variant: [] for variant in variants}
    for round_ in range(rounds + 1):
        for variant, work in variants.items():
            model = fresh()
            rate = count / seconds(lambda work=work, model=model: work(model))  # type: ignore[misc]
            if round_:
                found[variant].append(rate)
    return found


def row(name: str, found: dict[str, list[float]]) -> str:
    def ratio(fast: str, slow: str) -> str:
        return f"{statistics.median(found[fast]) / statistics.median(found[slow]):.1f}x"

    def cell(variant: str) -> str:
        low, high = min(found[variant]), max(found[variant])
        return f"{statistics.median(found[variant]):,.0f} ({low:,.0f} to {high:,.0f})"

    options, side, _ = CASES[name]
    label = name + (f" ({options['width']})" if options else "") + f", {side}x{side}"
    return (
        f"| {label} | {cell('plain')} | {cell('train')} | {ratio('train', 'plain')} "
        f"| {cell('float32')} | {cell('bfloat16')} | {ratio('bfloat16', 'float32')} |"
    )


def main(names: Sequence[str], rounds: int) -> None:
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)
    print(
        "| network | plain loop, images/s | augsearch.training.trainer.train | ratio "
        "| step alone, float32 | bfloat16 and channels_last | ratio |"
    )
    print("|---" * 7 + "|")
    for name in names:
        print(row(name, measure(name, rounds)), flush=True)
    print(f"\nImages for each second of one core: median (lowest to highest) of {rounds} rounds, batches of {BATCH}.\n")
    print(f"- commit: {commit()}\n- hardware: {hardware()}\n- versions: {versions()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.networks, arguments.rounds)
