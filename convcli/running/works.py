"""What is computed band by band: one filter, or a chain of them; and the memory that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from convcli.loops.compiled import machine_code
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels.colour import result_channels
from convcli.pixels.source import Source, Span
from convcli.planning.chains import ChainPlan
from convcli.planning.plan import Plan
from convcli.running.chains import Chain, prepare_chain, rows_read
from convcli.running.held import held_by_chain, held_by_filter, is_plain
from convcli.running.recipe import Recipe
from convcli.running.regions import RegionFilter, piece_of, prepare, tile_of

# Bands are not made lower than this, or all work would be halo.
_LEAST_ROWS = 16

# Columns of pieces are cut for several workers, but not below 16 times the kernel's.
_LEAST_COLUMNS = 1024

Piece = tuple[int, int]
"""Rows and columns of what a worker computes at a time."""


class Cells(NamedTuple):
    """A grid on which regions of a result give the bits of the whole one.

    Attributes
    ----------
    size : (int, int)
        Rows and columns of a cell.
    anchors : (int, int)
        Cells begin anew after so many rows, and so many columns.
    is_rigid : bool
        Each cell has to be computed by itself, and all of it; if not, regions begin on the grid.
    """

    size: Piece
    anchors: Piece
    is_rigid: bool


class Work(NamedTuple):
    """What is computed of an image, and in which pieces.

    Attributes
    ----------
    shape : (H, W, C)
        Of the result.
    dtype : dtype
        Of the result.
    workers : int
        How many pieces are computed at a time.
    divisions : tuple of (int, Piece)
        Rows of bands and the pieces of these, from the preferred ones to the smallest.
    same : int
        How many of the first divisions give the whole image's result whatever its samples are. The
        others do so where all are finite, and no sum nears the end of the range of its float.
    anchor : int
        Bands begin anew after so many rows.
    cells : Cells
        What other regions than bands are put together of.
    loose : Cells
        The same, where all samples are finite, and no sum nears the end of the range of its float.
    needed : callable
        ``needed(rows)``: the rows of the image that rows of the result depend on; apart from those
        at the other end of it, under the border `wrap`.
    beyond : int
        Rows at the other end that are needed.
    holds : callable
        ``holds(piece)``: the bytes that a worker holds.
    prepare : callable
        ``prepare(piece)`` returns what computes a region of the result.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    workers: int
    divisions: tuple[tuple[int, Piece], ...]
    same: int
    anchor: int
    cells: Cells
    loose: Cells
    needed: Callable[[Span], Span]
    beyond: int
    holds: Callable[[Piece], int]
    prepare: Callable[[Piece], RegionFilter]


def work_of(plan: Plan | ChainPlan, what: Recipe | Chain, source: Source) -> Work:
    """Return the work of a filter or of a chain."""
    if isinstance(what, Chain):
        assert isinstance(plan, ChainPlan)
        plans = [link.plan for link in what.links]
        made = _of_chain(plan, what, source)
    else:
        assert isinstance(plan, Plan)
        plans, made = [plan], _of_filter(plan, what, source)
    for each in plans:
        if each.missed:
            machine_code.miss(*each.missed)
    return made


def _of_filter(plan: Plan, recipe: Recipe, source: Source) -> Work:
    """Return the work of one filter."""
    height, width, channels = source.shape
    above, below, *_ = recipe.reach

    def needed(rows: Span) -> Span:
        return max(0, rows[0] - above), min(height, rows[1] + below)

    divisions = tuple(_divisions(plan, recipe, source))
    same, anchor = len(divisions), height
    if _goes_by_tiles(recipe, source):
        tiles = tuple(_whole_tiles(plan, recipe, source))
        divisions, same, anchor = (*tiles, *divisions), len(tiles), plan.route.regions[0]
    return Work(
        shape=(height, width, result_channels(recipe.colour, channels)),
        dtype=recipe.out_dtype,
        workers=plan.route.workers,
        divisions=divisions,
        same=same,
        anchor=anchor,
        cells=_cells(plan, recipe, source, divisions[same - 1][0]),
        loose=_loose(plan, recipe, source),
        needed=needed,
        beyond=max(above, below) if recipe.border == "wrap" else 0,
        holds=partial(held_by_filter, plan, recipe, source),
        prepare=lambda _piece: prepare(plan, recipe, channels),
    )


def _of_chain(plan: ChainPlan, chain: Chain, source: Source) -> Work:
    """Return the work of a chain."""
    shapes = chain.shapes(source.shape)

    def needed(rows: Span) -> Span:
        for link, (height, _, _) in zip(reversed(chain.links), reversed(shapes[:-1]), strict=True):
            rows = rows_read(link, rows, height)[1]
        return rows

    recipes = [link.recipe for link in chain.links]
    wraps = any(each.border == "wrap" for each in recipes)
    is_plain = all(each.bounded and not each.missing for each in recipes)
    free = Cells((_LEAST_ROWS, ROWS), shapes[-1][:2], False)
    rigid = Cells(plan.bands.regions, shapes[-1][:2], True)
    rows, columns = plan.bands.regions
    divisions = [(rows, (rows, columns))]
    loose = rigid if _has_transforms(chain) else free
    while rows > _LEAST_ROWS and not loose.is_rigid:
        rows = max(_LEAST_ROWS, rows // 2 // ROWS * ROWS)
        divisions.append((rows, (rows, columns)))

    def prepared(piece: Piece) -> RegionFilter:
        strip = min(plan.bands.rows, piece[0])
        return prepare_chain(chain, source.shape, strip, plan.measured)

    return Work(
        shape=shapes[-1],
        dtype=chain.out_dtype,
        workers=plan.workers,
        divisions=tuple(divisions),
        same=len(divisions) if is_plain else 1,
        anchor=shapes[-1][0],
        cells=loose if is_plain else rigid,
        loose=loose,
        needed=needed,
        beyond=needed((0, 1))[1] if wraps else 0,
        holds=partial(held_by_chain, plan, chain, source),
        prepare=prepared,
    )


def _has_transforms(chain: Chain) -> bool:
    """Whether rounding depends on where bands begin, because blocks are transformed."""
    return any(link.plan.route.loop == "overlap_add" for link in chain.links)


def _goes_by_tiles(recipe: Recipe, source: Source) -> bool:
    """Whether tiles in which samples are missing, or near the ends of their range, go another way.

    Then the rounding of the others in such a tile may depend on where it begins.
    """
    return source.dtype.kind == "f" or recipe.missing is not None


def _cells(plan: Plan, recipe: Recipe, source: Source, rows: int) -> Cells:
    """Return the cells of a filter, of which the least bands that equal the whole have `rows`."""
    route = plan.route
    if _goes_by_tiles(recipe, source) and route.loop != "overlap_add":
        columns = min(route.regions[1], tile_of(plan, recipe, source.shape[2])[1])
        return Cells((rows, columns), route.regions, True)
    return _loose(plan, recipe, source)


def _loose(plan: Plan, recipe: Recipe, source: Source) -> Cells:
    """Return the cells of a filter that takes all its samples alike."""
    height, width, _ = source.shape
    route = plan.route
    if route.loop == "overlap_add" and route.executor == "threads":
        return Cells(route.regions, route.regions, True)
    if route.loop == "overlap_add":
        return Cells(route.tile, (height, width), True)
    down, across = (axis.step for axis in recipe.decimations) if recipe.decimations else (1, 1)
    return Cells((max(_LEAST_ROWS, ROWS * down), ROWS * across), (height, width), False)


def _divisions(plan: Plan, recipe: Recipe, source: Source) -> Iterator[tuple[int, Piece]]:
    """Yield rows of bands and the pieces of these, from the preferred ones to the smallest.

    Pieces are those of the whole image, or cut where a loop gives the same wherever it begins.
    """
    height, width, _ = source.shape
    route = plan.route
    base = route.regions if route.executor == "threads" else route.tile
    if route.loop == "overlap_add":  # its rounding depends on where its blocks begin
        yield base[0], base
        return
    rows, columns = base
    if recipe.decimations:  # needs whole rows, and begins on the grid
        least, columns = ROWS * recipe.decimations[0].step, width
    else:
        least = _LEAST_ROWS
        share = ceil_div(ceil_div(width, route.workers), ROWS) * ROWS
        columns = min(columns, max(share, _LEAST_COLUMNS, 16 * recipe.kernels[0].shape[1]))
    yield from _halved(rows, least, height, columns)


def _whole_tiles(plan: Plan, recipe: Recipe, source: Source) -> Iterator[tuple[int, Piece]]:
    """Yield divisions into the tiles that a whole image has."""
    rows, columns = plan.route.regions
    least = plan.route.tile[0]
    if not is_plain(recipe):
        least = min(least, piece_of(recipe, source.shape)[0])
    yield from _halved(rows, least, source.shape[0], columns)


def _halved(rows: int, least: int, height: int, columns: int) -> Iterator[tuple[int, Piece]]:
    """Yield bands of rows, of half as many, and so on: multiples of the least number."""
    while True:
        yield min(rows, height), (min(rows, height), columns)
        if rows <= least:
            return
        rows = max(least, rows // 2 // least * least)
