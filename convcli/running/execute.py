"""A plan carried out: the regions of the result are spread over threads or processes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convcli import memory
from convcli.loops.compiled import machine_code
from convcli.pixels import borders
from convcli.pixels.colour import result_channels
from convcli.pixels.padded import Padded
from convcli.pixels.source import ArraySource, Source
from convcli.planning.plan import Plan
from convcli.running.recipe import Recipe
from convcli.running.regions import Region, pieces, prepare
from convcli.running.threads import run_in_threads
from convcli.types import OnProgress, OnRows, Pixels

# Less is not checked: asking how much is free takes 0.1 ms, a tenth of what a megapixel takes.
ALWAYS_FREE = 1 << 25


def filter_source(
    plan: Plan,
    recipe: Recipe,
    source: Source,
    on_progress: OnProgress | None,
    on_rows: OnRows | None = None,
) -> Pixels:
    """Filter an image as the plan says, and return the whole result ``(H, W, C)``.

    Threads call `on_rows` with it while it is computed, from the top down; processes do not.
    """
    if plan.missed:
        machine_code.miss(*plan.missed)
    regions = _regions(plan, recipe, source)
    height, width, channels = source.shape
    shape = (height, width, result_channels(recipe.colour, channels))
    if plan.route.executor == "processes":
        from convcli.running.processes import run_in_processes  # pathos takes 50 ms to import

        return run_in_processes(plan, recipe, source, shape, regions, on_progress)
    out = np.empty(shape, recipe.out_dtype)
    on_done = on_progress or _ignore
    if on_rows:
        on_done = _telling(out, regions, on_rows, on_done)
    fill = _filling(out, plan, recipe, source)
    run_in_threads(fill, regions, plan, on_done, in_order=on_rows is not None)
    return out


def can_stay_padded(plan: Plan, recipe: Recipe) -> bool:
    """Say whether `filter_padded` serves: the loop sums every sample alike, the unused one too."""
    route = plan.route
    in_threads = route.executor == "threads"
    serves = route.loop == "direct_numba" and recipe.is_plain_sum and not recipe.missing
    return in_threads and serves


def filter_padded(
    plan: Plan, recipe: Recipe, source: Padded, on_progress: OnProgress | None
) -> Padded:
    """Filter an image with its unused samples, and use it up: its rows are released on the way.

    Sums of the unused sample cost less than taking it out and putting it back.
    """
    regions = _regions(plan, recipe, source)
    out = np.empty(source.buffer.shape, recipe.out_dtype)
    on_done = _releasing(source, recipe, regions, on_progress)
    fill = _filling(out, plan, recipe, ArraySource(source.buffer))
    run_in_threads(fill, regions, plan, on_done, in_order=True)
    return Padded(out)


def _regions(plan: Plan, recipe: Recipe, source: Source) -> list[Region]:
    """Return the regions to hand out, if there is memory for their windows."""
    windows = window_bytes(plan, recipe, source) * plan.route.workers
    if windows > ALWAYS_FREE:
        memory.check(windows)
    height, width, _ = source.shape
    return list(pieces((0, height), (0, width), plan.route.regions))


def _filling(out: Pixels, plan: Plan, recipe: Recipe, source: Source) -> Callable[[Region], None]:
    filter_region = prepare(plan, recipe, source.shape[2])
    return lambda region: filter_region(source, out, region)


def _ignore(_done: int, _total: int) -> None:
    pass


def _telling(
    out: Pixels, regions: list[Region], on_rows: OnRows, on_progress: OnProgress
) -> OnProgress:
    """Tell how many rows are final, whenever a region is done; report it, too."""

    def on_done(done: int, total: int) -> None:
        on_rows(out, regions[done][0][0] if done < total else len(out))
        on_progress(done, total)

    return on_done


def _releasing(
    source: Padded, recipe: Recipe, regions: list[Region], on_progress: OnProgress | None
) -> OnProgress:
    """Release the rows that no later region needs, whenever a region is done; report it, too."""

    def on_done(done: int, total: int) -> None:
        if done < total:
            top = regions[done][0][0]
            source.release(borders.first_needed(top, source.shape[0], recipe.reach, recipe.border))
        if on_progress:
            on_progress(done, total)

    return on_done


def window_bytes(plan: Plan, recipe: Recipe, source: Source) -> int:
    """Return the least memory that a tile and its halo take: under a wide kernel, most of it.

    A window has the image's samples, and between two passes sums of its columns.
    """
    height, width, channels = source.shape
    itemsize = source.dtype.itemsize
    rows, columns = min(plan.route.tile[0], height), min(plan.route.tile[1], width)
    sums = np.dtype(plan.route.accumulator).itemsize
    if recipe.decimations:  # sums of the grid's rows alone
        along_y, along_x = recipe.decimations
        points = rows // along_y.step + along_y.wide.shape[1]
        window = rows + 2 * along_y.radius if recipe.border == "constant" else 0
        samples = sums * points * (columns + 2 * along_x.radius) + itemsize * window * width
    else:
        above, below, left, right = recipe.halo
        window = itemsize * (rows + above + below)
        samples = (window + sums * rows) * (columns + left + right)
    return int(samples * channels)
