"""RGB in memory as Pillow keeps it: four bytes a pixel, of which the last may hold anything."""

from __future__ import annotations

import mmap

import numpy as np

from convcli.types import Pixels


def buffer_of(pixels: Pixels) -> Pixels | None:
    """Return the buffer ``(H, W, 4)`` of which a picture is the view ``buffer[..., :3]``.

    None for any other array: then the picture is no such view, or a part of one.
    """
    base = pixels.base
    # What numpy calls the base is the array that has the memory, whatever lies between.
    if not isinstance(base, np.ndarray) or pixels.ndim != 3 or pixels.shape[2] != 3:
        return None
    height, width, _ = pixels.shape
    step = pixels.itemsize
    whole = (
        pixels.strides == (4 * width * step, 4 * step, step)
        and base.dtype == pixels.dtype
        and base.size == height * width * 4
        and base.flags.c_contiguous
        and base.ctypes.data == pixels.ctypes.data
    )
    return base.reshape(height, width, 4) if whole else None


# Two huge pages: 24 megapixels take 1 ms to give back in such pieces.
_PIECE = 1 << 22


def give_back(buffer: Pixels, given: int, row: int) -> int:
    """Give the memory of a buffer before a row back to the system, if it is an mmap.

    Its samples are zeros afterwards. `given` is how many bytes were given back before; their
    new count is returned.
    """
    end = row * buffer.strides[0] // _PIECE * _PIECE
    memory = getattr(getattr(buffer.base, "base", None), "obj", None)  # by way of a memoryview
    if end <= given or not isinstance(memory, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return given
    if len(memory) != buffer.nbytes:  # it has other things as well
        return given
    memory.madvise(mmap.MADV_DONTNEED, given, end - given)
    return end
