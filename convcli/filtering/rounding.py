"""How large rounding may be, where it would show: in an angle, and in what is stretched."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from convcli.filtering.filter import Filter, Whole
from convcli.filtering.options import Options
from convcli.loops.contract import magnitude, magnitude_of_any_size
from convcli.pixels.colour import ROUNDING
from convcli.pixels.missing import sample_of
from convcli.pixels.source import Source
from convcli.running.ranges import largest_finite
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels


def roundings(filter_: Filter) -> float:
    """Return by which share of the largest sample under its kernel a derivative may be off.

    These are sums of float64, u = 2**-53: 14 u by luminance, light and alpha before them, and as
    many u times the norm of the weights as a column and a row have roundings. For 3 x 3 weights
    they are rounded up.
    """
    kernel = filter_.kernels[0]
    return max(32.0, 14 + sum(kernel.shape) * kernel.l1_norm) * 2.0**-53


def flat_bytes(filter_: Filter) -> float:
    """Return up to which size sums of bytes, in float32, may be nothing but rounding."""
    norm = filter_.kernels[0].l1_norm
    # Half the norm of a derivative is what a step gives.
    return ROUNDING * 255 * (max(1.0, norm / 2) if filter_.settles else norm)


OF_TRANSFORMS = 1e-12
"""In float64, sums that differ by less may be equal: a share of the largest sample and the norm."""


def flat_of_all(source: Source, filter_: Filter, asked: Options) -> float:
    """Return up to which size samples of a whole result may be nothing but rounding."""
    if source.dtype == np.uint8:
        return flat_bytes(filter_)
    if filter_.settles:  # that was done to each
        return 0.0
    return OF_TRANSFORMS * filter_.kernels[0].l1_norm * largest_in(source, asked)


def largest_in(source: Source, asked: Options) -> float:
    """Return the largest magnitude in an image, apart from its no-data value and infinity."""
    height, width, _ = source.shape
    pixels = source.window((0, height), (0, width))
    mark = sample_of(asked["nodata"], source.dtype)
    if math.isnan(mark):
        return largest_finite(pixels)[0]
    is_there = np.isfinite(pixels) & (pixels != pixels.dtype.type(mark))
    return float(np.abs(pixels).max(initial=0, where=is_there))


# Derivatives of larger samples may pass the largest float64, though their sums, in a wider float,
# do not. A stretch takes out any factor, so that they are divided by a power of two.
_LARGEST_KEPT = float(np.finfo(np.float64).max) / 16
_DIVIDED = 2.0**-4


def within_range(filter_: Filter, source: Source, asked: Options, growth: float = 1.0) -> Filter:
    """Return a filter whose results fit into float64 before they are stretched.

    `growth` says how many times larger the filters before it may make the samples.
    """
    if not filter_.finish or source.dtype != np.float64:
        return filter_
    if largest_in(source, asked) <= _LARGEST_KEPT / growth:
        return filter_
    return replace(filter_, combine=partial(_divided, combine=filter_.combine))


def _divided(centre: Pixels, *filtered: Floats, combine: Combine | None) -> Floats:
    if combine is magnitude:
        combine = magnitude_of_any_size
    result = combine(centre, *filtered) if combine else filtered[0]
    return result * result.dtype.type(_DIVIDED)


def whole_of(
    result: Floats, wanted: np.dtype[Any], flat: float, source: Source, asked: Options
) -> Whole:
    """Say of a whole result what is done last to it needs to know."""
    has_alpha = asked["alpha"] != "straight" and result.shape[2] in (2, 4)
    colours = result[..., :-1] if has_alpha else result
    return Whole(result, colours, wanted, flat, sample_of(asked["nodata"], source.dtype))
