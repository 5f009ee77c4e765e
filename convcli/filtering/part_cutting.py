"""Rectangles of an image, each cut out with what the kernels need around it, and filtered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convcli.filtering.luma import filtered as luma_filtered
from convcli.filtering.options import Options
from convcli.filtering.part_channels import Chosen, taken
from convcli.filtering.part_pieces import Stages, reach_of, seen
from convcli.pixels.colour import full_scale, is_opaque
from convcli.pixels.mask import weights
from convcli.pixels.part import Rectangle
from convcli.pixels.rounding import store
from convcli.pixels.source import Cut, Source
from convcli.types import Floats, OnProgress, Pixels
from convcli.words import Method

Run = Callable[..., Pixels]
"""``run(image, **options)``: the filter, or the chain of filters."""

# Samples that are mixed at a time, which stay in the cache.
_MIXED_SAMPLES = 1 << 16


class Cutting:
    """Filters rectangles of an image, each with what it needs around it."""

    def __init__(
        self, run: Run, source: Source, stages: Stages, asked: Options, chosen: Chosen
    ) -> None:
        self._run, self.source, self._asked, self.chosen = run, source, asked, chosen
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
        if asked["carry_out"]:
            self._options["carry_out"] = self._options["on_progress"] = None
            self._options["on_plan"] = None

    def pin(self, method: Method) -> None:
        """Let all rectangles be filtered by one method: `auto` takes another for small ones."""
        self._options["method"] = method

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
            height, width, _ = self.source.shape
            self._whole[dtype] = self._filtered(Rectangle((0, height), (0, width)), dtype)
        return self._whole[dtype][piece.at]

    def mixed(self, piece: Rectangle, mask: Pixels, dtype: np.dtype[Any]) -> Pixels:
        """Return the mix of a rectangle and its result that a mask asks for: the targets alone."""
        single = dtype == np.uint8 or (dtype == np.float32 and self.source.dtype != np.float64)
        floats: np.dtype[np.floating[Any]] = np.dtype(np.float32 if single else np.float64)
        # Thin edges, angles and what is stretched have their units in the result's dtype alone.
        made = self.of(piece, dtype if self._is_spread else floats)
        given, (top, bottom), columns = self.source, *piece
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

    def _filtered(self, piece: Rectangle, dtype: np.dtype[Any]) -> Pixels:
        """Cut out what a rectangle needs, and filter that."""
        reach, (height, width, _) = self.reach, self.source.shape
        rows = seen(piece.rows, reach.halo[0], height, reach.units[0], reach.wraps)
        columns = seen(piece.columns, reach.halo[1], width, reach.units[1], reach.wraps)
        image = self.source.window(rows, columns)
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
        made = self._run(Cut(image, self.source.shape[:2], self._is_opaque), **options)
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


def scale_of(given: np.dtype[Any], wanted: np.dtype[Any], fills_range: bool) -> float:
    """Return what samples outside the part are multiplied by, beside those that fill a range."""
    return full_scale(wanted) / full_scale(given) if fills_range else 1.0
