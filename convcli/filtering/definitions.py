"""What each filter is: its kernels, and the rule that combines their results."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convcli.checks import at_least_0, count, finite, flag, word
from convcli.filtering.filter import Filter
from convcli.kernels.kernel import Kernel, kernel_from
from convcli.kernels.named import edge_kernels, gaussian_kernel, sigmas
from convcli.loops.contract import magnitude
from convcli.loops.decimation import decimations
from convcli.pixels.colour import ColourUse, full_scale
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels
from convcli.words import SHOWS, Operator, Show

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
    operator: Operator = "sobel", show: Show = "magnitude", *, stretch: bool = False
) -> Filter:
    """Define `convcli.edge`."""
    word(show, "show", SHOWS)
    is_stretched = flag(stretch, "stretch") and show != "angle"
    along_x, along_y = edge_kernels(operator)
    kernels = {"x": (along_x,), "y": (along_y,)}.get(show, (along_x, along_y))
    combine = {"magnitude": magnitude, "angle": _angle}.get(show)
    return Filter(
        kernels,
        combine=combine,
        use=ColourUse("luminance", gives_light=show != "angle"),
        settles=show == "angle",
        finish=partial(_stretched, show=show) if is_stretched else None,
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
    kernel: ArrayLike | Kernel, *, correlate: bool = False, bias: float = 0.0, stride: int = 1
) -> Filter:
    """Define `convcli.convolve`, and the stride that the command line adds to it."""
    whole = kernel_from(kernel)
    finite(bias=bias)
    bias = float(bias)
    combine: Combine | None = partial(_plus, bias=bias) if bias else None
    return Filter(
        (whole,),
        flag(correlate, "correlate"),
        combine,
        exact=abs(bias) > _LARGE,
        stride=count(stride, "stride"),
        added=bias,
    )


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


def _stretched(result: Floats, dtype: np.dtype[Any], flat: float, show: Show) -> Pixels:
    """Spread one channel over the whole range; a second one, the alpha, stays."""
    full = full_scale(dtype)
    gradients = result if result.ndim == 2 else result[..., 0]
    largest = float(np.abs(gradients).max(initial=0.0, where=np.isfinite(gradients)))
    with np.errstate(all="ignore"):
        if largest <= flat:
            gradients *= 0.0
        elif full / largest < math.inf:
            gradients *= full / largest
        else:  # they are too small for that
            gradients /= largest
            gradients *= full
        if show != "magnitude":
            gradients /= 2
            gradients += full / 2
        if dtype.kind == "u":
            np.clip(result, 0, full, out=result)
            result[np.isnan(result)] = 0
            np.rint(result, out=result)
        return result.astype(dtype)
