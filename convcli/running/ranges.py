"""Float samples near the ends of their range: such pieces are summed in the next wider float."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.loops.contract import Correlate
from convcli.pixels.colour import Colour
from convcli.pixels.missing import has_missing
from convcli.pixels.rounding import store
from convcli.planning.plan import Form
from convcli.running.recipe import Recipe
from convcli.types import Floats, Pixels

# How much larger than a sum what stands between may be, beside the weights. Direct sums pass the
# range of float32 where their result does; adding, subtracting and multiplying results takes more.
# Transforms of N samples, in float64, reach N**2 times the largest; the longest has 2**24.
_OF_SUMS = 2.0
_OF_COMBINED_SUMS = 2.0**10
_OF_TRANSFORMS = 2.0**60

# An sRGB sample becomes light by this power.
_LIGHT = 2.4


def wider(dtype: np.dtype[np.floating]) -> np.dtype[np.floating] | None:
    """Return a float with a larger range, if this machine has one.

    A long double has exponents of 15 bits on x86, and float64's 11 where a compiler makes it one.
    """
    wide: np.dtype[np.floating] = np.dtype(np.float64 if dtype == np.float32 else np.longdouble)
    return wide if np.finfo(wide).maxexp > np.finfo(dtype).maxexp else None


class Fills(NamedTuple):
    """What fills tiles from windows of float samples.

    Attributes
    ----------
    finite : callable
        From finite samples that leave room for the sums.
    of_any : callable
        Returns what fills from windows with NaN or infinity; it is made when it is needed.
    by_pieces : bool
        It is so much slower than `finite` that it gets those pieces of a window that need it.
    wide : callable
        Returns what sums in a wider float, given its dtype. It is slower, and so gets pieces of a
        window alone: fill values such as the largest float lie in parts of images.
    """

    finite: Correlate
    of_any: Callable[[], Correlate]
    by_pieces: bool
    wide: Callable[[np.dtype[Any]], Correlate]


def kept(
    fills: Fills,
    recipe: Recipe,
    form: Form,
    dtypes: tuple[np.dtype[Any], np.dtype[np.floating]],
    piece: tuple[int, int],
) -> Correlate:
    """Filter float images so that a result is infinite or 0 only where it is in a wider float.

    Parameters
    ----------
    fills : Fills
        What fills tiles.
    recipe, form
        What is done, and how kernels are summed.
    dtypes : (dtype, dtype)
        Of the image, and of the sums.
    piece : (int, int)
        Rows and columns of the pieces.
    """
    image, accumulator = dtypes
    wide, least, most = _limits(recipe, form, image, accumulator)

    def by_range(window: Pixels, out: Pixels) -> None:
        is_large = out.shape[0] > piece[0] or out.shape[1] > piece[1]
        if fills.by_pieces and is_large and has_missing(window):
            _in_pieces(by_range, window, out, piece)
            return
        top, are_finite = largest_finite(window)
        has_room = wide is None or _has_room(window, top, recipe.colour, least, most)
        if has_room and (are_finite or not fills.by_pieces):
            (fills.finite if are_finite else fills.of_any())(window, out)
        elif is_large:
            _in_pieces(by_range, window, out, piece)
        elif wide is None or has_room:
            fills.of_any()(window, out)
        else:
            filled = np.empty(out.shape, wide)
            fills.wide(wide)(window, filled)
            _keep_in_range(filled, image)
            store(filled, out)

    return by_range


def by_missing(
    fill: Correlate, without: Callable[[], Correlate], piece: tuple[int, int]
) -> Correlate:
    """Filter images of integers, whose missing samples are NaN in windows of floats.

    `without` returns what fills tiles from these, and is called when it is needed.
    """

    def chosen(window: Pixels, out: Pixels) -> None:
        if not has_missing(window):
            fill(window, out)
        elif out.shape[0] > piece[0] or out.shape[1] > piece[1]:
            _in_pieces(chosen, window, out, piece)
        else:
            without()(window, out)

    return chosen


def _in_pieces(fill: Correlate, window: Pixels, out: Pixels, piece: tuple[int, int]) -> None:
    """Fill a tile piece by piece, so that one sample does not make all of it slow."""
    height, width = window.shape[0] - out.shape[0], window.shape[1] - out.shape[1]
    for y in range(0, out.shape[0], piece[0]):
        for x in range(0, out.shape[1], piece[1]):
            target = out[y : y + piece[0], x : x + piece[1]]
            rows, columns = target.shape[0] + height, target.shape[1] + width
            seen = np.ascontiguousarray(window[y : y + rows, x : x + columns])
            if target.flags.c_contiguous:
                fill(seen, target)
                continue
            filled = np.empty(target.shape, target.dtype)
            fill(seen, filled)
            target[...] = filled


# Weights of a mean sum to 1 but for the rounding of each: by no more than this share of a sum may
# the mean of the largest floats be larger than they are.
_OF_A_MEAN = 2.0**-40


def _keep_in_range(sums: Floats, dtype: np.dtype[Any]) -> None:
    """Set sums to the largest number of a dtype where rounding may have made them larger."""
    largest = sums.dtype.type(np.finfo(dtype).max)
    near = np.abs(sums) <= largest * (1 + sums.dtype.type(_OF_A_MEAN))
    np.clip(sums, -largest, largest, out=sums, where=near)


def _limits(
    recipe: Recipe, form: Form, image: np.dtype[Any], accumulator: np.dtype[np.floating]
) -> tuple[np.dtype[Any] | None, float, float]:
    """Return which float is wider, if sums need one, and between which sizes samples need none."""
    limits = np.finfo(accumulator)
    if image != accumulator:  # float32 samples: their sums do not leave float64's range
        # Light below 0 is encoded in a straight line. Where a sample's light is beyond the image's
        # range, so may be the rounding of transforms, which takes either sign: sums have none.
        wide = accumulator if recipe.colour.linear else None
        return wide, 0.0, float(np.finfo(image).max)
    room = _OF_SUMS if recipe.combine is None or recipe.is_magnitude else _OF_COMBINED_SUMS
    room = _OF_TRANSFORMS if accumulator == np.float64 else room
    reach = max(_reach(kernel, form) for kernel in recipe.kernels)
    # A weight of eps times a sample of this is a normal number, with all its digits.
    least = float(limits.tiny) / float(limits.eps) ** 2
    return wider(accumulator), least, float(limits.max) / (reach * room)


def _reach(kernel: Kernel, form: Form) -> float:
    """Return how many times the largest sample a sum may be, at any time."""

    def norm(whole: Pixels) -> float:
        return max(float(np.abs(whole).sum()), 1.0)

    if form == "dense":
        return norm(kernel.whole_weights[0])
    return sum(norm(column) * norm(row) for column, row, _ in kernel.whole_factors)


# Of linear light, samples beyond this are 7e15 times brighter than white. The rounding of a float64
# transform of that, 2.2e-16 of it, may come back in the straight part of the curve (12.92) as more
# than 1e-5 of the sample: 2.2e-16 * 12.92 * top**2.4 = 1e-5 * top.
_BRIGHTEST = 6e6


def _has_room(window: Pixels, top: float, colour: Colour, least: float, most: float) -> bool:
    """Say whether samples, `top` the largest, lie far enough from the ends, or are all 0."""
    size = top
    if colour.linear and top > _BRIGHTEST:
        return False
    if colour.linear and top > 1:
        size = top**_LIGHT if top < most ** (1 / _LIGHT) else math.inf
    if colour.weight:
        size *= max(largest_finite(window[..., -1])[0], 1.0)
    return top == 0 or (top >= least and size <= most)


# Samples that are looked at twice while they are in the cache: 280 x 3024 floats take 0.16 ms, and
# 0.22 where all maxima come before all minima (Intel Xeon).
_LOOKED_AT = 1 << 18


def _largest(window: Pixels) -> float:
    """Return the largest magnitude of samples; NaN if one is NaN."""
    rows = max(1, _LOOKED_AT * len(window) // (window.size or 1))
    top = 0.0
    for first in range(0, len(window), rows):
        some = window[first : first + rows]
        most = float(some.max())
        if math.isnan(most):
            return most
        top = max(top, most, -float(some.min()))
    return top


def largest_finite(window: Pixels) -> tuple[float, bool]:
    """Return the largest magnitude of the finite samples, 0 without any; and if all are finite."""
    top = _largest(window)
    if math.isfinite(top):
        return top, True
    if math.isnan(top):  # usually without infinity, and this is five times as fast
        top = max(float(np.fmax.reduce(window, axis=None)), -float(np.fmin.reduce(window, None)))
        if not math.isinf(top):
            return (0.0 if math.isnan(top) else top), False
    finite = window[np.isfinite(window)]
    return float(np.abs(finite).max(initial=0)), False
