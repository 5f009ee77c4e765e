"""The bytes that a worker holds while it computes a piece of a result."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels.borders import is_foreign
from convcli.pixels.colour import result_channels
from convcli.pixels.source import Source
from convcli.planning.chains import Bands, ChainPlan
from convcli.planning.plan import Plan
from convcli.running.chains import Chain, chain_bytes
from convcli.running.execute import window_bytes
from convcli.running.recipe import Recipe
from convcli.running.regions import piece_of

# Arrays of floats of which results are combined: light, weighted, of each kernel, unweighted.
_COMBINED = 6

# Arrays of floats where samples are left out: of each kernel a sum, one of its weights, and those
# of which they are divided.
_WITHOUT = 8

# Arrays of the accumulator's floats that sums of slices take: the window, sums of its columns, a
# total, a term, and what the sum of two kernels adds. numba's loops hold a few rows instead.
_SLICES = 7

# Arrays of float64 that transforms take: the window, the blocks, and the sums; and where floats may
# not be finite, the window without these.
_TRANSFORMS = 3


def is_plain(recipe: Recipe) -> bool:
    """Whether a loop may make the result itself, and so whole tiles of it."""
    return recipe.is_plain_sum or (recipe.is_magnitude and recipe.colour.is_plain)


def held_by_filter(plan: Plan, recipe: Recipe, source: Source, piece: tuple[int, int]) -> int:
    """Count the bytes of a window, of sums and of the result of a piece."""
    height, width, channels = source.shape
    above, below, left, right = recipe.reach
    loop, accumulator = plan.route.loop, np.dtype(plan.route.accumulator).itemsize
    # A window is put together of tiles, and copied with what lies beyond the edge.
    rows, columns = min(piece[0], height), min(piece[1], width)
    plain = is_plain(recipe) and not recipe.missing
    if not plain and loop != "overlap_add":
        most = piece_of(recipe, source.shape)
        rows, columns = min(rows, most[0]), min(columns, most[1])
    # Of whole rows the columns beyond the edges are filled in on the grid.
    beside = 0 if recipe.decimations and columns == width else left + right
    samples = (rows + above + below) * (columns + beside) * channels
    window = samples * source.dtype.itemsize
    if not plain:
        sums = (_COMBINED + (_WITHOUT if recipe.missing else 0)) * 8 * samples
    elif loop == "overlap_add":
        sums = (_TRANSFORMS + (source.dtype.kind == "f")) * 8 * samples
    elif recipe.decimations:
        sums = _held_by_grid(plan, recipe, channels, (rows, columns), window)
        # Unless it is read as it is.
        sums += window if beside or recipe.border in ("constant", "wrap") else 0
    elif loop == "direct_numpy":
        sums = _SLICES * accumulator * samples
    else:
        tiny = replace(plan, route=plan.route._replace(tile=(rows, columns)))
        sums = window_bytes(tiny, recipe, source)
        if source.dtype.kind == "f":  # beside NaN and infinity kernels are summed one by one
            sums += 2 * accumulator * samples
    if is_foreign(source.dtype, recipe.border, recipe.border_value):
        sums += 8 * samples
    made = result_channels(recipe.colour, channels) * recipe.out_dtype.itemsize
    return window + sums + rows * columns * made


def _held_by_grid(
    plan: Plan, recipe: Recipe, channels: int, piece: tuple[int, int], window: int
) -> int:
    """Count the bytes of a coarser grid, and of what is summed onto it and back."""
    assert recipe.decimations, "others have no grid"
    accumulator = np.dtype(plan.route.accumulator).itemsize
    _, _, left, right = recipe.reach
    points = ceil_div(recipe.decimations[0].points(0, piece[0]), ROWS) * ROWS
    grid = points * (piece[1] + left + right) * channels * accumulator
    if plan.route.loop != "direct_numpy":
        return grid
    made = math.prod(piece) * channels * accumulator
    # One after the other: lines of the window, sums along x, and those of the result.
    return grid + max(window + 2 * grid, 4 * grid, grid + made)


def held_by_chain(plan: ChainPlan, chain: Chain, source: Source, piece: tuple[int, int]) -> int:
    """Count the bytes of the rows that all stages keep, and of the sums of the largest one.

    Stages make their sums one after the other.
    """
    strip = min(plan.bands.rows, piece[0])
    total, largest = chain_bytes(chain, Bands(piece, strip), source.shape), 0
    for link, shape in zip(chain.links, chain.shapes(source.shape), strict=False):
        recipe, route = link.recipe, link.plan.route
        above, below, left, right = recipe.reach
        rows, columns = strip * link.stride, min(piece[1] * link.stride, shape[1])
        accumulator = np.dtype(route.accumulator).itemsize
        beyond = 2 if recipe.border == "wrap" else 1
        own = beyond * chain.between.itemsize * (rows + above + below) * (columns + left + right)
        if route.loop == "overlap_add":
            rows, count = max(rows, route.tile[0]), _TRANSFORMS + 1
            total += chain.between.itemsize * rows * columns * shape[2]  # which are kept
        elif recipe.decimations:
            points = recipe.decimations[0].points(0, rows) + 2 * ROWS
            total += accumulator * points * (columns + left + right) * shape[2]
            count = 3 if route.loop == "direct_numpy" else 0
        elif not recipe.is_plain_sum:
            most, count = piece_of(recipe, (0, *shape[1:])), _COMBINED
            rows, columns = min(rows, most[0]), min(columns, most[1])
        else:
            count = _SLICES if route.loop == "direct_numpy" else 0
            if count:
                rows, columns = min(rows, route.tile[0]), min(columns, route.tile[1])
        if source.dtype.kind == "f":  # which may be hard to sum; see above
            count, accumulator = count + 2, 8
        count += _WITHOUT if recipe.missing else 0
        sums = count * accumulator * (rows + above + below) * (columns + left + right)
        largest = max(largest, (own + sums) * shape[2])
    if any(link.recipe.border == "wrap" for link in chain.links):
        total *= 2  # rows of the other end are made by the same stages, and kept beside the others
    # Before the first stage samples become floats, and are weighted; the last one's are rounded.
    above, below, left, right = chain.links[0].recipe.reach
    first = (strip + above + below) * (min(piece[1], source.shape[1]) + left + right)
    total += first * source.shape[2] * (source.dtype.itemsize + 3 * chain.between.itemsize)
    made = strip * piece[1] * chain.shapes(source.shape)[-1][2]
    return total + largest + 2 * made * chain.between.itemsize
