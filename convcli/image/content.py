"""The bytes of an image, which come as a file or as what stood in one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

_BEGINNING = 512


def opened(source: Path | bytes) -> BinaryIO:
    """Open the bytes to be read."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


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
