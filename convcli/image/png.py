"""Compressing the rows of a PNG: filtered by numpy, deflated by ISA-L or zlib on several cores."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.image.isa_l import isa_l
from convcli.pools import Pool
from convcli.types import Pixels

Bytes = NDArray[np.uint8]

# Bytes of filtered rows that are compressed as one strip. Photographs grow by 0.1 %, screenshots
# by 1 % at 1 MB and by 6 % at 512 kB. It must not depend on the number of workers, or the same
# image would give different files.
_STRIP = 1 << 20

# Bytes of a strip on which both strategies are tried, in four pieces: 3 % of the time. A single
# piece of 32 kB fell between the lines of a drawing, and the file became larger by a quarter.
_SAMPLE = 1 << 15

# Run lengths alone are used if they take at most a tenth more bytes than level 1: they save a
# tenth of the time on a blurred photograph, and two thirds on noise.
_WORTH = 1.1

# ISA-L (extra `fast`) at level 2, and zlib as chosen below: ms and MB for 6 megapixels of a
# photograph 31 and 4.53 (132 and 4.62), with noise 57 and 12.7 (229 and 12.7), blurred 42 and 4.35
# (216 and 4.61), in 16 colours 18 and 0.96 (69 and 1.04). Level 1 takes as long, and 0 and 3 make
# larger files (isal 1.9.1, one core of an Intel Xeon with AVX-512). Drawings and pages of text
# would grow by 10 to 25 %, so it is used where a sample takes at most 5 % more.
_ISAL_LEVEL, _ISAL_WORTH = 2, 1.05

_UP = 2  # the filter's number in the PNG specification, section 9.2
_ADLER = 65521  # the modulus of Adler-32, RFC 1950 section 8.2


def image_data(pixels: Pixels, level: int | None = None, workers: int = 1) -> Iterator[bytes]:
    """Yield the zlib stream of a PNG in pieces, each the content of one IDAT chunk.

    Every row is filtered by Up, the difference from the row above: the cheapest filter, and
    with zlib's level 1 the only one that suits every kind of image. Rows are compressed in
    strips. ISA-L deflates those of photographs, if it is installed and there is more than one;
    otherwise zlib does, either by run lengths alone (``Z_RLE``), which is faster, and smaller on
    noise, or by zlib's default strategy, which text needs. Raw deflate streams that are flushed to
    a whole byte (``Z_FULL_FLUSH``) can be concatenated (RFC 1951). The bytes are the same for any
    number of workers.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, C)
        uint8 or uint16, in any memory layout.
    level : int, optional
        zlib's level, 0 to 9, with its default strategy. By default ISA-L, or zlib's level 1, or run
        lengths if they are about as small.
    workers : int
        Number of threads.

    Yields
    ------
    bytes
        The header of the stream, one piece per strip, the checksum.
    """
    rows = max(1, _STRIP // (1 + pixels[0].nbytes))
    checksum = zlib.adler32(b"")

    def strip(top: int) -> tuple[bytes, int, int]:
        return _strip(pixels, top, top + rows, level)

    with Pool(workers) as pool:
        try:
            tops = range(0, len(pixels), rows)
            # Starting a thread takes longer than the only strip of a thumbnail.
            strips = pool.map(strip, tops) if len(tops) > 1 else map(strip, tops)
            yield b"\x78\x01"  # RFC 1950: deflate, a window of 32 kB, the fastest level
            for compressed, adler, length in strips:
                checksum = _adler32_combine(checksum, adler, length)
                yield compressed
        finally:
            pool.shutdown(wait=False, cancel=True)  # after an error, start no more
    yield checksum.to_bytes(4, "big")


def _strip(pixels: Pixels, top: int, bottom: int, level: int | None) -> tuple[bytes, int, int]:
    """Return rows as a raw deflate stream, with the Adler-32 and the length of its content."""
    data = _filtered(pixels, top, bottom)
    end = zlib.Z_FINISH if bottom >= len(pixels) else zlib.Z_FULL_FLUSH
    strategy: int | None = zlib.Z_DEFAULT_STRATEGY
    if level is None:
        strategy = _strategy(data, isa_l() if bottom - top < len(pixels) else None)
    # ISA-L sums 7 GB a second, and zlib 1.7.
    return _deflated(data, level, strategy, end), (isa_l() or zlib).adler32(data), len(data)


def _strategy(data: memoryview, isal: Any = None) -> int | None:
    """Choose between run lengths, zlib's default strategy, and ISA-L (None), by a sample."""
    pieces = range(0, len(data), max(1, len(data) // 4))
    sample = b"".join(data[start : start + _SAMPLE // 4] for start in pieces)
    runs, default = (
        len(_deflated(sample, None, strategy, zlib.Z_FINISH))
        for strategy in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY)
    )
    if isal:
        by_isal = len(_deflated(sample, None, None, zlib.Z_FINISH))
        if by_isal <= _ISAL_WORTH * min(runs, default):
            return None
    return zlib.Z_RLE if runs <= default * _WORTH else zlib.Z_DEFAULT_STRATEGY


def _deflated(data: memoryview | bytes, level: int | None, strategy: int | None, end: int) -> bytes:
    if strategy is None:
        deflate = isa_l().compressobj(_ISAL_LEVEL, wbits=-15)
    else:
        deflate = zlib.compressobj(1 if level is None else level, wbits=-15, strategy=strategy)
    stream: bytes = deflate.compress(data) + deflate.flush(end)
    return stream


def _filtered(pixels: Pixels, top: int, bottom: int) -> memoryview:
    """Return rows as a PNG stores them: the number of the filter, then the filtered samples."""
    rows = _stored(pixels[top:bottom])
    above = _stored(pixels[top - 1 : top])[0] if top else np.uint8(0)
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    np.subtract(rows[0], above, out=filtered[0, 1:])
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered.reshape(-1).data


def _stored(rows: Pixels) -> Bytes:
    """Return samples as bytes, the most significant byte first."""
    dtype = rows.dtype.newbyteorder(">")
    if rows.ndim < 3 or rows.flags.c_contiguous:
        big_endian = np.ascontiguousarray(rows, dtype)
    else:  # three of four bytes per pixel: one copy of all channels takes 4 times as long
        big_endian = np.empty(rows.shape, dtype)
        for channel in range(rows.shape[2]):
            big_endian[..., channel] = rows[..., channel]
    return big_endian.reshape(len(rows), -1).view(np.uint8)


def _adler32_combine(first: int, second: int, length: int) -> int:
    """Return the Adler-32 of two concatenated pieces, the second of this length.

    zlib has this function, but not in Python. The low half is 1 + the sum of the bytes;
    the high half sums the low half after each byte, which in the second piece is larger by the
    sum of the first piece.
    """
    low, high = first & 0xFFFF, first >> 16
    low_2, high_2 = second & 0xFFFF, second >> 16
    total = (high + high_2 + length * (low - 1)) % _ADLER
    return total << 16 | (low + low_2 - 1) % _ADLER
