"""Atomic writing: a new file has no name until all of it is on the disk."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from convcli.errors import ConvcliError, reason_of
from convcli.files.folders import NOFOLLOW, Place, opened
from convcli.files.likeness import Likeness, likeness_of, make_like
from convcli.files.names import problem_of_name
from convcli.files.places import is_below, leads_outside
from convcli.files.stores import HIDDEN, is_store
from convcli.pools import kept

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TEMPORARY_SUFFIX = ".part"

RECORD = ".convcli-done"
"""The file in an unfinished folder that says what is done."""

# Bytes after which the disk gets what was written so far, while more is written. Of 72 MB `fsync`
# takes 60 to 100 ms here.
_SYNCED = 8 << 20

_unfinished: set[str] = set()


@contextmanager
def new_file(
    path: Path,
    overwrite: bool = False,
    mode: int = 0o666,
    *,
    within: str | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[BinaryIO]:
    """Open a new file that gets its name when all of its content is on the disk.

    An existing file of that name stays intact until then. Its permissions, access control list
    and extended attributes are kept, and so are its owner and group where that is permitted; hard
    links to it keep the old content. Until then the new file has no name (Linux's ``O_TMPFILE``),
    so even a SIGKILL leaves nothing behind, except between the last two steps of a replacement:
    getting a hidden name and taking the place of the old file. On file systems without
    ``O_TMPFILE`` it has the hidden name from the start. Any error removes it. Symbolic links are
    followed, so a link stays a link. Pipes and devices (``/dev/stdout``, a FIFO) are written
    directly.

    All of this happens in the folder that is opened at the beginning. A link that takes the
    place of this folder, or of one above it, is not followed.

    Parameters
    ----------
    path : Path
        The name of the file.
    overwrite : bool
        Whether an existing file of that name may be replaced.
    mode : int
        Permissions of a file that did not exist, less the umask.
    within : str, optional
        The folder that the file has to be in, wherever links lead: a path without links. Missing
        folders are made.
    note : callable
        Called with a remark on each thing that could not be kept of an existing file.

    Raises
    ------
    FileExistsError
        If the file exists, or was created meanwhile, and `overwrite` is false.
    ConvcliError
        If the file is not below `within`, or Windows does not allow its name.
    OSError
        For any other error of the file system.
    """
    if problem := problem_of_name(os.fspath(path)):
        raise ConvcliError(problem)
    target = os.path.realpath(path)
    if within is not None and not is_below(target, within):
        raise ConvcliError(leads_outside(within, target))
    if os.path.exists(path) and not os.path.exists(target):
        with open(path, "wb") as file:  # a pipe behind /dev/stdout has no other name
            yield file
        return
    folder, name = os.path.split(target)
    with opened(folder, make=within is not None) as place:
        before = _status(place, name)
        if before is not None:
            if not overwrite:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
            if not stat.S_ISREG(before.st_mode):
                flags = os.O_WRONLY | NOFOLLOW
                number = os.open(place.name(name), flags, dir_fd=place.number)
                with open(number, "wb") as file:
                    yield file
                return
        old = None if before is None else _likeness(place, name)
        # Hidden, and short for any name of the target (255 bytes is a common limit).
        temporary = f"{HIDDEN}{os.urandom(6).hex()}{TEMPORARY_SUFFIX}"
        _unfinished.add(os.path.join(folder, temporary))
        try:
            # The old file may be for its owner alone, and its content is in the new one.
            number, is_named = _opened(place, temporary, mode if old is None else 0o600)
            with _Whole(number) as whole:
                yield whole
                whole.flush()
                whole.wait()
                for remark in () if old is None else make_like(number, old):
                    note(remark)
                os.fsync(number)
                if not is_named:
                    # Python calls linkat(2), which follows the link in /proc.
                    os.link(
                        f"/proc/self/fd/{number}",
                        temporary if overwrite else name,
                        src_dir_fd=number,
                        dst_dir_fd=place.number,
                        follow_symlinks=True,
                    )
            if overwrite:
                _replace(place, temporary, name)
            elif is_named:
                _rename_to_new(place, temporary, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(place.name(temporary), dir_fd=place.number)
            raise
        finally:
            _unfinished.discard(os.path.join(folder, temporary))
        _sync_folder(place)


def _status(place: Place, name: str) -> os.stat_result | None:
    try:
        return os.stat(place.name(name), dir_fd=place.number, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _likeness(place: Place, name: str) -> Likeness:
    """Look at a file that will be replaced, and raise `PermissionError` if it is read-only."""
    flags = NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
    path, folder = place.name(name), place.number
    # Renaming needs no permission on the old file, but a read-only file should stay.
    is_writable = os.access(path, os.W_OK, dir_fd=folder)
    try:
        number = os.open(path, os.O_RDONLY | flags, dir_fd=folder)
    except PermissionError:  # its extended attributes cannot be read then, but its access list
        number = os.open(path, os.O_WRONLY | flags, dir_fd=folder)
    try:
        if not is_writable:
            # Raises the system's reason, if it has one.
            os.close(os.open(path, os.O_WRONLY | flags, dir_fd=folder))
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return likeness_of(number)
    finally:
        os.close(number)


def _opened(place: Place, temporary: str, mode: int) -> tuple[int, bool]:
    """Open a new file, without a name if that is possible; return whether it has one."""
    number = _open_without_name(place, mode)
    if number is not None:
        return number, False
    # O_EXCL, so that no existing file is opened.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    return os.open(place.name(temporary), flags, mode, dir_fd=place.number), True


class _Whole(io.BufferedRandom):
    """A file that hides its descriptor from encoders in C, and goes to the disk while it grows.

    Pillow's encoders would write to the descriptor, and ignore a short write: on a full disk
    the last 64 kB of an image could be missing without an error.
    """

    def __init__(self, number: int) -> None:
        super().__init__(io.FileIO(number, "r+b"))
        self._number = number
        self._unsynced = 0
        self._syncing: Future[None] | None = None

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")

    def write(self, data: ReadableBuffer, /) -> int:
        count = super().write(data)
        self._unsynced += count
        if self._unsynced >= _SYNCED and (self._syncing is None or self._syncing.done()):
            self.wait()
            self._unsynced = 0
            self._syncing = kept(1).submit(partial(os.fsync, self._number))
        return count

    def wait(self) -> None:
        """Wait for the disk, and raise its errors, which it reports only once."""
        if self._syncing and not self._syncing.cancel():
            self._syncing.result()

    def close(self) -> None:
        if self._syncing and not self._syncing.cancel():
            self._syncing.exception()  # waits: the descriptor must not become that of another file
        super().close()


def _open_without_name(place: Place, mode: int) -> int | None:
    """Open a file without a name, or return None where the system has none or cannot name it."""
    if place.number is None or not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR, mode, dir_fd=place.number)
    except OSError:  # not supported here; any other reason is raised by the next attempt
        return None


@contextmanager
def new_folder(
    path: Path,
    overwrite: bool = False,
    *,
    within: str | None = None,
    mark: str = "",
    goes_on: bool = False,
) -> Iterator[Path]:
    """Make a folder that gets its name when all of its content is there.

    Until then it has a hidden name beside that. After an interruption, or an error of the system
    such as a full disk, it stays if it holds a `RECORD`; else it is removed. A folder of the final
    name is replaced only if it is a zarr array or group.

    Parameters
    ----------
    path : Path
        The name of the folder.
    overwrite : bool
        Whether an existing folder of that name may be replaced.
    within : str, optional
        The folder that it has to be in; see `new_file`.
    mark : str
        A part of the hidden name. At the end folders are removed whose mark begins alike, up to
        a hyphen: other work on the same target has left them.
    goes_on : bool
        Take what an earlier call with the same mark has left; otherwise that is removed.

    Raises
    ------
    FileExistsError
        If something has that name, and `overwrite` is false or it is no zarr array or group.
    ConvcliError
        If the folder is not below `within`.
    OSError
        For any other error of the file system.
    """
    target = Path(os.path.realpath(path))
    if within is not None and not is_below(str(target), within):
        raise ConvcliError(leads_outside(within, str(target)))
    target.parent.mkdir(parents=True, exist_ok=True)
    new, old = (
        target.with_name(f"{HIDDEN}{name or os.urandom(6).hex()}{TEMPORARY_SUFFIX}")
        for name in (mark, "")
    )
    _check_replaces(target, overwrite)
    new.mkdir(exist_ok=True)
    lock = _locked(new)
    try:
        for inside in () if goes_on else new.iterdir():
            shutil.rmtree(inside) if inside.is_dir() else inside.unlink()
        yield new
        _check_replaces(target, overwrite)
        if target.exists():
            target.rename(old)
        new.rename(target)
        same = f"{HIDDEN}{mark.partition('-')[0]}-*{TEMPORARY_SUFFIX}"
        for left in target.parent.glob(same) if mark else ():
            shutil.rmtree(left, ignore_errors=True)
    except BaseException as error:
        is_wrong = isinstance(error, (ConvcliError, FileExistsError))
        if is_wrong or not (new / RECORD).exists():
            shutil.rmtree(new, ignore_errors=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(old, ignore_errors=True)


def _locked(folder: Path) -> int | None:
    """Lock a folder as long as this process lives; return its descriptor. Windows cannot do that.

    Raises
    ------
    ConvcliError
        If another process has locked it.
    """
    try:
        import fcntl
    except ImportError:
        return None
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise ConvcliError("is being written by another run; wait for that") from None
    except OSError:  # a file system without locks
        pass
    return number


def _check_replaces(target: Path, overwrite: bool) -> None:
    if os.path.lexists(target) and not (overwrite and is_store(target)):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def remove_unfinished() -> None:
    """Remove the temporary files of all threads, before the process ends; folders stay."""
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            os.unlink(temporary)


def _rename_to_new(place: Place, temporary: str, name: str) -> None:
    """Rename a file, unless one of that name has been created meanwhile."""
    try:
        os.link(
            place.name(temporary),
            place.name(name),
            src_dir_fd=place.number,
            dst_dir_fd=place.number,
        )
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if _status(place, name) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        _replace(place, temporary, name)
    else:
        os.unlink(place.name(temporary), dir_fd=place.number)


def _replace(place: Place, temporary: str, name: str) -> None:
    """Give a file a name that another file may have."""
    try:
        os.replace(
            place.name(temporary),
            place.name(name),
            src_dir_fd=place.number,
            dst_dir_fd=place.number,
        )
    except PermissionError as error:
        if place.number is None:  # only Windows keeps open files from being replaced
            raise ConvcliError(
                f"cannot be replaced ({reason_of(error)}); close the programs that have it open"
            ) from error
        raise


def _sync_folder(place: Place) -> None:
    """Write the folder to the disk, where the file system supports that."""
    with suppress(OSError):
        number = os.open(place.name("."), os.O_RDONLY, dir_fd=place.number)
        try:
            os.fsync(number)
        finally:
            os.close(number)
