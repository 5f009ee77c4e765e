"""A part of an image that does not fit into memory: bands of the result, each filtered as a cut."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from convcli.errors import NeedsWholeError
from convcli.filtering.options import Options
from convcli.filtering.part_cutting import Cutting
from convcli.filtering.part_pieces import Reach, pieces, seen
from convcli.pixels.mask import is_filtered, is_mixed
from convcli.pixels.part import Rectangle
from convcli.pixels.source import Source, Span
from convcli.planning.plan import Plan
from convcli.running.regions import Region
from convcli.running.works import Cells, Piece, Work, work_of
from convcli.types import Pixels

# Rows of bands: high ones are halo for a small part alone.
_ROWS = (1024, 512, 256, 128, 64)

# Arrays of floats where a part is mixed with the image, or the luminance is filtered.
_FLOATS = 4


class Bands(NamedTuple):
    """What is filtered in bands.

    Attributes
    ----------
    cutting : Cutting
        Filters rectangles of the image.
    reach : Reach
        What these need around them.
    regions : tuple of Rectangle
        Where the image is filtered.
    mask : ndarray (H, W), optional
        How much of the filtered image each pixel gets.
    dtype : dtype
        Of the result.
    original : callable
        ``original(window)`` returns samples of the image as samples of the result.
    """

    cutting: Cutting
    reach: Reach
    regions: tuple[Rectangle, ...]
    mask: Any
    dtype: np.dtype[Any]
    original: Callable[[Pixels], Pixels]


def carried_out(run: Callable[..., Any], source: Source, bands: Bands, asked: Options) -> Any:
    """Let `carry_out` do the work on a part of an image, and return what that returns."""
    if bands.reach.whole:
        raise NeedsWholeError(
            "--stretch and --canny need the whole image, also for a part of it, and it does not "
            "fit into memory; leave them out"
        )
    if bands.reach.wraps:
        raise NeedsWholeError(
            "--region, --mask and --channels need the whole image with --border wrap, and it does "
            "not fit into memory; choose another border"
        )
    carry_out = asked["carry_out"]
    assert carry_out
    found: list[Any] = []
    whole = Options(**asked)
    whole["region"] = whole["mask"] = None
    whole["channels"] = True
    whole["carry_out"] = lambda *all_: found.append(all_)
    run(source, **whole)
    ((plan, what, _),) = found
    if isinstance(plan, Plan) and plan.route.executor == "threads":
        bands.cutting.pin(plan.method)
    inner = work_of(plan, what, source)
    height, width, channels = source.shape

    def needed(rows: Span) -> Span:
        return seen(rows, bands.reach.halo[0], height, bands.reach.units[0], wraps=False)

    def holds(piece: Piece) -> int:
        first, end = seen((0, piece[0]), bands.reach.halo[0], 1 << 60, bands.reach.units[0], False)
        samples = (end - first + bands.reach.halo[0]) * width * channels
        floats = _FLOATS * 8 if bands.mask is not None or bands.cutting.chosen.luma else 0
        own = source.dtype.itemsize + 2 * bands.dtype.itemsize + floats
        return samples * own + inner.workers * inner.holds((min(piece[0], 256), width))

    divisions = tuple((min(rows, height), (min(rows, height), width)) for rows in _ROWS)
    work = Work(
        shape=source.shape,
        dtype=bands.dtype,
        workers=1,  # each band is filtered by all workers
        divisions=divisions,
        same=len(divisions),
        anchor=height,
        cells=Cells((_ROWS[-1], _ROWS[-1]), (height, width), is_rigid=False),
        needed=needed,
        beyond=0,
        holds=holds,
        prepare=lambda _piece: partial(_filled, bands),
    )
    return carry_out(plan, work, source)


def _filled(bands: Bands, source: Source, out: Pixels, region: Region) -> None:
    """Fill a region of the result: with the image, and over that with the part that is filtered."""
    (top, bottom), (left, right) = region
    target = out[top:bottom, left:right]
    target[...] = bands.original(source.window(*region))
    cutting = copy.copy(bands.cutting)
    cutting.source = source
    for each in bands.regions:
        rows = max(each.rows[0], top), min(each.rows[1], bottom)
        columns = max(each.columns[0], left), min(each.columns[1], right)
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            continue
        inside = Rectangle(rows, columns)
        for piece, is_whole in pieces(inside, bands.mask, bands.reach, source.shape[2]):
            of_mask = None if bands.mask is None else bands.mask[piece.at]
            y, x = piece.rows[0] - top, piece.columns[0] - left
            size = piece.rows[1] - piece.rows[0], piece.columns[1] - piece.columns[0]
            here = target[y : y + size[0], x : x + size[1]]
            if is_whole:
                made = cutting.of(piece, bands.dtype)
                channels = [made[..., number] for number in cutting.chosen.results]
                where = None if of_mask is None else is_filtered(of_mask)
            else:
                assert of_mask is not None, "without a mask nothing is mixed"
                mixed = cutting.mixed(piece, of_mask, bands.dtype)
                channels, where = [*np.moveaxis(mixed, 2, 0)], is_mixed(of_mask)
            for channel, samples in zip(cutting.chosen.targets, channels, strict=True):
                np.copyto(here[..., channel], samples, where=True if where is None else where)
