"""A chain of filters carried out: every stage is a source over the source below.

A worker computes a band of the result from its top down, a strip at a time. Each stage asks the one
below for the rows of its window that it has not read yet, so that every row of every stage is
computed once for a band, apart from the halos at its ends.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from convcli import memory
from convcli.loops.compiled import machine_code
from convcli.loops.contract import Blur, Correlate
from convcli.loops.layout import ROWS
from convcli.pixels import colour
from convcli.pixels.colour import Colour
from convcli.pixels.padded import Padded, copy_pixels
from convcli.pixels.rounding import store
from convcli.pixels.source import Source, Span
from convcli.planning.chains import Bands, ChainPlan
from convcli.running.execute import ALWAYS_FREE
from convcli.running.lines import Rooms
from convcli.running.regions import Region, RegionFilter, pieces
from convcli.running.stages import Begun, Link, StageSource, filler_of, in_groups, spread
from convcli.running.threads import run_in_threads
from convcli.types import OnProgress, Pixels


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
    nodata : float
        The value of missing samples, which become NaN before the first stage; NaN if there is none.
    mark : float
        What a sample becomes that is missing after the last stage, if there is an `end`.
    """

    links: tuple[Link, ...]
    begin: Colour | None
    end: Colour | None
    between: np.dtype[np.floating[Any]]
    out_dtype: np.dtype[Any]
    nodata: float = math.nan
    mark: float = math.nan

    def shapes(self, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """Return the shape of the image, and of what each stage makes of it."""
        found = [shape]
        for link in self.links:
            found.append(link.shape(found[-1]))
        return found


def run_chain(
    chain: Chain,
    plan: ChainPlan,
    source: Source,
    on_progress: OnProgress | None,
    *,
    scratch: bool,
) -> Pixels | Padded:
    """Apply the filters of a chain as the plan says, and return the whole result.

    With `scratch`, a `Padded` image is used up: its rows are released on the way; and a result of
    three bytes a pixel is `Padded`, too.
    """
    for link in chain.links:
        if link.plan.missed:
            machine_code.miss(*link.plan.missed)
    shape = chain.shapes(source.shape)[-1]
    needed = chain_bytes(chain, plan.bands, source.shape) * plan.workers
    if needed > ALWAYS_FREE:
        memory.check(needed)
    regions = list(pieces((0, shape[0]), (0, shape[1]), plan.bands.regions))
    filter_band = prepare_chain(chain, source.shape, plan.bands.rows, plan.measured)
    if plan.executor == "processes":
        from convcli.running.processes import fill_in_processes

        result = shape, chain.out_dtype
        return fill_in_processes(filter_band, source, result, regions, plan.workers, on_progress)
    is_padded = scratch and isinstance(source, Padded)
    samples = 4 if is_padded and shape[2] == 3 and chain.out_dtype == np.uint8 else shape[2]
    buffer = np.empty((*shape[:2], samples), chain.out_dtype)
    out = buffer[..., : shape[2]]

    def on_done(done: int, total: int) -> None:
        if is_padded and done < total:
            top = first_row_needed(chain, source.shape[0], regions[done][0][0])
            cast(Padded, source).release(top)
        if on_progress:
            on_progress(done, total)

    def fill(region: Region) -> None:
        filter_band(source, out, region)

    run_in_threads(fill, regions, plan, on_done, in_order=is_padded)
    plan.measured[:] = [seconds / plan.workers for seconds in plan.measured]
    return Padded(buffer) if samples > shape[2] else out


def prepare_chain(
    chain: Chain, shape: tuple[int, int, int], strip: int, seconds: list[float]
) -> RegionFilter:
    """Prepare the loops of a chain; the function returned computes one band of the result.

    That is done by this many rows at a time. It adds the time of each stage to `seconds`.
    """
    shapes = chain.shapes(shape)
    fills = [filler_of(link, below[2]) for link, below in zip(chain.links, shapes, strict=False)]
    adding, rooms = threading.Lock(), Rooms()

    def filter_band(source: Source, out: Pixels, region: Region) -> None:
        stages = _stages(chain, source, fills, shapes, region, strip, rooms)
        rows, columns = region
        with np.errstate(all="ignore"):
            for (top, bottom), _ in pieces(rows, columns, (strip, columns[1] - columns[0])):
                target = out[top:bottom, columns[0] : columns[1]]
                if chain.end is None and target.flags.c_contiguous and stages[-1].can_put(columns):
                    stages[-1].put((top, bottom), target)
                else:
                    _write(stages[-1].window((top, bottom), columns), target, chain)
        with adding:
            before = 0.0
            for number, stage in enumerate(stages):
                seconds[number] += stage.seconds - before
                before = stage.seconds

    return filter_band


def _write(result: Pixels, out: Pixels, chain: Chain) -> None:
    """Undo what was done to colour, round and clip, and put a strip into the result."""
    if chain.end is not None:
        values = colour.unweighted(chain.end, result)
        values = colour.finished(chain.end, values.copy() if values is result else values, values)
        if not math.isnan(chain.mark):
            values[np.isnan(values)] = chain.mark
        result = np.empty(values.shape, out.dtype)
        store(values, result)
    copy_pixels(result, out)


def chain_bytes(chain: Chain, cut: Bands, shape: tuple[int, int, int]) -> int:
    """Return the least memory that a worker needs for the strips of all stages."""
    total = 0
    for link, (_, width, channels) in zip(chain.links, chain.shapes(shape), strict=False):
        above, below, left, right = link.recipe.reach
        rows = 2 * cut.rows + above + below
        columns = min(cut.regions[1] * link.stride + left + right, width + left + right)
        total += rows * columns * channels * chain.between.itemsize
    return total


def first_row_needed(chain: Chain, height: int, row: int) -> int:
    """Return the first row of the image that the result needs from a row on."""
    if any(link.recipe.border == "wrap" for link in chain.links):
        return 0
    for link in reversed(chain.links):
        row = link.rows_below(in_groups(spread((row, row + 1), link.stride), height, link.unit))[0]
        row = row // ROWS * ROWS - ROWS
    return min(max(row, 0), height)


def rows_read(link: Link, rows: Span, height: int) -> tuple[Span, Span]:
    """Return the rows that a stage computes for rows of what it makes, and those below it."""
    need = in_groups(spread(rows, link.stride), height, link.unit)
    first, end = link.rows_below(need)
    return need, in_groups((max(first, 0), min(end, height)), height)


def _stages(
    chain: Chain,
    source: Source,
    fills: list[Correlate | Blur],
    shapes: list[tuple[int, int, int]],
    region: Region,
    strip: int,
    rooms: Rooms,
) -> list[StageSource]:
    """Put the stages on the image, for one band of the result."""
    needs: list[Region] = []
    rows, columns = region
    for link, (height, width, _) in zip(reversed(chain.links), reversed(shapes[:-1]), strict=True):
        own, rows = rows_read(link, rows, height)
        columns = spread(columns, link.stride)
        needs.append((own, columns))
        columns = link.columns_below(columns, width)
    below_it: Source = source
    if chain.begin is not None:
        below_it = Begun(source, chain.begin, chain.between, chain.nodata)
    stages: list[StageSource] = []
    last = chain.out_dtype if chain.end is None else chain.between
    for link, fill, need in zip(chain.links, fills, reversed(needs), strict=True):
        above = chain.links[len(stages) + 1 :]
        by_rows = any(each.recipe.border == "wrap" for each in above)
        dtype = last if link is chain.links[-1] else chain.between
        take = partial(_take, rooms, len(stages))
        stages.append(StageSource(below_it, link, fill, dtype, need, strip, take, by_rows))
        below_it = stages[-1]
    return stages


def _take(
    rooms: Rooms, stage: int, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Pixels:
    return rooms.take((stage, name), shape, dtype)
