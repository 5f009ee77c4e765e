"""The rows that a stage looks at while its window moves down: each is read once."""

from __future__ import annotations

import numpy as np

from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels import borders
from convcli.pixels.borders import Halo, Value
from convcli.pixels.source import Source, Span
from convcli.types import Pixels
from convcli.words import Border


class Lines:
    """Windows of a source, one below the other, as `convcli.pixels.borders.window` gives them.

    Rows that two windows share are read once. Rows are read in whole groups of `ROWS`, counted
    from the top of the image: loops make the sums of such a group together, and so all sums are
    made in the same order wherever a window begins.

    Parameters
    ----------
    source : Source
        The image.
    columns : (int, int)
        The columns of every window.
    halo, border, value
        As for `convcli.pixels.borders.window`.
    """

    def __init__(
        self, source: Source, columns: Span, halo: Halo, border: Border, value: Value
    ) -> None:
        self._source = source
        self._columns = columns
        self._halo = halo
        self._border: Border = border
        self._value = value
        self._buffer: Pixels | None = None
        self._first = 0  # the row of the image that the buffer begins with, and the one after
        self._end = 0  # those that it holds

    def window(self, rows: Span) -> Pixels:
        """Return a window of these rows: a view that holds until the next window is asked for."""
        height = self._source.shape[0]
        above, below, _, _ = self._halo
        top, bottom = rows[0] - above, rows[1] + below
        buffer = self._holding(max(top, 0), min(bottom, height))
        if top >= 0 and bottom <= height:
            return buffer[top - self._first : bottom - self._first]
        return self._assembled(buffer, rows)

    def _holding(self, first: int, end: int) -> Pixels:
        """Read the rows of a span that are not there yet; those before it are dropped."""
        height = self._source.shape[0]
        end = min(ceil_div(end, ROWS) * ROWS, height)
        if self._buffer is None:
            self._first = self._end = first = first // ROWS * ROWS
        held = self._buffer
        if held is None or end - self._first > len(held):
            kept = None if held is None else held[first - self._first : self._end - self._first]
            if held is None or end - first > len(held):
                _, _, left, right = self._halo
                width = self._columns[1] - self._columns[0] + left + right
                dtype = borders.window_dtype(self._source.dtype, self._border, self._value)
                # Twice as many as a window has, so that rows are seldom moved up.
                held = np.empty((2 * (end - first), width, self._source.shape[2]), dtype)
            if kept is not None:
                held[: len(kept)] = kept
            self._buffer, self._first = held, first
        if end > self._end:
            self._read((self._end, end), held[self._end - self._first : end - self._first])
            self._end = end
        return held

    def _read(self, rows: Span, out: Pixels) -> None:
        beside = (0, 0, *self._halo[2:])
        how = self._border, self._value
        borders.window(self._source, rows, self._columns, beside, *how, out=out)

    def _assembled(self, buffer: Pixels, rows: Span) -> Pixels:
        """Put a window together that reaches beyond the upper or lower edge."""
        above, below, _, _ = self._halo
        index = borders.lines(rows, above, below, self._border, self._source.shape[0])
        out = np.empty((index.size, *buffer.shape[1:]), buffer.dtype)
        there = (index >= self._first) & (index < self._end)
        out[there] = buffer[index[there] - self._first]
        out[index < 0] = self._value
        elsewhere = (index >= 0) & ~there  # the other end of the image, under `wrap`
        for span, here in borders.spans(index[elsewhere]) if elsewhere.any() else ():
            lines = np.empty((span[1] - span[0], *buffer.shape[1:]), buffer.dtype)
            self._read(span, lines)
            out[np.flatnonzero(elsewhere)[here]] = lines[index[elsewhere][here] - span[0]]
        return out
