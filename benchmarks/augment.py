"""How fast policies are applied, against Pillow and other libraries, all in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.augment                # prints the table
    OMP_NUM_THREADS=1 python -m benchmarks.augment --write        # and puts it into benchmarks/README.md

The work is the same for all: 20 sub-policies drawn from Tuun's search space (or PBA's 30 operations, levels drawn),
each applied to a batch of 32 x 32 RGB images, uint8 in and uint8 out. Every method is timed once in each round, so that
whatever else the machine does hits all of them; rates are medians over rounds, ratios medians of each round's ratio.
Seconds are the process's own on its one thread, user and system, without waiting for a core that others use.

Pillow and augsearch give the same pixels. The others do what is nearest in their own terms, one draw of probability
for each image. kornia and albumentations are not among this project's requirements: without them their rows say so.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import random
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as v2

from augsearch.environment import commit, hardware
from augsearch.policy import Operation, Policy, SubPolicy
from augsearch.policy.augment import Augment
from augsearch.policy.ops import find
from tests import pillow_reference as pillow

TUUN = (
    "ShearX ShearY TranslateX TranslateY Rotate Color Posterize Solarize Contrast Sharpness Brightness AutoContrast Equalize"
    " Invert RandomCrop HorizontalFlip"
).split()
PBA = (
    "Rotate TranslateX TranslateY Brightness Color Invert Sharpness Posterize ShearX Solarize ShearY Equalize AutoContrast"
    " Cutout Contrast"
).split()
PER_IMAGE_AT_MOST = 512
"""Methods that take one image at a time are timed on this many of a larger batch: their rate does not depend on it."""

Method = Callable[[Tensor], object]  # (B, 3, 32, 32) uint8 -> the augmented batch, in whatever form the library gives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="put the result into benchmarks/README.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = "\n\n".join([setting(arguments.rounds), cpu_table(arguments.rounds), gpu_section(arguments.rounds)])
    print(text)
    if arguments.write:
        write(text)


# --- the work -----------------------------------------------------------------------------------------


def tuun_work() -> list[SubPolicy]:
    rng = np.random.default_rng(0)

    def operation() -> Operation:
        return Operation(str(rng.choice(TUUN)), float(rng.random()), float(rng.random()))

    return [SubPolicy((operation(), operation())) for _ in range(20)]


def pba_policy() -> Policy:
    rng = np.random.default_rng(0)
    entries = [Operation(name, rng.integers(11) / 10, float(rng.integers(10))) for name in PBA * 2]
    return Policy(tuple(SubPolicy((entry,)) for entry in entries), "pba", "count")


def images(count: int) -> Tensor:
    """Random coloured slopes with noise: neither flat nor pure noise, as photographs are."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:32, 0:32] / 32
    slopes = rng.uniform(-150, 150, (2, count, 3, 1, 1))
    smooth = rng.uniform(50, 200, (count, 3, 1, 1)) + slopes[0] * (x - 0.5) + slopes[1] * (y - 0.5)
    return torch.from_numpy(np.clip(smooth + rng.normal(0, 20, (count, 3, 32, 32)), 0, 255).astype(np.uint8))


# --- the methods --------------------------------------------------------------------------------------


def ours(work: list[SubPolicy]) -> Method:
    augments = [Augment(Policy((sub_policy,)), seed=0) for sub_policy in work]
    return lambda batch: [augment(batch) for augment in augments]


def ours_pba(policy: Policy) -> Method:
    augment = Augment(policy, seed=0)
    return lambda batch: [augment(batch, epoch=epoch) for epoch in range(4)]


def pillow_tuun(work: list[SubPolicy]) -> Method:
    rng = random.Random(0)  # numpy is slow at single numbers

    def one(pixels: np.ndarray, sub_policy: SubPolicy) -> np.ndarray:
        image = pillow.as_image(pixels)
        for operation in sub_policy.operations:
            if rng.random() < operation.probability:
                image = pillow.tuun(
                    image, operation.name, signed(operation, rng), (128, 128, 128), (rng.random(), rng.random())
                )
        return pillow.as_pixels(image)

    return lambda batch: [one(pixels, sub_policy) for sub_policy in work for pixels in batch.numpy()]


def pillow_pba(policy: Policy) -> Method:
    """The loop of PBA's own code: shuffled entries are tried until `count` of them were applied."""
    rng = random.Random(0)
    entries = [sub_policy.operations[0] for sub_policy in policy.sub_policies]

    def one(pixels: np.ndarray) -> np.ndarray:
        image = pillow.as_image(pixels)
        (left,) = rng.choices((0, 1, 2), (0.2, 0.3, 0.5))
        for entry in rng.sample(entries, len(entries)):
            if not left:
                break
            if rng.random() < entry.probability:
                sign = rng.choice((-1, 1)) if "pba" in find(entry.name).signed else 1
                image = pillow.pba(image, entry.name, sign * entry.magnitude, (125, 122, 113), (rng.random(), rng.random()))
                left -= 1
        return pillow.as_pixels(image)

    return lambda batch: [one(pixels) for _ in range(4) for pixels in batch.numpy()]


def signed(operation: Operation, rng: random.Random) -> float:
    flips = "tuun" in find(operation.name).signed and rng.random() < 0.5
    return -operation.magnitude if flips else operation.magnitude


def torchvision_call(name: str, m: float, side: int, offset: tuple[int, int]) -> Callable[[Any], Any]:
    """Tuun's operation as torchvision v2 has it, for a Pillow image or a batch (B, 3, H, W) alike."""
    grey: list[float] = [128.0] * 3
    window = round(28 + 4 * m)
    degrees = float(np.degrees(np.arctan(0.3 * m)))
    shift = round(150 / 331 * m * side)

    def moved(x: Any, shear: list[float], translate: list[int], how: InterpolationMode) -> Any:
        return v2.affine(x, 0.0, translate, 1.0, shear, interpolation=how, fill=grey, center=[0.0, 0.0])

    def crop(x: Any) -> Any:
        padded = v2.pad(x, [4, 4, 4, 4], padding_mode="reflect")
        return v2.resized_crop(padded, *offset, window, window, [side, side], antialias=False)

    def sheared(x: Any, shear: list[float]) -> Any:
        # torchvision has no bicubic affine for tensors
        how = InterpolationMode.BILINEAR if isinstance(x, Tensor) else InterpolationMode.BICUBIC
        return moved(x, shear, [0, 0], how)

    nearest = InterpolationMode.NEAREST
    return {
        "ShearX": lambda x: sheared(x, [degrees, 0.0]),
        "ShearY": lambda x: sheared(x, [0.0, degrees]),
        "TranslateX": lambda x: moved(x, [0.0, 0.0], [shift, 0], nearest),
        "TranslateY": lambda x: moved(x, [0.0, 0.0], [0, shift], nearest),
        "Rotate": lambda x: v2.rotate(x, 30 * m, fill=grey),
        "Color": lambda x: v2.adjust_saturation(x, 1 + 0.9 * m),
        "Contrast": lambda x: v2.adjust_contrast(x, 1 + 0.9 * m),
        "Brightness": lambda x: v2.adjust_brightness(x, 1 + 0.9 * m),
        "Sharpness": lambda x: v2.adjust_sharpness(x, 1 + 0.9 * m),
        "Posterize": lambda x: v2.posterize(x, round(8 - 4 * m)),
        "Solarize": lambda x: v2.solarize(x, min(256 - 256 * m, 255.0)),
        "AutoContrast": v2.autocontrast,
        "Equalize": v2.equalize,
        "Invert": v2.invert,
        "RandomCrop": crop,
        "HorizontalFlip": v2.horizontal_flip,
    }[name]


def torchvision_per_image(work: list[SubPolicy]) -> Method:
    rng = random.Random(0)

    def one(pixels: np.ndarray, sub_policy: SubPolicy) -> np.ndarray:
        image = pillow.as_image(pixels)
        for operation in sub_policy.operations:
            if rng.random() < operation.probability:
                offset = (rng.randrange(5), rng.randrange(5))
                image = torchvision_call(operation.name, signed(operation, rng), 32, offset)(image)
        return pillow.as_pixels(image)

    return lambda batch: [one(pixels, sub_policy) for sub_policy in work for pixels in batch.numpy()]


def torchvision_batched(work: list[SubPolicy]) -> Method:
    """Its functions on the images that get an operation, once for each direction; one crop offset for a batch."""
    rng = np.random.default_rng(0)

    def augment(batch: Tensor, sub_policy: SubPolicy) -> Tensor:
        out = batch.clone()
        for operation in sub_policy.operations:
            draw = rng.random(len(batch)) / max(operation.probability, 1e-9)
            both_ways = "tuun" in find(operation.name).signed
            halves = ((draw < 0.5, -1), ((draw >= 0.5) & (draw < 1), 1)) if both_ways else ((draw < 1, 1),)
            for chosen, sign in halves:
                rows = torch.from_numpy(np.flatnonzero(chosen))
                if len(rows):
                    call = torchvision_call(operation.name, sign * operation.magnitude, 32, (2, 3))
                    out.index_copy_(0, rows, call(out.index_select(0, rows)))
        return out

    return lambda batch: [augment(batch, sub_policy) for sub_policy in work]


def kornia_batched(work: list[SubPolicy]) -> Method:
    """Modules that draw for each image by themselves, on float images in [0, 1]."""
    kornia = importlib.import_module("kornia.augmentation")

    def module(operation: Operation) -> nn.Module:
        name, m, p = operation.name, operation.magnitude, operation.probability
        shear, angle, shift, factor = float(np.degrees(np.arctan(0.3 * m))), 30 * m, 150 / 331 * m, 0.9 * m
        near = (max(1 - factor, 0.0), 1 + factor)
        return {
            "ShearX": lambda: kornia.RandomShear((-shear, shear), p=p),
            "ShearY": lambda: kornia.RandomShear((0.0, 0.0, -shear, shear), p=p),
            "TranslateX": lambda: kornia.RandomTranslate((-shift, shift), resample="nearest", p=p),
            "TranslateY": lambda: kornia.RandomTranslate(None, (-shift, shift), resample="nearest", p=p),
            "Rotate": lambda: kornia.RandomRotation((-angle, angle), resample="nearest", p=p),
            "Color": lambda: kornia.RandomSaturation(near, p=p),
            "Contrast": lambda: kornia.RandomContrast(near, p=p),
            "Brightness": lambda: kornia.RandomBrightness(near, p=p),
            "Sharpness": lambda: kornia.RandomSharpness(near, p=p),
            "Posterize": lambda: kornia.RandomPosterize((round(8 - 4 * m), 8), p=p),
            "Solarize": lambda: kornia.RandomSolarize((1 - m, 1 - m), (0.0, 0.0), p=p),
            "AutoContrast": lambda: kornia.RandomAutoContrast(p=p),
            "Equalize": lambda: kornia.RandomEqualize(p=p),
            "Invert": lambda: kornia.RandomInvert(p=p),
            "RandomCrop": lambda: kornia.RandomCrop((32, 32), padding=4, padding_mode="reflect", p=p),
            "HorizontalFlip": lambda: kornia.RandomHorizontalFlip(p=p),
        }[name]()

    pipelines = [[module(operation) for operation in sub_policy.operations] for sub_policy in work]

    def augment(batch: Tensor, modules: list[nn.Module]) -> Tensor:
        out = batch.float() / 255
        for one in modules:
            out = one(out)
        return (out * 255).clamp(0, 255).to(torch.uint8)

    return lambda batch: [augment(batch, modules) for modules in pipelines]


def albumentations_per_image(work: list[SubPolicy]) -> Method:
    a = importlib.import_module("albumentations")

    def transform(operation: Operation) -> object:
        name, m, p = operation.name, operation.magnitude, operation.probability
        shear, angle, shift, factor = float(np.degrees(np.arctan(0.3 * m))), 30 * m, 150 / 331 * m, 0.9 * m
        one, near = (1.0, 1.0), (max(1 - factor, 0.0), 1 + factor)

        def jitter(which: str) -> object:
            others = dict.fromkeys(("brightness", "contrast", "saturation"), one)
            return a.ColorJitter(**(others | {which: near}), hue=(0.0, 0.0), p=p)

        return {
            "ShearX": lambda: a.Affine(shear={"x": (-shear, shear), "y": (0, 0)}, interpolation=2, fill=128, p=p),
            "ShearY": lambda: a.Affine(shear={"x": (0, 0), "y": (-shear, shear)}, interpolation=2, fill=128, p=p),
            "TranslateX": lambda: a.Affine(
                translate_percent={"x": (-shift, shift), "y": (0, 0)}, interpolation=0, fill=128, p=p
            ),
            "TranslateY": lambda: a.Affine(
                translate_percent={"x": (0, 0), "y": (-shift, shift)}, interpolation=0, fill=128, p=p
            ),
            "Rotate": lambda: a.Rotate((-angle, angle), interpolation=0, border_mode=0, fill=128, p=p),
            "Color": lambda: jitter("saturation"),
            "Contrast": lambda: jitter("contrast"),
            "Brightness": lambda: jitter("brightness"),
            "Sharpness": lambda: a.Sharpen((0.0, min(factor, 1.0)), p=p),
            "Posterize": lambda: a.Posterize(min(round(8 - 4 * m), 7), p=p),
            "Solarize": lambda: a.Solarize((1 - m, 1 - m), p=p),
            "AutoContrast": lambda: a.AutoContrast(method="pil", p=p),
            "Equalize": lambda: a.Equalize(mode="pil", p=p),
            "Invert": lambda: a.InvertImg(p=p),
            "RandomCrop": lambda: a.RandomSizedCrop((28, 32), (32, 32), p=p),
            "HorizontalFlip": lambda: a.HorizontalFlip(p=p),
        }[name]()

    pipelines = [a.Compose([transform(operation) for operation in sub_policy.operations], seed=0) for sub_policy in work]

    def augment(batch: Tensor) -> list[np.ndarray]:
        pixels = [np.ascontiguousarray(image) for image in batch.numpy().transpose(0, 2, 3, 1)]
        return [pipeline(image=image)["image"] for pipeline in pipelines for image in pixels]

    return augment


# --- timing -------------------------------------------------------------------------------------------

TUUN_METHODS: dict[str, tuple[Callable[[list[SubPolicy]], Method], bool]] = {
    "Pillow, per image": (pillow_tuun, True),
    "torchvision v2, per image": (torchvision_per_image, True),
    "torchvision v2, batched": (torchvision_batched, False),
    "kornia, batched": (kornia_batched, False),
    "albumentations, per image": (albumentations_per_image, True),
    "augsearch": (ours, False),
}
"""What makes each method, and whether it takes one image at a time."""


def cpu_table(rounds: int) -> str:
    lines = [
        "| policy | batch | " + " | ".join(TUUN_METHODS) + " |",
        "|---" * (2 + len(TUUN_METHODS)) + "|",
    ]
    work = tuun_work()
    methods: dict[str, Method] = {}
    absent = {}
    for name, (make, _) in TUUN_METHODS.items():
        try:
            methods[name] = make(work)
        except ImportError as error:
            absent[name] = f"skipped: no {str(error.name).partition('.')[0]}"
    for size in (128, 512, 2048):
        cells = measure(methods, size, len(work), rounds) | absent
        lines.append(f"| Tuun | {size} | " + " | ".join(cells[name] for name in TUUN_METHODS) + " |")
    policy = pba_policy()
    pba = {"Pillow, per image": pillow_pba(policy), "augsearch": ours_pba(policy)}
    cells = measure(pba, 2048, 4, rounds)
    lines.append("| PBA | 2048 | " + " | ".join(cells.get(name, "") for name in TUUN_METHODS) + " |")
    return "Thousand images a second, and how many times Pillow's rate, on one thread:\n\n" + "\n".join(lines)


def measure(methods: dict[str, Method], size: int, passes: int, rounds: int) -> dict[str, str]:
    """A table cell for each method; `passes` is how often a method goes through its batch in one call."""
    whole = images(size)
    rates: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(rounds + 1):
        for name, method in methods.items():
            per_image = TUUN_METHODS[name][1]
            batch = whole[:PER_IMAGE_AT_MOST] if per_image else whole
            start = time.process_time()
            method(batch)
            if number:  # the first round warms up
                rates[name].append(len(batch) * passes / (time.process_time() - start))
    base = rates["Pillow, per image"]
    return {
        name: f"{statistics.median(own) / 1000:.1f} ({statistics.median(map(float.__truediv__, own, base)):.1f}x)"
        for name, own in rates.items()
    }


# --- on a GPU -----------------------------------------------------------------------------------------


def gpu_section(rounds: int) -> str:
    title = "On a GPU, Tuun's policy at batch 2048, and its share of a WRN-40-2 training step (batch 2048, bfloat16): "
    if not torch.cuda.is_available():
        return title + "not run yet, no GPU was at hand."
    device = torch.device("cuda")
    batch = images(2048).to(device)
    work = tuun_work()
    augment = ours(work)
    augmenting = seconds(lambda: augment(batch), rounds) / len(work)
    training = seconds(training_step(batch), rounds)
    share = augmenting / (augmenting + training)
    return (
        title + f"{2048 / augmenting / 1e6:.2f} million images a second; {1000 * augmenting:.2f} ms beside "
        f"{1000 * training:.1f} ms of training, {100 * share:.1f} % of the step."
    )


def seconds(call: Callable[[], object], rounds: int) -> float:
    """The median time of a call on the GPU, after two that warm up."""
    times = []
    for _ in range(rounds + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


class Block(nn.Module):
    """A pre-activation block of a wide residual network (Zagoruyko, Komodakis: Wide Residual Networks, 2016)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inside), nn.BatchNorm2d(outside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(inside, outside, 1, stride, bias=False) if inside != outside else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.norm1(x).relu()
        kept = x if self.skip is None else self.skip(active)
        return kept + self.conv2(self.norm2(self.conv1(active)).relu())


def wrn_40_2() -> nn.Module:
    widths = [16, 32, 64, 128]
    blocks: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    for group, (inside, outside) in enumerate(pairwise(widths)):
        blocks += [Block(inside if i == 0 else outside, outside, 2 if group and i == 0 else 1) for i in range(6)]
    return nn.Sequential(*blocks, nn.BatchNorm2d(128), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def training_step(batch: Tensor) -> Callable[[], None]:
    network = wrn_40_2().to(batch.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    labels = torch.arange(len(batch), device=batch.device) % 10

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            x = (batch.float() / 255).contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


# --- the report ---------------------------------------------------------------------------------------


def setting(rounds: int) -> str:
    names = ("torch", "torchvision", "pillow", "numpy", "kornia", "albumentations")
    return (
        f"`OMP_NUM_THREADS=1 python -m benchmarks.augment`, {rounds} rounds; {hardware()}; Python {platform.python_version()}, "
        + ", ".join(f"{name} {installed(name)}" for name in names)
        + f"; commit {commit()}."
    )


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def write(text: str) -> None:
    """Between the two marks of benchmarks/README.md."""
    path = Path(__file__).with_name("README.md")
    begin, end = "<!-- augment: begin -->\n", "<!-- augment: end -->"
    before, _, rest = path.read_text().partition(begin)
    path.write_text(before + begin + text + "\n" + end + rest.partition(end)[2])


if __name__ == "__main__":
    main()
