"""The files that `compare`, `kernel` and `bench` are told: read once, and not replaced unasked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from convcli.errors import ConvcliError, shown


def content_or_path(name: str) -> bytes | Path:
    """Return a file, or the whole content of what can be read but once.

    A decoder opens a file several times: to know it by its first bytes, and to read it. Of a
    pipe, as ``<(convcli blur ...)`` makes one, the second opening would wait for ever.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    path = Path(name)
    return path.read_bytes() if path.is_fifo() else path


def named(name: str) -> str:
    """Name where a picture came from, for a message."""
    return "standard input" if name == "-" else shown(name)


def check_new(path: Path, overwrite: bool) -> None:
    """Raise `ConvcliError` for what exists and was not to be replaced."""
    if not overwrite and os.path.lexists(path):
        raise ConvcliError(f"{shown(path)} exists; -f replaces it")


def is_same(path: Path, name: str) -> bool:
    """Whether two names are of one file, be it there or not; ``-`` is none."""
    return name != "-" and path.resolve() == Path(name).resolve()
