"""Arrays in .npy files, read and written by rows.

Rows are read and not mapped: mapped pages would count as held, and a file that another program
shortens would end this one (SIGBUS).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from convcli.errors import ConvcliError
from convcli.files.writing import new_file
from convcli.image.picture import mode_of
from convcli.sources.contract import PIECE, Given, Result, Settings, Stored, check_samples
from convcli.sources.remote import Place, Read, bytes_of
from convcli.types import Pixels

# Rows and columns of the pieces of an array in Fortran's order, whose columns lie together.
_FORTRAN = (1024, 64)

# Headers are shorter: of up to 3 axes and a dtype.
_HEADER = 1 << 16

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@contextmanager
def opened(place: Place, _is_grey: bool = False) -> Iterator[Given]:
    """Open an array ``(H, W)`` or ``(H, W, C)``."""
    with bytes_of(place) as file:
        head = io.BytesIO(file.read(0, min(file.size, _HEADER), "its header").tobytes())
        try:
            given, is_fortran, dtype = _HEADERS[npy.read_magic(head)](head)
        except Exception as error:  # numpy's parser raises errors of any kind
            raise ConvcliError("is truncated or damaged: its header is not one of .npy") from error
        if len(given) not in (2, 3):
            raise ConvcliError(f"is an array of shape {given}; an image is (H, W) or (H, W, C)")
        check_samples(dtype, given)
        shape = (given[0], given[1], given[2] if len(given) == 3 else 1)
        if len(given) == 3 and shape[2] > 4:
            raise ConvcliError(
                f"is an array of shape {given}, which may be a volume; save its slices as arrays "
                "of their own, or its bands as a TIFF"
            )
        start = head.tell()
        size = shape[0] * shape[1] * shape[2] * dtype.itemsize
        if file.size < start + size:
            raise ConvcliError(
                f"is truncated: an array of shape {given} and {dtype.name} has {size} bytes, "
                f"{file.size - start} are there"
            )
        native = dtype.newbyteorder("=")
        if is_fortran and min(shape[:2]) > 1:
            tile = min(_FORTRAN[0], shape[0]), min(_FORTRAN[1], shape[1])
            decode = partial(_columns, file.read, start, dtype, shape, tile)
        else:
            row = shape[1] * shape[2] * dtype.itemsize
            tile = max(1, min(PIECE // row, shape[0])), shape[1]
            decode = partial(_rows, file.read, start, dtype, shape, tile[0])
        stored = Stored(shape, native, tile, decode)
        yield Given((stored,), 1, mode_of(shape[2], native.name), "NPY")


def _rows(
    read: Read, start: int, dtype: np.dtype[Any], shape: tuple[int, int, int], rows: int,
    row: int, _column: int,
) -> Pixels:  # fmt: skip
    """Read whole rows of an array in C's order."""
    count = min(rows, shape[0] - row * rows)
    samples = shape[1] * shape[2]
    at = start + row * rows * samples * dtype.itemsize
    piece = read(at, count * samples * dtype.itemsize, f"rows from {row * rows} on")
    return native(piece.view(dtype).reshape(count, shape[1], shape[2]))


def _columns(
    read: Read, start: int, dtype: np.dtype[Any], shape: tuple[int, int, int],
    tile: tuple[int, int], row: int, column: int,
) -> Pixels:  # fmt: skip
    """Read a tile of an array in Fortran's order: rows run fastest, then columns."""
    top, left = row * tile[0], column * tile[1]
    height, width = min(tile[0], shape[0] - top), min(tile[1], shape[1] - left)
    out = np.empty((height, width, shape[2]), dtype.newbyteorder("="))
    for channel in range(shape[2]):
        for x in range(width):
            at = ((channel * shape[1] + left + x) * shape[0] + top) * dtype.itemsize
            line = read(at + start, height * dtype.itemsize, f"column {left + x}")
            out[:, x, channel] = line.view(dtype)
    return out


def native(samples: Pixels) -> Pixels:
    """Return samples in the machine's byte order."""
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)


def rows_gathered(_given: Given) -> int:
    """Return 0: bands are written as they come."""
    return 0


def save(
    target: Path, given: Given, results: Iterable[Result], settings: Settings
) -> tuple[str, ...]:
    """Write an array, ``(H, W)`` for one channel."""
    if given.count != 1:
        raise ConvcliError(f"has {given.count} images, and .npy holds one; write TIFF or zarr")
    notes: list[str] = []
    for result in results:
        shape = result.shape[:2] if result.shape[2] == 1 else result.shape
        header = {"descr": npy.dtype_to_descr(result.dtype), "fortran_order": False, "shape": shape}
        with new_file(
            target, settings.overwrite, within=settings.within, note=notes.append
        ) as file:
            npy.write_array_header_1_0(file, header)
            for band in result.bands:
                file.write(np.ascontiguousarray(band).data)
                del band  # or it would be held while the next one is made
    return tuple(notes)
