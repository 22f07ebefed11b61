"""One picture's file: what its header says, and its pixels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from augsearch.data.settings import MIN_SIDE

MAX_PIXELS = 64_000_000
"""A header that claims more is taken for a decompression bomb, and not decoded."""
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # none that runs a program to decode, as EPS does
_GRAY_MODES = ("1", "L", "LA", "I;16", "I;16L", "I;16B", "I;16N")


class UnusableError(Exception):
    """A file that cannot be used as a picture; the message says why."""


@dataclass(frozen=True)
class Header:
    """What a picture is, known without decoding it."""

    size: tuple[int, int]
    """Height and width, as it is shown (after the EXIF turn)."""
    gray: bool


def read_header(path: Path) -> Header:
    """Read a picture's header.

    Raises:
        UnusableError: no picture, or one that is empty, huge, tiny, broken or of pixels that are not read.
    """
    try:
        if not path.is_file():
            raise UnusableError("not a file" if path.exists() else "a link to nothing")
        if path.stat().st_size == 0:
            raise UnusableError("empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own, larger limit; ours follows
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation: lying on its side
                mode = image.mode
    except UnusableError:
        raise
    except UnidentifiedImageError:
        raise UnusableError("not an image") from None
    except Image.DecompressionBombError:
        raise UnusableError(f"huge: more than {MAX_PIXELS // 10**6} million pixels") from None
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        raise UnusableError(f"broken: {_short(error)}") from None
    _check(width, height, mode)
    return Header((width, height) if turned else (height, width), mode in _GRAY_MODES)


def read_pixels(path: Path, size: tuple[int, int], fit: str, gray: bool) -> NDArray[np.uint8]:
    """Decode a picture and resize it to (height, width): (C, H, W) uint8.

    Raises:
        UnusableError: the file is broken, as is seen only now.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # palettes with transparency and odd metadata: the pixels are read all the same
            with Image.open(path, formats=_FORMATS) as opened:
                image: Image.Image = opened
                if image.mode.startswith("I;16"):
                    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
                image = resize(ImageOps.exif_transpose(image).convert("L" if gray else "RGB"), size, fit)
    except Exception as error:  # as above
        raise UnusableError(f"broken: {_short(error)}") from None
    pixels = np.asarray(image)
    return pixels[None] if gray else pixels.transpose(2, 0, 1)


def resize(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """Resize to (height, width): "crop" keeps the proportions and cuts the margins, "stretch" keeps everything."""
    target = size[::-1]
    if image.size == target:
        return image
    if fit == "stretch":
        return image.resize(target, Image.Resampling.BICUBIC)
    return ImageOps.fit(image, target, Image.Resampling.BICUBIC)


def _check(width: int, height: int, mode: str) -> None:
    if width * height > MAX_PIXELS:
        raise UnusableError(f"huge: more than {MAX_PIXELS // 10**6} million pixels")
    if min(width, height) < MIN_SIDE:
        raise UnusableError(f"{width}x{height} pixels, at least {MIN_SIDE} each way")
    if mode in ("I", "F"):
        raise UnusableError(f"pixels of kind {mode}; must have 8 or 16 bits")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__
