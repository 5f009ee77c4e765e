"""What a file is whatever it is called: links, other spellings, disks that ignore case."""

from __future__ import annotations

import os
import unicodedata
from contextlib import suppress
from functools import lru_cache


def file_id(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what a file is by whatever name: links, ``./x`` and other spellings are one."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_same(path: str, other: str) -> bool:
    """Whether two names stand for one file."""
    here = file_id(path)
    return here is not None and here == file_id(other)


def is_below(place: str, folder: str) -> bool:
    """Whether a file is somewhere in a folder, for two names without links in them."""
    return place.startswith(os.path.join(folder, ""))


def real(path: str | os.PathLike[str]) -> str:
    """Return the place of a file, links followed; files of one folder cost one look at it."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(real_folder(folder), name)


# A walk comes to a folder once, and a list mostly too; more would be kept for nothing.
real_folder = lru_cache(maxsize=128)(os.path.realpath)


def folded(place: str) -> str:
    """Return what names have in common that differ in case or in Unicode's way to write them."""
    return unicodedata.normalize("NFC", place.casefold())


def ignores_case(folder: str) -> bool:
    """Whether the disk takes ``X.png`` and ``x.png`` in a folder, made or not, for one file.

    Nothing is written to find that out: a name that is there is looked up with its case
    swapped. What is in the folder knows best, else what is above it on the same disk; on an
    empty one the answer is no.
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
