"""A filter for a part of an image: rectangles, a mask, some channels. All else keeps its value.

Each rectangle is cut out with what the kernels need around it, and filtered as an image of its own.
Where that ends inside the image, its border is too far away to be seen; elsewhere it ends where the
image does, and so the border is that of the whole image. Cuts lie where loops make their sums
together, so that the result has the bits of the whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from convcli.errors import ConvcliError, NeedsWholeError
from convcli.filtering.filter import Filter
from convcli.filtering.luma import filtered as luma_filtered
from convcli.filtering.options import Options
from convcli.filtering.part_channels import Chosen, chosen_for, is_grey, taken
from convcli.filtering.part_pieces import Stages, pieces, reach_of, seen
from convcli.pixels.colour import full_scale, is_opaque
from convcli.pixels.mask import checked_mask, is_filtered, is_mixed, weights
from convcli.pixels.padded import Padded
from convcli.pixels.part import Rectangle, check_inside, rectangles
from convcli.pixels.rounding import store
from convcli.pixels.source import ArraySource, Cut, Source
from convcli.types import Floats, OnProgress, Pixels

Run = Callable[..., Pixels]
"""``run(image, **options)``: the filter, or the chain of filters."""

# Rows that are converted at a time, so that temporary floats stay small, and samples that are mixed
# at a time, which stay in the cache.
_BAND_ROWS = 256
_MIXED_SAMPLES = 1 << 16


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
    if asked["carry_out"]:
        raise NeedsWholeError(
            "--region, --mask and --channels need the whole image, and cannot be done in parts; "
            "leave them out"
        )
    filters = [each for each, _, _ in stages]
    check(filters, asked)
    size = source.shape[:2]
    regions = _regions(asked, size)
    mask = None if asked["mask"] is None else checked_mask(asked["mask"], size)
    work = _Work(run, source, stages, asked, chosen_for(source, filters, asked))
    if luma := work.chosen.luma:
        for _, border, value in stages:
            luma.check_border(border, value)
    done: list[tuple[Rectangle, list[Pixels], Pixels | None]] = []
    todo = [
        (piece, is_whole)
        for region in regions
        for piece, is_whole in pieces(region, mask, work.reach, source.shape[2])
    ]
    for number, (piece, is_whole) in enumerate(todo):
        work.report(number, len(todo))
        of_mask = None if mask is None else mask[piece.at]
        if is_whole:
            made = work.of(piece, out_dtype)
            channels = [made[..., each] for each in work.chosen.results]
            done.append((piece, channels, None if of_mask is None else is_filtered(of_mask)))
        else:
            assert of_mask is not None, "without a mask nothing is mixed"
            mixed = work.mixed(piece, of_mask, out_dtype)
            done.append((piece, [*np.moveaxis(mixed, 2, 0)], is_mixed(of_mask)))
    # Only now, because the pieces overlap in what they read.
    fills_range = any(each.fills_range for each in filters)
    out, result = _original(source, out_dtype, asked["scratch"], fills_range)
    for piece, results, where in done:
        for channel, samples in zip(work.chosen.targets, results, strict=True):
            inside = out[piece.at][..., channel]
            np.copyto(inside, samples, where=True if where is None else where)
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


def _regions(asked: Options, size: tuple[int, int]) -> tuple[Rectangle, ...]:
    if asked["region"] is None:
        return (Rectangle((0, size[0]), (0, size[1])),)
    found = rectangles(asked["region"])
    for each in found:
        check_inside(each, size)
    return found


class _Work:
    """Filters rectangles of an image."""

    def __init__(
        self, run: Run, source: Source, stages: Stages, asked: Options, chosen: Chosen
    ) -> None:
        self._run, self._source, self._asked, self.chosen = run, source, asked, chosen
        self.reach = reach_of(stages)
        last = stages[-1][0]
        # Spread over the range of a dtype, a result as floats has other units.
        self._is_spread = any(each.fills_range for each, _, _ in stages)
        self._full = full_scale(source.dtype) if last.finish else 1.0
        self._whole: dict[Any, Pixels] = {}
        has_alpha = asked["alpha"] == "weight" and source.shape[2] in (2, 4)
        self._is_opaque = has_alpha and is_opaque(source)
        self._options = Options(**asked)
        self._options["region"] = self._options["mask"] = None
        self._options["channels"], self._options["scratch"] = True, False

    def report(self, number: int, total: int) -> None:
        """Report the progress of what follows as that of one of so many rectangles."""
        if on_progress := self._asked["on_progress"]:
            own = partial(_share, on_progress, number, total)
            self._options["on_progress"] = own

    def of(self, piece: Rectangle, dtype: np.dtype[Any]) -> Pixels:
        """Return the result for a rectangle: the channels that are chosen."""
        if not self.reach.whole:
            return self._filtered(piece, dtype)
        if dtype not in self._whole:
            height, width, _ = self._source.shape
            self._whole[dtype] = self._filtered(Rectangle((0, height), (0, width)), dtype)
        return self._whole[dtype][piece.at]

    def mixed(self, piece: Rectangle, mask: Pixels, dtype: np.dtype[Any]) -> Pixels:
        """Return the mix of a rectangle and its result that a mask asks for: the targets alone."""
        single = dtype == np.uint8 or (dtype == np.float32 and self._source.dtype != np.float64)
        floats: np.dtype[np.floating[Any]] = np.dtype(np.float32 if single else np.float64)
        # Thin edges, angles and what is stretched have their units in the result's dtype alone.
        made = self.of(piece, dtype if self._is_spread else floats)
        given, (top, bottom), columns = self._source, *piece
        result = np.empty((*mask.shape, len(self.chosen.targets)), dtype)
        rows = max(1, _MIXED_SAMPLES // result[0].size)
        scale = floats.type(_scale(given.dtype, dtype, self._is_spread))
        for first in range(top, bottom, rows):
            band = first, min(first + rows, bottom)
            here = slice(band[0] - top, band[1] - top)
            image = taken(given.window(band, columns), self.chosen.targets).astype(floats)
            image *= scale
            filtered_ = taken(made[here], self.chosen.results).astype(floats, copy=False)
            share = weights(mask[here], floats)[..., np.newaxis]
            with np.errstate(all="ignore"):  # infinity and NaN are samples like others
                mix = _over if self.chosen.weighted else _mean
                store(mix(image, filtered_, share), result[here])
        return result

    def _filtered(self, piece: Rectangle, dtype: np.dtype[Any]) -> Pixels:
        """Cut out what a rectangle needs, and filter that."""
        reach, (height, width, _) = self.reach, self._source.shape
        rows = seen(piece.rows, reach.halo[0], height, reach.units[0], reach.wraps)
        columns = seen(piece.columns, reach.halo[1], width, reach.units[1], reach.wraps)
        image = self._source.window(rows, columns)
        inner = Rectangle(
            (piece.rows[0] - rows[0], piece.rows[1] - rows[0]),
            (piece.columns[0] - columns[0], piece.columns[1] - columns[0]),
        ).at
        chosen, options = self.chosen, self._options
        if chosen.luma:
            return luma_filtered(chosen.luma, self._made, image, inner, options, dtype, self._full)
        if chosen.given is not None:
            image = taken(image, chosen.given)
        return self._made(image, **{**options, "out_dtype": dtype})[inner]

    def _made(self, image: Pixels, **options: Any) -> Pixels:
        """Filter a piece of the image."""
        made = self._run(Cut(image, self._source.shape[:2], self._is_opaque), **options)
        return made.reshape(*made.shape[:2], -1)


def _share(on_progress: OnProgress, number: int, of: int, done: int, total: int) -> None:
    """Report the progress of one of several rectangles as that of all."""
    on_progress(number * total + done, of * total)


def _mean(image: Floats, made: Floats, share: Floats) -> Floats:
    """Mix two images."""
    mix = made - image
    mix *= share
    mix += image
    return mix


def _over(image: Floats, made: Floats, share: Floats) -> Floats:
    """Mix two images whose last channel is an alpha, which weights their colours."""
    # Floats have no limits: an alpha below 0 would turn a colour into its opposite.
    before, after = (
        np.maximum(each[..., -1:], 0) * part for each, part in ((image, 1 - share), (made, share))
    )
    alpha = before + after
    colours = image[..., :-1] * before + made[..., :-1] * after
    straight = np.divide(colours, alpha, out=made[..., :-1].copy(), where=alpha != 0)
    return np.concatenate([straight, alpha], axis=2)


def _scale(given: np.dtype[Any], wanted: np.dtype[Any], fills_range: bool) -> float:
    """Return what samples outside the part are multiplied by, beside those that fill a range."""
    return full_scale(wanted) / full_scale(given) if fills_range else 1.0


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
    scale = _scale(source.dtype, dtype, fills_range)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        band = source.window((top, bottom), (0, width))
        if source.dtype == dtype:
            out[top:bottom] = band
        else:
            with np.errstate(all="ignore"):
                store(band.astype(np.float64) * scale, out[top:bottom])
    return out, out
