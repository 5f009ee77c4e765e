"""The rows of an image that a moving window needs, kept in a ring: none of them is ever moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import numpy as np

from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels import borders
from convcli.pixels.borders import INDEX_OF, Index
from convcli.pixels.source import ArraySource, Source, Span
from convcli.running.beside import Beside
from convcli.running.recipe import Recipe
from convcli.types import Pixels


class Rows(Source, Protocol):
    """A source that computes its rows one after the other, and puts them where they are needed."""

    def can_put(self, columns: Span) -> bool:
        """Whether it can put these columns."""

    def put(self, rows: Span, out: Pixels) -> None:
        """Compute rows that follow those before into `out`."""


class Ring:
    """Windows of a source, one below the other, as rows and where each of them is.

    Rows that two windows share are read once, in whole groups of those that the source makes
    together, counted from the top of the image.

    Parameters
    ----------
    source : Source
        The image.
    beside : Beside
        The columns of every window.
    recipe : Recipe
        Its border is beyond the edges.
    sizes : (int, int)
        Rows of the highest window; and how many of the last rows are kept once they are read:
        windows that begin below them need them, where they are reflected.
    strip : int
        Rows that are mostly read at a time.
    take : callable
        ``take(shape, dtype)`` returns memory; what it returned before is given up.
    """

    def __init__(
        self,
        source: Source,
        beside: Beside,
        recipe: Recipe,
        sizes: tuple[int, int],
        strip: int,
        take: Callable[[tuple[int, ...], np.dtype[Any]], Pixels],
    ) -> None:
        self._source = source
        self._beside = beside
        self._how = recipe.border, recipe.border_value
        self._kept = sizes[1]
        # Whole strips: then no strip has to be read in two.
        self._unit = getattr(source, "unit", ROWS)
        self._room = ceil_div(max(sizes) + 2 * self._unit, strip) * strip
        width = beside.read[1] - beside.read[0] + sum(beside.halo)
        self._width = width, source.shape[2]
        self._dtype = borders.window_dtype(source.dtype, *self._how)
        # After the ring, one row of the constant; under `wrap`, those of the other end.
        further = {"constant": 1, "wrap": 2 * self._kept}.get(recipe.border, 0)
        self._buffer = take((self._room + further, *self._width), self._dtype)
        if recipe.border == "constant":
            self._buffer[self._room] = recipe.border_value
        self._begin: int | None = None
        self._end = 0
        self._origin = 0  # a row that lies where the ring begins
        self._others: Span = (0, 0)
        self.is_array = (
            isinstance(source, ArraySource)
            and source.array.flags.c_contiguous
            and beside.read == (0, source.shape[1])
            and beside.halo == (0, 0)
            and recipe.border != "constant"
        )
        can_put = getattr(source, "can_put", None)
        self._can_put = can_put is not None and beside.halo == (0, 0) and can_put(beside.read)

    def window(self, rows: Span) -> tuple[Pixels, Index]:
        """Return an array of rows, and which of them the window consists of."""
        height = self._source.shape[0]
        if self.is_array:  # its rows need no copy
            index = INDEX_OF[self._how[0]](np.arange(*rows), height)
            first, last = int(index.min()), int(index.max()) + 1
            return self._source.window((first, last), self._beside.read), index - first
        # Those above the upper edge may be as far below it.
        last = max(rows[1], 1 - rows[0])
        last = min(ceil_div(last, self._unit) * self._unit, height)
        if self._begin is None:
            self._begin = self._end = max(rows[0], 0) // self._unit * self._unit
            self._origin = last
        while self._end < last:
            at = (self._end - self._origin) % self._room
            end = min(last, self._end + self._room - at)
            self._read((self._end, end), self._buffer[at : at + end - self._end])
            self._end = end
        index = INDEX_OF[self._how[0]](np.arange(*rows), height)
        place = (index - self._origin) % self._room
        place[index < 0] = self._room
        gone = index < max(self._begin, self._end - self._room)
        elsewhere = (index >= 0) & (gone | (index >= self._end))
        if elsewhere.any():
            place[elsewhere] = self._read_others(index[elsewhere])
        return self._buffer, place

    def _read(self, rows: Span, out: Pixels) -> None:
        """Read the rows that follow those before."""
        if self._can_put:
            cast(Rows, self._source).put(rows, out)
        else:
            self._copy(self._source, rows, out)

    def _copy(self, source: Source, rows: Span, out: Pixels) -> None:
        borders.window(
            source, rows, self._beside.read, (0, 0, *self._beside.halo), *self._how, out=out
        )

    def _read_others(self, index: Index) -> Index:
        """Read rows of the other end of the image, if they are not there yet, and return where."""
        first, end = int(index.min()), int(index.max()) + 1
        height = self._source.shape[0]
        if not (self._others[0] <= first and end <= self._others[1]):
            # Later windows need more of that end.
            most = min(self._kept, height)
            span = (0, most) if first < height - end else (height - most, height)
            first, end = min(first, span[0]), max(end, span[1])
            if self._room + end - first > len(self._buffer):
                further = np.empty((self._room + end - first, *self._width), self._dtype)
                further[: self._room] = self._buffer[: self._room]
                self._buffer = further
            others = self._buffer[self._room : self._room + end - first]
            self._copy(getattr(self._source, "apart", self._source), (first, end), others)
            self._others = first, end
        return index - self._others[0] + self._room
