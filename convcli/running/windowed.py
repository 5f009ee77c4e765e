"""An image that does not fit into memory: bands of its result, one after the other.

Bands are as wide as the image. While one is written, the next are filtered, and the tiles of those
after them are decoded. Tiles stay as long as a band in work needs them, so that each is decoded
once (see `convcli.sources.windows`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import NamedTuple, cast

import numpy as np

from convcli.errors import ConvcliError
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels.borders import is_foreign
from convcli.pixels.colour import result_channels
from convcli.pixels.source import Span
from convcli.planning.plan import Plan
from convcli.pools import Pool
from convcli.running.execute import window_bytes
from convcli.running.recipe import Recipe
from convcli.running.regions import piece_of, pieces, prepare
from convcli.sources.contract import Stored
from convcli.sources.windows import Tiles
from convcli.types import OnProgress, Pixels
from convcli.words import size_of

# Bands are not made lower than this, or all work would be halo.
_LEAST_ROWS = 16

# Columns of pieces are cut for several workers, but not below 16 times the kernel's.
_LEAST_COLUMNS = 1024

# Arrays of floats of which results are combined: light, weighted, of each kernel, unweighted.
_COMBINED = 6

# What decoders hold beside a tile: its compressed bytes, and samples in another form.
_DECODING = 2


class Cut(NamedTuple):
    """How a result is divided, and the memory that this takes.

    Attributes
    ----------
    rows : int
        Rows of a band.
    piece : (int, int)
        Rows and columns of the pieces of a band that workers filter.
    ahead : int
        Bands that are filtered while one is written.
    kept : int
        Bytes of the tiles that are kept.
    peak : int
        Bytes that are held at most: kept tiles, bands, the windows and sums of each worker, tiles
        that are being decoded, and rows of the result that wait to be written.
    """

    rows: int
    piece: tuple[int, int]
    ahead: int
    kept: int
    peak: int


def cut_for(plan: Plan, recipe: Recipe, stored: Stored, most: float, gathered: int) -> Cut:
    """Choose how a result is divided, so that no more bytes are held than `most`.

    Parameters
    ----------
    plan, recipe, stored
        What is done, how, and to which image.
    most : float
        Bytes that may be held.
    gathered : int
        Rows of the result that wait until they are written.

    Raises
    ------
    ConvcliError
        If the least division takes more.
    """
    chosen = None
    for rows, piece in _divisions(plan, recipe, stored):
        chosen = _measured(plan, recipe, stored, gathered, rows, piece)
        if chosen.peak <= most:
            return chosen
    assert chosen
    # Tiles that are not kept are decoded again; those at work must be held.
    height, width = stored.tile
    tile = height * width * stored.shape[2] * stored.dtype.itemsize
    least = min(chosen.kept, 2 * plan.route.workers * tile)
    needed = chosen.peak - chosen.kept + least
    if needed > most:
        raise ConvcliError(
            f"needs at least {size_of(needed)} to be filtered in parts, in tiles of "
            f"{height} x {width} pixels, and may hold {size_of(most)}; raise --memory"
        )
    kept = int(most) - (chosen.peak - chosen.kept)
    return chosen._replace(kept=kept, peak=int(most))


def _divisions(plan: Plan, recipe: Recipe, stored: Stored) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield rows of bands and the pieces of these, from the preferred ones to the smallest.

    Pieces are those of the whole image, or cut where a loop gives the same wherever it begins.
    """
    height, width, _ = stored.shape
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
    while True:
        yield min(rows, height), (min(rows, height), columns)
        if rows <= least:
            return
        rows = max(least, rows // 2 // least * least)


def _measured(
    plan: Plan, recipe: Recipe, stored: Stored, gathered: int, rows: int, piece: tuple[int, int]
) -> Cut:
    """Count the bytes that a division takes."""
    height, width, channels = stored.shape
    workers = plan.route.workers
    made = result_channels(recipe.colour, channels) * recipe.out_dtype.itemsize
    own = channels * stored.dtype.itemsize
    in_a_band = ceil_div(width, piece[1])
    ahead = max(1, min(ceil_div(workers, in_a_band), ceil_div(height, rows) - 1))
    above, below = reach_of(recipe)

    tile_rows, tile_columns = stored.tile
    whole_width = ceil_div(width, tile_columns) * tile_columns
    # Those of the band that is finished, of the next ones, and of the one that is decoded ahead.
    span = (ahead + 2) * rows + above + below
    rows_of_tiles = ceil_div(max(span - 1, 1), tile_rows) + 1
    if recipe.border == "wrap":
        rows_of_tiles += ceil_div(max(above, below), tile_rows) + 1
    rows_of_tiles = min(rows_of_tiles, ceil_div(height, tile_rows))
    kept = rows_of_tiles * tile_rows * whole_width * own

    bands = (ahead + 1) * min(rows, height) * width * made
    waiting = 2 * min(gathered, height) * width * made
    decoding = _DECODING * (workers + 1) * tile_rows * tile_columns * own
    # A window is put together of tiles, and copied with what lies beyond the edge.
    tile = min(piece[0], height), min(piece[1], width)
    is_plain = recipe.is_plain_sum or (recipe.is_magnitude and recipe.colour.is_plain)
    if not is_plain:
        most = piece_of(recipe, channels)
        tile = min(tile[0], most[0]), min(tile[1], most[1])
    beside = 0 if recipe.decimations else recipe.halo[2] + recipe.halo[3]
    samples = (tile[0] + above + below) * (tile[1] + beside) * channels
    window = samples * stored.dtype.itemsize
    if not is_plain:
        sums = _COMBINED * 8 * samples
    elif plan.route.loop == "overlap_add":  # floats of the window, of the blocks, and of the sums
        sums = 3 * 8 * samples
    else:
        tiny = replace(plan, route=plan.route._replace(tile=tile))
        sums = window_bytes(tiny, recipe, Tiles(stored, 0))
    if is_foreign(stored.dtype, recipe.border, recipe.border_value):
        sums += 8 * samples
    working = workers * (window + sums + tile[0] * tile[1] * made)
    return Cut(rows, piece, ahead, kept, kept + bands + waiting + decoding + working)


def reach_of(recipe: Recipe) -> tuple[int, int]:
    """Return how many rows above and below a pixel its result depends on."""
    if recipe.decimations:
        radius = recipe.decimations[0].radius
        return radius, radius
    return recipe.halo[0], recipe.halo[1]


class _Part:
    """Some rows of a result, which are addressed as in the whole."""

    def __init__(self, rows: Pixels, top: int) -> None:
        self._rows = rows
        self._top = top

    def __getitem__(self, place: tuple[slice, slice]) -> Pixels:
        rows, columns = place
        return self._rows[rows.start - self._top : rows.stop - self._top, columns]


def bands(
    plan: Plan, recipe: Recipe, tiles: Tiles, cut: Cut, on_progress: OnProgress
) -> Iterator[Pixels]:
    """Filter an image, and yield its result in bands from the top down.

    A band is computed before it is asked for, and the caller may write one in the meantime.
    """
    height, width, channels = tiles.shape
    made = result_channels(recipe.colour, channels)
    filter_region = prepare(plan, recipe, channels)
    above, below = reach_of(recipe)
    starts = iter(range(0, height, cut.rows))
    total, done = ceil_div(height, cut.rows), 0
    at_work: deque[tuple[Pixels, list[Future[None]]]] = deque()

    def begin() -> None:
        for top in starts:
            rows: Span = (top, min(top + cut.rows, height))
            band = np.empty((rows[1] - top, width, made), recipe.out_dtype)
            out = cast(Pixels, _Part(band, top))
            calls = [
                pool.submit(partial(filter_region, tiles, out, region))
                for region in pieces(rows, (0, width), cut.piece)
            ]
            at_work.append((band, calls))
            following = max(0, rows[1] - above), min(rows[1] + cut.rows + below, height)
            if rows[1] < height:
                reader.submit(partial(tiles.fetch, following))
            return

    pool, reader = Pool(plan.route.workers), Pool(1)
    try:
        for _ in range(cut.ahead):
            begin()
        while at_work:
            band, calls = at_work.popleft()
            begin()
            for call in calls:
                call.result()
            done += 1
            tiles.release(done * cut.rows - above)
            on_progress(done, total)
            yield band
            del band
    finally:
        pool.shutdown(cancel=True)
        reader.shutdown(cancel=True)
