"""A few images out of a user's files, to see what a policy does to them."""

from __future__ import annotations

import os
import warnings
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from augsearch.errors import DataError
from augsearch.policy.exchange.standalone import in_8_bits

Images = NDArray[np.uint8]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # none that runs a program to decode, as EPS does
_IGNORED = ("thumbs.db", "desktop.ini")
_LONGEST_SIDE = 512  # pixels: a grid shows a tenth of them
_MOST_PIXELS = 64_000_000  # a header that claims more is taken for a decompression bomb
_NAMED = 3


def load_images(path: Path, count: int) -> tuple[Images, list[str]]:
    """Read the first images of a folder, of one picture, or of an .npz's `train_images`.

    A folder may hold class folders, and pictures of any size and kind: they are shown upright, reduced to at most 512
    pixels a side, and brought to the size and the channels of the first one.

    Returns:
        (count or fewer, C, H, W) uint8, and a note about the files that are no pictures, if any were passed over.

    Raises:
        DataError: nothing there that is an image.
    """
    if path.is_dir():
        return _from_files(_files(path), path, count)
    if path.is_file() and path.suffix.lower() != ".npz":
        return _from_files([path], path.parent, count)
    return _from_npz(path, count), []


def _files(folder: Path) -> list[Path]:
    """Every visible file below the folder, by name; links to folders are not followed."""
    paths = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(where) / name for name in files if not name.startswith(".") and name.lower() not in _IGNORED]
    return sorted(paths)


def _from_files(files: list[Path], root: Path, count: int) -> tuple[Images, list[str]]:
    pictures: list[Image.Image] = []
    passed_over = []
    for file in files:
        if len(pictures) == count:
            break
        try:
            pictures.append(_picture(file))
        except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
            passed_over.append(f"{file.relative_to(root)} ({_reason(error)})")
    more = f" and {len(passed_over) - _NAMED} more" if len(passed_over) > _NAMED else ""
    named = ", ".join(passed_over[:_NAMED]) + more
    if not pictures:
        raise DataError(f"{root}: no pictures{': ' + named if named else ''}; must hold some of {', '.join(_FORMATS)}")
    return _stacked(pictures), [f"passed over: {named}"] if named else []


def _picture(file: Path) -> Image.Image:
    """An RGB or L picture, upright."""
    if not file.is_file():
        raise ValueError("not a file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata and large sizes: the pixels are read all the same, or refused below
        with Image.open(file, formats=_FORMATS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise ValueError(f"{opened.width} x {opened.height} pixels")
            image: Image.Image = opened
            if image.mode.startswith("I;16") or (image.mode == "I" and opened.format == "PPM"):  # both hold 16 bits
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
                image.info["exif"] = opened.getexif().tobytes()
            image, _ = in_8_bits(ImageOps.exif_transpose(image))
            image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
            return image


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return " ".join((error.strerror if isinstance(error, OSError) and error.strerror else str(error)).split())[:80]


def _stacked(pictures: list[Image.Image]) -> Images:
    first = pictures[0]
    same = [ImageOps.fit(picture.convert(first.mode), first.size) for picture in pictures]
    pixels = np.stack([np.asarray(picture) for picture in same])
    return pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)


def _from_npz(path: Path, count: int) -> Images:
    try:
        with path.open("rb") as opened, np.load(opened) as data:
            images = data["train_images"][:count]
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: must be a folder of pictures or an .npz file with train_images ({error})") from None
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise DataError(f"{path}: train_images {images.shape} {images.dtype}; must be (N, H, W) or (N, H, W, C) uint8")
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
