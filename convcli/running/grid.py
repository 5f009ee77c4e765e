"""A wide Gaussian as a stage of a chain: rows of the coarser grid, each made once from those below.

The window of such a Gaussian is several times as high as a strip. So it is not the rows below that
are kept from strip to strip, but those of the grid, of which there are a fraction.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convcli.loops.contract import Blur
from convcli.loops.decimation import Decimation
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels.source import Source, Span
from convcli.running.beside import Beside
from convcli.running.recipe import Recipe
from convcli.running.ring import Ring
from convcli.types import Floats, Pixels


def rows_below(along_y: Decimation, rows: Span) -> Span:
    """Return the rows, some of them beyond the edges, that rows of the blurred image are made of.

    Points of the grid are made in whole groups of `ROWS`.
    """
    step = along_y.step
    first = rows[0] // step // ROWS * ROWS
    end = ceil_div((rows[1] - 1) // step + along_y.wide.shape[1], ROWS) * ROWS
    return _window_of(along_y, (first, end))


def _window_of(along_y: Decimation, points: Span) -> Span:
    """Return the window of some points of the grid: the first result needs those from 0 on.

    It begins a step before what the first of them needs.
    """
    half, step = along_y.narrow.size // 2, along_y.step
    first, last = (
        (at - along_y.wide.shape[1] // 2 + 1) * step for at in (points[0], points[1] - 1)
    )
    return first - half - step, last + half + 1


class Grid:
    """Rows of the grid, blurred along x, for one result after the other from the top down.

    Parameters
    ----------
    below : Source
        What is blurred.
    columns : (int, int)
        Those of every result.
    recipe : Recipe
        A wide Gaussian.
    blur : Blur
        The same, prepared.
    strip : int
        So many rows of the image below are read at a time.
    take : callable
        ``take(name, shape, dtype)`` returns memory; what had this name before is given up.
    """

    def __init__(
        self,
        below: Source,
        columns: Span,
        recipe: Recipe,
        blur: Blur,
        strip: int,
        take: Callable[[str, tuple[int, ...], np.dtype[Any]], Pixels],
    ) -> None:
        assert recipe.decimations, "others have no grid"
        self._y, along_x = recipe.decimations
        self._blur = blur
        height, width, channels = below.shape
        self._beside = Beside(recipe, columns, width)
        # The grid along x begins with the image: how far before these columns is its next point?
        self._lead = columns[0] % along_x.step
        self._skip = along_x.step - self._lead
        self._width = self._lead + columns[1] - columns[0]
        self._points = self._y.points(0, height)
        self._piece = max(strip // self._y.step // ROWS, 1) * ROWS
        window = _window_of(self._y, (0, self._piece))
        self._below = Ring(
            below,
            self._beside,
            recipe,
            sizes=(window[1] - window[0], self._y.radius),
            strip=self._piece * self._y.step,
            take=partial(take, "lines"),
        )
        self._take = partial(take, "grid")
        self._shape = self._beside.width, channels
        self._buffer: Floats = np.empty((0, *self._shape), np.float32)
        self._first = self._end = 0  # the point that the buffer begins with, and one after the last

    def fill(self, rows: Span, out: Pixels) -> None:
        """Compute rows that begin at a multiple of the grid's step, and follow those before."""
        first = rows[0] // self._y.step
        end = first + self._y.points(*rows)
        self._hold(first, end)
        at = first - self._first
        self._blur.back(self._buffer[at : at + end - first], self._lead, out)

    def _hold(self, first: int, end: int) -> None:
        """Compute the points up to an end; those before the first are given up."""
        first, until = first // ROWS * ROWS, ceil_div(end, ROWS) * ROWS
        if not len(self._buffer):
            self._first = self._end = first
        if until - self._first > len(self._buffer):
            kept = self._buffer[first - self._first : self._end - self._first]
            if until - first > len(self._buffer):
                # Twice as many, so that not every call has to move those that are kept.
                room = 2 * (until - first)
                self._buffer = self._take((room, *self._shape), np.dtype(np.float32))
            self._buffer[: len(kept)] = kept
            self._first = first
        while self._end < until:
            points = self._end, min(self._end + self._piece, until)
            at = points[0] - self._first
            self._compute(points, self._buffer[at : at + points[1] - points[0]])
            self._end = points[1]

    def _compute(self, points: Span, out: Floats) -> None:
        # Those beyond the last one are never needed.
        window = _window_of(self._y, (points[0], min(points[1], self._points)))
        image, lines = self._below.window(window)
        self._blur.thin(image, lines, out, self._beside.left)
        self._beside.fill(out)
        self._blur.across(out, self._skip, self._width)
