"""A chain of filters carried out: every stage is a source over the source below.

A worker computes a band of the result from its top down, a strip at a time. Each stage asks the one
below for the rows of its window that it has not read yet, so that every row of every stage is
computed once for a band, apart from the halos at its ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convcli.loops.contract import Correlate
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels import borders, colour
from convcli.pixels.colour import Colour, result_channels
from convcli.pixels.padded import copy_pixels
from convcli.pixels.rounding import store
from convcli.pixels.source import Source, Span
from convcli.planning.chains import Bands
from convcli.planning.plan import Plan
from convcli.running.lines import Lines, Rooms
from convcli.running.recipe import Recipe
from convcli.running.regions import Region, RegionFilter, filler, pieces
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

    def shape(self, below: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of what it makes of an image."""
        height, width, channels = below
        made = result_channels(self.recipe.colour, channels)
        return ceil_div(height, self.stride), ceil_div(width, self.stride), made


@dataclass(frozen=True)
class Chain:
    """What is done to an image by several filters.

    Attributes
    ----------
    links : tuple of Link
        The stages, from the first to the last. The last gives samples of `out_dtype`, unless there
        is an `end`.
    begin, end : Colour, optional
        How samples become light, and colours weighted by alpha, before the first stage, and back
        after the last.
    between : dtype
        The float that samples have from stage to stage.
    out_dtype : dtype
        Of the result.
    """

    links: tuple[Link, ...]
    begin: Colour | None
    end: Colour | None
    between: np.dtype[np.floating[Any]]
    out_dtype: np.dtype[Any]

    def shapes(self, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """Return the shape of the image, and of what each stage makes of it."""
        found = [shape]
        for link in self.links:
            found.append(link.shape(found[-1]))
        return found


def prepare_chain(
    chain: Chain, shape: tuple[int, int, int], strip: int, seconds: list[float]
) -> RegionFilter:
    """Prepare the loops of a chain; the function returned computes one band of the result.

    That is done by this many rows at a time. It adds the time of each stage to `seconds`.
    """
    shapes = chain.shapes(shape)
    fills = [_filler(link, below[2]) for link, below in zip(chain.links, shapes, strict=False)]
    adding, rooms = threading.Lock(), Rooms()

    def filter_band(source: Source, out: Pixels, region: Region) -> None:
        stages = _stages(chain, source, fills, shapes, region, strip, rooms)
        rows, columns = region
        with np.errstate(all="ignore"):
            for (top, bottom), _ in pieces(rows, columns, (strip, columns[1] - columns[0])):
                result = stages[-1].window((top, bottom), columns)
                _write(result, out[top:bottom, columns[0] : columns[1]], chain.end)
        with adding:
            before = 0.0
            for number, stage in enumerate(stages):
                seconds[number] += stage.seconds - before
                before = stage.seconds

    return filter_band


def _filler(link: Link, channels: int) -> Correlate:
    """Prepare the loops of a stage, for arrays of any size."""
    fill, most = filler(link.plan, link.recipe, channels)
    tile = link.plan.route.tile
    if link.plan.route.loop == "direct_numpy":  # its arrays are as large as what it fills
        most = tile if most is None else (min(most[0], tile[0]), min(most[1], tile[1]))
    return _by_pieces(fill, most)


def _write(result: Pixels, out: Pixels, end: Colour | None) -> None:
    """Undo what was done to colour, round and clip, and put a strip into the result."""
    if end is not None:
        values = colour.unweighted(end, result)
        values = colour.finished(end, values.copy() if values is result else values, values)
        result = np.empty(values.shape, out.dtype)
        store(values, result)
    copy_pixels(result, out)


def chain_bytes(chain: Chain, cut: Bands, shape: tuple[int, int, int]) -> int:
    """Return the least memory that a worker needs for the strips of all stages."""
    total = 0
    for link, (_, width, channels) in zip(chain.links, chain.shapes(shape), strict=False):
        above, below, left, right = link.recipe.halo
        rows = 2 * cut.rows + above + below
        columns = min(cut.regions[1] * link.stride + left + right, width + left + right)
        total += rows * columns * channels * chain.between.itemsize
    return total


def first_row_needed(chain: Chain, height: int, row: int) -> int:
    """Return the first row of the image that the result needs from a row on."""
    if any(link.recipe.border == "wrap" for link in chain.links):
        return 0
    for link in reversed(chain.links):
        row = row * link.stride // ROWS * ROWS - link.recipe.halo[0] - ROWS
    return min(max(row, 0), height)


def _stages(
    chain: Chain,
    source: Source,
    fills: list[Correlate],
    shapes: list[tuple[int, int, int]],
    region: Region,
    strip: int,
    rooms: Rooms,
) -> list[_Stage]:
    """Put the stages on the image, for one band of the result."""
    needs: list[Region] = []
    rows, columns = region
    for link, (height, width, _) in zip(reversed(chain.links), reversed(shapes[:-1]), strict=True):
        rows = _whole(_spread(rows, link.stride), height)
        columns = _spread(columns, link.stride)
        needs.append((rows, columns))
        above, below, left, right = link.recipe.halo
        rows = _whole((max(rows[0] - above, 0), min(rows[1] + below, height)), height)
        # Some of these lie beyond the edges, where the border puts other samples: so the stage
        # below computes rows as long as those of the window.
        columns = columns[0] - left, columns[1] + right
        if link.recipe.border == "wrap":
            columns = min(columns[0], 0), max(columns[1], width)
    below_it: Source = source if chain.begin is None else _Begun(source, chain.begin, chain.between)
    stages: list[_Stage] = []
    last = chain.out_dtype if chain.end is None else chain.between
    for link, fill, need in zip(chain.links, fills, reversed(needs), strict=True):
        dtype = last if link is chain.links[-1] else chain.between
        stages.append(
            _Stage(below_it, link, fill, dtype, need, strip, partial(_take, rooms, len(stages)))
        )
        below_it = stages[-1]
    return stages


def _spread(span: Span, stride: int) -> Span:
    return span[0] * stride, (span[1] - 1) * stride + 1


def _whole(span: Span, length: int) -> Span:
    """Widen a span to whole groups of rows, or columns, whose sums are made together."""
    return span[0] // ROWS * ROWS, min(ceil_div(span[1], ROWS) * ROWS, length)


class _Begun:
    """An image as floats: linear light if asked, colours multiplied by alpha."""

    def __init__(self, source: Source, how: Colour, dtype: np.dtype[np.floating[Any]]) -> None:
        self._source, self._how, self._dtype = source, how, dtype

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
        values = colour.samples(self._how, self._source.window(rows, columns), self.dtype)
        return colour.weighted(self._how, values)


def _take(
    rooms: Rooms, stage: int, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Pixels:
    return rooms.take((stage, name), shape, dtype)


class _Stage:
    """What one stage makes of the source below; a worker has its own.

    Its windows come from the top down, each where the one before ended. Others may be asked for,
    as `wrap` does at the other end of the image, but are computed from scratch.
    """

    def __init__(
        self,
        below: Source,
        link: Link,
        fill: Correlate,
        dtype: np.dtype[Any],
        need: Region,
        strip: int,
        take: Callable[[str, tuple[int, ...], np.dtype[Any]], Pixels],
    ) -> None:
        height, width, channels = below.shape
        self._below, self._link, self._fill = below, link, fill
        self._whole = height, width, result_channels(link.recipe.colour, channels)
        self._columns = need[1]
        self._end = need[0][1]
        self._dtype, self._strip = dtype, strip
        recipe = link.recipe
        how = recipe.halo, recipe.border, recipe.border_value
        self._lines = Lines(below, need[1], *how, partial(take, "lines"))
        # Transforms pay in large blocks alone: such a stage computes more than it is asked for.
        transforms = link.plan.route.loop == "overlap_add"
        self._block = max(link.plan.route.tile[0] // ROWS * ROWS, strip) if transforms else 0
        self._at: int | None = None
        self._take = take
        self._ready = self._empty("ahead", 0)
        self.seconds = 0.0
        """Time in its windows, that of the stages below included."""

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return a window that holds until the next one is asked for."""
        start = time.perf_counter()
        stride = self._link.stride
        first, end = rows[0] * stride, min(rows[1] * stride, self._whole[0])
        left, right = _spread(columns, stride)
        follows = self._at in (None, first)
        if follows and self._columns[0] <= left and right <= self._columns[1]:
            made = self._empty("window", end - first)
            self._next(first, end, made)
            made = made[:, left - self._columns[0] : right - self._columns[0]]
        else:
            made = self._apart((first, end), (left, right))
        self.seconds += time.perf_counter() - start
        return made if stride == 1 else made[::stride, ::stride]

    def can_put(self, columns: Span) -> bool:
        """Whether it can put these columns, some of which may lie beyond the edges."""
        return self._link.stride == 1 and columns == self._columns

    def put(self, rows: Span, out: Pixels) -> None:
        """Compute the rows that follow those before into `out`."""
        start = time.perf_counter()
        self._next(*rows, out)
        self.seconds += time.perf_counter() - start

    def _next(self, first: int, end: int, out: Pixels) -> None:
        """Compute the rows that follow those before."""
        at = first
        while at < end:
            if not len(self._ready):
                last = max(self._end, end)
                until = min(at + self._block, last) if self._block else min(at + self._strip, end)
                there = until <= end
                made = (
                    out[at - first : until - first] if there else self._empty("ahead", until - at)
                )
                self._fill(self._lines.window((at, until)), made)
                if there:
                    at = until
                    continue
                self._ready = made
            taken = min(len(self._ready), end - at)
            out[at - first : at - first + taken] = self._ready[:taken]
            self._ready = self._ready[taken:]
            at += taken
        self._at = end

    def _apart(self, rows: Span, columns: Span) -> Pixels:
        """Compute a window from scratch."""
        height, width, channels = self._whole
        recipe = self._link.recipe
        y, x = _whole(rows, height), _whole(columns, width)
        how = recipe.border, recipe.border_value
        seen = borders.window(self._below, y, x, recipe.halo, *how)
        out = np.empty((y[1] - y[0], x[1] - x[0], channels), self._dtype)
        self._fill(seen, out)
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


def _by_pieces(fill: Correlate, most: tuple[int, int] | None) -> Correlate:
    """Let a loop fill large arrays piece by piece."""
    if most is None:
        return fill

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
