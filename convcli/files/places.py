"""The identity of files: links, other spellings of a path, file systems that ignore case."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from convcli.errors import shown


def file_id(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what identifies a file under every name: links, ``./x`` and hard links."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_same(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file, which need not exist."""
    here, there = file_id(path), file_id(other)
    if here is None and there is None:
        return os.path.realpath(path) == os.path.realpath(other)
    return here == there


def is_newer(outputs: Iterable[str], source: str | None) -> bool:
    """Whether all outputs were written after a file was, or in the same tick of the clock."""
    if source is None:
        return False
    try:
        since = os.stat(source).st_mtime_ns
        return all(os.stat(output).st_mtime_ns >= since for output in outputs)
    except OSError:
        return False


def is_below(place: str, folder: str) -> bool:
    """Whether a file is inside a folder, for two paths without links."""
    return os.path.normcase(place).startswith(os.path.normcase(os.path.join(folder, "")))


def leads_outside(folder: str, place: str) -> str:
    """Return why an output is not written: a link leads to a place outside of its folder."""
    return (
        f"would be written outside {shown(folder)}, because a link leads to {shown(place)}; "
        "remove the link or choose another -o"
    )


def real_path(path: str | os.PathLike[str]) -> str:
    """Return a path without links; the files of one folder cost one look-up of it."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(real_folder(folder), name)


# A walk visits each folder once, and so do most lists: a larger cache would not be used.
real_folder = lru_cache(maxsize=128)(os.path.realpath)


def case_folded(path: str) -> str:
    """Return one form for all paths that differ only in case or in Unicode normalisation."""
    return unicodedata.normalize("NFC", path.casefold())


def ignores_case(folder: str) -> bool:
    """Whether ``X.png`` and ``x.png`` are one file in a folder, which need not exist.

    Nothing is written to find out: an existing name is looked up with its case swapped. It is
    taken from the folder itself, or else from the nearest folder above it in the same file
    system. In an empty file system the answer is no.
    """
    while True:
        names: set[str] = set()
        with suppress(OSError):
            names.update(os.listdir(folder))
        for name in names:
            swapped = name.swapcase()
            if name.isascii() and swapped not in names:
                try:
                    status, other = (os.lstat(os.path.join(folder, n)) for n in (name, swapped))
                except OSError:
                    return False
                return os.path.samestat(status, other)
        if os.path.ismount(folder):
            return False
        folder = os.path.dirname(folder)
