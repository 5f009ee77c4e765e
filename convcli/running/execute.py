"""A plan carried out: chooses who fills the regions of the result."""

from __future__ import annotations

import numpy as np

from convcli import memory
from convcli.pixels import colour, padded
from convcli.planning.plan import Plan
from convcli.running.recipe import Recipe
from convcli.running.regions import pieces
from convcli.running.threads import run_in_threads
from convcli.types import OnProgress, Pixels

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

    With `scratch` the source is not needed afterwards: one with an unused channel (see
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
