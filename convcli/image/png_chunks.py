"""The chunks of a PNG file, one after the other (PNG, third edition, 5.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each chunk, and where its content starts and ends in the file.

    The file is at the start of the content, from which the caller may read. After IEND it is
    behind that; a file that is truncated has none.
    """
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        start = file.tell()
        yield kind, start, start + size
        file.seek(start + size + 4)  # behind a checksum
        if kind == b"IEND":
            return
