"""The filters: which kernels each uses, and how it combines their results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from convcli.checks import array, at_least_0, flag, word
from convcli.errors import NeedsWholeError
from convcli.filtering.convolution import LARGE, Filter, apply, convolve, out_dtype
from convcli.filtering.options import Options
from convcli.kernels.kernel import Kernel
from convcli.kernels.named import edge_kernels, gaussian_kernel, sigmas
from convcli.loops.contract import magnitude, magnitude_of_any_size
from convcli.loops.decimation import decimations
from convcli.pixels.colour import ROUNDING, ColourUse, full_scale
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels
from convcli.words import SHOWS, Operator, Show


def blur(
    image: ArrayLike,
    sigma: float | tuple[float, float] = 3.0,
    *,
    truncate: float | None = None,
    radius: int | None = None,
    **options: Unpack[Options],
) -> Pixels:
    """Blur an image with a Gaussian.

    Parameters
    ----------
    image : array_like, (H, W) or (H, W, C)
        uint8, uint16, float32 or float64.
    sigma : float or (float, float)
        Standard deviation in pixels; a pair is (along x, along y).
    truncate : float, optional
        Cut the kernel at ``int(truncate * sigma + 0.5)`` pixels. Default 4.
    radius : int, optional
        Cut it at this many pixels instead.
    **options
        See `convcli.convolve`.

    Returns
    -------
    ndarray
        The image's shape and dtype.

    Raises
    ------
    ConvcliError
        If a parameter or the image is not valid.

    Notes
    -----
    With both sigmas at 6.4 or more, and neither `truncate` nor `radius` given, uint8 images are
    blurred by way of a coarser grid (`convcli.loops.decimation`): within 0.01 of a level of the
    Gaussian that is not cut. The option `exact` takes the stated kernel.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> spot = np.zeros((5, 5), np.uint8)
    >>> spot[2, 2] = 255
    >>> convcli.blur(spot, sigma=0.5)
    array([[  0,   0,   0,   0,   0],
           [  0,   3,  21,   3,   0],
           [  0,  21, 158,  21,   0],
           [  0,   3,  21,   3,   0],
           [  0,   0,   0,   0,   0]], dtype=uint8)
    """
    kernel = gaussian_kernel(sigma, 4.0 if truncate is None else truncate, radius)
    # A stated cut asks for that kernel; without one the Gaussian itself is meant.
    cut = truncate is not None or radius is not None
    coarser = None if cut else decimations(sigmas(sigma))
    return apply(image, Filter((kernel,), decimations=coarser), **options)


def edge(
    image: ArrayLike,
    operator: Operator = "sobel",
    show: Show = "magnitude",
    *,
    stretch: bool = False,
    **options: Unpack[Options],
) -> Pixels:
    """Detect edges: where brightness changes.

    Of colour the luminance is filtered (BT.601; the command line takes a JPEG's as it is stored,
    see `convcli.image.read`). Kernels are scaled so that a step of height h gives h on an axis,
    and the magnitude is ``sqrt(x**2 + y**2)``.

    Parameters
    ----------
    image : array_like, (H, W) or (H, W, C)
        uint8, uint16, float32 or float64. With 2 or 4 channels the last is an alpha:
        ``alpha="straight"`` leaves it out, "weight" weights the luminance by it, and "keep"
        returns it as a second channel.
    operator : {"sobel", "scharr", "prewitt"}
        Which smoothing is used across the derivative.
    show : {"magnitude", "x", "y", "angle"}
        x and y are positive where brightness rises to the right, or downwards; integers cannot
        hold the negative half, which is clipped (see `stretch`). The angle is ``atan2(y, x)``: in
        radians for float results, for integers the full turn from -pi to pi spread over their
        range; 0 where the image is flat.
    stretch : bool
        Spread the result over the full range of an integer dtype, or 0 to 1: the largest
        magnitude becomes white; x and y are spread about mid-grey. An angle stays as it is.
    **options
        See `convcli.convolve`. Under `linear` the derivatives of light are encoded like the
        image; an angle is not.

    Returns
    -------
    ndarray, (H, W)
        dtype of the image.

    Raises
    ------
    ConvcliError
        If a parameter or the image is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> step = np.repeat(np.array([[0, 0, 0, 200, 200, 200]], np.uint8), 3, axis=0)
    >>> convcli.edge(step)[1]
    array([  0,   0, 200, 200,   0,   0], dtype=uint8)
    """
    word(show, "show", SHOWS)
    stretch = flag(stretch, "stretch")
    along_x, along_y = edge_kernels(operator)
    pixels: Any = image if hasattr(image, "window") else array(image, "image")
    if stretch and options.get("carry_out"):
        raise NeedsWholeError(
            "--stretch depends on the whole image, and cannot be done in parts; leave it out"
        )
    wanted = options.get("out_dtype")
    # Without one, `apply` refuses an image of any other dtype, as an image.
    dtype = pixels.dtype.newbyteorder("=") if wanted is None else out_dtype(wanted, pixels.dtype)
    stretch = stretch and show != "angle"
    kernels = {"x": (along_x,), "y": (along_y,)}.get(show, (along_x, along_y))
    use = ColourUse("luminance", gives_light=show != "angle")
    combine: Combine | None = magnitude if len(kernels) == 2 else None
    # Rounding, which each method has of its own, would show in an angle and in a stretch.
    by_rounding = (stretch or show == "angle") and pixels.dtype.kind in "uf"
    flat = None
    if by_rounding and pixels.dtype == np.uint8:
        flat = ROUNDING * full_scale(pixels.dtype)
    elif by_rounding:
        options["exact"] = True
    if show == "angle":
        full = full_scale(dtype) if dtype.kind == "u" else None
        combine = partial(_angle, flat=flat, full=full)
    elif by_rounding and flat is None:
        combine = _without_rounding
    options["out_dtype"] = dtype
    if stretch:
        options["out_dtype"] = "float64" if flat is None else "float32"
    local = by_rounding and flat is None
    result = apply(pixels, Filter(kernels, combine=combine, use=use, local=local), **options)
    return _stretched(result, show, dtype, flat or 0.0) if stretch else result


def sharpen(
    image: ArrayLike,
    sigma: float | tuple[float, float] = 1.0,
    amount: float = 1.0,
    threshold: float = 0.0,
    **options: Unpack[Options],
) -> Pixels:
    """Sharpen an image by an unsharp mask: ``image + amount * (image - blurred)``.

    Parameters
    ----------
    image : array_like, (H, W) or (H, W, C)
        uint8, uint16, float32 or float64.
    sigma : float or (float, float)
        Standard deviation of the Gaussian, in pixels.
    amount : float
        How much of the difference is added; 0 or more.
    threshold : float
        Differences of at most this, in the image's units, are not added, so that noise is not
        sharpened. Under `linear` they are differences of light, on the same scale.
    **options
        See `convcli.convolve`. An alpha ("weight" or "keep") stays as it is.

    Returns
    -------
    ndarray
        The image's shape and dtype.

    Raises
    ------
    ConvcliError
        If a parameter or the image is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> step = np.array([[100, 100, 100, 150, 150, 150]], np.uint8)
    >>> convcli.sharpen(step, sigma=0.5)
    array([[100, 100,  95, 155, 150, 150]], dtype=uint8)
    """
    at_least_0(amount=amount, threshold=threshold)
    amount, threshold = float(amount), float(threshold)
    if amount > LARGE:
        options["exact"] = True
    kernel = gaussian_kernel(sigma)
    combine = partial(_unsharp, amount=amount, threshold=threshold)
    return apply(image, Filter((kernel,), combine=combine, use=ColourUse("colours")), **options)


def convolve_every(
    image: ArrayLike,
    kernel: Kernel,
    stride: int,
    correlate: bool,
    bias: float,
    **options: Unpack[Options],
) -> Pixels:
    """Convolve, and keep every `stride`-th pixel of each axis, beginning with the first."""
    if stride > 1 and options.get("carry_out"):
        raise NeedsWholeError(
            "--stride cannot be done in parts; leave it out, and reduce the result afterwards"
        )
    result = convolve(image, kernel, correlate=correlate, bias=bias, **options)
    return result if stride == 1 else np.asarray(result)[::stride, ::stride]


# A derivative of float64 sums is off by at most this share of the largest sample under its kernel:
# 8 u by the sums (4 roundings, weights of norm 2), 14 u by luminance, light and alpha before them,
# u = 2**-53; rounded up.
_ROUNDINGS = 32 * 2.0**-53


def _settle(derivatives: Sequence[Floats], largest: Floats, flat: float | None) -> None:
    """Set derivatives to 0 that may be nothing but rounding; `flat` is how large that may be."""
    limit = _ROUNDINGS * largest if flat is None else flat
    for along in derivatives:
        along[np.abs(along) <= limit] = 0  # and not -0, whose angle is -pi


def _without_rounding(largest: Floats, *derivatives: Floats) -> Floats:
    _settle(derivatives, largest, None)
    if len(derivatives) == 1:
        return derivatives[0]
    return magnitude_of_any_size(largest, *derivatives)


def _angle(
    largest: Floats,
    along_x: Floats,
    along_y: Floats,
    flat: float | None,
    full: float | None,
) -> Floats:
    _settle((along_x, along_y), largest, flat)
    turn = np.arctan2(along_y, along_x)
    return turn if full is None else (turn + math.pi) * (full / (2 * math.pi))


def _unsharp(centre: Floats, blurred: Floats, amount: float, threshold: float) -> Floats:
    difference = centre - blurred
    if threshold > 0:
        difference[np.abs(difference) <= threshold] = 0
    return centre + difference * difference.dtype.type(amount)


def _stretched(result: Floats, show: Show, dtype: np.dtype[Any], flat: float) -> Pixels:
    """Spread one channel over the whole range; a second one, the alpha, stays."""
    full = full_scale(dtype)
    edges = result if result.ndim == 2 else result[..., 0]
    largest = float(np.abs(edges).max(initial=0.0, where=np.isfinite(edges)))
    with np.errstate(all="ignore"):
        if largest <= flat:
            edges *= 0.0
        elif full / largest < math.inf:
            edges *= full / largest
        else:  # they are too small for that
            edges /= largest
            edges *= full
        if show != "magnitude":
            edges /= 2
            edges += full / 2
        if dtype.kind == "u":
            np.clip(result, 0, full, out=result)
            result[np.isnan(result)] = 0
            np.rint(result, out=result)
        return result.astype(dtype)
