"""What each filter is: its kernels, and the rule that combines their results."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from convcli.checks import at_least_0, count, finite, flag
from convcli.filtering.filter import Filter, Whole
from convcli.kernels.gaussian import gaussian_kernel, sigmas
from convcli.kernels.kernel import Kernel, kernel_from
from convcli.loops.contract import magnitude
from convcli.loops.decimation import decimations
from convcli.pixels.colour import ColourUse, full_scale
from convcli.running.ranges import largest_finite
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels
from convcli.words import Operator, Show

# What is added to sums or multiplied by them may take float32 beyond its range or its digits from
# here on: such filters sum in float64.
_LARGE = 1e6


def blurring(
    sigma: float | tuple[float, float] = 3.0,
    *,
    truncate: float | None = None,
    radius: int | None = None,
) -> Filter:
    """Define `convcli.blur`."""
    kernel = gaussian_kernel(sigma, 4.0 if truncate is None else truncate, radius)
    # A stated cut asks for that kernel; without one the Gaussian itself is meant.
    cut = truncate is not None or radius is not None
    return Filter((kernel,), decimations=None if cut else decimations(sigmas(sigma)))


def edges(
    operator: Operator | None = None,
    show: Show = "magnitude",
    *,
    sigma: float | None = None,
    canny: tuple[float, float] | None = None,
    stretch: bool = False,
) -> Filter:
    """Define `convcli.edge`."""
    # Imported here, because every filter imports this module: that keeps their start short.
    from convcli.filtering.edges import kernels_for

    kernels = kernels_for(operator, show, sigma, canny is not None)
    is_stretched = flag(stretch, "stretch") and show != "angle"
    if canny is not None:
        from convcli.filtering.canny import thresholds

        use = ColourUse("luminance", gives_light=False)
        return Filter(kernels, use=use, local=True, marks=False, thresholds=thresholds(canny))
    return Filter(
        kernels,
        combine={"magnitude": magnitude, "angle": _angle}.get(show),
        use=ColourUse("luminance", gives_light=show != "angle"),
        # Rounding, which each method has of its own, would show in an angle and in a stretch.
        settles=is_stretched or show == "angle",
        marks=not is_stretched,
        finish=partial(_spread, is_signed=show != "magnitude") if is_stretched else None,
    )


def sharpening(
    sigma: float | tuple[float, float] = 1.0, amount: float = 1.0, threshold: float = 0.0
) -> Filter:
    """Define `convcli.sharpen`."""
    at_least_0(amount=amount, threshold=threshold)
    amount, threshold = float(amount), float(threshold)
    return Filter(
        (gaussian_kernel(sigma),),
        combine=partial(_unsharp, amount=amount, threshold=threshold),
        use=ColourUse("colours"),
        exact=amount > _LARGE,
        weight=amount,
    )


def convolving(
    kernel: ArrayLike | Kernel | str,
    *,
    correlate: bool = False,
    bias: float = 0.0,
    stride: int = 1,
    stretch: bool = False,
) -> Filter:
    """Define `convcli.convolve`, and the stride and stretch that the command line adds to it.

    The pixels that are kept are stretched over the full range of an integer dtype, or 0 to 1: from
    the smallest sample of any colour to the largest, or about mid-grey if the kernel sums to 0.
    """
    whole = kernel_of(kernel)
    finite(bias=bias)
    bias = float(bias)
    about_grey = partial(_spread, is_signed=True)
    finish = about_grey if whole.is_derivative else _spread_from_least
    combine: Combine | None = partial(_plus, bias=bias) if bias else None
    return Filter(
        (whole,),
        flag(correlate, "correlate"),
        combine,
        exact=abs(bias) > _LARGE,
        stride=count(stride, "stride"),
        marks=not flag(stretch, "stretch"),
        finish=finish if stretch else None,
        added=bias,
    )


def kernel_of(given: ArrayLike | Kernel | str) -> Kernel:
    """Return a kernel from its weights, or from words that `convcli.kernel` takes."""
    if isinstance(given, str):
        from convcli.kernels.files import read_kernel  # most callers name none

        return read_kernel(given)
    return kernel_from(given)


def _plus(_centre: Pixels, filtered: Floats, bias: float) -> Floats:
    return filtered + filtered.dtype.type(bias)


def _angle(_centre: Pixels, along_x: Floats, along_y: Floats) -> Floats:
    return np.asarray(np.arctan2(along_y, along_x))


def _unsharp(centre: Floats, blurred: Floats, amount: float, threshold: float) -> Floats:
    difference = np.subtract(centre, blurred, out=blurred)
    if threshold > 0:
        difference[np.abs(difference) <= threshold] = 0
    difference *= difference.dtype.type(amount)
    difference += centre
    return difference


def _spread_from_least(whole: Whole) -> Pixels:
    colours = whole.colours
    with np.errstate(all="ignore"):
        colours -= colours.min(initial=math.inf, where=np.isfinite(colours))
    return _spread(whole, is_signed=False)


def _spread(whole: Whole, is_signed: bool) -> Pixels:
    """Spread colours over the whole range; the rest, an alpha, stays.

    So does NaN. It becomes the mark where there is one, and 0 in integers.
    """
    result, colours, dtype, flat, mark = whole
    full = full_scale(dtype)
    largest = largest_finite(colours)[0]
    with np.errstate(all="ignore"):
        if largest <= flat:
            colours *= 0.0
        elif full / largest < math.inf:
            colours *= full / largest
        else:  # they are too small for that
            colours /= largest
            colours *= full
        if is_signed:
            colours /= 2
            colours += full / 2
        if not math.isnan(mark):
            colours[np.isnan(colours)] = mark
        if dtype.kind == "u":
            np.clip(result, 0, full, out=result)
            result[np.isnan(result)] = 0
            np.rint(result, out=result)
        return result.astype(dtype)
