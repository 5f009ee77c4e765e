"""A filter for a part of an image: rectangles, a mask, some channels. All else keeps its value.

Each rectangle is cut out with what the kernels need around it, and filtered as an image of its own.
Where that ends inside the image, its border is too far away to be seen; elsewhere it ends where the
image does, and so the border is that of the whole image. Cuts lie where loops make their sums
together, so that the result has the bits of the whole one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from convcli.checks import described
from convcli.errors import ConvcliError
from convcli.filtering.filter import Filter
from convcli.filtering.luma import Luma
from convcli.filtering.luma import filtered as luma_filtered
from convcli.filtering.options import Options
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels.colour import full_scale, is_opaque
from convcli.pixels.mask import checked_mask, covering, is_filtered, is_mixed, weights
from convcli.pixels.padded import Padded
from convcli.pixels.part import LUMA, Rectangle, channel_numbers, check_inside, rectangles
from convcli.pixels.rounding import store
from convcli.pixels.source import ArraySource, Cut, Source, Span
from convcli.running.recipe import halo_of
from convcli.types import Floats, OnProgress, Pixels
from convcli.words import Border

Run = Callable[..., Pixels]
"""``run(image, **options)``: the filter, or the chain of filters."""

Stages = Sequence[tuple[Filter, Border, float]]
"""The filters from the first to the last, each with its border, and the value of a constant one."""

# Rows that are converted at a time, so that temporary floats stay small; samples that are mixed at
# a time, which stay in the cache; and samples of which the result is held as floats, to be mixed.
_BAND_ROWS = 256
_MIXED_SAMPLES = 1 << 16
_HELD_SAMPLES = 1 << 23


def check(filters: Sequence[Filter], options: Options) -> None:
    """Refuse a part of an image where the filters have no result for it."""
    channels = options.get("channels")
    if isinstance(channels, (str, tuple)) and any(_is_grey(each) for each in filters):
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
    work = _Work(run, source, stages, asked, _chosen(source, filters, asked))
    if luma := work.chosen.luma:
        for _, border, value in stages:
            luma.check_border(border, value)
    done: list[tuple[Rectangle, Pixels, Pixels | None]] = []
    todo = [
        (piece, is_whole)
        for region in regions
        for piece, is_whole in _pieces(region, mask, work.reach, source.shape[2])
    ]
    for number, (piece, is_whole) in enumerate(todo):
        work.report(number, len(todo))
        of_mask = None if mask is None else mask[piece.at]
        if is_whole:
            made = work.of(piece, out_dtype)
            done.append((piece, made, None if of_mask is None else is_filtered(of_mask)))
        else:
            assert of_mask is not None, "without a mask nothing is mixed"
            done.append((piece, work.mixed(piece, of_mask, out_dtype), is_mixed(of_mask)))
    # Only now, because the pieces overlap in what they read.
    fills_range = any(each.fills_range for each in filters)
    out, result = _original(source, out_dtype, asked["scratch"], fills_range)
    for piece, made, where in done:
        for of, to in zip(work.chosen.results, work.chosen.targets, strict=True):
            inside = out[piece.at][..., to]
            np.copyto(inside, made[..., of], where=True if where is None else where)
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


def _is_grey(filter_: Filter) -> bool:
    return filter_.use.channels == "luminance"


@dataclass(frozen=True)
class _Chosen:
    """Which channels are filtered.

    Attributes
    ----------
    given : list of int, optional
        The channels that the filter gets; without it all.
    results : list of int
        The channels of its result that are used.
    targets : list of int
        Where each belongs in the image.
    luma : Luma, optional
        Filters the luminance instead.
    weighted : bool
        All channels are filtered, the colours weighted by the alpha, which is the last.
    """

    given: list[int] | None
    results: list[int]
    targets: list[int]
    luma: Luma | None = None
    weighted: bool = False


def _chosen(source: Source, filters: Sequence[Filter], asked: Options) -> _Chosen:
    """Choose the channels that the filter gets, and those of its result that are used."""
    count, wanted = source.shape[2], asked["channels"]
    colours = [*range(count - (count in (2, 4)))]
    every = [*range(count)]
    if any(map(_is_grey, filters)):
        return _Chosen(None, [0] * len(colours), colours)
    has_alpha = count in (2, 4) and asked["alpha"] != "straight"
    is_weighted = has_alpha and asked["alpha"] == "weight"
    if isinstance(wanted, bool):
        return _Chosen(None, every, every, weighted=is_weighted)
    if wanted == LUMA and len(colours) == 1:
        wanted = (0,)
    if wanted == LUMA:
        if count > _MOST:
            raise ConvcliError(f"channels is 'luma', and an image of {count} channels has none")
        return _Chosen(None, colours, colours, Luma(count, source.dtype, asked))
    numbers = _numbers(wanted, count)
    if has_alpha and asked["alpha"] == "keep" and numbers == [count - 1]:
        raise ConvcliError(
            "channels names the alpha alone, which alpha='keep' (--alpha keep) leaves as it is"
        )
    if has_alpha:  # what an alpha does to the others
        return _Chosen(None, numbers, numbers)
    return _Chosen(numbers, [*range(len(numbers))], numbers)


# The most channels of an image that has colours, and the names of the channels by their number.
_MOST = 4
_NAMES = {1: "l", 2: "la", 3: "rgb", 4: "rgba"}


def _numbers(wanted: Any, count: int) -> list[int]:
    if isinstance(wanted, str):
        own = _NAMES.get(count) or [str(number) for number in range(1, count + 1)]
        return [*channel_numbers(wanted, own)]
    if not all(0 <= each < count for each in wanted):
        raise ConvcliError(
            f"channels is {described(wanted)}, and the image has the channels 0 to {count - 1}"
        )
    return sorted(set(wanted))


@dataclass(frozen=True)
class _Reach:
    """What a part needs around it.

    Attributes
    ----------
    halo : (int, int)
        Rows above, and as many below, and columns left, and as many right: of all stages together.
    units : (int, int)
        Rows, and columns, whose sums are made together: cuts lie at multiples of them.
    wraps : bool
        The other end of the image lies beyond an edge.
    whole : bool
        A result depends on the whole image.
    """

    halo: tuple[int, int]
    units: tuple[int, int]
    wraps: bool
    whole: bool


def _reach(stages: Stages) -> _Reach:
    halos, units = [], [(ROWS, ROWS)]
    for each, _, _ in stages:
        above, below, left, right = halo_of(each.kernels[0].shape, each.correlate)
        halo = max(above, below), max(left, right)
        if each.decimations:
            y, x = each.decimations
            halo = max(halo[0], y.radius), max(halo[1], x.radius)
            units.append((ROWS * y.step, ROWS * x.step))
        halos.append(halo)
    return _Reach(
        (sum(y for y, _ in halos), sum(x for _, x in halos)),
        (math.lcm(*(y for y, _ in units)), math.lcm(*(x for _, x in units))),
        wraps=any(border == "wrap" for _, border, _ in stages),
        whole=any(each.needs_all for each, _, _ in stages),
    )


def _pieces(
    region: Rectangle, mask: Pixels | None, reach: _Reach, channels: int
) -> list[tuple[Rectangle, bool]]:
    """Cut a region into rectangles to be filtered, or (not whole) to be filtered and mixed."""
    if mask is None:
        return [(region, True)]
    halo = 2 * reach.halo[0], 2 * reach.halo[1]
    found = [(each, True) for each in covering(mask, region, is_filtered, halo)]
    for each in covering(mask, region, is_mixed, halo):
        (top, bottom), (first, last) = each
        rows = max(_HELD_SAMPLES // ((last - first) * channels), 2 * halo[0], 1)
        found += [
            (Rectangle((start, min(start + rows, bottom)), each.columns), False)
            for start in range(top, bottom, rows)
        ]
    return found


class _Work:
    """Filters rectangles of an image."""

    def __init__(
        self, run: Run, source: Source, stages: Stages, asked: Options, chosen: _Chosen
    ) -> None:
        self._run, self._source, self._asked, self.chosen = run, source, asked, chosen
        self.reach = _reach(stages)
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
        """Return the mix of a rectangle and its result that a mask asks for."""
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
            image = _taken(given.window(band, columns), self.chosen.targets).astype(floats)
            image *= scale
            filtered_ = _taken(made[here], self.chosen.results).astype(floats, copy=False)
            share = weights(mask[here], floats)[..., np.newaxis]
            with np.errstate(all="ignore"):  # infinity and NaN are samples like others
                mix = _over if self.chosen.weighted else _mean
                store(mix(image, filtered_, share), result[here])
        return result

    def _filtered(self, piece: Rectangle, dtype: np.dtype[Any]) -> Pixels:
        """Cut out what a rectangle needs, and filter that."""
        reach, (height, width, _) = self.reach, self._source.shape
        rows = _seen(piece.rows, reach.halo[0], height, reach.units[0], reach.wraps)
        columns = _seen(piece.columns, reach.halo[1], width, reach.units[1], reach.wraps)
        image = self._source.window(rows, columns)
        inner = Rectangle(
            (piece.rows[0] - rows[0], piece.rows[1] - rows[0]),
            (piece.columns[0] - columns[0], piece.columns[1] - columns[0]),
        ).at
        chosen, options = self.chosen, self._options
        if chosen.luma:
            return luma_filtered(chosen.luma, self._made, image, inner, options, dtype, self._full)
        if chosen.given is not None:
            image = _taken(image, chosen.given)
        return self._made(image, **{**options, "out_dtype": dtype})[inner]

    def _made(self, image: Pixels, **options: Any) -> Pixels:
        """Filter a piece of the image."""
        made = self._run(Cut(image, self._source.shape[:2], self._is_opaque), **options)
        return made.reshape(*made.shape[:2], -1)


def _share(on_progress: OnProgress, number: int, of: int, done: int, total: int) -> None:
    """Report the progress of one of several rectangles as that of all."""
    on_progress(number * total + done, of * total)


def _seen(span: Span, halo: int, length: int, unit: int, wraps: bool) -> Span:
    """Return which rows, or columns, of an image have to be cut out for some of the result."""
    first = span[0] // unit * unit - halo
    last = ceil_div(span[1], unit) * unit + halo
    if wraps and (first < 0 or last > length):
        return 0, length
    return max(first // unit * unit, 0), min(last, length)


def _taken(image: Pixels, channels: list[int]) -> Pixels:
    """Return some channels of an image; neighbours are a view, which takes no time."""
    first, end = channels[0], channels[-1] + 1
    is_run = channels == [*range(first, end)]
    return image[..., first:end] if is_run else image[..., channels]


def _mean(image: Floats, made: Floats, share: Floats) -> Floats:
    """Mix two images."""
    mix = made - image
    mix *= share
    mix += image
    return mix


def _over(image: Floats, made: Floats, share: Floats) -> Floats:
    """Mix two images whose last channel is an alpha, which weights their colours."""
    before, after = image[..., -1:] * (1 - share), made[..., -1:] * share
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
