"""A region of a result, put together of the cells that give the bits of the whole result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import cast

import numpy as np

from convcli.loops.layout import ceil_div
from convcli.pixels.source import Source, Span
from convcli.running.regions import Part, Region, pieces
from convcli.running.threads import run_in_pool
from convcli.running.windowed import spans
from convcli.running.works import Piece, Work
from convcli.types import Pixels

# Pieces of a region whose windows and sums take no more are computed at a time, if there are such.
_WORKING = 64 << 20


def computed(work: Work, source: Source, region: Region, workers: int = 1) -> Pixels:
    """Compute the cells that a region touches, by so many threads, and return the region."""
    outer = _cells_of(work, region)
    made = np.empty((*_shape_of(outer), work.shape[2]), work.dtype)
    out = cast(Pixels, Part(made, outer[0][0], outer[1][0]))
    piece = _piece_of(work, _shape_of(outer), workers)
    fill = partial(work.prepare(piece), source, out)
    if work.cells.is_rigid:
        todo = list(product(*_touched(work, region)))
    else:
        todo = list(pieces(*outer, piece))
    if workers > 1 and len(todo) > 1:
        run_in_pool(fill, todo, min(workers, len(todo)), lambda _done, _total: None)
    else:
        for each in todo:
            fill(each)
    (top, bottom), (left, end) = region
    return made[top - outer[0][0] : bottom - outer[0][0], left - outer[1][0] : end - outer[1][0]]


def bytes_for(work: Work, region: Region, workers: int = 1) -> int:
    """Return the bytes that so many threads hold to compute a region.

    They are those of the cells, of the region, of that in another form, and of the windows and sums
    of the pieces.
    """
    shape = _shape_of(_cells_of(work, region))
    sample = work.shape[2] * work.dtype.itemsize
    made = (math.prod(shape) + 2 * math.prod(_shape_of(region))) * sample
    return made + workers * work.holds(_piece_of(work, shape, workers))


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


def _piece_of(work: Work, size: Piece, workers: int = 1) -> Piece:
    """Return rows and columns that are computed at a time, so that so many threads have work."""
    if work.cells.is_rigid:
        return work.cells.size
    chosen = size
    share = ceil_div(size[0], workers * work.cells.size[0]) * work.cells.size[0]
    for piece in _pieces(work, (share, size[1])):
        chosen = piece
        if work.holds(piece) <= _WORKING:
            break
    return chosen


def _pieces(work: Work, size: Piece) -> Iterator[Piece]:
    """Yield the pieces of the work's divisions, cut to a size."""
    for _, (rows, columns) in work.divisions:
        down = work.cells.size[0]
        yield min(max(rows // down, 1) * down, size[0]), min(columns, size[1])
