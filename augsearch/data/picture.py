"""One picture's file: what its header says, and its pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from augsearch.data.settings import MIN_SIDE

MAX_PIXELS = 64_000_000
"""A header that claims more is taken for a decompression bomb, and not decoded."""
_HUGE = f"huge: more than {MAX_PIXELS // 10**6} million pixels"
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # none that runs a program to decode, as EPS does
_WIDE: dict[str, type[np.generic]] = {"I;16": np.uint16, "I;16L": np.uint16, "I;16B": np.uint16, "I": np.int32, "F": np.float32}
_GRAY_MODES = ("1", "L", "LA", *_WIDE)
_COLOR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr")
_ORIENTATION, _PHOTOMETRIC = 0x0112, 0x0106  # tags of EXIF and TIFF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = [_TURNS[orientation] for orientation in (5, 6, 7, 8)]


class UnusableError(Exception):
    """A file that cannot be used as a picture; the message says why."""


@dataclass(frozen=True)
class Header:
    """Properties of a picture, read without decoding it."""

    size: tuple[int, int]
    """Height and width, as it is shown (after the EXIF turn)."""
    gray: bool
    dtype: type[np.generic]
    """Type of the pixel values: uint8, or wider and then gray."""


@dataclass(frozen=True)
class Decoded:
    """A picture's pixels."""

    pixels: NDArray[Any]
    """(C, H, W) of the header's type."""
    transparent: bool
    """Some pixels are transparent; their colors are the file's, which nobody sees."""


def read_header(path: Path) -> Header:
    """Read a picture's header.

    Raises:
        UnusableError: no picture, or one that is empty, huge, tiny, broken, of several frames or of pixels that are not read.
    """
    if not path.is_file():
        raise UnusableError("not a file" if path.exists() else "a link to nothing")
    if path.stat().st_size == 0:
        raise UnusableError("empty")
    with _opened(path) as image:
        width, height = image.size
        _check(image)
        if width != height and _turn(image) in _ON_ITS_SIDE:
            width, height = height, width
        return Header((height, width), image.mode in _GRAY_MODES, _WIDE.get(image.mode, np.uint8))


def read_pixels(path: Path, size: tuple[int, int], fit: str, gray: bool) -> Decoded:
    """Decode a picture, turn it as its EXIF says, and resize it to (height, width).

    Raises:
        UnusableError: the file is broken, as is seen only now.
    """
    with _opened(path) as opened:
        turn = _turn(opened)
        image = opened if turn is None else opened.transpose(turn)
        if opened.mode in _WIDE:
            values = np.asarray(image).astype(_WIDE[opened.mode])
            if not np.isfinite(values).all():
                raise UnusableError("values that are infinite or not a number")
            return Decoded(resize_values(values, size, fit)[None], transparent=False)
        transparent = _is_transparent(opened)
        pixels = np.asarray(_resized(image.convert("L" if gray else "RGB"), size, fit))
    return Decoded(pixels[None] if gray else pixels.transpose(2, 0, 1), transparent)


def resize_values(values: NDArray[Any], size: tuple[int, int], fit: str) -> NDArray[Any]:
    """Resize one channel (H, W) of any type of number to `size`; see `_resized`."""
    if values.dtype == np.uint8:
        pixels: NDArray[np.uint8] = np.asarray(_resized(Image.fromarray(values), size, fit))
        return pixels
    if values.shape == size:
        return values
    resized = np.asarray(_resized(Image.fromarray(values.astype(np.float32)), size, fit))
    within = np.clip(resized, values.min(), values.max())  # bicubic weights overshoot
    whole: NDArray[Any] = within if values.dtype.kind == "f" else np.rint(within)
    return whole.astype(values.dtype)


def _resized(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """Resize to (height, width): "crop" keeps the proportions and cuts the margins, "stretch" keeps everything."""
    target = size[::-1]
    if image.size == target:
        return image
    if fit == "stretch":
        return image.resize(target, Image.Resampling.BICUBIC)
    return ImageOps.fit(image, target, Image.Resampling.BICUBIC)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; whatever Pillow raises while it is open becomes an UnusableError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # palettes with transparency, odd metadata, Pillow's own larger limit
            with Image.open(path, formats=_FORMATS) as image:
                yield image
    except UnusableError:
        raise
    except UnidentifiedImageError:
        raise UnusableError("not a readable BMP, GIF, JPEG, PNG, PPM, TIFF or WebP image") from None
    except Image.DecompressionBombError:
        raise UnusableError(_HUGE) from None
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        raise UnusableError(f"broken: {' '.join(str(error).split())[:80] or type(error).__name__}") from None


def _check(image: Image.Image) -> None:
    """Check what can be known of a picture without decoding it."""
    if image.width * image.height > MAX_PIXELS:
        raise UnusableError(_HUGE)
    if min(image.size) < MIN_SIDE:
        raise UnusableError(f"{image.width}x{image.height} pixels, at least {MIN_SIDE} each way")
    if image.mode not in _GRAY_MODES + _COLOR_MODES:
        raise UnusableError(f"pixels of kind {image.mode}, which are not read")
    stored = str([tile[3] for tile in getattr(image, "tile", ())])  # how the file holds its values
    if image.mode not in _WIDE and ";16" in stored:
        raise UnusableError("16 bits for each color, which are not read; convert it to 8")
    if image.mode == "I" and ";32" in stored and "S" not in stored:
        raise UnusableError("unsigned values of 32 bits, which are not read; convert it to 16")
    if image.mode in _WIDE and image.format == "TIFF" and image.getexif().get(_PHOTOMETRIC) == 0:
        raise UnusableError("white is stored as 0, which is not read at more than 8 bits; convert it to black as 0")
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # a camera's MPO holds the photo, then previews
    if frames > 1:
        raise UnusableError(f"{frames} frames or pages; must be one picture")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Find how the EXIF orientation turns a picture; None where it says nothing, or nothing that means anything."""
    if image.format == "TIFF":
        return None  # Pillow turns these itself, their size included
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # broken metadata do not make a broken picture
        return None
    return _TURNS.get(orientation) if isinstance(orientation, int) else None


def _is_transparent(image: Image.Image) -> bool:
    if not image.has_transparency_data or image.mode in _WIDE:
        return False
    lowest = image.convert("RGBA").getchannel("A").getextrema()[0]
    return isinstance(lowest, int | float) and lowest < 255
