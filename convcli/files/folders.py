"""Folders opened by their real paths: one that becomes a link meanwhile is not followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# With O_PATH a folder needs no more rights than a path through it: search permission.
_FLAGS = (
    os.O_DIRECTORY
    | os.O_NOFOLLOW
    | os.O_CLOEXEC
    | getattr(os, "O_PATH", getattr(os, "O_SEARCH", os.O_RDONLY))
)


@contextmanager
def opened(folder: str, make: bool = False) -> Iterator[int]:
    """Open a folder for calls that take a ``dir_fd``, level by level from the root.

    Only one descriptor is left open. What happens to the path afterwards does not matter: the
    descriptor stays with the folder.

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
    number = os.open(os.sep, _FLAGS)
    try:
        for name in filter(None, folder.split(os.sep)):
            above, number = number, _deeper(number, name, make)
            os.close(above)
        yield number
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
