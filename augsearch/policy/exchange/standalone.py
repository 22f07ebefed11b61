# A policy found by, or imported into, augsearch: one image at a time, with Pillow and numpy alone.
#
# Magnitudes are in the units of POLICY's dialect; images are 8-bit, grayscale or RGB.

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from augsearch.policy.exchange.tables import FILL, MEANING, SIGNED
from augsearch.policy.ops.magnitudes import BICUBIC, CHANCE, ENLARGED, Linear

POLICY: dict[str, Any] = json.loads("""{}""")

ENHANCERS: dict[str, Any] = {
    "Color": ImageEnhance.Color,
    "Contrast": ImageEnhance.Contrast,
    "Brightness": ImageEnhance.Brightness,
    "Sharpness": ImageEnhance.Sharpness,
}
PLACES = {"ShearX": 1, "TranslateX": 2, "ShearY": 3, "TranslateY": 5}  # in Pillow's affine matrix
PLAIN: dict[str, Callable[[Image.Image], Image.Image]] = {
    "AutoContrast": ImageOps.autocontrast,
    "Equalize": ImageOps.equalize,
    "Invert": ImageOps.invert,
    "HorizontalFlip": ImageOps.mirror,
    "Identity": Image.Image.copy,
}
Uniform = Callable[[], float]  # a number in [0, 1)


def augment(image: Image.Image, uniform: Uniform, epoch: int = 0) -> Image.Image:
    for part in POLICY.get("parts", [POLICY]):
        policy = at(part, epoch)
        for name, magnitude in draw(policy, uniform):
            image = perform(image, name, magnitude, policy["dialect"], uniform(), uniform())
    return image


def at(part: dict[str, Any], epoch: int) -> dict[str, Any]:
    """The policy of an epoch, counted from 0; after its last segment a schedule keeps the last."""
    segments: list[dict[str, Any]] = part.get("segments", [part])
    for segment in segments[:-1]:
        if epoch < segment["epochs"]:
            return segment
        epoch -= segment["epochs"]
    return segments[-1]


def draw(policy: dict[str, Any], uniform: Uniform) -> Iterator[tuple[str, float]]:
    """What this image gets: operations with their magnitudes, the sign included."""
    sub_policies = policy["sub_policies"]
    if policy["draw"] == "count":
        share = uniform()
        left = int(share >= 0.2) + int(share >= 0.5)  # 0, 1 or 2 with p = .2, .3, .5
        entries = sorted((operation for (operation,) in sub_policies), key=lambda _: uniform())
    else:
        entries = sub_policies[int(uniform() * len(sub_policies))]
        left = len(entries)
    for entry in entries:
        name, magnitude = entry["operation"], entry["magnitude"]
        twice = meaning_of(name, policy["dialect"]).way == CHANCE
        if left and uniform() < entry["probability"] * (magnitude if twice else 1):
            left -= policy["draw"] == "count"
            yield name, -magnitude if policy["dialect"] in SIGNED.get(name, ()) and uniform() < 0.5 else magnitude


def meaning_of(name: str, dialect: str) -> Linear:
    return MEANING.get(name, {}).get(dialect, Linear(1))


def perform(image: Image.Image, name: str, m: float, dialect: str, down: float, right: float) -> Image.Image:
    """One operation; `down` and `right` in [0, 1) are the place of a window."""
    colour = FILL[dialect]
    fill: Any = colour if image.mode == "RGB" else sum(colour) // 3
    meaning = meaning_of(name, dialect)
    value = float(meaning.value(m, image.height, image.width))
    if name in PLAIN:
        return PLAIN[name](image)
    if name in ENHANCERS:
        enhanced: Image.Image = ENHANCERS[name](image).enhance(value)
        return enhanced
    if name == "Rotate":
        return image.rotate(value, fillcolor=fill)
    if name in PLACES:
        matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        matrix[PLACES[name]] = value
        how = Image.Resampling.BICUBIC if meaning.way == BICUBIC else Image.Resampling.NEAREST
        return image.transform(image.size, Image.Transform.AFFINE, tuple(matrix), how, fillcolor=fill)
    if name == "Posterize":
        mask = 256 - 2 ** (8 - min(max(int(value), 0), 8))
        return image.point([v & mask for v in range(256)] * len(image.getbands()))
    if name == "Solarize":
        return image.point([255 - v if v >= value else v for v in range(256)] * len(image.getbands()))
    if name == "Cutout":
        return cut(image, int(value) // 2, int(right * image.width), int(down * image.height), fill)
    if name == "RandomCrop":
        if meaning.way == ENLARGED:
            return resized_crop(image, value, down, right)
        return filled_crop(image, int(value), down, right, fill)
    raise ValueError(f"{name}: cannot be done to one image by Pillow")


def cut(image: Image.Image, half: int, x: int, y: int, fill: Any) -> Image.Image:
    out = image.copy()
    if half:
        box = (max(x - half, 0), max(y - half, 0), min(x + half, image.width) - 1, min(y + half, image.height) - 1)
        ImageDraw.Draw(out).rectangle(box, fill=fill)
    return out


def resized_crop(image: Image.Image, size: float, down: float, right: float) -> Image.Image:
    """Reflect-pad an eighth, crop a window of size / 32 of the side, enlarge it to the full size."""
    pixels = np.asarray(image)
    pads, windows, starts = [], [], []
    for side, place in zip(pixels.shape, (down, right), strict=False):
        pad, window = round(side / 8), max(round(side * size / 32), 1)
        pads.append((pad, pad))
        windows.append(window)
        starts.append(math.floor(place * (side + 2 * pad - window + 1)))
    padded = np.pad(pixels, pads + [(0, 0)] * (pixels.ndim - 2), "reflect")
    window = padded[starts[0] : starts[0] + windows[0], starts[1] : starts[1] + windows[1]]
    return Image.fromarray(np.ascontiguousarray(window)).resize(image.size, Image.Resampling.BILINEAR)


def filled_crop(image: Image.Image, further: int, down: float, right: float, fill: Any) -> Image.Image:
    """Pad an eighth with the fill, crop the full size at an offset up to twice the padding - 1 + further."""
    x, y = round(image.width / 8), round(image.height / 8)
    left = math.floor(right * max(2 * x + further, 1))
    top = math.floor(down * max(2 * y + further, 1))
    padded = Image.new(image.mode, (image.width + 2 * x, image.height + 2 * y), fill)
    padded.paste(image, (x, y))
    return padded.crop((left, top, left + image.width, top + image.height))
