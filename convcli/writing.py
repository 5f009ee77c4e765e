"""Files are written whole or not at all: a temporary file beside the target, then a rename."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".part"

_unfinished: set[str] = set()


@contextmanager
def new_file(path: Path, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only once everything in it is on the disk.

    An older file of that name stays intact until then, and keeps its permissions; on any
    error the temporary file is removed. Symbolic links are followed, so that a link stays
    a link. What is not a regular file (``/dev/stdout``, a FIFO) is written directly.

    Parameters
    ----------
    path : Path
        Where the file shall be.
    overwrite : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    FileExistsError
        If the file exists, or came into being meanwhile, and `overwrite` is false.
    OSError
        Whatever else the file system says.
    """
    target = os.path.realpath(path)
    try:
        before = os.stat(target)
    except FileNotFoundError:
        before = None
    if before is not None:
        if not overwrite:
            raise FileExistsError(17, os.strerror(17), os.fspath(path))
        if not stat.S_ISREG(before.st_mode):
            with open(target, "wb") as file:
                yield file
            return
        # Renaming needs no permission on the old file; a read-only one is meant to stay.
        if not os.access(target, os.W_OK):
            raise PermissionError(13, os.strerror(13), os.fspath(path))

    folder = os.path.dirname(target)
    # Short whatever the target is called (255 bytes is a common limit), and hidden.
    temporary = os.path.join(folder, f".convcli-{os.urandom(6).hex()}{TEMPORARY_SUFFIX}")
    _unfinished.add(temporary)
    # 0o666 less the umask, as for any new file; O_EXCL so that nobody's file is reused.
    try:
        number = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with open(number, "w+b") as file:
            yield file
            file.flush()
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, target)
        else:
            _rename_to_new(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _unfinished.discard(temporary)
    _sync_folder(folder)


def remove_unfinished() -> None:
    """Remove the temporary files of every thread, for a process that is about to die."""
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            os.unlink(temporary)


def _rename_to_new(temporary: str, target: str) -> None:
    """Rename, unless somebody made a file of that name since it was looked for."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(17, os.strerror(17), target) from None
        os.replace(temporary, target)
    else:
        os.unlink(temporary)


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable, where the file system lets a folder be synced."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
