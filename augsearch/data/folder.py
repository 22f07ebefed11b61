"""A folder of pictures -> packed arrays. Every file that cannot be used is named in one report.

    root/train/cat/1.jpg  root/val/cat/2.jpg  root/test/cat/3.jpg     three splits; val may be absent
    root/cat/1.jpg        root/dog/2.png                              class folders alone: val and test are split off

Files may lie deeper inside a class's folder. Links that lead out of the root are not followed.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from augsearch.data.settings import MIN_SIDE, DatasetSettings
from augsearch.data.splits import SPLITS, Raw, Split
from augsearch.errors import DataError

Images = NDArray[np.uint8]
MAX_PIXELS = 64_000_000
"""A header that claims more is taken for a decompression bomb, and not decoded."""
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # none that runs a program to decode, as EPS does
_IGNORED = ("thumbs.db", "desktop.ini")
_GRAY_MODES = ("1", "L", "LA", "I;16", "I;16L", "I;16B", "I;16N")
_NAMED = 30  # files in the report; beyond it, their number


@dataclass(frozen=True)
class _Picture:
    path: Path
    label: int
    size: tuple[int, int]
    """Height and width, as it is shown (after the EXIF turn)."""
    gray: bool


class _Problems:
    """Files that cannot be used, and why."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.lines: list[str] = []

    def add(self, path: Path, why: str) -> None:
        self.lines.append(f"{path.relative_to(self._root)} ({why})")

    def __str__(self) -> str:
        more = f" and {len(self.lines) - _NAMED} more" if len(self.lines) > _NAMED else ""
        return ", ".join(self.lines[:_NAMED]) + more


def read_folder(settings: DatasetSettings, folder: Path) -> Raw:
    """Read the pictures of `settings.folder` in `folder`.

    Raises:
        DataError: no such folder, classes that differ between splits, sizes that differ while none is set, or files
            that cannot be used while `bad_files` is "refuse": all of them in the one line.
    """
    assert settings.folder is not None
    root = folder / settings.folder
    if not root.is_dir():
        raise DataError(f"dataset.folder: {root}: no such folder")
    layout = _layout(root)
    classes = _classes(layout, root)
    problems = _Problems(root)
    listed = {split: _listed(folder, classes, root, problems) for split, folder in layout.items()}
    size = _common_size(listed, settings, root, problems)
    splits = {split: _decoded(pictures, size, settings, problems) for split, pictures in listed.items()}
    if problems.lines and settings.bad_files == "refuse":
        raise DataError(
            f"dataset.folder: {root}: {len(problems.lines)} files cannot be used: {problems}; "
            "remove or mend them, or set dataset.bad_files: skip"
        )
    notes = (f"{len(problems.lines)} files were skipped: {problems}",) if problems.lines else ()
    return Raw(_gray_or_color(splits, settings), classes, str(settings.folder), notes)


def _layout(root: Path) -> dict[str, Path]:
    """Find the folder of each split; {"train": root} where there are class folders alone."""
    inside = {entry.name for entry in _folders(root)}
    if "train" not in inside:
        return {"train": root}
    if "test" not in inside:
        raise DataError(
            f"dataset.folder: {root}: has train but no test; must have train, test and perhaps val, or class folders"
        )
    unknown = sorted(inside - set(SPLITS))
    if unknown:
        raise DataError(f"dataset.folder: {root}: {unknown[0]!r} stands beside train; must be train, val or test")
    return {split: root / split for split in SPLITS if split in inside}


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _classes(layout: dict[str, Path], root: Path) -> tuple[str, ...]:
    found = {split: [entry.name for entry in _folders(folder)] for split, folder in layout.items()}
    classes = found["train"]
    if len(classes) < 2:
        raise DataError(f"dataset.folder: {layout['train']}: has {len(classes)} class folders; must have at least 2")
    for split, names in found.items():
        differ = sorted(set(names) ^ set(classes))
        if differ:
            raise DataError(
                f"dataset.folder: {root}: train has {len(classes)} classes and {split} {len(names)}; "
                f"only one of them has {', '.join(repr(name) for name in differ)}"
            )
    return tuple(classes)


def _listed(folder: Path, classes: tuple[str, ...], root: Path, problems: _Problems) -> list[_Picture]:
    """List the pictures of a split by class and name, from their headers alone."""
    pictures = []
    for label, name in enumerate(classes):
        for path in _files(folder / name, root, problems):
            picture = _header(path, label, problems)
            if picture is not None:
                pictures.append(picture)
    return pictures


def _files(folder: Path, root: Path, problems: _Problems) -> list[Path]:
    """List every file below a class's folder that lies, after following links, inside the root."""
    if folder.is_symlink():
        problems.add(folder, "a link to a folder, which is not followed")
        return []
    inside, found = root.resolve(), []
    for where, folders, files in os.walk(folder):
        for name in [name for name in folders if (Path(where) / name).is_symlink()]:
            problems.add(Path(where) / name, "a link to a folder, which is not followed")
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(where) / name
            if name.startswith(".") or name.lower() in _IGNORED:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                problems.add(path, "a link that leads out of the folder")
            else:
                found.append(path)
    return sorted(found)


def _header(path: Path, label: int, problems: _Problems) -> _Picture | None:
    try:
        if not path.is_file():
            problems.add(path, "not a file" if path.exists() else "a link to nothing")
            return None
        if path.stat().st_size == 0:
            problems.add(path, "empty")
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own, larger limit; ours follows
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation: lying on its side
                mode = image.mode
    except UnidentifiedImageError:
        problems.add(path, "not an image")
        return None
    except Image.DecompressionBombError:
        problems.add(path, f"huge: more than {MAX_PIXELS // 10**6} million pixels")
        return None
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        problems.add(path, f"broken: {_short(error)}")
        return None
    why = _unusable(width, height, mode)
    if why:
        problems.add(path, why)
        return None
    return _Picture(path, label, (width, height) if turned else (height, width), mode in _GRAY_MODES)


def _unusable(width: int, height: int, mode: str) -> str | None:
    if width * height > MAX_PIXELS:
        return f"huge: more than {MAX_PIXELS // 10**6} million pixels"
    if min(width, height) < MIN_SIDE:
        return f"{width}x{height} pixels, at least {MIN_SIDE} each way"
    return f"pixels of kind {mode}; must have 8 or 16 bits" if mode in ("I", "F") else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def _common_size(
    listed: dict[str, list[_Picture]], settings: DatasetSettings, root: Path, problems: _Problems
) -> tuple[int, int]:
    """Find height and width of the packed images: the setting, or what every picture has."""
    if settings.size is not None:
        return settings.size
    sizes = {picture.size: picture.path for pictures in listed.values() for picture in pictures}
    if len(sizes) == 1:
        return next(iter(sizes))
    if not sizes:
        raise DataError(f"dataset.folder: {root}: no usable image{'; ' + str(problems) if problems.lines else ''}")
    named = ", ".join(f"{h}x{w} ({path.relative_to(root)})" for (h, w), path in sorted(sizes.items())[:2])
    raise DataError(
        f"dataset.folder: {root}: images have {len(sizes)} sizes, such as {named}; set dataset.size: a side or [height, width]"
    )


def _decoded(pictures: list[_Picture], size: tuple[int, int], settings: DatasetSettings, problems: _Problems) -> Split:
    gray = settings.grayscale if settings.grayscale is not None else all(picture.gray for picture in pictures)
    images = np.empty((len(pictures), 1 if gray else 3, *size), np.uint8)
    good = np.zeros(len(pictures), bool)
    for i, picture in enumerate(pictures):
        try:
            images[i] = _pixels(picture.path, size, settings.fit, gray)
            good[i] = True
        except Exception as error:  # as in _header: the decoder meets the broken bytes only now
            problems.add(picture.path, f"broken: {_short(error)}")
    return Split(images, np.array([picture.label for picture in pictures], np.int64)).where(good)


def _pixels(path: Path, size: tuple[int, int], fit: str, gray: bool) -> Images:
    """Decode a picture: (C, H, W) uint8."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # palettes with transparency and odd metadata: the pixels are read all the same
        with Image.open(path, formats=_FORMATS) as opened:
            image: Image.Image = opened
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            image = resize(ImageOps.exif_transpose(image).convert("L" if gray else "RGB"), size, fit)
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


def _gray_or_color(splits: dict[str, Split], settings: DatasetSettings) -> dict[str, Split]:
    """Give all splits one channel where every picture is gray, whatever its file's mode says; else three."""
    if settings.grayscale is None and all(_is_gray(split.images) for split in splits.values()):
        return {name: Split(np.ascontiguousarray(split.images[:, :1]), split.labels) for name, split in splits.items()}
    most = max(split.images.shape[1] for split in splits.values())
    return {
        name: split if split.images.shape[1] == most else Split(np.repeat(split.images, most, 1), split.labels)
        for name, split in splits.items()
    }


def _is_gray(images: Images) -> bool:
    return images.shape[1] == 1 or all(bool((image == image[:1]).all()) for image in images)


def resize_split(split: Split, size: tuple[int, int], fit: str) -> Split:
    """Resize all images of a split to (height, width); any number of channels."""
    if split.images.shape[2:] == size:
        return split
    images = np.empty((*split.images.shape[:2], *size), np.uint8)
    for i, image in enumerate(split.images):
        for channel, pixels in enumerate(image):  # Pillow resizes channels each by itself too
            images[i, channel] = np.asarray(resize(Image.fromarray(pixels), size, fit))
    return Split(images, split.labels)
