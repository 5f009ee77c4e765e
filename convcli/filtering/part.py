"""A filter for a part of an image: rectangles, a mask, some channels. All else keeps its value.

Each rectangle is cut out with what the kernels need around it, and filtered as an image of its own.
Where that ends inside the image, its border is too far away to be seen; elsewhere it ends where the
image does, and so the border is that of the whole image. Cuts lie where loops make their sums
together, so that the result has the bits of the whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from convcli.errors import ConvcliError
from convcli.filtering.filter import Filter
from convcli.filtering.options import Options
from convcli.filtering.part_channels import chosen_for, is_grey
from convcli.filtering.part_cutting import Cutting, Made, Run, scale_of
from convcli.filtering.part_pieces import Stages, pieces
from convcli.pixels.mask import checked_mask, weights
from convcli.pixels.padded import Padded
from convcli.pixels.part import Rectangle, check_inside, rectangles
from convcli.pixels.rounding import store
from convcli.pixels.source import ArraySource, Source
from convcli.types import Floats, Pixels

# Rows that are converted at a time, so that temporary floats stay small.
_BAND_ROWS = 256


def check(filters: Sequence[Filter], options: Options) -> None:
    """Refuse a part of an image where the filters have no result for it."""
    channels = options.get("channels")
    if isinstance(channels, (str, tuple)) and any(is_grey(each) for each in filters):
        raise ConvcliError(
            "channels (--channels) cannot be used with edge, which makes one channel of the "
            "luminance; leave it out"
        )
    if any(each.stride > 1 for each in filters):
        raise ConvcliError(
            "a stride makes the image smaller, and so no part of it can stay as it is; leave "
            "--stride out, or --region, --mask and --channels"
        )


def filtered(
    run: Run, source: Source, stages: Stages, out_dtype: np.dtype[Any], asked: Options
) -> Pixels:
    """Filter the part of an image that the options name.

    Parameters
    ----------
    run : callable
        The filter, which gets options without a part.
    source : Source
        The image.
    stages : sequence of (Filter, str, float)
        What `run` does: the filters and their borders.
    out_dtype : dtype
        Of the result.
    asked : Options
        All options, checked. With `scratch` the image itself may become the result.

    Returns
    -------
    ndarray (H, W, C)
        With the channels of the image. The one channel of edges becomes every colour.
    """
    filters = [each for each, _, _ in stages]
    check(filters, asked)
    size = source.shape[:2]
    regions = _regions(asked, size)
    mask = None if asked["mask"] is None else checked_mask(asked["mask"], size)
    given = run, source, stages, asked, chosen_for(source, filters, asked)
    fills_range = any(each.fills_range for each in filters)
    if asked["carry_out"]:
        from convcli.filtering import part_bands

        banded = part_bands.Banded(*given)
        todo = _todo(regions, mask, banded)
        original = partial(_converted, dtype=out_dtype, fills_range=fills_range)
        bands = part_bands.Bands(banded, todo, mask, out_dtype, original)
        return cast(Pixels, part_bands.carried_out(run, source, bands, asked))
    cutting = Cutting(*given)
    todo = _todo(regions, mask, cutting)
    done: list[tuple[Rectangle, Made]] = []
    for number, (piece, is_whole) in enumerate(todo):
        cutting.report(number, len(todo))
        of_mask = None if mask is None else mask[piece.at]
        done.append((piece, cutting.made(piece, piece, is_whole, of_mask, out_dtype)))
    # Only now, because the pieces overlap in what they read.
    out, result = _original(source, out_dtype, asked["scratch"], fills_range)
    for piece, made in done:
        made.put(out[piece.at])
    return result


def chosen(image: Pixels, made: Pixels, region: Any, mask: Any) -> Pixels:
    """Choose between an image ``(H, W)`` and its filtered form, both of one dtype.

    >>> chosen(np.zeros((1, 4), np.uint8), np.full((1, 4), 9, np.uint8), "2x1+1+0", None)
    array([[0, 9, 9, 0]], dtype=uint8)
    """
    share = share_of(image.shape, region, mask)
    result = np.empty(image.shape, image.dtype)
    store(image + share * (made.astype(np.float64) - image), result)
    return np.where(share == 0, image, np.where(share == 1, made, result))


def share_of(size: Any, region: Any, mask: Any) -> Floats:
    """Return how much of the filtered image each pixel gets, from 0 to 1."""
    inside = np.zeros(size)
    for each in _regions(Options(region=region), size):
        inside[each.at] = 1
    if mask is not None:
        inside *= weights(checked_mask(mask, size), np.dtype(np.float64))
    return inside


def _todo(
    regions: Sequence[Rectangle], mask: Pixels | None, cutting: Cutting
) -> list[tuple[Rectangle, bool]]:
    """Return the rectangles to be filtered, or (False) to be filtered and mixed."""
    channels = cutting.source.shape[2]
    return [each for region in regions for each in pieces(region, mask, cutting.reach, channels)]


def _regions(asked: Options, size: tuple[int, int]) -> tuple[Rectangle, ...]:
    if asked["region"] is None:
        return (Rectangle((0, size[0]), (0, size[1])),)
    found = rectangles(asked["region"])
    for each in found:
        check_inside(each, size)
    return found


def _original(
    source: Source, dtype: np.dtype[Any], scratch: bool, fills_range: bool
) -> tuple[Pixels, Pixels]:
    """Return an array with the samples of the image, to be changed, and what is handed back."""
    height, width, _ = source.shape
    own = {ArraySource: "array", Padded: "pixels"}.get(type(source))
    if scratch and own and source.dtype == dtype:
        pixels: Pixels = getattr(source, own)
        if pixels.flags.writeable:
            return pixels, cast(Pixels, source) if isinstance(source, Padded) else pixels
    out = np.empty(source.shape, dtype)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        band = source.window((top, bottom), (0, width))
        out[top:bottom] = _converted(band, dtype, fills_range)
    return out, out


def _converted(window: Pixels, dtype: np.dtype[Any], fills_range: bool) -> Pixels:
    """Return samples of the image as they are outside the part."""
    if window.dtype == dtype:
        return window
    out = np.empty(window.shape, dtype)
    with np.errstate(all="ignore"):
        store(window.astype(np.float64) * scale_of(window.dtype, dtype, fills_range), out)
    return out
