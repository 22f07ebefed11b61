"""What the three projects do to ONE image, written with Pillow alone: the oracle for `augsearch.policy.ops`."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from torchvision.transforms import functional as tv
from torchvision.transforms.v2 import functional as v2

ENHANCERS = {
    "Color": ImageEnhance.Color,
    "Contrast": ImageEnhance.Contrast,
    "Brightness": ImageEnhance.Brightness,
    "Sharpness": ImageEnhance.Sharpness,
}


def as_image(pixels: np.ndarray) -> Image.Image:
    """(C, H, W) uint8 with one or three channels."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def as_pixels(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def reference(pixels: np.ndarray, name: str, m: float, dialect: str, noise: tuple[float, float]) -> np.ndarray:
    image = as_image(pixels)
    colours = {"tuun": (128, 128, 128), "pba": (125, 122, 113), "torchvision": (0, 0, 0)}[dialect]
    fill = colours if len(pixels) == 3 else sum(colours) // 3
    return as_pixels({"tuun": tuun, "pba": pba, "torchvision": torchvision}[dialect](image, name, m, fill, noise))


def without_magnitude(image: Image.Image, name: str) -> Image.Image:
    known = {
        "AutoContrast": ImageOps.autocontrast,
        "Equalize": ImageOps.equalize,
        "Invert": ImageOps.invert,
        "HorizontalFlip": ImageOps.mirror,
        "Identity": Image.Image.copy,
    }
    assert name in known, f"{name}: tests/pillow_reference.py does not say what Pillow does for it"
    return known[name](image)


def shifted(image: Image.Image, matrix: tuple, fill, resample=Image.Resampling.NEAREST) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=fill)


def tuun(image: Image.Image, name: str, m: float, fill, noise) -> Image.Image:
    width, height = image.size
    bicubic = Image.Resampling.BICUBIC
    if name == "ShearX":
        return shifted(image, (1, m * 0.3, 0, 0, 1, 0), fill, bicubic)
    if name == "ShearY":
        return shifted(image, (1, 0, 0, m * 0.3, 1, 0), fill, bicubic)
    if name == "TranslateX":
        return shifted(image, (1, 0, m * (150 / 331) * width, 0, 1, 0), fill)
    if name == "TranslateY":
        return shifted(image, (1, 0, 0, 0, 1, m * (150 / 331) * height), fill)
    if name == "Rotate":
        return image.rotate(m * 30, fillcolor=fill)
    if name in ENHANCERS:
        return ENHANCERS[name](image).enhance(1 + 0.9 * m)
    if name == "Posterize":
        return ImageOps.posterize(image, round(8 - 4 * m))
    if name == "Solarize":
        return ImageOps.solarize(image, 256 - 256 * m)
    if name == "Cutout":
        return cut(image, m * 20 / 32 * min(width, height), noise, fill)
    if name == "RandomCrop":
        pads = [round(side / 8) for side in (height, width)]
        pixels = as_pixels(image)
        pixels = np.pad(pixels, ((0, 0), (pads[0],) * 2, (pads[1],) * 2), "reflect")
        sizes = [round(side * (28 + 4 * m) / 32) for side in (height, width)]
        tops = [math.floor(u * (side + 2 * p - s + 1)) for u, side, p, s in zip(noise, (height, width), pads, sizes)]
        window = pixels[:, tops[0] : tops[0] + sizes[0], tops[1] : tops[1] + sizes[1]]
        return as_image(window).resize((width, height), Image.Resampling.BILINEAR)
    return without_magnitude(image, name)


def pba(image: Image.Image, name: str, m: float, fill, noise) -> Image.Image:
    if name in ("ShearX", "ShearY"):
        factor = m * 0.3 / 10
        return shifted(image, (1, factor, 0, 0, 1, 0) if name == "ShearX" else (1, 0, 0, factor, 1, 0), fill)
    if name in ("TranslateX", "TranslateY"):
        pixels = int(m * 10 / 10)
        return shifted(image, (1, 0, pixels, 0, 1, 0) if name == "TranslateX" else (1, 0, 0, 0, 1, pixels), fill)
    if name == "Rotate":
        return image.rotate(int(m * 30 / 10), fillcolor=fill)
    if name in ENHANCERS:
        return ENHANCERS[name](image).enhance(m * 1.8 / 10 + 0.1)
    if name == "Posterize":
        return posterize(image, 4 - int(m * 4 / 10))
    if name == "Solarize":
        return ImageOps.solarize(image, 256 - int(m * 256 / 10))
    if name == "Cutout":
        return cut(image, m * 20 / 10, noise, fill)
    if name == "RandomCrop":
        return padded_crop(image, noise, fill, 0)
    return without_magnitude(image, name)


def torchvision(image: Image.Image, name: str, m: float, fill, noise) -> Image.Image:
    if name in ("ShearX", "ShearY"):
        degrees = math.degrees(math.atan(m))
        shear = [degrees, 0.0] if name == "ShearX" else [0.0, degrees]
        return v2.affine(image, 0.0, [0, 0], 1.0, shear, center=[0, 0], fill=None)
    if name in ("TranslateX", "TranslateY"):
        return v2.affine(image, 0.0, [int(m), 0] if name == "TranslateX" else [0, int(m)], 1.0, [0.0, 0.0])
    if name == "Rotate":
        return v2.rotate(image, m)
    if name in ENHANCERS:
        adjust = {
            "Color": v2.adjust_saturation,
            "Contrast": v2.adjust_contrast,
            "Brightness": v2.adjust_brightness,
            "Sharpness": v2.adjust_sharpness,
        }[name]
        return adjust(image, 1 + m)
    if name == "Posterize":
        return posterize(image, int(m))
    if name == "Solarize":
        return tv.solarize(image, 255.0 * m)
    if name == "Cutout":
        return cut(image, m, noise, fill)
    if name == "RandomCrop":
        return padded_crop(image, noise, fill, 1)
    return without_magnitude(image, name)


def posterize(image: Image.Image, bits: int) -> Image.Image:
    """Pillow refuses 0 bits since 13.0; older versions, which PBA ran on, gave black."""
    return ImageOps.posterize(image, bits) if bits else image.point([0] * 256 * len(image.getbands()))


def cut(image: Image.Image, side: float, noise, fill) -> Image.Image:
    half = int(side) // 2
    y, x = math.floor(noise[0] * image.height), math.floor(noise[1] * image.width)
    out = image.copy()
    if half:
        box = (max(x - half, 0), max(y - half, 0), min(x + half, image.width) - 1, min(y + half, image.height) - 1)
        ImageDraw.Draw(out).rectangle(box, fill=fill)
    return out


def padded_crop(image: Image.Image, noise, fill, extra: int) -> Image.Image:
    pads = [round(side / 8) for side in (image.height, image.width)]
    top, left = (math.floor(u * max(2 * p + extra, 1)) for u, p in zip(noise, pads))
    padded = Image.new(image.mode, (image.width + 2 * pads[1], image.height + 2 * pads[0]), fill)
    padded.paste(image, (pads[1], pads[0]))
    return padded.crop((left, top, left + image.width, top + image.height))
