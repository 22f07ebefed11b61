# A policy found by, or imported into, augsearch: one image at a time, with Pillow and numpy alone.
# This file stands by itself: copy it anywhere.
#
# Magnitudes are in the units of POLICY's dialect; images are 8-bit, grey or RGB.

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

POLICY: dict[str, Any] = json.loads("""{}""")

FILL = {"tuun": (128, 128, 128), "pba": (125, 122, 113), "torchvision": (0, 0, 0)}
GEOMETRY = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
ENHANCERS: dict[str, Any] = {
    "Color": ImageEnhance.Color,
    "Contrast": ImageEnhance.Contrast,
    "Brightness": ImageEnhance.Brightness,
    "Sharpness": ImageEnhance.Sharpness,
}
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
    two_sided = GEOMETRY if policy["dialect"] == "pba" else (*GEOMETRY, *ENHANCERS)
    if policy["draw"] == "count":
        share = uniform()
        left = int(share >= 0.2) + int(share >= 0.5)  # 0, 1 or 2 with p = .2, .3, .5
        entries = sorted((operation for (operation,) in sub_policies), key=lambda _: uniform())
    else:
        entries = sub_policies[int(uniform() * len(sub_policies))]
        left = len(entries)
    for entry in entries:
        name, magnitude = entry["operation"], entry["magnitude"]
        flip = name == "HorizontalFlip" and policy["dialect"] == "tuun"
        if left and uniform() < entry["probability"] * (magnitude if flip else 1):
            left -= policy["draw"] == "count"
            yield name, -magnitude if name in two_sided and uniform() < 0.5 else magnitude


def perform(image: Image.Image, name: str, m: float, dialect: str, down: float, right: float) -> Image.Image:
    """One operation; `down` and `right` in [0, 1) are the place of a window."""
    colour = FILL[dialect]
    fill: Any = colour if image.mode == "RGB" else sum(colour) // 3
    if name in PLAIN:
        return PLAIN[name](image)
    if name in GEOMETRY:
        return moved(image, name, m, dialect, fill)
    if name in ENHANCERS:
        factor = {"tuun": 1 + 0.9 * m, "pba": m * 1.8 / 10 + 0.1, "torchvision": 1 + m}[dialect]
        enhanced: Image.Image = ENHANCERS[name](image).enhance(factor)
        return enhanced
    if name == "Posterize":
        bits = {"tuun": round(8 - 4 * m), "pba": 4 - int(m * 4 / 10), "torchvision": int(m)}[dialect]
        mask = 256 - 2 ** (8 - min(max(bits, 0), 8))
        return image.point([value & mask for value in range(256)] * len(image.getbands()))
    if name == "Solarize":
        threshold = {"tuun": 256 - 256 * m, "pba": 256 - int(m * 256 / 10), "torchvision": 255.0 * m}[dialect]
        return image.point([255 - v if v >= threshold else v for v in range(256)] * len(image.getbands()))
    if name == "Cutout":
        side = {"tuun": m * 20 / 32 * min(image.size), "pba": m * 20 / 10, "torchvision": m}[dialect]
        return cut(image, int(side) // 2, int(right * image.width), int(down * image.height), fill)
    if name == "RandomCrop":
        return resized_crop(image, m, down, right) if dialect == "tuun" else filled_crop(image, dialect, down, right, fill)
    raise ValueError(f"{name}: cannot be done to one image by Pillow")


def moved(image: Image.Image, name: str, m: float, dialect: str, fill: Any) -> Image.Image:
    if name == "Rotate":
        return image.rotate({"tuun": m * 30, "pba": int(m * 3), "torchvision": m}[dialect], fillcolor=fill)
    matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    how = Image.Resampling.NEAREST
    if name.startswith("Shear"):
        matrix[1 if name == "ShearX" else 3] = {"tuun": m * 0.3, "pba": m * 0.3 / 10, "torchvision": m}[dialect]
        how = Image.Resampling.BICUBIC if dialect == "tuun" else how
    else:
        side = image.width if name == "TranslateX" else image.height
        pixels = {"tuun": m * (150 / 331) * side, "pba": int(m), "torchvision": -int(m)}[dialect]
        matrix[2 if name == "TranslateX" else 5] = pixels
    return image.transform(image.size, Image.Transform.AFFINE, tuple(matrix), how, fillcolor=fill)


def cut(image: Image.Image, half: int, x: int, y: int, fill: Any) -> Image.Image:
    out = image.copy()
    if half:
        box = (max(x - half, 0), max(y - half, 0), min(x + half, image.width) - 1, min(y + half, image.height) - 1)
        ImageDraw.Draw(out).rectangle(box, fill=fill)
    return out


def resized_crop(image: Image.Image, m: float, down: float, right: float) -> Image.Image:
    """Reflect-pad an eighth, crop a window of (28 + 4 m) / 32 of the side, enlarge it to the full size."""
    pixels = np.asarray(image)
    pads, windows, starts = [], [], []
    for side, place in zip(pixels.shape, (down, right), strict=False):
        pad, window = round(side / 8), max(round(side * (28 + 4 * m) / 32), 1)
        pads.append((pad, pad))
        windows.append(window)
        starts.append(math.floor(place * (side + 2 * pad - window + 1)))
    padded = np.pad(pixels, pads + [(0, 0)] * (pixels.ndim - 2), "reflect")
    window = padded[starts[0] : starts[0] + windows[0], starts[1] : starts[1] + windows[1]]
    return Image.fromarray(np.ascontiguousarray(window)).resize(image.size, Image.Resampling.BILINEAR)


def filled_crop(image: Image.Image, dialect: str, down: float, right: float, fill: Any) -> Image.Image:
    """Pad an eighth with the fill, crop the full size; PBA never takes the last offset."""
    x, y = round(image.width / 8), round(image.height / 8)
    left = math.floor(right * max(2 * x + (dialect == "torchvision"), 1))
    top = math.floor(down * max(2 * y + (dialect == "torchvision"), 1))
    padded = Image.new(image.mode, (image.width + 2 * x, image.height + 2 * y), fill)
    padded.paste(image, (x, y))
    return padded.crop((left, top, left + image.width, top + image.height))
