"""Files are written whole or not at all: without a name until they are on the disk."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".part"

_unfinished: set[str] = set()


@contextmanager
def new_file(path: Path, overwrite: bool = False, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only once everything in it is on the disk.

    An older file of that name stays intact until then, and keeps its permissions, and its
    owner and group where that is permitted; hard links to it keep the old content, and
    extended attributes are lost. Until then the new file has no name (Linux's ``O_TMPFILE``),
    so that not even a SIGKILL leaves it behind, but for the moment between getting a hidden name
    and replacing the older file; where the file system has no such files, it has the hidden name
    from the beginning. That is removed on any error. Symbolic links are followed, so that a link
    stays a link. What is not a regular file (``/dev/stdout``, a FIFO) is written directly.

    Parameters
    ----------
    path : Path
        Where the file shall be.
    overwrite : bool
        Whether a file of that name may be replaced.
    mode : int
        Permissions of a file that is new, less the umask.

    Raises
    ------
    FileExistsError
        If the file exists, or came into being meanwhile, and `overwrite` is false.
    OSError
        Whatever else the file system says.
    """
    try:
        before = os.stat(path)
    except FileNotFoundError:
        before = None
    target = os.path.realpath(path)
    if before is not None:
        if not overwrite:
            raise FileExistsError(17, os.strerror(17), os.fspath(path))
        if not stat.S_ISREG(before.st_mode):
            with open(path, "wb") as file:  # a pipe behind /dev/stdout has no other name
                yield file
            return
        # Renaming needs no permission on the old file; a read-only one is meant to stay.
        if not os.access(target, os.W_OK):
            os.close(os.open(target, os.O_WRONLY))  # the system may have a better reason
            raise PermissionError(13, os.strerror(13), os.fspath(path))

    folder = os.path.dirname(target)
    # Short whatever the target is called (255 bytes is a common limit), and hidden.
    temporary = os.path.join(folder, f".convcli-{os.urandom(6).hex()}{TEMPORARY_SUFFIX}")
    _unfinished.add(temporary)
    try:
        number = _open_without_name(folder, mode)
        is_named = number is None
        if number is None:
            # O_EXCL so that nobody's file is reused.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            number = os.open(temporary, flags, mode)
        with _Whole(io.FileIO(number, "r+b")) as whole:
            yield whole
            whole.flush()
            if before is not None:
                _make_like(number, before)
            os.fsync(number)
            if not is_named:
                # With a folder's number Python calls linkat(2), which follows what stands in
                # /proc; the names are absolute, so the number itself is of no account.
                given = f"/proc/self/fd/{number}", temporary if overwrite else target
                os.link(*given, src_dir_fd=number, follow_symlinks=True)
        if overwrite:
            os.replace(temporary, target)
        elif is_named:
            _rename_to_new(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _unfinished.discard(temporary)
    _sync_folder(folder)


class _Whole(io.BufferedRandom):
    """A file that keeps its number from encoders in C.

    Pillow's would write to that themselves, and take a write that was cut short for a whole
    one: on a full disk the last 64 kB of a picture could be missing, and nobody told.
    """

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _open_without_name(folder: str, mode: int) -> int | None:
    """Open a file that has no name yet, where the system offers that and a way to give it one."""
    if not (hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
    except OSError:  # if it is not the file system that lacks them, the next attempt tells
        return None


def _make_like(number: int, before: os.stat_result) -> None:
    """Give a new file the owner, group and permissions of the one that it replaces."""
    for owner in (before.st_uid, -1):  # the group alone is permitted to its members
        with suppress(OSError):
            os.fchown(number, owner, before.st_gid)
            break
    os.fchmod(number, stat.S_IMODE(before.st_mode))  # last, as a new owner costs set-user-ID


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
