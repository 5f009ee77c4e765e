"""Folders opened by their real paths: one that becomes a link meanwhile is not followed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""The flag for opening no link; Windows has none, and lets few users make links."""

_TAKES_DESCRIPTORS = os.open in os.supports_dir_fd

# With O_PATH a folder needs no more rights than a path through it: search permission.
_FLAGS = (
    getattr(os, "O_DIRECTORY", 0)
    | NOFOLLOW
    | getattr(os, "O_PATH", getattr(os, "O_SEARCH", os.O_RDONLY))
)


class Place(NamedTuple):
    """An open folder: calls take ``place.name(name)`` with ``dir_fd=place.number``.

    Without a number, on Windows, which opens no folders, the name is the whole path.
    """

    number: int | None
    folder: str

    def name(self, name: str) -> str:
        """Return what a file in the folder is called, relative to its number."""
        return os.path.join(self.folder, name) if self.number is None else name


@contextmanager
def opened(folder: str, make: bool = False) -> Iterator[Place]:
    """Open a folder for calls that take a ``dir_fd``, level by level from the root.

    Only one descriptor is left open. What happens to the path afterwards does not matter: the
    descriptor stays with the folder. Where the system has no such calls, a link that takes the
    place of a folder meanwhile is followed.

    Parameters
    ----------
    folder : str
        A path without links (`os.path.realpath`).
    make : bool
        Whether missing folders are made.

    Raises
    ------
    NotADirectoryError
        If a part of the path is not a folder, or has become a link.
    OSError
        For any other error of the file system.
    """
    if not _TAKES_DESCRIPTORS:
        if make:
            os.makedirs(folder, exist_ok=True)
        elif not os.path.isdir(folder):
            missing = errno.ENOTDIR if os.path.exists(folder) else errno.ENOENT
            raise OSError(missing, os.strerror(missing), folder)
        yield Place(None, folder)
        return
    number = os.open(os.sep, _FLAGS)
    try:
        for name in filter(None, folder.split(os.sep)):
            above, number = number, _deeper(number, name, make)
            os.close(above)
        yield Place(number, folder)
    finally:
        os.close(number)


def _deeper(above: int, name: str, make: bool) -> int:
    try:
        return os.open(name, _FLAGS, dir_fd=above)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # another thread or program has made it just now
        os.mkdir(name, dir_fd=above)
    return os.open(name, _FLAGS, dir_fd=above)
