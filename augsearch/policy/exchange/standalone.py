# A policy found by, or imported into, augsearch: one image at a time, with Pillow and numpy alone.
#
# Magnitudes are in the units of POLICY's dialect. Operations work on 8 bits, grayscale or RGB; `applied` and `on_array` say
# what else is taken, and how.

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from augsearch.policy.exchange.tables import FILL, MEANING, MOVES, SIGNED
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
Step = tuple[str, float, str, float, float]  # operation, magnitude with its sign, dialect, place of a window: down, right


def augment(image: Image.Image, uniform: Uniform, epoch: int = 0) -> Image.Image:
    """Draw for one image, and apply what is drawn; epoch: counted from 0, for a schedule."""
    return applied(image, steps(uniform, epoch))


def steps(uniform: Uniform, epoch: int = 0) -> list[Step]:
    """Draw what one image gets."""
    drawn = []
    for part in POLICY.get("parts", [POLICY]):
        policy = at(part, epoch)
        drawn += [(name, m, policy["dialect"], uniform(), uniform()) for name, m in draw(policy, uniform)]
    return drawn


def applied(image: Image.Image, drawn: list[Step]) -> Image.Image:
    """Apply what is drawn to a picture of any 8-bit mode.

    RGB and L stay what they are, and so do RGBA and LA, whose alpha moves with the image but keeps its values; 1 becomes L,
    anything else RGB (of a palette with transparency, that is lost). More than 8 bits are a ValueError.
    """
    image, alpha = in_8_bits(image)
    for name, m, dialect, down, right in drawn:
        image = perform(image, name, m, dialect, down, right)
        if alpha is not None and name in MOVES:
            alpha = perform(alpha, name, m, dialect, down, right, 255)
    if alpha is not None:
        image.putalpha(alpha)
    return image


def in_8_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The picture as RGB or L, and its alpha channel where it has one."""
    if image.mode in ("RGB", "L"):
        return image, None
    if image.mode not in ("1", "LA", "La", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"):
        raise ValueError(
            f"a picture of mode {image.mode!r}; must have 8 bits: scale it first, as (np.asarray(image) >> 8).astype('uint8')"
        )
    grayscale = image.mode in ("1", "LA", "La")
    alpha = None
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        image = image.convert("LA" if grayscale else "RGBA")
        alpha = image.getchannel("A")
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns when it goes to RGB at once
    return image.convert("L" if grayscale else "RGB"), alpha


def on_array(pixels: Any, drawn: list[Step]) -> Any:
    """Apply what is drawn to an array (H, W), (H, W, 1) or (H, W, 3) of uint8, or of floats in [0, 1].

    Floats are rounded to the nearest of the 256 values k / 255, half to even, and are such values afterwards. Anything
    else is a ValueError.
    """
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)):
        raise ValueError(f"an image (height, width, channels) of {tuple(pixels.shape)}; must have 1 or 3 channels")
    floats = pixels.dtype.kind == "f"
    if not floats and pixels.dtype != np.uint8:
        raise ValueError(f"an image of {pixels.dtype}; must be uint8, or floats from 0 to 1")
    values = pixels
    if floats:
        low, high = pixels.min(), pixels.max()
        if not -0.001 <= low <= high <= 1.001:  # also where one is not a number; interpolation may leave [0, 1] by a rounding
            raise ValueError(f"floats from {low:g} to {high:g}; must be from 0 to 1: augment before Normalize, or clamp them")
        values = np.rint(np.clip(pixels.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(values[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else values))
    out = np.asarray(applied(image, drawn)).reshape(pixels.shape)
    return (out / 255).astype(pixels.dtype) if floats else out


def moving() -> list[str]:
    """The policy's operations that move pixels, so that masks and boxes no longer match the image."""
    policies = [segment for part in POLICY.get("parts", [POLICY]) for segment in part.get("segments", [part])]
    entries = [entry for policy in policies for sub_policy in policy["sub_policies"] for entry in sub_policy]
    return sorted({entry["operation"] for entry in entries if entry["probability"] > 0} & set(MOVES))


def unmatched(annotations: str) -> str:
    """The error message for a sample with annotations, "Mask" say, where the policy moves pixels."""
    return (
        f"the sample has {annotations}, and the policy moves pixels ({', '.join(moving())}), which they would no longer match; "
        "Augment(allow_unmatched=True) leaves them as they are, or use a policy without these operations"
    )


def at(part: dict[str, Any], epoch: int) -> dict[str, Any]:
    """The policy of an epoch, counted from 0; after its last segment a schedule keeps the last."""
    segments: list[dict[str, Any]] = part.get("segments", [part])
    for segment in segments[:-1]:
        if epoch < segment["epochs"]:
            return segment
        epoch -= segment["epochs"]
    return segments[-1]


def draw(policy: dict[str, Any], uniform: Uniform) -> Iterator[tuple[str, float]]:
    """Draw one policy's operations for an image, with their magnitudes, the sign included."""
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
    """What a magnitude means; itself where there is no formula."""
    return MEANING.get(name, {}).get(dialect, Linear(1))


def perform(image: Image.Image, name: str, m: float, dialect: str, down: float, right: float, fill: Any = None) -> Image.Image:
    """Apply one operation to a picture, RGB or L; `down` and `right` in [0, 1) are the place of a window."""
    if fill is None:
        fill = FILL[dialect] if image.mode == "RGB" else sum(FILL[dialect]) // 3
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
    """Fill a square of twice `half` about (x, y), clipped at the edges."""
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
