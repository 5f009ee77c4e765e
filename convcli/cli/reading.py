"""Where single pictures come from: a file, standard input, or a pipe that has a name."""

from __future__ import annotations

import sys
from pathlib import Path

from convcli.errors import shown


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
