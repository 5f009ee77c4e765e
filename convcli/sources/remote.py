"""Files to be read at any place: local ones, and those at URLs, which fsspec opens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from convcli.errors import ConvcliError, reason_of
from convcli.types import Pixels

# Bytes of a URL that are fetched at a time where a decoder looks for metadata.
_BLOCK = 1 << 18

Place = Path | str
"""A local path, or a URL."""


Read = Callable[[int, int, str], Pixels]
"""``read(at, size, what)`` returns bytes at a place, as an array; `what` names them in errors.
It may be called by several threads at once."""


class Bytes(NamedTuple):
    """The bytes of a file.

    Attributes
    ----------
    size : int
        How many there are.
    read : callable
        See `Read`.
    open : callable
        Opens the file for those that read one byte after the other.
    """

    size: int
    read: Read
    open: Callable[[], BinaryIO]


@contextmanager
def bytes_of(place: Place) -> Iterator[Bytes]:
    """Open a file."""
    if isinstance(place, str):
        yield _of_url(place)
        return
    with place.open("rb") as file:
        moving = threading.Lock()

        def read(at: int, size: int, what: str) -> Pixels:
            out = np.empty(size, np.uint8)
            done = 0
            while done < size:
                rest = memoryview(out.data)[done:]
                if hasattr(os, "preadv"):
                    got = os.preadv(file.fileno(), [rest], at + done)
                else:  # Windows
                    with moving:
                        file.seek(at + done)
                        got = file.readinto(rest)
                if not got:
                    raise ConvcliError(f"is truncated: {what} ends early")
                done += got
            return out

        yield Bytes(os.fstat(file.fileno()).st_size, read, lambda: place.open("rb"))


def file_system(url: str) -> tuple[Any, str]:
    """Return what fsspec has for the scheme of a URL, and the path in it.

    Raises
    ------
    ConvcliError
        If no package for it is installed.
    """
    scheme = url.partition(":")[0]
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
    except (ImportError, ValueError) as error:  # a package, or a scheme that fsspec does not know
        raise ConvcliError(
            f"is at a URL of the kind {scheme}://, which cannot be opened ({reason_of(error)}); "
            "install the extra 'remote'"
        ) from error
    return system, path


def beginning(url: str, size: int) -> bytes | None:
    """Return the first bytes at a URL, or None if no file is there but perhaps a folder."""
    system, path = file_system(url)
    with reported("cannot be opened"):
        try:
            content: bytes = system.cat_file(path, start=0, end=size)
        except (FileNotFoundError, IsADirectoryError):
            return None
    if len(content) > size:
        raise ConvcliError("is at a server that gives no parts of files; download it")
    return content


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Turn the errors of packages, which are of any kind, into a `ConvcliError`."""
    try:
        yield
    except ConvcliError:
        raise
    except Exception as error:
        raise ConvcliError(f"{what}: {reason_of(error)}") from error


def _of_url(url: str) -> Bytes:
    system, path = file_system(url)
    with reported("cannot be opened"):
        size = system.info(path)["size"]
    if size is None:
        raise ConvcliError("is at a server that does not say how long it is; download it")

    def read(at: int, size: int, what: str) -> Pixels:
        with reported(f"{what} cannot be read"):
            content = system.cat_file(path, start=at, end=at + size)
        if len(content) != size:
            raise ConvcliError(f"is truncated: {what} ends early")
        return np.frombuffer(bytearray(content), np.uint8)  # loops take arrays that can be written

    def opened() -> BinaryIO:
        how = {"block_size": _BLOCK, "cache_type": "blockcache"}
        return cast(BinaryIO, system.open(path, "rb", **how))

    return Bytes(int(size), read, opened)
