"""A wide Gaussian as a stage of a chain: rows of the coarser grid, each made once from those below.

The window of such a Gaussian is several times as high as a strip. So it is not the rows below that
are kept from strip to strip, but those of the grid, of which there are a fraction. Where the stage
below has a grid, too, its rows are mostly not even made: points of the one grid are sums of points
of the other. Rows are needed where they are reflected at an edge, and where the grid below is
coarser than this one; they are made some columns at a time, which stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

import numpy as np

from convcli.loops.contract import Blur
from convcli.loops.decimation import Decimation, from_grid_to_grid
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels.borders import INDEX_OF
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


# Points that are made at a time, where rows below need no memory for that. So many steps are read
# again, or made again, for the next ones: 9 and a few.
_POINTS = 64
# Samples between two grids: 1 MB of floats. Four times as many, and twice as many points, took 0 to
# 4 % less time for three blurs of 24 MP, and 30 MB more.
_BETWEEN = 1 << 18
_LEAST_RUN = 256
_MOVED = 32


class OnGrid(Source, Protocol):
    """A stage that has rows of a grid, and makes rows of its result from these."""

    unit: int
    decimation: Decimation

    def can_hold(self, columns: Span) -> bool:
        """Whether it can make these columns so."""

    def hold(self, rows: Span) -> None:
        """Compute the points that some rows need, which follow those before or are among them."""

    def back(self, rows: Span, left: int, out: Pixels) -> None:
        """Put rows of which the points are held into `out`, from the column `left` on."""

    def held(self, rows: Span) -> Floats:
        """Return the points that rows need, which are held."""


class Grid:
    """Rows of the grid, blurred along x, for one result after the other from the top down.

    Parameters
    ----------
    below : Source
        What is blurred.
    need : Region
        The rows of all results together, and the columns of every one.
    recipe : Recipe
        A wide Gaussian.
    blur : Blur
        The same, prepared.
    strip : int
        So many rows of the image below are read at a time.
    take : callable
        ``take(name, shape, dtype)`` returns memory; what had this name before is given up.
    by_rows : bool
        Rows of the stage below are made even where its points would do.
    """

    def __init__(
        self,
        below: Source,
        need: tuple[Span, Span],
        recipe: Recipe,
        blur: Blur,
        strip: int,
        take: Callable[[str, tuple[int, ...], np.dtype[Any]], Pixels],
        by_rows: bool,
    ) -> None:
        assert recipe.decimations, "others have no grid"
        self._y, along_x = recipe.decimations
        self._blur = blur
        height, width, channels = below.shape
        rows, columns = need
        self._last = (rows[1] - 1) // self._y.step + self._y.wide.shape[1]
        self._beside = Beside(recipe, columns, width)
        # The grid along x begins with the image: how far before these columns is its next point?
        self._lead = columns[0] % along_x.step
        self._skip = along_x.step - self._lead
        self._width = self._lead + columns[1] - columns[0]
        self._points = self._y.points(0, height)
        self._piece = max(strip // self._y.step // ROWS, 1) * ROWS
        self._take, self._shape = take, (self._beside.width, channels)
        self._buffer: Floats = np.empty((0, *self._shape), np.float32)
        self._first = self._end = 0  # the point that the buffer begins with, and one after the last
        self._on_grid: OnGrid | None = None
        whole = recipe.border != "wrap" and self._beside.halo == (0, 0)
        can_hold = getattr(below, "can_hold", None)
        if whole and can_hold is not None and can_hold(self._beside.read):
            self._on_grid = cast(OnGrid, below)
            self._inside = 0, 0
            if not by_rows:
                self._inside = self._prepare_straight(self._on_grid.decimation, height)
            self._piece = max(self._piece, _POINTS)
            self._index_of = INDEX_OF[recipe.border]
            # Rows beyond the lower edge may be reflected to here.
            beyond = _window_of(self._y, (0, self._points))[1] - height
            self._lowest = max(height - beyond - 1, 0)
            return
        window = _window_of(self._y, (0, self._piece))
        self._below = Ring(
            below,
            self._beside,
            recipe,
            sizes=(window[1] - window[0], self._y.radius),
            strip=self._piece * self._y.step,
            take=partial(take, "lines"),
        )
        if self._below.is_array:
            self._piece = max(self._piece, _POINTS)

    def fill(self, rows: Span, out: Pixels) -> None:
        """Compute rows that begin at a multiple of the grid's step, and follow those before."""
        self.hold(rows)
        self.back(rows, 0, out)

    def hold(self, rows: Span) -> None:
        """Compute the points that such rows need; those before them are given up."""
        first = rows[0] // self._y.step
        self._hold(first, first + self._y.points(*rows))

    def back(self, rows: Span, left: int, out: Pixels) -> None:
        """Compute rows of which the points are held, from the column `left` on."""
        first = rows[0] // self._y.step - self._first
        points = self._buffer[first : first + self._y.points(*rows)]
        self._blur.back(points, self._lead + left, out)

    def held(self, rows: Span) -> Floats:
        """Return the points that rows need, in the columns of the result, which are held."""
        first = rows[0] // self._y.step
        points = self._y.points(first * self._y.step, rows[1])
        there = self._buffer[first - self._first :][:points]
        return there[:, self._lead : self._width]

    def _hold(self, first: int, end: int) -> None:
        """Compute the points up to an end; those before the first are given up."""
        first, until = first // ROWS * ROWS, ceil_div(end, ROWS) * ROWS
        if not len(self._buffer):
            self._first = self._end = first
        if until > self._end:  # a whole piece, if so many are needed some time
            until = max(until, min(self._end + self._piece, ceil_div(self._last, ROWS) * ROWS))
        if until - self._first > len(self._buffer):
            kept = self._buffer[first - self._first : self._end - self._first]
            if until - first > len(self._buffer):
                # More, so that not every call has to move those that are kept.
                room = until - first + _MOVED
                self._buffer = self._take("grid", (room, *self._shape), np.dtype(np.float32))
            self._buffer[: len(kept)] = kept
            self._first = first
        while self._end < until:
            points = self._end, min(self._end + self._piece, until)
            at = points[0] - self._first
            self._compute(points, self._buffer[at : at + points[1] - points[0]])
            self._end = points[1]

    def _compute(self, points: Span, out: Floats) -> None:
        if self._on_grid:
            first, end = (min(max(at, points[0]), points[1]) for at in self._inside)
            for part in ((points[0], first), (first, end), (end, points[1])):
                if part[0] < part[1]:
                    thin = self._thin_straight if part == (first, end) else self._thin
                    thin(self._on_grid, part, out[part[0] - points[0] : part[1] - points[0]])
        else:
            image, lines = self._below.window(self._needed(points))
            self._blur.thin(image, lines, out, self._beside.left)
        self._beside.fill(out)
        self._blur.across(out, self._skip, self._width)

    def _needed(self, points: Span) -> Span:
        """Return the window of some points; those beyond the last one are never needed."""
        return _window_of(self._y, (points[0], min(points[1], self._points)))

    def _prepare_straight(self, below: Decimation, height: int) -> Span:
        """Prepare what leads from points of one grid to those of this one; return which points.

        All of their rows lie inside the image, and they are whole groups of `ROWS`, so that sums
        are made in the same order however an image is cut.
        """
        found = from_grid_to_grid(below, self._y)
        if found is None:
            return 0, 0
        weights, self._ratio = found, self._y.step // below.step
        self._straight = self._blur.thinner(weights, self._ratio)
        half, before = self._y.narrow.size // 2, self._y.wide.shape[1] // 2 - 1
        first = ceil_div(half, self._y.step) + before
        last = (height - 1 - half) // self._y.step + before
        first, end = ceil_div(first, ROWS) * ROWS, (last + 1) // ROWS * ROWS
        return first, max(first, end)

    def _thin_straight(self, below: OnGrid, points: Span, out: Floats) -> None:
        """Sum points of one grid to points of this one."""
        first, end = _window_of(self._y, points)
        rows = first + self._y.step, end
        below.hold((min(rows[0], self._lowest) // below.unit * below.unit, end))
        held = below.held(rows)
        lines = np.arange(-self._ratio, len(held)).clip(0)
        self._straight(held, lines, out, self._beside.left)

    def _thin(self, below: OnGrid, points: Span, out: Floats) -> None:
        """Bring rows of one grid onto this one."""
        window = self._needed(points)
        height, _, channels = below.shape
        lines = self._index_of(np.arange(*window), height)
        first, end = int(lines.min()) // below.unit * below.unit, int(lines.max()) + 1
        # Windows that follow may need rows before these, where they are reflected at an edge.
        kept = min(first, self._lowest, max(window[0], 0)) // below.unit * below.unit
        below.hold((kept, end))
        width = self._beside.read[1] - self._beside.read[0]
        run = max(_BETWEEN // (end - first), _LEAST_RUN) // channels
        for left in range(0, width, run):
            shape = end - first, min(run, width - left), channels
            between = self._take("lines", shape, np.dtype(np.float32))
            below.back((first, end), left, between)
            self._blur.thin(between, lines - first, out, self._beside.left + left)
