"""The rows that a stage looks at while its window moves down: each is read once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable
from typing import Any, cast

import numpy as np

from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels import borders
from convcli.pixels.borders import Halo, Index, Value
from convcli.pixels.source import Source, Span
from convcli.running.ring import Rows
from convcli.types import Pixels
from convcli.words import Border


class Rooms(threading.local):
    """Memory for arrays that are needed again and again, by name; each thread has its own.

    Memory that is taken anew takes the system as long to give as a filter of a few taps needs.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Pixels] = {}

    def take(self, name: Hashable, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
        """Return an array of any content; the one that had this name before is given up."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._kept[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)


class Lines:
    """Windows of a source, one below the other, as `convcli.pixels.borders.window` gives them.

    Rows that two windows share are read once. Rows are read in whole groups, of `ROWS` or of as
    many as the source has in its `unit`, counted from the top of the image: loops make the sums of
    such a group together, and so all sums are made in the same order wherever a window begins.

    Parameters
    ----------
    source : Source
        The image.
    columns : (int, int)
        The columns of every window.
    halo, border, value
        As for `convcli.pixels.borders.window`.
    take : callable
        ``take(shape, dtype)`` returns memory; what it returned before is given up.
    """

    def __init__(
        self,
        source: Source | Rows,
        columns: Span,
        halo: Halo,
        border: Border,
        value: Value,
        take: Callable[[tuple[int, ...], np.dtype[Any]], Pixels],
    ) -> None:
        self._source = source
        self._columns = columns
        self._halo = halo
        self._border: Border = border
        self._value = value
        self._take = take
        self._unit = getattr(source, "unit", ROWS)
        self._sides = self._copied_sides()
        self._buffer: Pixels | None = None
        self._first = 0  # the row of the image that the buffer begins with, and the one after
        self._end = 0  # those that it holds

    def window(self, rows: Span) -> Pixels:
        """Return a window of these rows: a view that holds until the next window is asked for."""
        height = self._source.shape[0]
        above, below, _, _ = self._halo
        top, bottom = rows[0] - above, rows[1] + below
        # The rows of a whole window at most: more would not stay in the cache.
        room = bottom - top + 2 * self._unit
        buffer = self._holding(max(top, 0), min(bottom, height), room)
        if top >= 0 and bottom <= height:
            return buffer[top - self._first : bottom - self._first]
        return self._assembled(buffer, rows)

    def _holding(self, first: int, end: int, room: int) -> Pixels:
        """Read the rows of a span that are not there yet; those before it are dropped."""
        height = self._source.shape[0]
        end = min(ceil_div(end, self._unit) * self._unit, height)
        if self._buffer is None:
            self._first = self._end = first = first // self._unit * self._unit
        held = self._buffer
        if held is None or end - self._first > len(held):
            kept = None if held is None else held[first - self._first : self._end - self._first]
            if held is None or end - first > len(held):
                _, _, left, right = self._halo
                width = self._columns[1] - self._columns[0] + left + right
                dtype = borders.window_dtype(self._source.dtype, self._border, self._value)
                held = self._take((room, width, self._source.shape[2]), dtype)
            if kept is not None:
                held[: len(kept)] = kept
            self._buffer, self._first = held, first
        if end > self._end:
            self._read_on((self._end, end), held[self._end - self._first : end - self._first])
            self._end = end
        return held

    def _copied_sides(self) -> list[tuple[slice, Index | None]] | None:
        """Return which columns lie beyond the edges, and which stand there; None is the constant.

        None if the source cannot put its rows here, or too few for that.
        """
        width = self._source.shape[1]
        first, end = self._columns[0] - self._halo[2], self._columns[1] + self._halo[3]
        can_put = getattr(self._source, "can_put", None)
        if can_put is None or not can_put((first, end)):
            return None
        beyond = [slice(0, max(-first, 0)), slice(min(end, width) - first, end - first)]
        index = borders.INDEX_OF[self._border](np.arange(first, end), width)
        sides = [(at, index[at]) for at in beyond if at.stop > at.start]
        low, high = max(first, 0), min(end, width)
        enough = all(((x < 0) | ((x >= low) & (x < high))).all() for _, x in sides)
        return (
            [(at, x - first if self._border != "constant" else None) for at, x in sides]
            if enough
            else None
        )

    def _read_on(self, rows: Span, out: Pixels) -> None:
        """Read the rows that follow those before: without a copy, if the source can put them."""
        if self._sides is None:
            self._read(self._source, rows, out)
            return
        cast(Rows, self._source).put(rows, out)
        for at, columns in self._sides:
            out[:, at] = self._value if columns is None else out[:, columns]

    def _read(self, source: Source, rows: Span, out: Pixels) -> None:
        beside = (0, 0, *self._halo[2:])
        how = self._border, self._value
        borders.window(source, rows, self._columns, beside, *how, out=out)

    def _assembled(self, buffer: Pixels, rows: Span) -> Pixels:
        """Put a window together that reaches beyond the upper or lower edge."""
        above, below, _, _ = self._halo
        index = borders.lines(rows, above, below, self._border, self._source.shape[0])
        out = np.empty((index.size, *buffer.shape[1:]), buffer.dtype)
        there = (index >= self._first) & (index < self._end)
        out[there] = buffer[index[there] - self._first]
        if self._border == "constant":  # other borders' value may be one that the dtype cannot hold
            out[index < 0] = self._value
        elsewhere = (index >= 0) & ~there  # the other end of the image, under `wrap`
        for span, here in borders.spans(index[elsewhere]) if elsewhere.any() else ():
            lines = np.empty((span[1] - span[0], *buffer.shape[1:]), buffer.dtype)
            self._read(getattr(self._source, "apart", self._source), span, lines)
            out[np.flatnonzero(elsewhere)[here]] = lines[index[elsewhere][here] - span[0]]
        return out
