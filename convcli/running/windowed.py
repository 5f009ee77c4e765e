"""An image that does not fit into memory: bands of its result, one after the other.

Bands are as wide as the image. While one is written, the next are filtered, and the tiles of those
after them are decoded. Tiles stay as long as a band in work needs them, so that each is decoded
once (see `convcli.sources.windows`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple, cast

import numpy as np

from convcli.errors import ConvcliError
from convcli.loops.layout import ceil_div
from convcli.pixels.source import Span
from convcli.pools import Pool
from convcli.running.regions import Part, pieces
from convcli.running.works import Work
from convcli.sources.contract import Stored
from convcli.sources.windows import Tiles
from convcli.types import OnProgress, Pixels
from convcli.words import size_of

# What decoders hold beside a tile: its compressed bytes, and samples in another form.
DECODING = 2


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
        that are being decoded, rows of the result that wait to be written, and tables of tiles.
    is_same : bool
        The result is that of the whole image whatever its samples are; see `Work`.
    """

    rows: int
    piece: tuple[int, int]
    ahead: int
    kept: int
    peak: int
    is_same: bool = True


def cut_for(work: Work, stored: Stored, most: float, gathered: int, held: int = 0) -> Cut:
    """Choose how a result is divided, so that no more bytes are held than `most`.

    Parameters
    ----------
    work, stored
        What is done, and to which image.
    most : float
        Bytes that may be held.
    gathered : int
        Rows of the result that wait until they are written.
    held : int
        Bytes that are held already, for errors.

    Raises
    ------
    ConvcliError
        If the least division takes more.
    """
    chosen = None
    for number, (rows, piece) in enumerate(work.divisions):
        chosen = _measured(work, stored, gathered, rows, piece)
        chosen = chosen._replace(is_same=number < work.same)
        if chosen.peak <= most:
            return chosen
    assert chosen
    # Tiles that are not kept are decoded again; those at work must be held.
    height, width = stored.tile
    tile = height * width * stored.shape[2] * stored.dtype.itemsize
    least = min(chosen.kept, 2 * work.workers * tile)
    needed = chosen.peak - chosen.kept + least
    if needed > most:
        raise ConvcliError(
            f"needs at least {size_of(needed + held)} to be filtered in parts, in tiles of "
            f"{width} x {height} pixels, and may hold {size_of(most + held)}; raise --memory"
        )
    kept = int(most) - (chosen.peak - chosen.kept)
    return chosen._replace(kept=kept, peak=int(most))


def _measured(work: Work, stored: Stored, gathered: int, rows: int, piece: tuple[int, int]) -> Cut:
    """Count the bytes that a division takes."""
    height, width, channels = stored.shape
    own = channels * stored.dtype.itemsize
    row = work.shape[1] * work.shape[2] * work.dtype.itemsize
    in_a_band = ceil_div(work.shape[1], piece[1])
    all_bands = ceil_div(work.shape[0], rows)
    ahead = max(1, min(ceil_div(work.workers, in_a_band), all_bands - 1))

    tile_rows, tile_columns = stored.tile
    whole_width = ceil_div(width, tile_columns) * tile_columns
    # Those of the band that is finished, of the next ones, and of the one that is decoded ahead.
    top = max(0, min(all_bands // 2, all_bands - ahead - 2)) * rows
    first, end = work.needed((top, min(top + (ahead + 2) * rows, work.shape[0])))
    rows_of_tiles = ceil_div(max(end - first - 1, 1), tile_rows) + 1
    if work.beyond:
        rows_of_tiles += ceil_div(work.beyond, tile_rows) + 1
    rows_of_tiles = min(rows_of_tiles, ceil_div(height, tile_rows))
    kept = rows_of_tiles * tile_rows * whole_width * own

    bands = (ahead + 1) * min(rows, work.shape[0]) * row
    waiting = min(gathered, work.shape[0]) * row
    decoding = DECODING * (work.workers + 1) * tile_rows * tile_columns * own
    working = work.workers * work.holds(piece)
    peak = kept + bands + waiting + decoding + working + stored.tables
    return Cut(rows, piece, ahead, kept, peak)


def spans(height: int, anchor: int, rows: int) -> list[Span]:
    """Return the rows of all bands.

    >>> spans(12, 7, 3)
    [(0, 3), (3, 6), (6, 7), (7, 10), (10, 12)]
    """
    return [
        (top, min(top + rows, first + anchor, height))
        for first in range(0, height, anchor)
        for top in range(first, min(first + anchor, height), rows)
    ]


def bands(
    work: Work, tiles: Tiles, cut: Cut, on_progress: OnProgress, first: int = 0
) -> Iterator[Pixels]:
    """Filter an image, and yield its result in bands from the top down, from its first row on.

    A band is computed before it is asked for, and the caller may write one in the meantime.
    """
    height, width, channels = work.shape
    filter_region = work.prepare(cut.piece)
    every = spans(height, work.anchor, cut.rows)
    done = sum(end <= first for _, end in every)
    waiting = iter(every[done:])
    at_work: deque[tuple[Pixels, list[Future[None]]]] = deque()

    def begin() -> None:
        for rows in waiting:
            band = np.empty((rows[1] - rows[0], width, channels), work.dtype)
            out = cast(Pixels, Part(band, rows[0]))
            calls = [
                pool.submit(partial(filter_region, tiles, out, region))
                for region in pieces(rows, (0, width), cut.piece)
            ]
            at_work.append((band, calls))
            if rows[1] < height:
                following = work.needed((rows[1], min(rows[1] + cut.rows, height)))
                reader.submit(partial(tiles.fetch, following))
            return

    pool, reader = Pool(work.workers), Pool(1)
    try:
        for _ in range(cut.ahead):
            begin()
        while at_work:
            band, calls = at_work.popleft()
            begin()
            for call in calls:
                call.result()
            done += 1
            if done < len(every):
                tiles.release(work.needed(every[done])[0])
            on_progress(done, len(every))
            top = every[done - 1][0]
            yield band[max(first - top, 0) :]
            del band
    finally:
        pool.shutdown(cancel=True)
        reader.shutdown(cancel=True)
