"""A folder of pictures -> packed arrays. Every file that cannot be used is named in one report.

`augsearch.data.layout` says which folders are splits and classes. Files may lie deeper inside a class's folder. Links to
folders, and links that lead out of the data set's folder, are not followed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augsearch.data.layout import EXPECTED, Layout, find_layout, is_visible, pictures_in, subfolders
from augsearch.data.names import alike, check_class_names, check_folder_name, hard_to_tell, shown
from augsearch.data.picture import Header, UnusableError, read_header, read_pixels
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import Raw, Split
from augsearch.errors import DataError

_NAMED = 30  # files in the report; beyond it, their number


@dataclass(frozen=True)
class _Picture:
    path: Path
    label: int
    header: Header


class _Problems:
    """Files that cannot be used, and why."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.lines: list[str] = []

    def add(self, path: Path, why: object) -> None:
        self.lines.append(f"{shown(path.relative_to(self._root))} ({why})")

    def __str__(self) -> str:
        more = f" and {len(self.lines) - _NAMED} more" if len(self.lines) > _NAMED else ""
        return ", ".join(self.lines[:_NAMED]) + more


def read_folder(settings: DatasetSettings, folder: Path) -> Raw:
    """Read the pictures of `settings.folder` in `folder`.

    Raises:
        DataError: no such folder, a layout that cannot be told, classes that differ between splits, sizes that differ while
            none is set, or files that cannot be used while `bad_files` is "refuse": all of them in the one line.
    """
    assert settings.folder is not None
    root = folder / settings.folder
    if not root.is_dir():
        raise DataError(f"dataset.folder: {shown(root)}: no such folder")
    layout = find_layout(root, settings.layout, nested=False)
    classes = _classes(layout, root)
    problems = _Problems(root)
    _add_strays(layout, root, problems)
    listed = {split: _listed(folder, classes, root, problems) for split, folder in layout.items()}
    size = _common_size(listed, settings, root, problems)
    transparent: list[Path] = []
    splits = {split: _decoded(pictures, size, settings, problems, transparent) for split, pictures in listed.items()}
    if problems.lines and settings.bad_files == "refuse":
        raise DataError(
            f"dataset.folder: {shown(root)}: {len(problems.lines)} files cannot be used: {problems}; "
            "remove or mend them, or set dataset.bad_files: skip"
        )
    notes = [f"{len(problems.lines)} files were skipped: {problems}"] if problems.lines else []
    if transparent:
        named = f"pictures with transparent pixels: {len(transparent)}, such as {shown(transparent[0].relative_to(root))}"
        notes.append(f"{named}; transparency is dropped, and what lay under it is seen")
    return Raw(_gray_or_color(splits, settings), classes, str(settings.folder), tuple(notes))


def _classes(layout: Layout, root: Path) -> tuple[str, ...]:
    """List the classes, which every split must have."""
    found = {split: subfolders(folder) for split, folder in layout.items()}
    for folders in found.values():
        for folder in folders:
            check_folder_name(folder, f"dataset.folder: {shown(root)}")
    names = {split: [folder.name for folder in folders] for split, folders in found.items()}
    classes = names["train"]
    if len(classes) < 2:
        advice = f"; name {shown(classes[0])} too in dataset.folder if the classes are in it" if classes else ""
        where = shown(layout["train"])
        raise DataError(f"dataset.folder: {where}: has {len(classes)} class folders; must have at least 2{advice}; {EXPECTED}")
    for split, others in names.items():
        _check_same(split, others, classes, root)
        check_class_names(others, f"dataset.folder: {shown(layout[split])}")
    return tuple(classes)


def _check_same(split: str, names: list[str], classes: list[str], root: Path) -> None:
    """Check that a split has the classes of train."""
    differ = sorted(set(names) ^ set(classes))
    for a, b in combinations(differ, 2):
        if alike(a, b):
            raise DataError(f"dataset.folder: {shown(root)}: train and {split}: {hard_to_tell(a, b)}; rename one")
    if differ:
        raise DataError(
            f"dataset.folder: {shown(root)}: train has {len(classes)} classes and {split} {len(names)}; "
            f"only one of them has {', '.join(repr(shown(name)) for name in differ)}"
        )


def _add_strays(layout: Layout, root: Path, problems: _Problems) -> None:
    """Add the pictures that lie beside the class folders, and so in no class."""
    for folder in dict.fromkeys((root, *layout.values())):
        for path in pictures_in(folder):
            problems.add(path, "in no class's folder")


def _listed(folder: Path, classes: tuple[str, ...], root: Path, problems: _Problems) -> list[_Picture]:
    """List the pictures of a split by class and name, from their headers alone."""
    pictures = []
    for label, name in enumerate(classes):
        for path in _files(folder / name, root, problems):
            try:
                pictures.append(_Picture(path, label, read_header(path)))
            except UnusableError as why:
                problems.add(path, why)
    return pictures


def _files(folder: Path, root: Path, problems: _Problems) -> list[Path]:
    """List every file below a class's folder that lies, after following links, inside the root."""
    if folder.is_symlink():
        problems.add(folder, "a link to a folder, which is not followed")
        return []
    inside, found = root.resolve(), []
    for where, folders, files in os.walk(folder, onerror=lambda error: problems.add(Path(error.filename), error.strerror)):
        folders[:] = [name for name in folders if is_visible(name)]
        for name in [name for name in folders if (Path(where) / name).is_symlink()]:
            problems.add(Path(where) / name, "a link to a folder, which is not followed")
        for path in (Path(where) / name for name in files if is_visible(name)):
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                problems.add(path, "a link that leads out of the folder")
            else:
                found.append(path)
    return sorted(found)


def _common_size(
    listed: dict[str, list[_Picture]], settings: DatasetSettings, root: Path, problems: _Problems
) -> tuple[int, int]:
    """Find height and width of the packed images: the setting, or what every picture has."""
    if settings.size is not None:
        return settings.size
    sizes = {picture.header.size: picture.path for pictures in listed.values() for picture in pictures}
    if len(sizes) == 1:
        return next(iter(sizes))
    if not sizes:
        listed_problems = f"; {problems}" if problems.lines else ""
        raise DataError(f"dataset.folder: {shown(root)}: no usable image{listed_problems}")
    named = ", ".join(f"{h}x{w} ({shown(path.relative_to(root))})" for (h, w), path in sorted(sizes.items())[:2])
    raise DataError(
        f"dataset.folder: {shown(root)}: images have {len(sizes)} sizes, such as {named}; set dataset.size: a side or "
        "[height, width]"
    )


def _decoded(
    pictures: list[_Picture],
    size: tuple[int, int],
    settings: DatasetSettings,
    problems: _Problems,
    transparent: list[Path],
) -> Split:
    """Decode the pictures of a split; those that cannot be and those with transparent pixels are added to the lists."""
    gray = settings.grayscale if settings.grayscale is not None else all(picture.header.gray for picture in pictures)
    images = np.empty((len(pictures), 1 if gray else 3, *size), np.uint8)
    good = np.zeros(len(pictures), bool)
    for i, picture in enumerate(pictures):
        try:
            decoded = read_pixels(picture.path, size, settings.fit, gray)
        except UnusableError as why:
            problems.add(picture.path, why)
            continue
        images[i], good[i] = decoded.pixels, True
        if decoded.transparent:
            transparent.append(picture.path)
    return Split(images, np.array([picture.label for picture in pictures], np.int64)).where(good)


def _gray_or_color(splits: dict[str, Split], settings: DatasetSettings) -> dict[str, Split]:
    """Give all splits one channel where every picture is gray, whatever its file's mode says; else three."""
    if settings.grayscale is None and all(_is_gray(split.images) for split in splits.values()):
        return {name: Split(np.ascontiguousarray(split.images[:, :1]), split.labels) for name, split in splits.items()}
    most = max(split.images.shape[1] for split in splits.values())
    return {
        name: split if split.images.shape[1] == most else Split(np.repeat(split.images, most, 1), split.labels)
        for name, split in splits.items()
    }


def _is_gray(images: NDArray[np.uint8]) -> bool:
    return images.shape[1] == 1 or all(bool((image == image[:1]).all()) for image in images)
