"""What one stage of a chain makes of the source below it, row by row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convcli.loops.contract import Blur, Correlate, load
from convcli.loops.decimation import Decimation
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels import colour
from convcli.pixels.colour import Colour, result_channels
from convcli.pixels.missing import marked
from convcli.pixels.source import Source, Span
from convcli.planning.plan import Plan
from convcli.running.beside import Beside
from convcli.running.grid import Grid, rows_below
from convcli.running.lines import Lines
from convcli.running.recipe import Recipe
from convcli.running.regions import Region, filler, pieces
from convcli.types import Floats, Pixels


@dataclass(frozen=True)
class Link:
    """One stage of a chain.

    Attributes
    ----------
    recipe : Recipe
        What it does.
    plan : Plan
        How.
    stride : int
        Only every `stride`-th row and column of it is used.
    """

    recipe: Recipe
    plan: Plan
    stride: int = 1

    @property
    def unit(self) -> int:
        """Rows that are made together: loops make `ROWS`, or those between points of a grid."""
        decimations = self.recipe.decimations
        return decimations[0].step if decimations else ROWS

    @property
    def group(self) -> int:
        """Rows of a strip for which whole groups are made: `ROWS` of rows, or of grid points."""
        return ROWS * self.unit if self.recipe.decimations else ROWS

    def rows_below(self, rows: Span) -> Span:
        """Return which rows some of its own depend on; some lie beyond the edges."""
        if self.recipe.decimations:
            return rows_below(self.recipe.decimations[0], rows)
        above, below, _, _ = self.recipe.halo
        return rows[0] - above, rows[1] + below

    def columns_below(self, columns: Span, width: int) -> Span:
        """Return which columns of the stage below some of its own are made of.

        Some lie beyond the edges, where the border puts other samples: so the stage below computes
        rows as long as those of the window.
        """
        _, _, left, right = self.recipe.halo
        if self.recipe.decimations:
            beside = Beside(self.recipe, columns, width)
            columns, (left, right) = beside.read, beside.halo
        columns = columns[0] - left, columns[1] + right
        if self.recipe.border == "wrap":
            columns = min(columns[0], 0), max(columns[1], width)
        return columns

    def shape(self, below: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of what it makes of an image."""
        height, width, channels = below
        made = result_channels(self.recipe.colour, channels)
        return ceil_div(height, self.stride), ceil_div(width, self.stride), made


def spread(span: Span, stride: int) -> Span:
    """Return where the rows, or columns, that a stride keeps were before."""
    return span[0] * stride, (span[1] - 1) * stride + 1


def in_groups(span: Span, length: int, unit: int = ROWS) -> Span:
    """Widen a span to whole groups of rows, or columns, whose sums are made together."""
    return span[0] // unit * unit, min(ceil_div(span[1], unit) * unit, length)


class Begun:
    """An image as floats: linear light if asked, colours multiplied by alpha, no-data as NaN."""

    def __init__(
        self, source: Source, how: Colour, dtype: np.dtype[np.floating[Any]], nodata: float
    ) -> None:
        self._source, self._how, self._dtype, self._nodata = source, how, dtype, nodata

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self._source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""
        return self._dtype

    def window(self, rows: Span, columns: Span) -> Floats:
        """Return a window as floats."""
        stored = self._source.window(rows, columns)
        known = marked(stored, self._nodata, self._how.alpha, None, self._dtype)
        values = colour.samples(self._how, known, self._dtype)
        return colour.weighted(self._how, values)


class StageSource:
    """What one stage makes of the source below; a worker has its own.

    Its windows come from the top down, each where the one before ended. Others, which `wrap` needs
    at the other end of the image, are those of `apart`, and are computed from scratch. These go
    by rows from grid to grid, and so do all windows (`by_rows`) if a stage above has the border
    `wrap`: both must have the same bits.
    """

    def __init__(
        self,
        below: Source,
        link: Link,
        fill: Correlate | Blur,
        dtype: np.dtype[Any],
        need: Region,
        strip: int,
        take: Callable[[str, tuple[int, ...], np.dtype[Any]], Pixels],
        by_rows: bool,
    ) -> None:
        height, width, channels = below.shape
        self._below, self._link = below, link
        self._by_rows = by_rows
        self._whole = height, width, result_channels(link.recipe.colour, channels)
        self._columns = need[1]
        self.unit = link.unit if link.stride == 1 else ROWS
        self._end = need[0][1]
        self._dtype, self._strip = dtype, strip
        self._filler = fill
        self._fill, self._grid = self._filling(below, need, take)
        # Transforms pay in large blocks alone: such a stage computes more than it is asked for.
        transforms = link.plan.route.loop == "overlap_add"
        self._block = max(link.plan.route.tile[0] // ROWS * ROWS, strip) if transforms else 0
        self._at: int | None = None
        self._take = take
        self._ready = self._empty("ahead", 0)
        self.apart = _Apart(self)
        self.seconds = 0.0
        """Time in its windows, that of the stages below included."""

    def _filling(
        self,
        below: Source,
        need: Region,
        take: Callable[[str, tuple[int, ...], np.dtype[Any]], Pixels],
    ) -> tuple[Callable[[Span, Pixels], None], Grid | None]:
        """Return what computes rows into an array, each time those that follow; and its grid."""
        recipe, fill = self._link.recipe, self._filler
        if isinstance(fill, Blur):
            grid = Grid(below, need, recipe, fill, self._strip, take, self._by_rows)
            return grid.fill, grid
        how = recipe.halo, recipe.border, recipe.border_value
        lines = Lines(below, need[1], *how, partial(take, "lines"))
        return lambda rows, out: fill(lines.window(rows), out), None

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return a window that holds until the next one is asked for."""
        start = time.perf_counter()
        stride = self._link.stride
        (first, end), (left, right) = self._spread(rows, columns)
        follows = self._at in (None, first)
        if follows and self._columns[0] <= left and right <= self._columns[1]:
            made = self._empty("window", end - first)
            self._next(first, end, made)
            made = made[:, left - self._columns[0] : right - self._columns[0]]
        else:
            made = self._from_scratch((first, end), (left, right))
        self.seconds += time.perf_counter() - start
        return made if stride == 1 else made[::stride, ::stride]

    def window_apart(self, rows: Span, columns: Span) -> Pixels:
        """Return a window from anywhere, and leave the rows alone that follow those before."""
        stride = self._link.stride
        return self._from_scratch(*self._spread(rows, columns))[::stride, ::stride]

    def _spread(self, rows: Span, columns: Span) -> Region:
        """Return where rows and columns that its stride keeps were before."""
        stride = self._link.stride
        return (rows[0] * stride, min(rows[1] * stride, self._whole[0])), spread(columns, stride)

    def can_put(self, columns: Span) -> bool:
        """Whether it can put these columns, some of which may lie beyond the edges."""
        return self._link.stride == 1 and columns == self._columns

    def put(self, rows: Span, out: Pixels) -> None:
        """Compute the rows that follow those before into `out`."""
        start = time.perf_counter()
        self._next(*rows, out)
        self.seconds += time.perf_counter() - start

    def can_hold(self, columns: Span) -> bool:
        """Whether it makes these columns of rows of a grid, which it can hold; see `OnGrid`."""
        return self._grid is not None and self.can_put(columns)

    def hold(self, rows: Span) -> None:
        """Compute the points of the grid that rows need."""
        assert self._grid, "others have none"
        start = time.perf_counter()
        self._grid.hold(rows)
        self.seconds += time.perf_counter() - start

    @property
    def decimation(self) -> Decimation:
        """How its grid lies along y."""
        assert self._link.recipe.decimations, "others have none"
        return self._link.recipe.decimations[0]

    def held(self, rows: Span) -> Floats:
        """Return the points that rows need, which are held."""
        assert self._grid, "others have none"
        return self._grid.held(rows)

    def back(self, rows: Span, left: int, out: Pixels) -> None:
        """Put rows of which the points are held into `out`, from the column `left` on."""
        assert self._grid, "others have none"
        start = time.perf_counter()
        self._grid.back(rows, left, out)
        self.seconds += time.perf_counter() - start

    def _next(self, first: int, end: int, out: Pixels) -> None:
        """Compute the rows that follow those before."""
        at = first
        while at < end:
            if not len(self._ready):
                start, until = self._span(at, end)
                there = start == at and until <= end
                rows = until - start
                made = out[at - first : at - first + rows] if there else self._empty("ahead", rows)
                self._fill((start, until), made)
                if there:
                    at = until
                    continue
                self._ready = made[at - start :]
            taken = min(len(self._ready), end - at)
            out[at - first : at - first + taken] = self._ready[:taken]
            self._ready = self._ready[taken:]
            at += taken
        self._at = end

    def _span(self, at: int, end: int) -> Span:
        """Return which rows to compute next, if those from `at` to `end` are asked for."""
        last = max(self._end, end)
        if self._block:
            return at, min(at + self._block, last)
        until = min(at + self._strip, end)
        if not self._link.recipe.decimations:
            return at, until
        unit = self._link.unit  # windows of the grid begin at one of its points
        start = at // unit * unit
        return start, last if until == last else min(max(until // unit * unit, start + unit), last)

    def _from_scratch(self, rows: Span, columns: Span) -> Pixels:
        """Compute a window from scratch."""
        height, width, channels = self._whole
        y, x = in_groups(rows, height, self._link.unit), in_groups(columns, width)
        below: Source = getattr(self._below, "apart", self._below)
        out = np.empty((y[1] - y[0], x[1] - x[0], channels), self._dtype)
        fill, _ = self._filling(below, (y, x), lambda _name, *of: np.empty(*of))
        fill(y, out)
        return out[rows[0] - y[0] : rows[1] - y[0], columns[0] - x[0] : columns[1] - x[0]]

    def _empty(self, name: str, rows: int) -> Pixels:
        width = self._columns[1] - self._columns[0]
        return self._take(name, (rows, width, self._whole[2]), self._dtype)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        height, width, channels = self._whole
        return ceil_div(height, self._link.stride), ceil_div(width, self._link.stride), channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""
        return self._dtype


class _Apart:
    """A stage of which each window is computed from scratch."""

    def __init__(self, stage: StageSource) -> None:
        self._stage = stage

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self._stage.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""
        return self._stage.dtype

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return a window."""
        return self._stage.window_apart(rows, columns)


def _by_rows(fill: Correlate, most: int) -> Correlate:
    """Let a loop fill large arrays some whole rows at a time, which lie one after the other."""

    def fill_all(window: Pixels, out: Pixels) -> None:
        above = window.shape[0] - out.shape[0]
        rows = max(most // out.shape[1] // ROWS, 1) * ROWS
        for top in range(0, len(out), rows):
            fill(window[top : top + rows + above], out[top : top + rows])

    return fill_all


def _by_pieces(fill: Correlate, most: tuple[int, int]) -> Correlate:
    """Let a loop fill large arrays piece by piece."""

    def fill_all(window: Pixels, out: Pixels) -> None:
        above, beside = window.shape[0] - out.shape[0], window.shape[1] - out.shape[1]
        if out.shape[0] <= most[0] and out.shape[1] <= most[1]:
            fill(window, out)
            return
        for (top, bottom), (left, right) in pieces((0, len(out)), (0, out.shape[1]), most):
            made = np.empty((bottom - top, right - left, out.shape[2]), out.dtype)
            seen = window[top : bottom + above, left : right + beside]
            fill(np.ascontiguousarray(seen), made)
            out[top:bottom, left:right] = made

    return fill_all


def filler_of(link: Link, channels: int) -> Correlate | Blur:
    """Prepare the loops of a stage, for arrays of any size."""
    if link.recipe.decimations:
        blurrer = load(link.plan.route.loop).gaussian_blurrer
        assert blurrer, "plans give this to loops that have one"
        return blurrer(link.recipe.decimations, np.dtype(link.plan.route.accumulator))
    fill, most = filler(link.plan, link.recipe, channels)
    tile = link.plan.route.tile
    if link.plan.route.loop == "direct_numpy":  # its arrays are as large as what it fills
        most = tile if most is None else (min(most[0], tile[0]), min(most[1], tile[1]))
    if most is None:
        return fill
    if link.plan.route.loop == "overlap_add":  # a transform of few rows is halo for the most part
        return _by_pieces(fill, most)
    return _by_rows(fill, most[0] * most[1])
