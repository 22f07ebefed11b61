"""Which folders of a data set are splits, and which are classes.

    train/cat/1.jpg   val/cat/2.jpg   test/cat/3.jpg     splits, in any usual spelling; val or test may be absent
    cat/1.jpg         dog/2.jpg                          class folders alone

Names and levels tell which of the two it is. What they leave open is refused: a wrong guess would make classes of splits,
and no score would show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import NoReturn

from augsearch.data.names import shown
from augsearch.errors import DataError

Layout = dict[str, Path]
"""The folder of each split, which holds class folders; "train" alone where there are class folders alone."""
EXPECTED = "must be train/CLASS/1.png, test/CLASS/2.png and perhaps val/CLASS/3.png, or CLASS/1.png alone"
_PICTURE = re.compile(r"\.(avif|bmp|gif|hei[cf]|jfif|jp2|jpe?g?|p[bgnp]m|png|tiff?|webp)", re.IGNORECASE)
_SPELLINGS = {
    "train": "train|training|trn|tr",
    "val": "val|valid|validation|validate|dev|development",
    "test": "test|testing|tst|te|holdout",
    "eval": "eval|evaluation",  # whichever of val and test is not there under its own name
}
_CONTAINERS = frozenset(("data", "dataset", "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures"))
_FILLERS = _CONTAINERS | {"folder", "dir", "file", "files", "samples", "set", "sets", "split", "x"}
_FOLDS = frozenset(("fold", "folds", "kfold", "cv"))
_SYSTEM = re.compile(  # what operating systems and their file servers leave behind
    r"__macosx|__pycache__|@eadir|\$recycle\.bin|system volume information|lost\+found|(eh)?thumbs\.db|desktop\.ini|icon\r",
    re.IGNORECASE,
)


def is_visible(name: str) -> bool:
    """Say whether a file or folder is a user's own: not hidden, not the operating system's."""
    return not name.startswith(".") and not _SYSTEM.fullmatch(name)


def subfolders(folder: Path) -> list[Path]:
    """List the visible folders in a folder, by name."""
    return [entry for entry in _visible(folder) if entry.is_dir()]


def pictures_in(folder: Path) -> list[Path]:
    """List what lies directly in a folder and is a picture by its name."""
    return [entry for entry in _visible(folder) if _PICTURE.fullmatch(entry.suffix) and not entry.is_dir()]


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if is_visible(entry.name))
    except OSError as error:
        raise DataError(f"dataset.folder: {shown(folder)}: cannot be read ({error.strerror})") from None


def find_layout(root: Path, layout: str, *, nested: bool) -> Layout:
    """Find the folder of each split.

    Args:
        layout: "auto" tells splits from classes by their names; "splits" and "classes" say which it is.
        nested: folders inside the class folders are expected.

    Raises:
        DataError: neither splits of class folders nor class folders, or it is ambiguous which.
    """
    folders = subfolders(root)
    if layout == "classes":
        return {"train": root}
    named = _split_names(folders)
    if layout == "splits" or _means_splits(folders, named):
        found = _splits(root, folders, named)
    else:
        _refuse_joined_names(root, folders)
        found = {"train": root}
    if layout == "auto":
        _refuse_other_levels(found["train"], root, nested=nested)
    return found


def _words(name: str) -> list[str]:
    """Split a name into lower-case words and numbers: "segTrain_2017" is seg, train, 2017."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.casefold()) if word]


def _split_of(word: str) -> str | None:
    for split, spellings in _SPELLINGS.items():
        if re.fullmatch(rf"({spellings})(set|data|images|imgs|img)?", word):
            return split
    return None


def _parsed(name: str, ignored: Iterable[str] = ()) -> tuple[set[str], tuple[str, ...]]:
    """Find the splits that a name mentions, and its other words."""
    words = [word for word in _words(name) if word not in ignored and word not in _FILLERS and not word.isdigit()]
    return {split for word in words if (split := _split_of(word))}, tuple(word for word in words if _split_of(word) is None)


def _split_names(folders: list[Path]) -> dict[Path, str]:
    """Find the folders that are named after one split and nothing else; a word that all of them share does not count."""
    shared = set.intersection(*(set(_words(folder.name)) for folder in folders)) if len(folders) > 1 else set()
    shared = {word for word in shared if _split_of(word) is None}
    parsed = {folder: _parsed(folder.name, shared) for folder in folders}
    return {folder: splits.pop() for folder, (splits, others) in parsed.items() if len(splits) == 1 and not others}


def _means_splits(folders: list[Path], named: dict[Path, str]) -> bool:
    """Say whether the folders are meant as splits; a class may be called train if it holds pictures and no folders."""
    if len(set(named.values())) == 1 and len(named) < len(folders):
        return any(subfolders(folder) and not pictures_in(folder) for folder in named)
    return bool(named)


def _splits(root: Path, folders: list[Path], named: dict[Path, str]) -> Layout:
    found: Layout = {}
    for folder in folders:
        if folder not in named:
            beside = next(iter(named), None)
            told = f"{shown(folder.name)!r} stands beside {shown(beside.name)!r}" if beside else f"has {_drawn(folders)}"
            _refuse(root, f"{told}; move it elsewhere, or set dataset.layout: classes if every folder is a class")
        if folder.is_symlink():
            raise DataError(f"dataset.folder: {shown(folder)}: a link to a folder, which is not followed; copy it here")
        other = found.setdefault(named[folder], folder)
        if other is not folder:
            _refuse(root, f"both {shown(other.name)!r} and {shown(folder.name)!r} are {named[folder]} by name; merge them")
    found = _with_eval_resolved(root, found)
    if "train" not in found:
        _refuse(root, f"has {' and '.join(found) or 'no folders'} but no train; add it, or set dataset.layout: classes")
    if len(found) == 1:
        name = shown(found["train"].name)
        _refuse(root, f"has {name} but no test; name {name} itself in dataset.folder, and val and test are split off it")
    return {split: _with_classes(split, _unwrapped(found[split]), root) for split in ("train", "val", "test") if split in found}


def _with_eval_resolved(root: Path, found: Layout) -> Layout:
    if "eval" not in found:
        return found
    missing = [split for split in ("val", "test") if split not in found]
    if len(missing) != 1:
        _refuse(root, f"{shown(found['eval'].name)!r} may be the validation or the test split; rename it to val or test")
    return {missing[0] if split == "eval" else split: folder for split, folder in found.items()}


def _unwrapped(folder: Path) -> Path:
    """Follow the extra level that downloads often have: seg_train/seg_train/CLASS."""
    inside = subfolders(folder)
    if len(inside) != 1 or pictures_in(folder) or inside[0].is_symlink():
        return folder
    outer, inner = _parsed(folder.name)[0], _parsed(inside[0].name)[0]
    return _unwrapped(inside[0]) if outer == inner else folder


def _with_classes(split: str, folder: Path, root: Path) -> Path:
    if not subfolders(folder):
        what = "pictures but no class folders" if pictures_in(folder) else "no class folders"
        advice = "move it elsewhere, and a test split is split off train" if split == "test" else "put each class into a folder"
        _refuse(root, f"{shown(folder.relative_to(root))} holds {what}; {advice}")
    return folder


def _refuse_joined_names(root: Path, folders: list[Path]) -> None:
    """Refuse cat_train beside cat_test: class and split in one name."""
    seen: dict[tuple[str, ...], tuple[set[str], Path]] = {}
    for folder in folders:
        splits, others = _parsed(folder.name)
        if len(splits) == 1 and others:
            earlier, other = seen.setdefault(others, (splits, folder))
            if earlier != splits:
                pair = f"{shown(other.name)!r} and {shown(folder.name)!r}"
                _refuse(root, f"{pair} look like splits of one class; move the split outwards, or set dataset.layout: classes")


def _refuse_other_levels(folder: Path, root: Path, *, nested: bool) -> None:
    """Refuse class folders that may be something else: folds, sites or objects with the classes inside."""
    classes = subfolders(folder)
    escape = f"dataset.layout: {'classes' if folder == root else 'splits'}"
    inside = {entry: {inner.name for inner in subfolders(entry)} for entry in classes if not pictures_in(entry)}
    inside = {entry: names for entry, names in inside.items() if len(names) > 1}
    for entry in inside:
        splits = sorted(set(_split_names(subfolders(entry)).values()))
        if len(splits) > 1:
            advice = f"splits must be the outermost folders: move them out, or name {shown(entry.name)} too in dataset.folder"
            _refuse(root, f"{shown(entry.name)!r} holds {' and '.join(splits)} folders; {advice}")
    two_levels = len(inside) == len(classes) > 1 or any(len(a & b) > 1 for a, b in combinations(inside.values(), 2))
    if two_levels and not nested:
        _refuse(
            root,
            f"has {_drawn(list(inside))}, and either level may be the classes; set dataset.groups: folder if the inner folders "
            f"are objects, such as patients, or {escape} if they mean nothing; or name one of the outer folders in "
            "dataset.folder if it is the data set",
        )
    for entry in classes:
        words = {word for word in _words(entry.name) if not word.isdigit()}
        if words and words <= _CONTAINERS | _FOLDS:
            _refuse(root, f"{shown(entry.name)!r} stands where a class's name should; if it is a class, set {escape}")


def _drawn(folders: list[Path]) -> str:
    """Draw a few folders and what is in them on one line."""
    drawn = []
    for folder in folders[:3]:
        inner = [shown(entry.name) for entry in subfolders(folder)]
        more = ", ..." if len(inner) > 3 else ""
        drawn.append(f"{shown(folder.name)}/{{{', '.join(inner[:3])}{more}}}" if inner else shown(folder.name))
    return ", ".join(drawn) + (f" and {len(folders) - 3} more" if len(folders) > 3 else "")


def _refuse(root: Path, problem: str) -> NoReturn:
    raise DataError(f"dataset.folder: {shown(root)}: {problem}; {EXPECTED}")
