"""The bytes of an image, which come as a file or as what stood in one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, Protocol

_BEGINNING = 512


class Openable(Protocol):
    """What can be opened and is no path, such as a file at a URL."""

    def open(self) -> BinaryIO:
        """Open the bytes to be read."""


def opened(source: Path | bytes | Openable) -> BinaryIO:
    """Open the bytes to be read."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return source.open("rb") if isinstance(source, Path) else source.open()


def whole(source: Path | bytes) -> bytes:
    """Return all bytes."""
    return source if isinstance(source, bytes) else source.read_bytes()


def size_of(source: Path | bytes) -> int:
    """Return how many bytes there are."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def beginning(source: Path | bytes) -> bytes:
    """Return the first bytes: enough for a signature, and for the start of an SVG."""
    with opened(source) as file:
        return file.read(_BEGINNING)
