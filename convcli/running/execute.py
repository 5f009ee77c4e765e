"""A plan carried out: pieces of the picture go through the loop, in threads or processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from convcli import memory
from convcli.kernels.kernel import Factor, Kernel, Weights, whole_numbers
from convcli.loops.contract import Correlate, Factors, Loop, load
from convcli.loops.decimation import Decimations
from convcli.pixels import borders, colour, padded
from convcli.pixels.borders import Span
from convcli.pixels.rounding import store
from convcli.planning.choice import Plan
from convcli.running.recipe import Combine, Recipe
from convcli.types import Floats, OnProgress, Pixels

Region = tuple[Span, Span]
"""Rows and columns of a piece of the picture."""

# Samples in a row of a tile whose sums are kept as floats, several arrays of them, to be
# combined: 64 rows take 1 MB each. Narrower tiles would be slower for the calls.
_COMBINED_SAMPLES = 4096
_COMBINED_ROWS = 64

# Signals may wait so long.
_SHORT_SECONDS = 0.1

RegionFilter = Callable[[Pixels, Pixels, Region], None]
"""``filter_region(source, out, region)``: fill one region of `out`."""


# Bytes for which nobody asks how many are free: to ask takes 0.1 ms, a tenth of a megapixel.
_ALWAYS_THERE = 1 << 25


def filter_picture(
    plan: Plan,
    recipe: Recipe,
    source: Pixels,
    on_progress: OnProgress | None,
    scratch: bool = False,
) -> Pixels:
    """Filter a picture ``(H, W, C)`` as the plan says, and return the result.

    `scratch` is what `convcli.types.Options` says: then a source with an unused channel (see
    `convcli.pixels.padded`) may be used up, and the result has one too.
    """
    windows = _window_bytes(plan, recipe, source) * plan.workers
    if windows > _ALWAYS_THERE:
        memory.check(windows)
    channels = colour.result_channels(recipe.colour, source.shape[2])
    shape = (source.shape[0], source.shape[1], channels)
    regions = list(pieces((0, shape[0]), (0, shape[1]), plan.regions))
    if plan.executor == "processes":
        from convcli.running.processes import run_in_processes  # pathos takes 50 ms to import

        return run_in_processes(plan, recipe, source, shape, regions, on_progress)
    # These sums cost less than taking the unused channel out would, and putting it back.
    whole = scratch and plan.loop == "direct_numba" and recipe.is_plain_sum
    buffer = padded.buffer_of(source) if whole else None
    if buffer is not None:
        out = run_in_threads(plan, recipe, buffer, buffer.shape, regions, on_progress, scratch)
        return out[..., :3]
    return run_in_threads(plan, recipe, source, shape, regions, on_progress)


def _window_bytes(plan: Plan, recipe: Recipe, source: Pixels) -> int:
    """Return the least memory that a tile and its halo take: under a wide kernel, the most of it.

    A window has the picture's samples, and between two passes sums of its columns.
    """
    height, width, channels = source.shape
    rows, columns = min(plan.tile[0], height), min(plan.tile[1], width)
    sums = np.dtype(plan.accumulator).itemsize
    if recipe.decimations:  # sums of the grid's rows alone
        along_y, along_x = recipe.decimations
        points = rows // along_y.step + along_y.wide.shape[1]
        window = rows + 2 * along_y.radius if recipe.border == "constant" else 0
        samples = sums * points * (columns + 2 * along_x.radius) + source.itemsize * window * width
    else:
        above, below, left, right = recipe.halo
        window = source.itemsize * (rows + above + below)
        samples = (window + sums * rows) * (columns + left + right)
    return int(samples * channels)


def run_in_threads(
    plan: Plan,
    recipe: Recipe,
    source: Pixels,
    shape: tuple[int, ...],
    regions: list[Region],
    on_progress: OnProgress | None,
    scratch: bool = False,
) -> Pixels:
    """Regions over threads: numba, numpy and its FFT release the interpreter's lock.

    What takes long leaves the main thread free to take signals.
    """
    filter_region = prepare(plan, recipe, source.shape[2])
    out = np.empty(shape, recipe.out_dtype)
    reach = recipe.decimations[0].radius if recipe.decimations else None
    halo = recipe.halo if reach is None else (reach, reach, 0, 0)
    given = 0

    def fill(region: Region) -> None:
        filter_region(source, out, region)

    is_short = plan.seconds < _SHORT_SECONDS
    if plan.workers > 1 and is_short and not scratch:
        _share(fill, regions, plan.workers, on_progress)
        return out
    on_main = threading.current_thread() is threading.main_thread()
    with ThreadPoolExecutor(plan.workers) as pool:
        try:
            here = plan.workers == 1 and (is_short or not on_main)
            results = map(fill, regions) if here else pool.map(fill, regions)
            for done, _ in enumerate(results, 1):
                if scratch and done < len(regions):
                    top = regions[done][0][0]
                    needed = borders.first_needed(top, source.shape[0], halo, recipe.border)
                    given = padded.give_back(source, given, needed)
                if on_progress:
                    on_progress(done, len(regions))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an error leaves nothing queued
    return out


def _share(
    fill: Callable[[Region], None],
    regions: list[Region],
    workers: int,
    on_progress: OnProgress | None,
) -> None:
    """Let this thread work too: a megapixel is done before another one has well begun."""
    todo, done = iter(regions), list[Region]()

    def work(report: OnProgress | None = None) -> None:
        for region in todo:  # threads may share a list's iterator
            fill(region)
            done.append(region)
            if report:
                report(len(done), len(regions))

    with ThreadPoolExecutor(workers - 1) as pool:
        others = [pool.submit(work) for _ in range(workers - 1)]
        try:
            work(on_progress)
            for other in others:
                other.result()
        finally:
            list(todo)  # an error leaves nothing for the others to do
    if on_progress:
        on_progress(len(regions), len(regions))


def pieces(rows: Span, columns: Span, size: tuple[int, int]) -> Iterator[Region]:
    """Cut a region into pieces of at most this many rows and columns."""
    for top in range(rows[0], rows[1], size[0]):
        for left in range(columns[0], columns[1], size[1]):
            yield (top, min(top + size[0], rows[1])), (left, min(left + size[1], columns[1]))


def prepare(plan: Plan, recipe: Recipe, channels: int) -> RegionFilter:
    """Prepare the loops for a recipe; what comes back fills one region, tile by tile."""
    loop = load(plan.loop)
    if recipe.decimations:
        return _decimated(loop, plan, recipe, recipe.decimations)
    passes, combine = [convolver(loop, kernel, plan) for kernel in recipe.kernels], recipe.combine
    if recipe.is_magnitude and plan.form == "separable" and loop.magnitude_correlator:
        passes, combine = [_magnitude(loop.magnitude_correlator, recipe.kernels, plan)], None
    # The usual case: the loop reads the picture's samples and rounds into the result.
    fill, (tile_rows, tile_columns) = passes[0], plan.tile
    if combine or not recipe.colour.is_plain:
        fill = _combined(passes, combine, recipe, np.dtype(plan.accumulator))
        least = max(_COMBINED_SAMPLES // channels, recipe.kernels[0].shape[1])
        tile_columns = min(tile_columns, least)
        tile_rows = min(tile_rows, max(_COMBINED_ROWS, recipe.kernels[0].shape[0]))

    def filter_region(source: Pixels, out: Pixels, region: Region) -> None:
        for rows, columns in pieces(*region, (tile_rows, tile_columns)):
            window = borders.window(
                source, rows, columns, recipe.halo, recipe.border, recipe.border_value
            )
            _into_tile(partial(fill, window), out[rows[0] : rows[1], columns[0] : columns[1]])

    return filter_region


def _into_tile(fill: Callable[[Pixels], None], tile: Pixels) -> None:
    """Let a loop, whose results are contiguous, fill a piece of the picture."""
    if tile.flags.c_contiguous:  # it is as wide as the picture
        fill(tile)
    else:
        filled = np.empty(tile.shape, tile.dtype)
        fill(filled)
        tile[...] = filled


def _decimated(loop: Loop, plan: Plan, recipe: Recipe, decimations: Decimations) -> RegionFilter:
    """Blur by way of a coarser grid; regions begin on the grid, so all give the same."""
    along_y, along_x = decimations
    assert loop.gaussian_blurrer, "plans give this to loops that have one"
    blur = loop.gaussian_blurrer(decimations, np.dtype(plan.accumulator))
    reach = along_y.radius
    beside = (0, 0, along_x.radius, along_x.radius)

    def filter_region(source: Pixels, out: Pixels, region: Region) -> None:
        rows, columns = region
        how = recipe.border, recipe.border_value
        picture, lines = source, borders.lines(rows, reach, reach, recipe.border, len(source))
        if recipe.border == "constant" or not source.flags.c_contiguous:
            picture = borders.window(source, rows, (0, source.shape[1]), (reach, reach, 0, 0), *how)
            lines = np.arange(len(picture))

        def widen(thinned: Pixels) -> Pixels:
            return borders.window(thinned, (0, len(thinned)), columns, beside, *how)

        _into_tile(
            partial(blur, picture, lines, widen), out[rows[0] : rows[1], columns[0] : columns[1]]
        )

    return filter_region


def _combined(
    passes: list[Correlate],
    combine: Combine | None,
    recipe: Recipe,
    accumulator: np.dtype[np.floating],
) -> Correlate:
    """Prepare the general case: every kernel into floats, combined, rounded once at the end."""
    above, below, left, right = recipe.halo
    how = recipe.colour

    def fill(window: Pixels, out: Pixels) -> None:
        # Loops take samples of any dtype, so plain ones need no float copy.
        values = window if how.is_plain else colour.samples(how, window, accumulator)
        centre = values[above : values.shape[0] - below, left : values.shape[1] - right]
        seen = np.ascontiguousarray(colour.weighted(how, values))
        results = []
        for convolve in passes:
            result = np.empty((*out.shape[:2], seen.shape[2]), accumulator)
            convolve(seen, result)
            results.append(colour.unweighted(how, result))
        combined = combine(centre, *results) if combine else results[0]
        if how.alpha and not how.grey:
            combined[..., -1] = results[0][..., -1]  # what is done to colours is not for alpha
        store(colour.finished(how, combined, centre), out)

    return fill


def convolver(loop: Loop, kernel: Kernel, plan: Plan) -> Correlate:
    """Prepare one kernel for a loop: all weights at once, or columns and rows in turn."""
    accumulator = np.dtype(plan.accumulator)
    if plan.form == "dense":
        return loop.correlator(*_weights_of(kernel.weights, accumulator))
    terms = [loop.separable_correlator(*_term(f, accumulator)) for f in kernel.factors]
    return terms[0] if len(terms) == 1 else _sum_of(terms, accumulator)


def _weights_of(values: Weights, accumulator: np.dtype[np.generic]) -> tuple[Floats, float]:
    whole, divisor = whole_numbers(values)
    return np.ascontiguousarray(whole, accumulator), divisor


def _term(factor: Factor, accumulator: np.dtype[np.generic]) -> tuple[Floats, Floats, float]:
    """Return a column, a row and a divisor: dividing once keeps the sums of both passes whole."""
    column, divisor_y = _weights_of(factor[0][:, np.newaxis], accumulator)
    row, divisor_x = _weights_of(factor[1][np.newaxis, :], accumulator)
    return column, row, divisor_y * divisor_x


def _magnitude(
    correlator: Callable[[Factors, Factors, float], Correlate],
    kernels: tuple[Kernel, ...],
    plan: Plan,
) -> Correlate:
    """Prepare two separable kernels of one divisor, as edge operators are, for one pass."""
    (column_x, row_x, divisor), (column_y, row_y, _) = (
        _term(kernel.factors[0], np.dtype(plan.accumulator)) for kernel in kernels
    )
    return correlator((column_x, row_x), (column_y, row_y), divisor)


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
