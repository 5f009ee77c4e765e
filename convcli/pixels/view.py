"""A piece of a larger image of which no samples are held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convcli.pixels.part import Rectangle
from convcli.pixels.source import Source, Span
from convcli.types import Pixels

Change = Callable[[Pixels], Pixels]
"""What is done to a window: it may change the dtype and the number of channels."""


class View:
    """A piece of a larger image, which is filtered as that is.

    Parameters
    ----------
    source : Source
        The image.
    where : Rectangle
        Where the piece is in it.
    is_opaque : bool
        Whether the alpha of the image, if it has one, is full everywhere.
    change : callable, optional
        What is done to the samples.
    """

    def __init__(
        self, source: Source, where: Rectangle, is_opaque: bool, change: Change | None = None
    ) -> None:
        self._source, self._where, self._change = source, where, change
        (top, bottom), (left, right) = where
        self.whole, self.is_opaque = source.shape[:2], is_opaque
        self.dtype, channels = source.dtype, source.shape[2]
        if change:
            sample = change(np.zeros((1, 1, channels), source.dtype))
            self.dtype, channels = sample.dtype, sample.shape[2]
        self.shape = (bottom - top, right - left, channels)

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return the samples of a window."""
        (top, _), (left, _) = self._where
        at = (top + rows[0], top + rows[1]), (left + columns[0], left + columns[1])
        found = self._source.window(*at)
        return self._change(found) if self._change else found

    def place(self, inside: Rectangle) -> Rectangle:
        """Return where a rectangle of the image is in the piece."""
        ((top, bottom), (left, right)), ((above, _), (before, _)) = inside, self._where
        return Rectangle((top - above, bottom - above), (left - before, right - before))
