"""Whose folders are: caches are kept, and machine code is run, only where no other user can write.

Root often has another user's home (``sudo -E``, ``su``, ``docker -u 0 -e HOME``). A cache that it
made there would belong to root, and the user's own programs could not write to it.

Windows has access lists, which Python does not show. There no folder counts as private.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath

# Of an access control list's entries the mode shows the most that any has, as the group's rights.
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

# Folders that packages use for settings and caches, and where they are without the variable.
_HOMES = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config", "MPLCONFIGDIR": "."}


_HAS_OWNERS = hasattr(os, "geteuid")
_NOT_SHOWN = "this system does not tell Python who can write to a folder"


def problem_of(folder: str | os.PathLike[str]) -> str:
    """Return why another user may change what is in a folder, or nothing if none can.

    Every folder on the real path has to belong to root or to this user, who may be root, and
    no one else may write to it: an owner of a folder above can put another one in its place. In
    a folder with the sticky bit, such as /tmp, others can make entries, but neither rename nor
    remove one that is not theirs (POSIX, rename and unlink). So one may be above, and the folder
    itself may not.
    """
    if not _HAS_OWNERS:
        return _NOT_SHOWN
    chain = _chain(folder)
    return next(filter(None, (_problem(each, each == chain[-1]) for each in chain)), "")


def problem_of_making(folder: str | os.PathLike[str]) -> str:
    """Return why a missing folder may not be made, or nothing: the folders above decide."""
    if not _HAS_OWNERS:
        return _NOT_SHOWN
    there = filter(os.path.exists, _chain(folder))
    return next(filter(None, (_problem(each, False) for each in there)), "")


def make_private(folder: str | os.PathLike[str]) -> None:
    """Make a folder and those above it for this user alone, where `problem_of_making` has none.

    Raises
    ------
    OSError
        If the folder cannot or may not be made.
    """
    if os.path.exists(folder):
        return
    if problem := problem_of_making(folder):
        raise PermissionError(problem)
    for each in _chain(folder):
        if not os.path.exists(each):
            with suppress(FileExistsError):  # another run makes it, too
                os.mkdir(each, 0o700)


def _chain(folder: str | os.PathLike[str]) -> list[str]:
    """Return the folders on the real path of a folder, from the root down to itself."""
    return chain_of(PurePath(os.path.realpath(folder)))


def chain_of(path: PurePath) -> list[str]:
    r"""Return the names of a path's folders from its root down.

    >>> from pathlib import PureWindowsPath
    >>> chain_of(PureWindowsPath(r"C:\\Users\\me"))
    ['C:\\', 'C:\\Users', 'C:\\Users\\me']
    """
    return [*map(str, reversed(path.parents)), str(path)]


def _problem(folder: str, is_last: bool) -> str:
    status = os.lstat(folder)
    if status.st_uid not in (0, os.geteuid()):
        return f"{folder!r} belongs to another user"
    is_sticky = status.st_mode & stat.S_ISVTX and not is_last
    if status.st_mode & _OTHERS_WRITE and not is_sticky:
        return f"other users can write to {folder!r}"
    return ""


@contextmanager
def own_home() -> Iterator[None]:
    """Let packages make their folders for settings and caches in a temporary one.

    This is so within the block, and only if their usual folders belong to another user.
    """
    names = {name: os.environ.get(name) for name in ("HOME", *_HOMES)}
    home = names["HOME"] or os.path.expanduser("~")
    usual = (names[name] or os.path.join(home, default) for name, default in _HOMES.items())
    if all(map(_is_ours, usual)):
        yield
        return
    from tempfile import TemporaryDirectory  # 3 ms, which every run would take

    with TemporaryDirectory(prefix="convcli-") as temporary:
        os.environ.update(dict.fromkeys(names, temporary))
        try:
            yield
        finally:
            for name, value in names.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def _is_ours(folder: str) -> bool:
    """Whether the nearest folder that exists belongs to root or to this user."""
    if not _HAS_OWNERS:
        return True
    there = [each for each in _chain(folder) if os.path.exists(each)]
    return os.stat(there[-1]).st_uid in (0, os.geteuid())
