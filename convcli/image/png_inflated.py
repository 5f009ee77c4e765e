"""A PNG as Pillow gets it where ISA-L is installed: its rows are inflated in another thread.

Pillow inflates by zlib, and that is three quarters of its time: 450 ms of processor time for 24
megapixels of a photograph. ISA-L takes 140 ms. Pillow then gets the rows in blocks that are stored
without compression (RFC 1951, section 3.2.4), undoes their filters in 95 ms, while the next rows
are inflated, and reads every other chunk from the file itself (Intel Xeon with AMX).
"""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from convcli.image.content import size_of
from convcli.image.isa_l import isa_l
from convcli.image.png_chunks import chunks
from convcli.pools import Pool, has_room

# Bytes of a file below which Pillow reads it as it is: a thread and its pieces take 0.3 ms.
_LEAST = 1 << 18

# Bytes that are read from the disk, inflated, and given to Pillow at a time. Of twice as many each
# piece gets new memory from the system: 16,000 pages for 24 megapixels, 20 ms.
_READ, _PACKED, _PIECE = 1 << 20, 1 << 18, 1 << 20

# Pieces that are inflated ahead.
_AHEAD = 2

# Samples of a pixel by the colour types (PNG, third edition, 11.2.1).
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

_BLOCK = 65535  # the most bytes of a stored block
_ZLIB_HEADER = b"\x78\x01"
_BROKEN = b"\x07"  # a block of a type that does not exist: damage stays damage
_NO_CRC = bytes(4)  # Pillow does not look at it


def opened(source: Path | bytes, files: ExitStack) -> BinaryIO | None:
    """Open a PNG for Pillow; None if it has to be read as it is.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.
    files : ExitStack
        Closes what is opened here.
    """
    if size_of(source) < _LEAST or not isa_l():
        return None
    file = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb", _READ)  # noqa: SIM115
    walk = chunks(file)
    size = 0
    for kind, start, end in walk:
        if kind == b"IHDR":
            size = _size_of_rows(file.read(min(end - start, 1 << 10)))
        elif kind == b"IDAT":
            # Pillow keeps colour in four bytes, and the result takes as much again.
            if size and has_room(3 * size):
                inflated = files.enter_context(_Inflated(file, start, end, walk, size))
                return cast(BinaryIO, inflated)  # all of it that Pillow uses
            break
        elif kind == b"acTL":  # an animation, whose frames are not read one after the other
            break
    file.close()
    return None


def _size_of_rows(header: bytes) -> int:
    """Return the bytes of all rows with their filters; 0 if they are interlaced, or unknown."""
    if len(header) != 13:
        return 0
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced or colour not in _CHANNELS:
        return 0
    return int(height * (1 + (width * depth * _CHANNELS[colour] + 7) // 8))


class _Inflated(io.BufferedIOBase):
    """The file, with other chunks of image data; it is read once, from the front.

    Parameters
    ----------
    file : binary file
        The PNG; it is closed with this.
    start, end : int
        Where the content of the first chunk of image data lies, which is at hand in the file.
    walk : iterator
        Goes on with the chunks after that.
    size : int
        Bytes of all rows.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int,
        end: int,
        walk: Iterator[tuple[bytes, int, int]],
        size: int,
    ) -> None:
        self._file, self._walk, self._size = file, walk, size
        self._first = start, end
        file.seek(0)
        head = file.read(start - 8)
        # Nothing is inflated until Pillow wants more than the header of the stream.
        self._head = head + _chunk_header(len(_ZLIB_HEADER)) + _ZLIB_HEADER + _NO_CRC
        self._at, self._left = 0, b""
        self._following: Iterator[bytes] | None = None

    def close(self) -> None:
        """Close the file, when its thread has ended."""
        if self._following:
            self._following.close()  # type: ignore[attr-defined]  # a generator
            self._following = None
        self._file.close()
        super().close()

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that Pillow may go back, as long as it has read the header alone."""
        return True

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the header."""
        if whence != io.SEEK_SET or self._following or not 0 <= offset <= len(self._head):
            raise io.UnsupportedOperation("seek")
        self._at = offset
        return offset

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes: fewer only at the end."""
        most = -1 if size is None or size < 0 else size
        if self._following is None:
            part = self._head[self._at :]
            if 0 <= most <= len(part):
                self._at += most
                return part[:most]
            self._left, self._following = part, self._rest()
        parts, length = [], 0
        while most < 0 or length < most:
            part = self._left or next(self._following, b"")
            if not part:
                break
            wanted = part if most < 0 else part[: most - length]  # whole parts are not copied
            self._left = part[len(wanted) :]
            parts.append(wanted)
            length += len(wanted)
        self._at += length
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _rest(self) -> Iterator[bytes]:
        """Yield what comes after the header: image data, and then the file as it is."""
        with Pool(1) as pool:
            blocks = self._blocks()
            ahead: deque[Future[bytes]] = deque()
            try:
                begin = partial(pool.submit, partial(next, blocks, b""))
                ahead.extend(begin() for _ in range(_AHEAD))
                while piece := ahead.popleft().result():
                    ahead.append(begin())
                    yield from (_chunk_header(len(piece)), piece, _NO_CRC)
            finally:
                pool.shutdown(cancel=True)
        for kind, start, _ in self._walk:
            if kind != b"IDAT":  # there may be more of it than the image has rows
                self._file.seek(start - 8)
                break
        while part := self._file.read(_READ):
            yield part

    def _blocks(self) -> Iterator[bytes]:
        """Inflate the rows, and yield them in stored blocks."""
        isal: Any = isa_l()
        inflate = isal.decompressobj()
        left = self._size
        try:
            for packed in self._packed():
                while left and (rows := inflate.decompress(packed, min(_PIECE, left))):
                    left -= len(rows)
                    packed = inflate.unconsumed_tail
                    if not left:
                        inflate.decompress(packed, 1)  # raises an error if the sum is wrong
                    yield _stored(rows)
                if not left or inflate.eof:
                    return
        except isal.error:
            yield _BROKEN

    def _packed(self) -> Iterator[bytes]:
        """Yield the content of the chunks of image data, as much at a time as is inflated well."""
        parts: list[bytes] = []
        length = 0
        start, end = self._first
        while True:
            self._file.seek(start)
            # A damaged chunk may claim to be longer than the file.
            while start < end and (part := self._file.read(min(end - start, _PACKED))):
                parts.append(part)
                start, length = start + len(part), length + len(part)
                if length >= _PACKED:
                    yield b"".join(parts)
                    parts, length = [], 0
            following = next(self._walk, None)
            if following is None or following[0] != b"IDAT":
                self._walk = iter([following] if following else [])
                yield b"".join(parts)
                return
            _, start, end = following


def _chunk_header(size: int) -> bytes:
    return struct.pack(">I4s", size, b"IDAT")


def _stored(rows: bytes) -> bytes:
    """Return bytes as deflate blocks without compression, none of which is the last."""
    view = memoryview(rows)
    parts: list[bytes | memoryview] = []
    for start in range(0, len(rows), _BLOCK):
        part = view[start : start + _BLOCK]
        parts += [struct.pack("<BHH", 0, len(part), len(part) ^ 0xFFFF), part]
    return b"".join(parts)
