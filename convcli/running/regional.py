"""Regions of a stored image's result, each computed by itself: in any process, in any order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
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
from convcli.running.windowed import DECODING, spans
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

    def bytes_for(self, work: Work, stored: Stored, region: Region) -> int:
        """Return the bytes that computing a region takes at most, beside the tiles that are kept.

        They are those of a tile that is being decoded, of the cells, of the region, of that in
        another form, and of the windows and sums of a piece.
        """
        rows, columns = (_spread(span, self.step) for span in region)
        shape = _shape_of(_cells_of(work, (rows, columns)))
        sample = work.shape[2] * work.dtype.itemsize
        made = (math.prod(shape) + 2 * math.prod(_shape_of(region))) * sample
        tile = math.prod(stored.tile) * stored.shape[2] * stored.dtype.itemsize
        return made + (1 + DECODING) * tile + work.holds(_piece_of(work, shape))


def _spread(span: Span, step: int) -> Span:
    """Return where the rows, or columns, that a step keeps are among all."""
    return span[0] * step, (span[1] - 1) * step + 1


def _computed(work: Work, source: Tiles, region: Region) -> Pixels:
    """Compute the cells that a region touches, and return the region."""
    outer = _cells_of(work, region)
    made = np.empty((*_shape_of(outer), work.shape[2]), work.dtype)
    out = cast(Pixels, Part(made, outer[0][0], outer[1][0]))
    piece = _piece_of(work, _shape_of(outer))
    fill = work.prepare(piece)
    if work.cells.is_rigid:
        for each in product(*_touched(work, region)):
            fill(source, out, each)
    else:
        for each in pieces(*outer, piece):
            fill(source, out, each)
    (top, bottom), (left, end) = region
    result = made[top - outer[0][0] : bottom - outer[0][0], left - outer[1][0] : end - outer[1][0]]
    return np.ascontiguousarray(result)


def _cells_of(work: Work, region: Region) -> Region:
    """Return the rows and columns that have to be computed for a region: those of its cells."""
    rows, columns = _touched(work, region)
    end = (rows[-1][1], columns[-1][1]) if work.cells.is_rigid else (region[0][1], region[1][1])
    return (rows[0][0], end[0]), (columns[0][0], end[1])


def _touched(work: Work, region: Region) -> tuple[list[Span], list[Span]]:
    """Return the rows and the columns of the cells that a region touches."""
    sides = zip(work.shape[:2], work.cells.anchors, work.cells.size, region, strict=True)
    rows, columns = (
        [each for each in spans(side, anchor, size) if each[0] < span[1] and span[0] < each[1]]
        for side, anchor, size, span in sides
    )
    return rows, columns


def _shape_of(region: Region) -> Piece:
    (top, bottom), (left, right) = region
    return bottom - top, right - left


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
        yield min(max(rows // down, 1) * down, size[0]), min(columns, size[1])
