"""Regions of a stored image's result, each computed by itself: in any process, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np

from convcli.loops.layout import ceil_div
from convcli.pixels.source import Span
from convcli.planning.chains import ChainPlan
from convcli.planning.plan import Plan
from convcli.running.banded import by_bands
from convcli.running.chains import Chain
from convcli.running.recipe import Recipe
from convcli.running.regions import Part, Region, pieces
from convcli.running.windowed import spans
from convcli.running.works import Cells, Piece, Work, work_of
from convcli.sources.contract import Stored
from convcli.sources.windows import Tiles
from convcli.types import Pixels

# Pieces of a region whose windows and sums take no more are computed at a time, if there are such.
_WORKING = 64 << 20


class Opened(NamedTuple):
    """An image that was opened to compute regions of its result."""

    stored: Stored
    work: Work


@dataclass(frozen=True)
class Regional:
    """What is needed to compute a region of a result; it can be pickled.

    Attributes
    ----------
    plan, what
        How, and what.
    cells : Cells
        The grid on which regions are computed.
    again : callable
        Opens the image.
    bands : int
        Channels that are filtered each by itself; 1 if they are filtered together.
    missing : callable, optional
        ``missing(pixels)`` counts missing samples.
    step : int
        Only every `step`-th row and column of the result is used.
    conversions : tuple of callable
        What is done to the samples of the result, in their order.
    """

    plan: Plan | ChainPlan
    what: Recipe | Chain
    cells: Cells
    again: Callable[[], Stored]
    bands: int = 1
    missing: Callable[[Pixels], int] | None = None
    step: int = 1
    conversions: tuple[Callable[[Pixels], Pixels], ...] = ()

    def thinned(self, step: int) -> Regional:
        """Return what computes every `step`-th row and column."""
        return replace(self, step=self.step * step)

    def converted(self, convert: Callable[[Pixels], Pixels]) -> Regional:
        """Return what computes samples of another kind."""
        return replace(self, conversions=(*self.conversions, convert))

    def opened(self) -> Opened:
        """Open the image."""
        stored = self.again()
        return Opened(stored, self.work_on(stored))

    def work_on(self, stored: Stored) -> Work:
        """Return the work on the image."""
        if self.bands == 1:
            return work_of(self.plan, self.what, Tiles(stored, 0))
        one = replace(stored, shape=(*stored.shape[:2], 1))
        return by_bands(work_of(self.plan, self.what, Tiles(one, 0)), self.bands)

    def of(self, work: Work, source: Tiles, region: Region) -> Pixels:
        """Compute a region of the result, ``(h, w, C)``, in one thread."""
        rows, columns = (_spread(span, self.step) for span in region)
        made = _computed(work, source, (rows, columns))[:: self.step, :: self.step]
        for convert in self.conversions:
            made = convert(np.ascontiguousarray(made))
        return made

    def count(self, source: Tiles, region: Region, shape: tuple[int, int]) -> int:
        """Count the samples that are missing in a region's share of the image."""
        if self.missing is None:
            return 0
        rows, columns = (
            (span[0] * own // side, span[1] * own // side)
            for span, own, side in zip(region, source.shape, shape, strict=False)
        )
        return self.missing(source.window(rows, columns))

    def size_for(self, shard: Piece) -> Piece:
        """Return rows and columns of the regions in which whole shards are computed.

        If cells are larger than shards, these are as many shards as are not smaller.
        """
        if not self.cells.is_rigid:
            return shard
        down, across = (
            own * ceil_div(ceil_div(cell, self.step), own)
            for own, cell in zip(shard, self.cells.size, strict=True)
        )
        return down, across

    def bytes_for(self, work: Work, stored: Stored, size: Piece) -> int:
        """Return the bytes that computing a region of this size takes at most."""
        rows, columns = (
            min(side, own * self.step) for own, side in zip(size, work.shape, strict=False)
        )
        first, end = work.needed(
            (work.shape[0] // 2, min(work.shape[0] // 2 + rows, work.shape[0]))
        )
        scale = ceil_div(stored.shape[1], work.shape[1])
        tiles_rows = ceil_div(end - first, stored.tile[0]) + 1
        tiles_columns = ceil_div(columns * scale, stored.tile[1]) + 2
        tiles = min(tiles_rows * stored.tile[0], stored.shape[0]) * min(
            tiles_columns * stored.tile[1], stored.shape[1]
        )
        samples = tiles * stored.shape[2] * stored.dtype.itemsize
        result = rows * columns * work.shape[2] * work.dtype.itemsize
        return samples + 2 * result + work.holds(_piece_of(work, (rows, columns)))


def _spread(span: Span, step: int) -> Span:
    """Return where the rows, or columns, that a step keeps are among all."""
    return span[0] * step, (span[1] - 1) * step + 1


def _computed(work: Work, source: Tiles, region: Region) -> Pixels:
    """Compute the cells that a region touches, and return the region."""
    height, width, channels = work.shape
    (down, across), (below, right), is_rigid = work.cells
    rows = _touched(region[0], spans(height, below, down))
    columns = _touched(region[1], spans(width, right, across))
    outer = (rows[0][0], rows[-1][1]), (columns[0][0], columns[-1][1])
    if not is_rigid:
        outer = (outer[0][0], region[0][1]), (outer[1][0], region[1][1])
    shape = outer[0][1] - outer[0][0], outer[1][1] - outer[1][0]
    made = np.empty((*shape, channels), work.dtype)
    out = cast(Pixels, Part(made, outer[0][0], outer[1][0]))
    if is_rigid:
        fill = work.prepare((down, across))
        for y in rows:
            for x in columns:
                fill(source, out, (y, x))
    else:
        piece = _piece_of(work, shape)
        fill = work.prepare(piece)
        for each in pieces(*outer, piece):
            fill(source, out, each)
    (top, bottom), (left, end) = region
    result = made[top - outer[0][0] : bottom - outer[0][0], left - outer[1][0] : end - outer[1][0]]
    return np.ascontiguousarray(result)


def _touched(span: Span, every: list[Span]) -> list[Span]:
    return [each for each in every if each[0] < span[1] and span[0] < each[1]]


def _piece_of(work: Work, size: Piece) -> Piece:
    """Return rows and columns that are computed at a time."""
    if work.cells.is_rigid:
        return work.cells.size
    chosen = size
    for piece in _pieces(work, size):
        chosen = piece
        if work.holds(piece) <= _WORKING:
            break
    return chosen


def _pieces(work: Work, size: Piece) -> Iterator[Piece]:
    """Yield the pieces of the work's divisions, cut to a size."""
    for _, (rows, columns) in work.divisions:
        down = work.cells.size[0]
        yield max(rows // down, 1) * down, min(columns, size[1])
