"""Rectangles of an image, each cut out with what the kernels need around it, and filtered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convcli.filtering.luma import filtered as luma_filtered
from convcli.filtering.options import Options
from convcli.filtering.part_channels import Chosen, taken
from convcli.filtering.part_pieces import Stages, reach_of, seen
from convcli.pixels.colour import full_scale, is_opaque
from convcli.pixels.mask import is_filtered, is_mixed, weights
from convcli.pixels.part import Rectangle
from convcli.pixels.rounding import store
from convcli.pixels.source import Cut, Source
from convcli.pixels.view import Change, View
from convcli.types import Floats, OnProgress, Pixels

Run = Callable[..., Pixels]
"""``run(image, **options)``: the filter, or the chain of filters."""

# Samples that are mixed at a time, which stay in the cache.
_MIXED_SAMPLES = 1 << 16


class Made(NamedTuple):
    """The result for what lies inside a rectangle.

    Attributes
    ----------
    targets : list of int
        The channels of the image that it is for.
    samples : sequence of ndarray (h, w)
        Its samples, for each of them.
    where : ndarray (h, w) or bool
        Which pixels get them.
    """

    targets: list[int]
    samples: Sequence[Pixels]
    where: NDArray[np.bool_] | bool

    def put(self, out: Pixels) -> None:
        """Put it into the result."""
        for channel, samples in zip(self.targets, self.samples, strict=True):
            np.copyto(out[..., channel], samples, where=self.where)


class Cutting:
    """Filters rectangles of an image, each with what it needs around it."""

    def __init__(
        self, run: Run, source: Source, stages: Stages, asked: Options, chosen: Chosen
    ) -> None:
        self._run, self.source, self._asked, self.chosen = run, source, asked, chosen
        self.reach = reach_of(stages)
        if luma := chosen.luma:
            for _, border, value in stages:
                luma.check_border(border, value)
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
        if asked["carry_out"]:
            self._options["carry_out"] = self._options["on_progress"] = None
            self._options["on_plan"] = None

    def report(self, number: int, total: int) -> None:
        """Report the progress of what follows as that of one of so many rectangles."""
        if on_progress := self._asked["on_progress"]:
            own = partial(_share, on_progress, number, total)
            self._options["on_progress"] = own

    def made(
        self,
        piece: Rectangle,
        inside: Rectangle,
        is_whole: bool,
        mask: Pixels | None,
        dtype: np.dtype[Any],
    ) -> Made:
        """Return the result for what lies inside a rectangle.

        Parameters
        ----------
        piece : Rectangle
            What is cut out with what it needs around it, and filtered as an image of its own.
        inside : Rectangle
            All of it, or a part.
        is_whole : bool
            The mask's white pixels are filtered; if not, the others are mixed.
        mask : ndarray (h, w), optional
            That of what lies inside.
        dtype : dtype
            Of the result.
        """
        targets, results = self.chosen.targets, self.chosen.results
        if is_whole:
            made = self._of(piece, inside, dtype)
            where = True if mask is None else is_filtered(mask)
            return Made(targets, [made[..., each] for each in results], where)
        assert mask is not None, "without a mask nothing is mixed"
        mixed = self._mixed(piece, inside, mask, dtype)
        return Made(targets, [*np.moveaxis(mixed, 2, 0)], is_mixed(mask))

    def dtype_of(self, is_whole: bool, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of what is filtered for a result: it may be mixed, and then rounded."""
        # Thin edges, angles and what is stretched have their units in the result's dtype alone.
        return dtype if is_whole or self._is_spread else self._floats(dtype)

    def _floats(self, dtype: np.dtype[Any]) -> np.dtype[np.floating[Any]]:
        """Return the dtype in which a result is mixed."""
        single = dtype == np.uint8 or (dtype == np.float32 and self.source.dtype != np.float64)
        return np.dtype(np.float32 if single else np.float64)

    def _mixed(
        self, piece: Rectangle, inside: Rectangle, mask: Pixels, dtype: np.dtype[Any]
    ) -> Pixels:
        """Return the mix of an image and its result that a mask asks for: the targets alone."""
        floats = self._floats(dtype)
        made = self._of(piece, inside, self.dtype_of(False, dtype))
        given, (top, bottom), columns = self.source, *inside
        result = np.empty((*mask.shape, len(self.chosen.targets)), dtype)
        rows = max(1, _MIXED_SAMPLES // result[0].size)
        scale = floats.type(scale_of(given.dtype, dtype, self._is_spread))
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

    def _of(self, piece: Rectangle, inside: Rectangle, dtype: np.dtype[Any]) -> Pixels:
        """Filter a rectangle, and return what lies inside it."""
        if not self.reach.whole:
            return self._filtered(piece, inside, dtype)
        if dtype not in self._whole:
            height, width, _ = self.source.shape
            all_ = Rectangle((0, height), (0, width))
            self._whole[dtype] = self._filtered(all_, all_, dtype)
        return self._whole[dtype][inside.at]

    def _filtered(self, piece: Rectangle, inside: Rectangle, dtype: np.dtype[Any]) -> Pixels:
        before, after = self._run_on(piece, inside, dtype)
        if luma := self.chosen.luma:
            assert before is not None
            image = self.source.window(*inside)
            return luma_filtered(luma, image, before, after, dtype, self._full)
        return after

    def _how(self, dtype: np.dtype[Any]) -> tuple[Change | None, Options]:
        """Return what is done to samples before the filter, and the options of that."""
        if luma := self.chosen.luma:
            return luma.of, luma.options(self._options)
        change = None
        if self.chosen.given is not None:
            change = partial(taken, channels=self.chosen.given)
        return change, Options(**{**self._options, "out_dtype": dtype})

    def _run_on(
        self, piece: Rectangle, inside: Rectangle, dtype: np.dtype[Any]
    ) -> tuple[Pixels | None, Pixels]:
        """Return what the filter gets inside a rectangle, if that is luminance, and its result."""
        change, options = self._how(dtype)
        view = self._view(piece, change)
        height, width, _ = view.shape
        image = view.window((0, height), (0, width))
        made = self._run(Cut(image, view.whole, view.is_opaque), **options)
        place = view.place(inside)
        before = image[place.at] if self.chosen.luma else None
        return before, made.reshape(*made.shape[:2], -1)[place.at]

    def _view(self, piece: Rectangle, change: Change | None) -> View:
        """Return a rectangle with what it needs around it."""
        reach, (height, width, _) = self.reach, self.source.shape
        rows = seen(piece.rows, reach.halo[0], height, reach.units[0], reach.wraps)
        columns = seen(piece.columns, reach.halo[1], width, reach.units[1], reach.wraps)
        return View(self.source, Rectangle(rows, columns), self._is_opaque, change)


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


def scale_of(given: np.dtype[Any], wanted: np.dtype[Any], fills_range: bool) -> float:
    """Return what samples outside the part are multiplied by, beside those that fill a range."""
    return full_scale(wanted) / full_scale(given) if fills_range else 1.0
