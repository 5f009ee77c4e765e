"""What every filter comes down to: check the picture, turn the kernel once, plan, execute."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from convcli.checks import finite
from convcli.errors import ConvcliError
from convcli.filtering.options import DEFAULTS, Options
from convcli.kernels.folding import folded
from convcli.kernels.kernel import Kernel, kernel_from
from convcli.loops.decimation import Decimations
from convcli.pixels import borders
from convcli.pixels.colour import Colour, full_scale
from convcli.pixels.padded import buffer_of
from convcli.planning.choice import plan_for
from convcli.planning.costs import cost_besides
from convcli.planning.plan import Plan
from convcli.running import execute
from convcli.running.recipe import Combine, Recipe, halo_of
from convcli.types import Floats, Pixels
from convcli.words import ALPHAS, Method, listed

_DTYPES = ("uint8", "uint16", "float32", "float64")


def convolve(
    image: ArrayLike,
    kernel: ArrayLike | Kernel,
    *,
    correlate: bool = False,
    bias: float = 0.0,
    **options: Unpack[Options],
) -> Pixels:
    """Convolve an image with a kernel.

    ``out[y, x]`` is the sum of ``kernel[i, j] * image[y + ny - i, x + nx - j]`` over all i and j,
    with n = length // 2 on each axis, for even lengths too; `correlate` leaves the kernel
    unflipped: ``image[y - ny + i, x - nx + j]``.

    Parameters
    ----------
    image : array_like, (H, W) or (H, W, C)
        uint8, uint16, float32 or float64. Channels are convolved alike, unless `alpha`
        says that the last one is an alpha.
    kernel : array_like (kh, kw), or Kernel
        Any size, also larger than the image.
    correlate : bool
        Do not flip the kernel.
    bias : float
        Added to every sum, in the image's units; not to an alpha.
    **options
        See `convcli.filtering.options.Options`: border, border_value, method, workers, alpha,
        linear, exact, out_dtype, pictures, scratch, on_progress, on_plan.

    Returns
    -------
    ndarray
        The image's shape and dtype (or `out_dtype`); integers rounded once, half to even,
        and clipped once.

    Raises
    ------
    ConvcliError
        For an image, kernel or option that cannot be worked with.
    """
    whole = kernel_from(kernel)
    finite(bias=bias)
    combine = partial(_plus, bias=bias) if bias else None
    return apply(image, (whole,), correlate=correlate, combine=combine, **options)


def _plus(_centre: Pixels, filtered: Floats, bias: float) -> Floats:
    return filtered + filtered.dtype.type(bias)


def apply(
    image: ArrayLike,
    kernels: Sequence[Kernel],
    *,
    correlate: bool = False,
    combine: Combine | None = None,
    grey: bool = False,
    keep_alpha: bool = False,
    encode: bool = True,
    decimations: Decimations | None = None,
    **options: Unpack[Options],
) -> Pixels:
    """Run kernels of one shape over an image and combine their results, as `convolve` does.

    Parameters
    ----------
    image, correlate, **options
        As for `convolve`.
    kernels : sequence of Kernel
        Each gives one filtered array.
    combine : callable, optional
        ``combine(centre, *filtered)``: from the image's own samples ``(h, w, C)``, in its
        own dtype unless they are light or weighted, and the filtered arrays, floats that may
        be written over, to the result.
    grey : bool
        Filter the luminance alone; the result has one channel.
    keep_alpha : bool
        Give the result the image's own alpha.
    encode : bool
        Whether the result is light, to be encoded again under `linear`.
    decimations : (Decimation, Decimation), optional
        How to blur by way of a coarser grid instead, which is done where 8-bit levels become
        8-bit levels and nothing else is done to them.

    Returns
    -------
    ndarray
        As `convolve`'s; under `grey` ``(H, W)``, or ``(H, W, 2)`` with an alpha that is kept.

    Raises
    ------
    ConvcliError
        For an image or option that cannot be worked with.
    TypeError
        For an option that there is none of.
    """
    if unknown := set(options) - set(DEFAULTS):
        raise TypeError(f"unknown option {min(unknown)!r}; known are {', '.join(DEFAULTS)}")
    asked: Options = {**DEFAULTS, **options}
    array = np.asarray(image)
    pixels = _three_axes(array)
    border, border_value = asked["border"], asked["border_value"]
    borders.check(border)
    borders.check_value(border_value)
    # A constant that is no sample may be so large that float32 sums lose the samples.
    foreign = borders.window_dtype(pixels.dtype, border, border_value) != pixels.dtype
    turned = tuple(k if correlate else k.flipped for k in kernels)
    dtype = out_dtype(asked["out_dtype"], pixels.dtype)
    colour = _colour(pixels, kernels, grey, keep_alpha, encode, asked)
    exact = asked["exact"] or foreign
    if exact or not colour.is_plain or {pixels.dtype, dtype} != {np.dtype(np.uint8)}:
        decimations = None
    halo = halo_of(kernels[0].shape, correlate)
    if decimations is None:
        turned, halo = folded(turned, halo, pixels.shape[:2], border)
    recipe = Recipe(
        kernels=turned,
        halo=halo,
        border=border,
        border_value=border_value,
        colour=colour,
        combine=combine,
        out_dtype=dtype,
        decimations=decimations,
    )
    plan = plan_for(
        pixels.shape,
        pixels.dtype,
        turned,
        asked["method"],
        asked["workers"],
        exact=exact,
        pictures=asked["pictures"],
        decimations=decimations,
        besides=cost_besides(colour, combine is not None and not recipe.is_magnitude),
        is_magnitude=recipe.is_magnitude,
        as_floats=foreign or not colour.is_plain,
    )
    if asked["on_plan"]:
        asked["on_plan"](plan)
    out = execute.filter_picture(plan, recipe, pixels, asked["on_progress"], asked["scratch"])
    return out[..., 0] if array.ndim == 2 or (grey and out.shape[2] == 1) else out


def plan(
    shape: Sequence[int],
    dtype: DTypeLike,
    kernel: ArrayLike | Kernel,
    method: Method = "auto",
    workers: int | None = None,
) -> Plan:
    """Say what `convolve` would run for an image of this shape and dtype, and why.

    Parameters
    ----------
    shape : (H, W) or (H, W, C)
        Size of the image in pixels.
    dtype : {"uint8", "uint16", "float32", "float64"}
        Its samples.
    kernel : array_like (kh, kw), or Kernel
        What it would be convolved with.
    method : {"auto", "numpy", "numba", "fft", "tiled"}
        Who would convolve; "auto" takes the one that is predicted to be fastest.
    workers : int, optional
        Cores to use. Default: every core that this process may use.

    Returns
    -------
    Plan
        Printing it shows the method, the loop, the form, the strips, the predicted time and
        what the other methods were predicted to take.

    Raises
    ------
    ConvcliError
        For a shape, dtype, kernel, method or number of workers that cannot be worked with, or a
        method that is not installed.
    """
    try:
        shape = tuple(map(operator.index, shape))
    except TypeError:
        raise ConvcliError(f"shape is {shape!r}; it must be whole numbers") from None
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ConvcliError(
            f"shape is {tuple(shape)}; it must be (H, W) or (H, W, C), and not empty"
        )
    samples = _dtype_of(dtype, "dtype")
    whole = kernel_from(kernel).flipped
    kernels, _ = folded((whole,), halo_of(whole.shape, False), (shape[0], shape[1]), "reflect")
    return plan_for(shape, samples, kernels[0], method, workers)


def _three_axes(array: Pixels) -> Pixels:
    if array.dtype.name not in _DTYPES:
        raise ConvcliError(f"image has dtype {array.dtype}; it must be {listed(_DTYPES)}")
    if array.ndim not in (2, 3) or array.size == 0:
        raise ConvcliError(
            f"image has shape {array.shape}; it must be (H, W) or (H, W, C), and not empty"
        )
    if array.dtype.isnative and buffer_of(array) is not None:
        return array  # what lies between its pixels is left out of every window
    pixels = array if array.ndim == 3 else array[..., np.newaxis]
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def out_dtype(wanted: Any, given: np.dtype[Any]) -> np.dtype[Any]:
    """Check `out_dtype`; without one the result has the dtype that was given."""
    return _dtype_of(given if wanted is None else wanted, "out_dtype")


def _dtype_of(wanted: Any, name: str) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(wanted).newbyteorder("=")
    except TypeError:
        raise ConvcliError(f"{name} is {wanted!r}; it must be {listed(_DTYPES)}") from None
    if dtype.name not in _DTYPES:
        raise ConvcliError(f"{name} is {dtype.name}; it must be {listed(_DTYPES)}")
    return dtype


def _colour(
    pixels: Pixels,
    kernels: Sequence[Kernel],
    grey: bool,
    keep_alpha: bool,
    encode: bool,
    asked: Options,
) -> Colour:
    """Turn the options about colour into what happens to this picture's samples."""
    word = asked["alpha"]
    if word not in ALPHAS:
        raise ConvcliError(f"unknown alpha {word!r}; it must be {listed(ALPHAS)}")
    full = full_scale(pixels.dtype)
    has_alpha = pixels.shape[2] in (2, 4) and (grey or word != "straight")
    weight = has_alpha and word == "weight"
    total = 0.0 if kernels[0].is_derivative else kernels[0].sum()
    # Inside an opaque picture every weight is 1, and beyond its edge too, unless what lies
    # there is a constant; and a sum of 1 leaves alpha as it is.
    unit = abs(total - 1) <= 1e-9 or total == 0 or keep_alpha or grey
    opaque = unit and asked["border"] != "constant"
    if weight and opaque and (pixels[..., -1] == full).all():
        weight = False
    # A derivative has no weight to divide by; the picture keeps the alpha it had.
    keep = has_alpha and (word == "keep" or ((keep_alpha or total == 0) and not grey))
    return Colour(
        full=full,
        linear=asked["linear"],
        encode=encode,
        grey=grey and pixels.shape[2] > 1,
        alpha=has_alpha,
        weight=weight,
        keep_alpha=keep,
        kernel_sum=total,
    )
