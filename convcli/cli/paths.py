"""Paths that `compare`, `kernel` and `bench` take: inputs read once, outputs not replaced."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from convcli.errors import ConvcliError, shown


def content_or_path(name: str) -> bytes | Path:
    """Return the path of a file, or the content of standard input or a pipe.

    A decoder opens a file twice: to recognise it by its first bytes, and to read it. For a
    pipe, such as ``<(convcli blur ...)``, the second opening would block for ever.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    path = Path(name)
    return path.read_bytes() if path.is_fifo() else path


def named(name: str) -> str:
    """Return the name of an input for a message."""
    return "standard input" if name == "-" else shown(name)


def check_new(path: Path, overwrite: bool) -> None:
    """Raise `ConvcliError` for an output that exists, unless it may be replaced."""
    if not overwrite and os.path.lexists(path):
        raise ConvcliError(f"{shown(path)} exists; use --overwrite to replace it")
