"""A source answers windows: the contract, and the array in memory as the first kind."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from convcli.types import Pixels

Span = tuple[int, int]
"""The first row (or column), and the one after the last."""


class Source(Protocol):
    """An image of which any window can be read.

    A source need not hold its samples: it may decode them, or compute them from another source.
    Sources may be read from several threads at once.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the whole image."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return the samples of a window ``(h, w, C)``, which lies inside the image.

        The result is for reading only: it may be a view of what the source holds.
        """


class ArraySource:
    """An array ``(H, W, C)`` in memory; its windows are views.

    Examples
    --------
    >>> import numpy as np
    >>> source = ArraySource(np.arange(12, dtype=np.uint8).reshape(3, 4, 1))
    >>> source.window((1, 3), (0, 2))[..., 0].tolist()
    [[4, 5], [8, 9]]
    """

    def __init__(self, array: Pixels) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the whole image."""
        height, width, channels = self.array.shape
        return height, width, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""
        return self.array.dtype

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return a view of a window."""
        return self.array[rows[0] : rows[1], columns[0] : columns[1]]


class Cut(ArraySource):
    """A piece of a larger image, which is filtered as that is.

    Parameters
    ----------
    array : ndarray (h, w, C)
        Its samples.
    whole : (int, int)
        Rows and columns of the image.
    is_opaque : bool
        Whether the alpha of the image, if it has one, is full everywhere.
    """

    def __init__(self, array: Pixels, whole: tuple[int, int], is_opaque: bool) -> None:
        super().__init__(array)
        self.whole, self.is_opaque = whole, is_opaque
