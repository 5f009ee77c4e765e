"""Float samples near the ends of their range: such pieces are summed in the next wider float."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from convcli.kernels.kernel import Kernel, whole_numbers
from convcli.loops.contract import Correlate
from convcli.pixels.colour import Colour
from convcli.planning.plan import Form
from convcli.running.recipe import Recipe
from convcli.types import Pixels

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


def kept(
    fill: Correlate,
    make_wide: Callable[[np.dtype[np.floating]], Correlate],
    recipe: Recipe,
    form: Form,
    dtypes: tuple[np.dtype[np.floating], np.dtype[np.floating]],
    piece: tuple[int, int],
) -> Correlate:
    """Filter float images so that a result is infinite or 0 only where it is in a wider float.

    `fill` serves windows whose samples leave room for its sums. In other windows, each piece of
    so many rows and columns that needs it is filtered by ``make_wide(dtype)``: fill values such as
    the largest float fill parts of images, and the wider sums are slower.

    Parameters
    ----------
    dtypes : (dtype, dtype)
        Of the image, and of the sums.
    """
    image, accumulator = dtypes
    has_wide_sums = image != accumulator  # no sum of float32 samples leaves float64's range
    wide = accumulator if has_wide_sums else wider(accumulator)
    if wide is None or (has_wide_sums and not recipe.colour.linear):
        return fill
    limits = np.finfo(accumulator)
    reach = max(_reach(kernel, form) for kernel in recipe.kernels)
    room = _OF_TRANSFORMS if accumulator == np.float64 else (
        _OF_SUMS if recipe.combine is None or recipe.is_magnitude else _OF_COMBINED_SUMS
    )  # fmt: skip
    most = float(limits.max) / (reach * room)
    if has_wide_sums:
        # Light is encoded in straight line below 0: where a bright sample's light is beyond the
        # image's range, the rounding of transforms, which takes either sign, may be as well.
        most = float(np.finfo(image).max)
    # A weight of eps times a sample of this is a normal number, with all its digits.
    least = 0.0 if has_wide_sums else float(limits.tiny) / float(limits.eps) ** 2
    height, width = recipe.kernels[0].shape
    slow = cache(partial(make_wide, wide))

    def by_range(window: Pixels, out: Pixels) -> None:
        if _has_room(window, recipe.colour, least, most):
            fill(window, out)
            return
        for top in range(0, out.shape[0], piece[0]):
            for left in range(0, out.shape[1], piece[1]):
                target = out[top : top + piece[0], left : left + piece[1]]
                rows, columns = target.shape[0] + height - 1, target.shape[1] + width - 1
                part = np.ascontiguousarray(window[top : top + rows, left : left + columns])
                has_room = _has_room(part, recipe.colour, least, most)
                filled = np.empty(target.shape, target.dtype)
                (fill if has_room else slow())(part, filled)
                target[...] = filled

    return by_range


def _reach(kernel: Kernel, form: Form) -> float:
    """Return how many times the largest sample a sum may be, at any time."""

    def norm(values: Pixels) -> float:
        return max(float(np.abs(whole_numbers(values, kernel.exact)[0]).sum()), 1.0)

    if form == "dense":
        return norm(kernel.weights)
    return sum(norm(column) * norm(row) for column, row in kernel.factors)


def _has_room(window: Pixels, colour: Colour, least: float, most: float) -> bool:
    """Say whether the samples lie far enough from the ends of the range, or are all 0."""
    top = _largest(window)
    if top == 0:
        return True
    size = top
    if colour.linear and top > 1:
        size = top**_LIGHT if top < most ** (1 / _LIGHT) else most * 2
    if colour.weight:
        size *= max(_largest(window[..., -1]), 1.0)
    return top >= least and size <= most


def _largest(window: Pixels) -> float:
    """Return the largest magnitude of the finite samples."""
    top = max(float(window.max()), -float(window.min()))
    if np.isfinite(top):
        return top
    finite = window[np.isfinite(window)]
    return float(np.abs(finite).max(initial=0))
