"""A folder of pictures -> packed arrays. Every file that cannot be used is named in one report.

`augsearch.data.layout` says which folders are splits and classes. Files may lie deeper inside a class's folder. Links to
folders, and links that lead out of the data set's folder, are not followed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augsearch.data.layout import EXPECTED, Layout, find_layout, is_visible, pictures_in, subfolders
from augsearch.data.names import alike, check_class_names, check_folder_name, hard_to_tell, shown
from augsearch.data.picture import Header, UnusableError, read_header, read_pixels
from augsearch.data.settings import BY_FOLDER, DatasetSettings
from augsearch.data.splits import SPLITS, Raw, Split
from augsearch.errors import DataError

_NAMED = 30  # files in the report; beyond it, their number


@dataclass(frozen=True)
class _Picture:
    path: Path
    label: int
    header: Header


class _Report:
    """A report on files: those that cannot be used, and why, and those with transparent pixels."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.problems: list[str] = []
        self._transparent: list[Path] = []

    def name(self, path: Path) -> str:
        """Name a file for people, relative to the data set's folder."""
        return shown(path.relative_to(self._root))

    def add(self, path: Path, why: object) -> None:
        """Add a file that cannot be used."""
        self.problems.append(f"{self.name(path)} ({why})")

    def add_transparent(self, path: Path) -> None:
        """Add a file with transparent pixels."""
        self._transparent.append(path)

    def error(self, problem: str) -> DataError:
        """Make an error that names the data set's folder."""
        return DataError(f"dataset.folder: {shown(self._root)}: {problem}")

    def check(self) -> None:
        """Raise a DataError that names every file that cannot be used."""
        if self.problems:
            listed = f"{len(self.problems)} files cannot be used: {self.listed}"
            raise self.error(f"{listed}; remove or mend them, or set dataset.bad_files: skip")

    @property
    def listed(self) -> str:
        """The files that cannot be used; of very many, the first."""
        more = f" and {len(self.problems) - _NAMED} more" if len(self.problems) > _NAMED else ""
        return ", ".join(self.problems[:_NAMED]) + more

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for DatasetInfo."""
        notes = [f"{len(self.problems)} files were skipped: {self.listed}"] if self.problems else []
        if self._transparent:
            named = f"pictures with transparent pixels: {len(self._transparent)}, such as {self.name(self._transparent[0])}"
            notes.append(f"{named}; transparency is dropped, and what lay under it is seen")
        return tuple(notes)


def read_folder(settings: DatasetSettings, folder: Path) -> Raw:
    """Read the pictures of `settings.folder` in `folder`.

    Raises:
        DataError: no such folder, an ambiguous layout, classes that differ between splits, sizes that differ while
            none is set, pixel values of several kinds, or files that cannot be used while `bad_files` is "refuse": all of
            them in the one line.
    """
    assert settings.folder is not None
    root = folder / settings.folder
    report = _Report(root)
    if not root.is_dir():
        raise report.error("no such folder")
    layout = find_layout(root, settings.layout, nested=settings.groups is not None)
    classes = _classes(layout, root)
    _add_strays(layout, root, report)
    listed = {split: _listed(folder, classes, root, report) for split, folder in layout.items()}
    size, dtype = _common_size(listed, settings, report), _common_type(listed, report)
    splits: dict[str, Split] = {}
    for split, pictures in listed.items():
        splits[split], listed[split] = _decoded(pictures, size, dtype, settings, report)
    if settings.bad_files == "refuse":
        report.check()
    names = {split: [report.name(picture.path) for picture in pictures] for split, pictures in listed.items()}
    groups = {} if settings.groups is None else _groups(settings.groups, layout, classes, listed, report)
    notes = (*_layout_notes(layout, root), *report.notes, *_inner_folder_notes(layout, classes, listed, bool(groups)))
    return Raw(_gray_or_color(splits, settings.grayscale), classes, str(settings.folder), notes, names, groups)


def _layout_notes(layout: Layout, root: Path) -> list[str]:
    """Note which folders were taken for the splits, where their names leave room for another reading."""
    if layout["train"] == root or all(folder.name == split for split, folder in layout.items()):
        return []
    return ["splits by name: " + ", ".join(f"{split} is {shown(path.relative_to(root))}" for split, path in layout.items())]


def _inner_folder_notes(
    layout: Layout, classes: tuple[str, ...], listed: dict[str, list[_Picture]], grouped: bool
) -> list[str]:
    """Note folders inside class folders whose pictures may belong together, where a split is made of them."""
    if grouped or len(layout) == len(SPLITS):
        return []
    for label, name in enumerate(classes):
        inner = sorted({picture.path.parent for picture in listed["train"] if picture.label == label})
        if len(inner) > 1:
            example = shown(inner[-1].relative_to(layout["train"]))
            return [
                f"pictures of class {name!r} lie in {len(inner)} folders, such as {example}; if each shows one object, "
                "dataset.groups keeps its pictures in one split"
            ]
    return []


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


def _add_strays(layout: Layout, root: Path, report: _Report) -> None:
    """Report the pictures that lie beside the class folders, and so in no class."""
    for folder in dict.fromkeys((root, *layout.values())):
        for path in pictures_in(folder):
            report.add(path, "in no class's folder")


def _listed(folder: Path, classes: tuple[str, ...], root: Path, report: _Report) -> list[_Picture]:
    """List the pictures of a split by class and name, from their headers alone."""
    pictures = []
    for label, name in enumerate(classes):
        for path in _files(folder / name, root, report):
            try:
                pictures.append(_Picture(path, label, read_header(path)))
            except UnusableError as why:
                report.add(path, why)
    return pictures


def _files(folder: Path, root: Path, report: _Report) -> list[Path]:
    """List every file below a class's folder that lies, after following links, inside the root."""
    if folder.is_symlink():
        report.add(folder, "a link to a folder, which is not followed")
        return []
    inside, found = root.resolve(), []
    for where, folders, files in os.walk(folder, onerror=lambda error: report.add(Path(error.filename), error.strerror)):
        folders[:] = [name for name in folders if is_visible(name)]
        for name in [name for name in folders if (Path(where) / name).is_symlink()]:
            report.add(Path(where) / name, "a link to a folder, which is not followed")
        for path in (Path(where) / name for name in files if is_visible(name)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                report.add(path, "a link that leads out of the folder")
            else:
                found.append(path)
    return sorted(found)


def _common_size(listed: dict[str, list[_Picture]], settings: DatasetSettings, report: _Report) -> tuple[int, int]:
    """Find height and width of the packed images: the setting, or what every picture has."""
    sizes = {picture.header.size: picture.path for pictures in listed.values() for picture in pictures}
    if not sizes:
        raise report.error("no usable image" + (f"; {report.listed}" if report.problems else ""))
    if settings.size is not None:
        return settings.size
    if len(sizes) == 1:
        return next(iter(sizes))
    named = ", ".join(f"{h}x{w} ({report.name(path)})" for (h, w), path in sorted(sizes.items())[:2])
    raise report.error(f"images have {len(sizes)} sizes, such as {named}; set dataset.size: a side or [height, width]")


def _common_type(listed: dict[str, list[_Picture]], report: _Report) -> np.dtype[Any]:
    """Find the type of the pixel values: 8 bits, more bits or fractions, the same for all, as one scale must hold for all."""
    kinds: dict[str, list[_Picture]] = {}
    for picture in (picture for pictures in listed.values() for picture in pictures):
        dtype = np.dtype(picture.header.dtype)
        kind = "8 bits" if dtype == np.uint8 else "fractions" if dtype.kind == "f" else "more than 8 bits"
        kinds.setdefault(kind, []).append(picture)
    if len(kinds) > 1:
        named = ", ".join(f"{kind} ({len(some)}, such as {report.name(some[0].path)})" for kind, some in kinds.items())
        raise report.error(f"pictures have pixel values of {len(kinds)} kinds: {named}; convert them to one kind")
    return np.result_type(*{picture.header.dtype for some in kinds.values() for picture in some})


def _decoded(
    pictures: list[_Picture], size: tuple[int, int], dtype: np.dtype[Any], settings: DatasetSettings, report: _Report
) -> tuple[Split, list[_Picture]]:
    """Decode the pictures of a split; those that cannot be are reported, the others returned too."""
    gray = all(picture.header.gray for picture in pictures) if settings.grayscale is None else settings.grayscale
    gray = gray or dtype != np.uint8
    images = np.empty((len(pictures), 1 if gray else 3, *size), dtype)
    good: list[_Picture] = []
    for picture in pictures:
        try:
            decoded = read_pixels(picture.path, size, settings.fit, gray)
        except UnusableError as why:
            report.add(picture.path, why)
            continue
        images[len(good)] = decoded.pixels
        good.append(picture)
        if decoded.transparent:
            report.add_transparent(picture.path)
    return Split(images[: len(good)], np.array([picture.label for picture in good], np.int64)), good


def _groups(
    rule: str, layout: Layout, classes: tuple[str, ...], listed: dict[str, list[_Picture]], report: _Report
) -> dict[str, NDArray[np.str_]]:
    """Find the group of every picture: its sub-folder in the class's folder, or what a regular expression finds in its path.

    Raises:
        DataError: pictures that lie in no sub-folder, or in whose paths the expression finds nothing.
    """
    groups: dict[str, NDArray[np.str_]] = {}
    without: list[Path] = []
    for split, pictures in listed.items():
        found = []
        for picture in pictures:
            if rule == BY_FOLDER:
                inner = picture.path.relative_to(layout[split] / classes[picture.label]).parts
                group = inner[0] if len(inner) > 1 else None
            else:
                match = re.search(rule, report.name(picture.path))
                group = match and "/".join(part or "" for part in match.groups() or [match[0]])
            if not group:
                without.append(picture.path)
            found.append(group or "")
        groups[split] = np.array(found, np.str_)
    if without:
        why = "in no folder inside their class's" if rule == BY_FOLDER else f"in which {rule!r} finds nothing"
        raise report.error(
            f"dataset.groups: {len(without)} pictures {why}, such as {report.name(without[0])}; each needs a group"
        )
    return groups


def _gray_or_color(splits: dict[str, Split], grayscale: bool | None) -> dict[str, Split]:
    """Give all splits one channel or three, as is set, or one where every picture is gray, whatever its file's mode says."""
    if grayscale is None:
        grayscale = all(_is_gray(split.images) for split in splits.values())
    return {name: Split(_with_channels(split.images, 1 if grayscale else 3), split.labels) for name, split in splits.items()}


def _is_gray(images: NDArray[Any]) -> bool:
    return images.shape[1] == 1 or all(bool((image == image[:1]).all()) for image in images)


def _with_channels(images: NDArray[Any], channels: int) -> NDArray[Any]:
    if images.shape[1] == channels:
        return images
    return np.ascontiguousarray(images[:, :1]) if channels == 1 else np.repeat(images, channels, 1)
