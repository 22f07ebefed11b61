"""Names of files and classes: shown so that people can read them, and refused where they would fail later."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from augsearch.errors import DataError


def shown(path: str | Path) -> str:
    """Write a name or a path readably: bytes that are not UTF-8 as Latin-1, control characters as escapes."""
    return "/".join(_readable(name) for name in str(path).split("/"))


def check_class_names(names: Sequence[str], origin: str) -> None:
    """Check that class names can be printed, written to a file and told apart.

    Args:
        origin: what an error begins with.

    Raises:
        DataError: a name is empty, holds control characters, begins or ends with a space, or is another's but for case,
            outer spaces or the Unicode form of its accents.
    """
    known: dict[str, str] = {}
    for name in names:
        if any(_is_control(letter) for letter in name):
            raise DataError(f"{origin}: class '{shown(name)}': its name holds control characters; rename it")
        if name != name.strip() or not name:
            raise DataError(f"{origin}: class {name!r}: its name is empty, or begins or ends with a space; rename it")
        if _folded(name) in known:
            raise DataError(f"{origin}: {hard_to_tell(known[_folded(name)], name)}; rename one, or merge them")
        known[_folded(name)] = name


def check_folder_name(folder: Path, origin: str) -> None:
    """Check that the name of a class's folder is UTF-8, as everything that is written with it must be.

    Raises:
        DataError: says how the name reads as Latin-1, and the command that renames the folder.
    """
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        readable = shown(folder.name)
        old = f"{shlex.quote(shown(folder.parent))}/{_pattern(folder.name)}"
        new = shlex.quote(f"{shown(folder.parent)}/{readable}")
        raise DataError(f"{origin}: the name of class folder {readable!r} is not in UTF-8; rename it: mv {old} {new}") from None


def alike(first: str, second: str) -> bool:
    """Say whether two names differ only in case, outer spaces or the Unicode form of their accents."""
    return _folded(first) == _folded(second)


def hard_to_tell(first: str, second: str) -> str:
    """Describe two class names that are alike, with whatever tells them apart made visible."""
    if first == second:
        return f"two classes are called {first!r}"
    return f"class names {first!a} and {second!a} are the same but for case, spaces or the form of accents"


def _readable(name: str) -> str:
    raw = name.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(ascii(letter)[1:-1] if _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    """Say whether a character breaks a line, a terminal or UTF-8; the joiners that some scripts need do not."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


def _pattern(name: str) -> str:
    """Write a name for a shell, with a star in place of what cannot be typed."""
    text = "".join("\0" if "\udc80" <= letter <= "\udcff" else letter for letter in name)
    return "*".join(shlex.quote(piece) if piece else "" for piece in text.split("\0"))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()
