"""What computes a region of the result: the loops of a plan, prepared for a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convcli.kernels.kernel import Kernel, Weights
from convcli.loops.contract import (
    Correlate,
    Factors,
    Loop,
    guarded,
    load,
    magnitude,
    magnitude_of_any_size,
)
from convcli.loops.decimation import Decimations
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels import borders
from convcli.pixels.missing import marked
from convcli.pixels.rounding import store
from convcli.pixels.source import Source, Span
from convcli.planning.plan import Form, Plan
from convcli.running import ranges
from convcli.running.beside import Beside
from convcli.running.combined import combined, combined_without
from convcli.running.recipe import Recipe
from convcli.types import Floats, Pixels

# Imported where samples are left out: every filter imports this module.
if TYPE_CHECKING:
    from convcli.running.normalised import Normalised

Region = tuple[Span, Span]
"""Rows and columns of a piece of the result."""

RegionFilter = Callable[[Source, Pixels, Region], None]
"""``filter_region(source, out, region)``: compute one region of `out`, the whole result."""


class Part:
    """A part of a result, which is addressed as in the whole."""

    def __init__(self, pixels: Pixels, top: int, left: int = 0) -> None:
        self._pixels = pixels
        self._top, self._left = top, left

    def __getitem__(self, place: tuple[slice, slice]) -> Pixels:
        rows, columns = place
        return self._pixels[
            rows.start - self._top : rows.stop - self._top,
            columns.start - self._left : columns.stop - self._left,
        ]


# Samples in a row of a tile whose sums are kept as floats, several arrays of them, to be
# combined: 64 rows take 1 MB each. Narrower tiles would be slower for the calls.
_COMBINED_SAMPLES = 4096
_COMBINED_ROWS = 64
_MOST_COMBINED_ROWS = 256


def pieces(rows: Span, columns: Span, size: tuple[int, int]) -> Iterator[Region]:
    """Cut a region into pieces of at most this many rows and columns."""
    for top in range(rows[0], rows[1], size[0]):
        for left in range(columns[0], columns[1], size[1]):
            yield (top, min(top + size[0], rows[1])), (left, min(left + size[1], columns[1]))


def prepare(plan: Plan, recipe: Recipe, channels: int) -> RegionFilter:
    """Prepare the loops for a recipe; the function returned computes one region, tile by tile."""
    if recipe.decimations:
        return _decimated(load(plan.route.loop), plan, recipe, recipe.decimations)
    fill, most = filler(plan, recipe, channels)
    accumulator = np.dtype(plan.route.accumulator)
    tile = plan.route.tile
    if most is not None:
        tile = min(tile[0], most[0]), min(tile[1], most[1])

    def filter_region(source: Source, out: Pixels, region: Region) -> None:
        # Overflow, NaN and infinity are values like others, and no news to the user.
        with np.errstate(all="ignore"):
            for rows, columns in pieces(*region, tile):
                window = borders.window(
                    source, rows, columns, recipe.halo, recipe.border, recipe.border_value
                )
                if recipe.missing:
                    window = _marked(window, recipe, source, (rows, columns), accumulator)
                _into_tile(partial(fill, window), out[rows[0] : rows[1], columns[0] : columns[1]])

    return filter_region


def _marked(
    window: Pixels,
    recipe: Recipe,
    source: Source,
    region: Region,
    accumulator: np.dtype[np.floating],
) -> Pixels:
    """Make the no-data value NaN, but not the constant of a border."""
    assert recipe.missing, "there is no such value"
    if math.isnan(recipe.missing.sample):
        return window
    beyond = None
    if recipe.border == "constant":
        above, below, left, right = recipe.halo
        (rows, columns), (height, width, _) = region, source.shape
        lines = borders.lines(rows, above, below, "constant", height)
        across = borders.lines(columns, left, right, "constant", width)
        beyond = lines < 0, across < 0
    return marked(window, recipe.missing.sample, recipe.colour.alpha, beyond, accumulator)


def piece_of(recipe: Recipe, size: tuple[int, int, int]) -> tuple[int, int]:
    """Return rows and columns of which the sums are kept at a time, where they are kept.

    Of a narrow image they are more rows: each piece takes 70 microseconds beside its sums. Pieces
    begin at multiples of `ROWS`: results of long kernels are summed in an order that depends on it.
    """
    height, width = recipe.kernels[0].shape
    least = ceil_div(width, ROWS) * ROWS
    columns = max(_COMBINED_SAMPLES // size[2] // ROWS * ROWS, least)
    samples = min(columns, size[1]) * size[2]
    rows = min(_COMBINED_ROWS * _COMBINED_SAMPLES // samples, _MOST_COMBINED_ROWS) // ROWS * ROWS
    return max(_COMBINED_ROWS, rows, ceil_div(height, ROWS) * ROWS), columns


def tile_of(plan: Plan, recipe: Recipe, channels: int) -> tuple[int, int]:
    """Return rows and columns of the tiles into which `prepare` cuts regions."""
    rows, columns = plan.route.tile
    if recipe.is_plain_sum or _is_one_pass(load(plan.route.loop), plan.route.form, recipe):
        return rows, columns
    most = piece_of(recipe, (*plan.task.size[:2], channels))
    return min(rows, most[0]), min(columns, most[1])


def filler(plan: Plan, recipe: Recipe, channels: int) -> tuple[Correlate, tuple[int, int] | None]:
    """Prepare the loops for a recipe that needs no coarser grid.

    Returns
    -------
    fill : callable
        ``fill(window, out)``: from a window with its halo to what it surrounds.
    most : (int, int) or None
        Rows and columns that it should get at most.
    """
    loop = load(plan.route.loop)
    form, accumulator = plan.route.form, np.dtype(plan.route.accumulator)
    dtype = plan.task.dtype
    fill = _fill(loop, form, accumulator, recipe, (dtype, True))
    piece = piece_of(recipe, (*plan.task.size[:2], channels))
    if dtype.kind == "f" and not recipe.bounded:
        of_any = partial(_fill, loop, form, accumulator, recipe, (dtype, False))
        wide = cache(partial(_wide_fill, recipe, dtype))
        by_pieces = recipe.missing is not None and not loop.mixing
        fills = ranges.Fills(fill, cache(of_any), by_pieces, wide)
        fill = ranges.kept(fills, recipe, form, (dtype, accumulator), piece)
    elif recipe.missing:
        without = partial(_fill, loop, form, accumulator, recipe, (accumulator, False))
        # Transforms of pieces would be halo for the most part.
        fill = ranges.by_missing(fill, cache(without), plan.route.tile if loop.mixing else piece)
    if recipe.is_plain_sum or _is_one_pass(loop, form, recipe):
        return fill, None
    return fill, piece


def _fill(
    loop: Loop,
    form: Form,
    accumulator: np.dtype[np.floating],
    recipe: Recipe,
    samples: tuple[np.dtype[Any], bool],
) -> Correlate:
    """Prepare what fills a tile from its window: samples of a dtype, all finite or perhaps not."""
    dtype, are_finite = samples
    is_float = dtype.kind == "f"
    passes, combine = None, recipe.combine
    if combine is magnitude and (is_float or recipe.flat):
        combine = magnitude_of_any_size
    if not are_finite and recipe.missing:
        kernels = _normalised(loop, form, accumulator, recipe)
        return combined_without(kernels, combine, recipe, accumulator)
    if recipe.is_magnitude and form == "separable" and loop.magnitude_correlator and are_finite:
        one = _magnitude(loop.magnitude_correlator, recipe.kernels, accumulator, is_float)
        passes, combine = [one], None
    if passes is None:
        one_kernel = partial(_convolver, loop, form, accumulator, are_finite)
        passes = [one_kernel(kernel) for kernel in recipe.kernels]
    # The usual case: the loop reads the image's samples and rounds into the result.
    if combine is None and recipe.colour.is_plain and not recipe.flat:
        return passes[0]
    return combined(passes, combine, recipe, accumulator)


def _is_one_pass(loop: Loop, form: Form, recipe: Recipe) -> bool:
    """Whether a loop makes a magnitude of plain samples itself."""
    makes = recipe.is_magnitude and form == "separable" and loop.magnitude_correlator is not None
    return makes and recipe.colour.is_plain


def _wide_fill(
    recipe: Recipe, dtype: np.dtype[Any], accumulator: np.dtype[np.floating]
) -> Correlate:
    """Prepare the sums of slices, which numpy makes in any float."""
    kernel = recipe.kernels[0]
    factors = kernel.cheap_factors
    pays = factors is not None and len(factors) * sum(kernel.shape) < kernel.taps
    form: Form = "separable" if pays else "dense"
    return _fill(load("direct_numpy"), form, accumulator, recipe, (dtype, False))


def _into_tile(fill: Callable[[Pixels], None], tile: Pixels) -> None:
    """Let a loop, which writes contiguous arrays alone, fill a piece of the result."""
    if tile.flags.c_contiguous:  # it is as wide as the result
        fill(tile)
    else:
        filled = np.empty(tile.shape, tile.dtype)
        fill(filled)
        tile[...] = filled


def _decimated(loop: Loop, plan: Plan, recipe: Recipe, decimations: Decimations) -> RegionFilter:
    """Blur by way of a coarser grid; regions begin on the grid, so all give the same."""
    along_y, along_x = decimations
    assert loop.gaussian_blurrer, "plans give this to loops that have one"
    accumulator = np.dtype(plan.route.accumulator)
    blur = loop.gaussian_blurrer(decimations, accumulator)

    def filter_region(source: Source, out: Pixels, region: Region) -> None:
        rows, columns = region
        beside = Beside(recipe, columns, source.shape[1])
        image, lines = _rows_of(source, rows, beside, recipe)
        points = ceil_div(along_y.points(*rows), ROWS) * ROWS
        grid = np.empty((points, beside.width, source.shape[2]), accumulator)
        blur.thin(image, lines, grid, beside.left)
        beside.fill(grid)
        blur.across(grid, along_x.step, columns[1] - columns[0])
        _into_tile(partial(blur.back, grid, 0), out[rows[0] : rows[1], columns[0] : columns[1]])

    return filter_region


def _rows_of(
    source: Source, rows: Span, beside: Beside, recipe: Recipe
) -> tuple[Pixels, borders.Index]:
    """Read the rows of a window, and say which is where: without a copy, if they are whole."""
    above, below, _, _ = recipe.reach
    if recipe.border != "constant" and beside.halo == (0, 0):
        lines = borders.lines(rows, above, below, recipe.border, source.shape[0])
        first, last = int(lines.min()), int(lines.max()) + 1
        if last - first <= lines.size:  # not so where rows of both ends of the image meet
            image = source.window((first, last), beside.read)
            if image.flags.c_contiguous:
                return image, lines - first
    how = recipe.border, recipe.border_value
    image = borders.window(source, rows, beside.read, (above, below, *beside.halo), *how)
    return image, np.arange(len(image))


def _normalised(
    loop: Loop, form: Form, accumulator: np.dtype[np.floating], recipe: Recipe
) -> list[Normalised]:
    """Prepare the kernels for windows in which samples are missing."""
    from convcli.running.normalised import Normalised

    assert recipe.missing, "others need no such sums"

    @cache
    def prepared(kernel: Kernel, are_finite: bool, dtype: np.dtype[np.floating]) -> Correlate:
        # Where several terms cancel to a weight of 0, they leave rounding.
        one_term = form == "separable" and kernel.is_separable
        return _convolver(loop, "separable" if one_term else "dense", dtype, are_finite, kernel)

    def sum_of(
        kernel: Kernel, values: Floats, are_finite: bool, out: Pixels | None = None
    ) -> Floats:
        dtype = np.promote_types(accumulator, values.dtype)
        height, width = kernel.shape
        shape = values.shape[0] - height + 1, values.shape[1] - width + 1, values.shape[2]
        if out is None or (out.shape, out.dtype) != (shape, dtype):
            out = np.empty(shape, dtype)
        prepared(kernel, are_finite, dtype)(values, out)
        return out

    above, _, left, _ = recipe.halo
    marks = not math.isnan(recipe.missing.mark)
    return [
        Normalised(
            kernel, sizes or kernel, sum_of, loop, accumulator, kernel.at(above, left) != 0, marks
        )
        for kernel, sizes in zip(recipe.kernels, recipe.missing.sizes, strict=True)
    ]


def _convolver(
    loop: Loop,
    form: Form,
    accumulator: np.dtype[np.floating],
    are_finite: bool,
    kernel: Kernel,
) -> Correlate:
    """Prepare one kernel for a loop: all weights at once, or columns and rows in turn."""
    if form == "dense":
        weights, divisor = kernel.whole_weights
        return loop.correlator(np.ascontiguousarray(weights, accumulator), divisor)
    separable = loop.separable_correlator if are_finite else loop.by_passes
    terms = [separable(*_term(factor, accumulator)) for factor in kernel.whole_factors]
    if len(terms) == 1:
        return terms[0]
    total = _sum_of(terms, accumulator)
    if are_finite or kernel.given_weights is None:
        return total
    # Where terms cancel to a weight of 0 they would take in NaN and infinity.
    return guarded(total, kernel.given_weights.astype(accumulator))


def _term(
    factor: tuple[Weights, Weights, float], accumulator: np.dtype[np.generic]
) -> tuple[Floats, Floats, float]:
    """Return a column, a row and a divisor: dividing once keeps the sums of both passes whole."""
    column, row, divisor = factor
    return (
        np.ascontiguousarray(column[:, np.newaxis], accumulator),
        np.ascontiguousarray(row[np.newaxis, :], accumulator),
        divisor,
    )


def _magnitude(
    correlator: Callable[[Factors, Factors, float, bool], Correlate],
    kernels: tuple[Kernel, ...],
    accumulator: np.dtype[np.generic],
    any_size: bool,
) -> Correlate:
    """Prepare two separable kernels for one pass, with one divisor."""
    (column_x, row_x, divisor), (column_y, row_y, other) = (
        _term(kernel.whole_factors[0], accumulator) for kernel in kernels
    )
    if other != divisor:  # kernels folded on an oblong image
        row_y = row_y * row_y.dtype.type(divisor / other)
    return correlator((column_x, row_x), (column_y, row_y), divisor, any_size)


def _sum_of(terms: list[Correlate], accumulator: np.dtype[np.generic]) -> Correlate:
    """Add the results of separable terms before they are rounded."""

    def correlate(window: Pixels, out: Pixels) -> None:
        total = np.empty(out.shape, accumulator)
        term = np.empty_like(total)
        terms[0](window, total)
        for each in terms[1:]:
            each(window, term)
            total += term
        store(total, out)

    return correlate
