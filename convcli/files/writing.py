"""Atomic writing: a new file has no name until all of it is on the disk."""

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
    """Open a new file that gets its name when all of its content is on the disk.

    An existing file of that name stays intact until then. Its permissions are kept, and so are
    its owner and group where that is permitted; hard links to it keep the old content, and
    extended attributes are lost. Until then the new file has no name (Linux's ``O_TMPFILE``),
    so even a SIGKILL leaves nothing behind, except between the last two steps of a replacement:
    getting a hidden name and taking the place of the old file. On file systems without
    ``O_TMPFILE`` it has the hidden name from the start. Any error removes it. Symbolic links are
    followed, so a link stays a link. Pipes and devices (``/dev/stdout``, a FIFO) are written
    directly.

    Parameters
    ----------
    path : Path
        The name of the file.
    overwrite : bool
        Whether an existing file of that name may be replaced.
    mode : int
        Permissions of a file that did not exist, less the umask.

    Raises
    ------
    FileExistsError
        If the file exists, or was created meanwhile, and `overwrite` is false.
    OSError
        For any other error of the file system.
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
        # Renaming needs no permission on the old file, but a read-only file should stay.
        if not os.access(target, os.W_OK):
            os.close(os.open(target, os.O_WRONLY))  # raises the system's reason, if it has one
            raise PermissionError(13, os.strerror(13), os.fspath(path))

    folder = os.path.dirname(target)
    # Hidden, and short for any name of the target (255 bytes is a common limit).
    temporary = os.path.join(folder, f".convcli-{os.urandom(6).hex()}{TEMPORARY_SUFFIX}")
    _unfinished.add(temporary)
    try:
        number = _open_without_name(folder, mode)
        is_named = number is None
        if number is None:
            # O_EXCL, so that no existing file is opened.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            number = os.open(temporary, flags, mode)
        with _Whole(io.FileIO(number, "r+b")) as whole:
            yield whole
            whole.flush()
            if before is not None:
                _make_like(number, before)
            os.fsync(number)
            if not is_named:
                # With a folder descriptor Python calls linkat(2), which follows the link in /proc;
                # the names are absolute, so any descriptor will do.
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
    """A file that hides its descriptor from encoders in C.

    Pillow's encoders would write to the descriptor, and ignore a short write: on a full disk
    the last 64 kB of an image could be missing without an error.
    """

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _open_without_name(folder: str, mode: int) -> int | None:
    """Open a file without a name, or return None where the system has none or cannot name it."""
    if not (hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
    except OSError:  # not supported here; any other reason is raised by the next attempt
        return None


def _make_like(number: int, before: os.stat_result) -> None:
    """Give a new file the owner, group and permissions of the file that it replaces."""
    for owner in (before.st_uid, -1):  # members of a group may set it alone
        with suppress(OSError):
            os.fchown(number, owner, before.st_gid)
            break
    os.fchmod(number, stat.S_IMODE(before.st_mode))  # last, because a new owner clears set-user-ID


def remove_unfinished() -> None:
    """Remove the temporary files of all threads, before the process ends."""
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            os.unlink(temporary)


def _rename_to_new(temporary: str, target: str) -> None:
    """Rename a file, unless one of that name has been created meanwhile."""
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
    """Write the folder to the disk, where the file system supports that."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
