"""RGB as Pillow keeps it in memory: four samples a pixel, the last of which is unused."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convcli.pixels.source import Span
from convcli.types import Pixels

# Two huge pages: 24 megapixels take 1 ms to release in such pieces.
_PIECE = 1 << 22


class Padded:
    """An RGB image in a buffer of four samples a pixel; a source, and array_like.

    Taking the unused sample out of 24 megapixels takes 42 ms, and putting it back as long; loops
    that sum every channel alike filter it along instead.

    Parameters
    ----------
    buffer : ndarray, (H, W, 4)
        The fourth sample of a pixel may hold anything.
    memory : mmap, optional
        What holds the buffer and nothing else; `release` gives its pages back to the system.
    """

    def __init__(self, buffer: Pixels, memory: mmap.mmap | None = None) -> None:
        self.buffer = buffer
        self._memory = memory
        self._released = 0  # bytes

    @property
    def pixels(self) -> Pixels:
        """A view ``(H, W, 3)`` of the samples that are used."""
        return self.buffer[..., :3]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels: ``(H, W, 3)``."""
        return self.buffer.shape[0], self.buffer.shape[1], 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""
        return self.buffer.dtype

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def nbytes(self) -> int:
        """Bytes of the samples that are used."""
        return self.pixels.nbytes

    def __getitem__(self, rows: slice) -> Padded:
        """Return a view of some rows, whose memory is not released."""
        return Padded(self.buffer[rows])

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return a view of a window ``(h, w, 3)``."""
        return self.buffer[rows[0] : rows[1], columns[0] : columns[1], :3]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        """Let numpy take it for an array: ``np.asarray(padded)`` is a view of its samples."""
        return np.array(self.pixels, dtype, copy=copy)

    def release(self, row: int) -> None:
        """Give the memory of the rows before `row` back to the system, if it is an mmap.

        Their samples are zeros from then on.
        """
        end = row * self.buffer.strides[0] // _PIECE * _PIECE
        if self._memory is None or end <= self._released or not hasattr(mmap, "MADV_DONTNEED"):
            return
        self._memory.madvise(mmap.MADV_DONTNEED, self._released, end - self._released)
        self._released = end


def copy_pixels(piece: Pixels, out: Pixels) -> None:
    """Copy pixels, a channel at a time where another sample lies between them.

    numpy would copy runs of three samples: 160 ms for 24 megapixels instead of 42.
    """
    channels = piece.shape[2]
    if all(each.strides[1] == channels * each.itemsize for each in (piece, out)):
        out[...] = piece
        return
    for channel in range(channels):
        out[..., channel] = piece[..., channel]
