"""PNGs put together by hand, with any depth, colour type, interlacing and chunks."""

from __future__ import annotations

import struct
import zlib

import numpy as np

# The passes of Adam7: first column and row, steps along columns and rows (PNG, section 8.2).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
           (0, 1, 1, 2))  # fmt: skip

GREY, RGB, PALETTE = 0, 2, 3


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def header(size, depth, colour_type, interlaced=False):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, interlaced))


def rows_of(samples, depth):
    """Return samples (H, W, C) as a PNG stores them, without filters."""
    rows = b""
    for row in samples:
        values = row.ravel()
        if depth == 16:
            packed = values.astype(">u2").tobytes()
        elif depth == 8:
            packed = values.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(value, f"0{depth}b") for value in values.tolist())
            bits += "0" * (-len(bits) % 8)
            packed = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
        rows += b"\0" + packed
    return rows


def data_of(samples, depth, interlaced=False):
    """Return the compressed rows of samples (H, W, C)."""
    if not interlaced:
        return zlib.compress(rows_of(samples, depth))
    parts = (samples[y::rows, x::columns] for x, y, columns, rows in _PASSES)
    return zlib.compress(b"".join(rows_of(part, depth) for part in parts if part.size))


def png(samples, depth, colour_type, *chunks, interlaced=False):
    """Return a PNG of samples (H, W, C), as they are stored."""
    height, width = samples.shape[:2]
    head = header((width, height), depth, colour_type, interlaced)
    data = chunk(b"IDAT", data_of(samples, depth, interlaced))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + data + chunk(b"IEND", b"")
