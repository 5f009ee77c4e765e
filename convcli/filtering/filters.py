"""The filters: which kernels each uses, and how it combines their results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from convcli.checks import array, at_least_0, flag
from convcli.filtering.canny import thin_edges, thresholds
from convcli.filtering.convolution import LARGE, Filter, apply, convolve, nodata_of, out_dtype
from convcli.filtering.edges import kernels_for
from convcli.filtering.options import Options
from convcli.kernels.kernel import Kernel
from convcli.kernels.named import gaussian_kernel, sigmas
from convcli.loops.contract import magnitude, magnitude_of_any_size
from convcli.loops.decimation import decimations
from convcli.pixels.colour import ROUNDING, ColourUse, full_scale
from convcli.pixels.missing import sample_of
from convcli.running.ranges import largest_finite
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels
from convcli.words import Operator, Show


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
    operator: Operator | None = None,
    show: Show = "magnitude",
    *,
    sigma: float | None = None,
    canny: tuple[float, float] | None = None,
    stretch: bool = False,
    **options: Unpack[Options],
) -> Pixels:
    """Detect edges: where brightness changes.

    Of colour the luminance is filtered (BT.601; the command line takes a JPEG's as it is stored,
    see `convcli.image.read`). Kernels are scaled so that a step of height h gives h on an axis,
    where it is steepest, and the magnitude is ``sqrt(x**2 + y**2)``.

    Parameters
    ----------
    image : array_like, (H, W) or (H, W, C)
        uint8, uint16, float32 or float64. With 2 or 4 channels the last is an alpha:
        ``alpha="straight"`` leaves it out, "weight" weights the luminance by it, and "keep"
        returns it as a second channel.
    operator : {"sobel", "scharr", "prewitt"}, optional
        Which smoothing is used across the derivative. Default: "sobel".
    show : {"magnitude", "x", "y", "angle", "laplacian"}
        x and y are positive where brightness rises to the right, or downwards; integers cannot
        hold the negative half, which is clipped (see `stretch`). The angle is ``atan2(y, x)``: in
        radians for float results, for integers the full turn from -pi to pi spread over their
        range; 0 where the image is flat. The Laplacian, the sum of the second derivatives along x
        and y, has a sign as x and y have: h on the dark side of a step, and -h on the other.
    sigma : float, optional
        Take the derivatives of a Gaussian of this width, in pixels, instead of an operator's;
        0.2 or more. They are ``g(y) g'(x)`` and ``g(x) g'(y)``, divided by the sum of ``|g'(x)|``
        over x > 0, which is about ``g(0) = 1 / (sqrt(2 pi) sigma)``; the Laplacian is ``g''(x)
        g(y) + g(x) g''(y)``, divided by the largest ``|g'(x)|`` (the largest sum of ``g''`` from
        one end). Without a sigma the Laplacian is ``0 1 0; 1 -4 1; 0 1 0``.
    canny : (float, float), optional
        Give thin edges by Canny's detector: full scale on them, 0 elsewhere. They are the maxima
        of the magnitude along the gradient that are at least the second threshold, HIGH, and
        those of at least the first, LOW, that are connected to these. Thresholds are in the
        image's units, as the magnitude: a step of height h has h. The derivatives are those of the
        operator; with a `sigma`, of Sobel's after a Gaussian of that width, scaled again for a
        step. The outermost pixels are never edges.
    stretch : bool
        Spread the result over the full range of an integer dtype, or 0 to 1: the largest
        magnitude becomes white; x, y and the Laplacian are spread about mid-grey. Angles and thin
        edges stay as they are.
    **options
        See `convcli.convolve`. Under `linear` the derivatives of light are encoded like the
        image; an angle is not.

    Returns
    -------
    ndarray, (H, W)
        dtype of the image.

    Notes
    -----
    Thin edges are those of ``skimage.feature.canny(image, sigma, low, high, mode="reflect")``,
    whose thresholds are ``4 (g(0) + g(1))`` times as large, with the sampled Gaussian g, and 4
    times without smoothing. Of two equal neighbours, which both remain there, only the darker
    remains here.

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
    >>> convcli.edge(step, canny=(50, 100))[1]
    array([  0,   0, 255,   0,   0,   0], dtype=uint8)
    """
    kernels = kernels_for(operator, show, sigma, canny is not None)
    stretch = flag(stretch, "stretch")
    pixels = array(image, "image")
    if canny is not None:
        return thin_edges(pixels, kernels, *thresholds(canny), **options)
    wanted = options.get("out_dtype")
    # Without one, `apply` refuses an image of any other dtype, as an image.
    dtype = pixels.dtype.newbyteorder("=") if wanted is None else out_dtype(wanted, pixels.dtype)
    stretch = stretch and show != "angle"
    use = ColourUse("luminance", gives_light=show != "angle")
    combine: Combine | None = magnitude if len(kernels) == 2 else None
    # Rounding, which each method has of its own, would show in an angle and in a stretch.
    by_rounding = (stretch or show == "angle") and pixels.dtype.kind in "uf"
    flat = None
    if by_rounding and pixels.dtype == np.uint8:
        flat = ROUNDING * full_scale(pixels.dtype) * max(1.0, kernels[0].l1_norm / 2)
    elif by_rounding:
        options["exact"] = True
    if show == "angle":
        full = full_scale(dtype) if dtype.kind == "u" else None
        combine = partial(_angle, flat=flat, full=full, roundings=_roundings(kernels[0]))
    elif by_rounding and flat is None:
        combine = partial(
            _without_rounding,
            roundings=_roundings(kernels[0]),
            scale=_scale_for(pixels),
            # Sums of all others lie far inside the range of float64, and so do their squares.
            join=magnitude_of_any_size if pixels.dtype == np.float64 else magnitude,
        )
    options["out_dtype"] = dtype
    if stretch:
        options["out_dtype"] = "float64" if flat is None else "float32"
    local = by_rounding and flat is None
    filter_ = Filter(kernels, combine=combine, use=use, local=local, marks=not stretch)
    result = apply(pixels, filter_, **options)
    if not stretch:
        return result
    edges = result if result.ndim == 2 else result[..., 0]
    mark = sample_of(nodata_of(options), pixels.dtype)
    return _stretched(result, edges, show, dtype, flat or 0.0, mark)


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
    stretch: bool = False,
    **options: Unpack[Options],
) -> Pixels:
    """Convolve, and keep every `stride`-th pixel of each axis, beginning with the first.

    With `stretch` the pixels that are kept are spread over the full range of an integer dtype, or
    0 to 1: from the smallest sample of any colour to the largest, or about mid-grey if the kernel
    sums to 0. An alpha is not.
    """
    if not stretch:
        result = convolve(image, kernel, correlate=correlate, bias=bias, **options)
        return result if stride == 1 else np.asarray(result)[::stride, ::stride]
    pixels = array(image, "image")
    dtype = out_dtype(options.get("out_dtype"), pixels.dtype)
    mark = sample_of(nodata_of(options), pixels.dtype)
    if pixels.dtype == np.uint8:
        options["out_dtype"], largest, rounding = "float32", full_scale(pixels.dtype), ROUNDING
    else:
        options["out_dtype"], options["exact"], rounding = "float64", True, _OF_TRANSFORMS
        is_there = np.isfinite(pixels) & (pixels != mark)
        largest = float(np.abs(pixels).max(initial=0, where=is_there))
    flat = rounding * kernel.l1_norm * largest
    filter_ = Filter((kernel,), correlate, marks=False)
    floats = np.asarray(apply(image, filter_, **options))[::stride, ::stride]
    has_alpha = options.get("alpha", "straight") != "straight" and floats.shape[2:] in ((2,), (4,))
    colours = floats[..., :-1] if has_alpha else floats
    if not kernel.is_derivative:
        with np.errstate(all="ignore"):
            colours -= colours.min(initial=math.inf, where=np.isfinite(colours))
    show: Show = "x" if kernel.is_derivative else "magnitude"
    return _stretched(floats, colours, show, dtype, flat, mark)


# In float64, sums that differ by less may be equal: a share of the largest sample and the norm.
_OF_TRANSFORMS = 1e-12


def _roundings(kernel: Kernel) -> float:
    """Return by which share of the largest sample under its kernel a derivative may be off.

    These are sums of float64, u = 2**-53: 14 u by luminance, light and alpha before them, and as
    many u times the norm of the weights as a column and a row have roundings. For 3 x 3 weights
    they are rounded up.
    """
    return max(32.0, 14 + sum(kernel.shape) * kernel.l1_norm) * 2.0**-53


def _settle(
    derivatives: Sequence[Floats], largest: Floats, flat: float | None, roundings: float
) -> None:
    """Set derivatives to 0 that may be nothing but rounding; `flat` is how large that may be."""
    limit = roundings * largest if flat is None else flat
    for along in derivatives:
        along[np.abs(along) <= limit] = 0  # and not -0, whose angle is -pi


# Derivatives of larger samples may pass the largest float64, though their sums, in a wider float,
# do not. A stretch takes out any factor, so that they are divided by a power of two.
_LARGEST_KEPT = float(np.finfo(np.float64).max) / 16
_DIVIDED = 2.0**-4


def _scale_for(pixels: Pixels) -> float:
    """Return the factor with which derivatives that are stretched fit into float64."""
    if pixels.dtype != np.float64 or pixels.size == 0:
        return 1.0
    return _DIVIDED if largest_finite(pixels)[0] > _LARGEST_KEPT else 1.0


def _without_rounding(
    largest: Floats, *derivatives: Floats, roundings: float, scale: float, join: Combine
) -> Floats:
    _settle(derivatives, largest, None, roundings)
    result = derivatives[0] if len(derivatives) == 1 else join(largest, *derivatives)
    return result if scale == 1 else result * result.dtype.type(scale)


def _angle(
    largest: Floats,
    along_x: Floats,
    along_y: Floats,
    flat: float | None,
    full: float | None,
    roundings: float,
) -> Floats:
    _settle((along_x, along_y), largest, flat, roundings)
    turn = np.arctan2(along_y, along_x)
    return turn if full is None else (turn + math.pi) * (full / (2 * math.pi))


def _unsharp(centre: Floats, blurred: Floats, amount: float, threshold: float) -> Floats:
    difference = centre - blurred
    if threshold > 0:
        difference[np.abs(difference) <= threshold] = 0
    return centre + difference * difference.dtype.type(amount)


def _stretched(
    result: Floats, edges: Floats, show: Show, dtype: np.dtype[Any], flat: float, mark: float
) -> Pixels:
    """Spread `edges`, a view of the result, over the whole range; the rest, an alpha, stays.

    So does NaN. It becomes `mark` where there is one, and 0 in integers.
    """
    full = full_scale(dtype)
    largest = largest_finite(edges)[0]
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
        if not math.isnan(mark):
            edges[np.isnan(edges)] = mark
        if dtype.kind == "u":
            np.clip(result, 0, full, out=result)
            result[np.isnan(result)] = 0
            np.rint(result, out=result)
        return result.astype(dtype)
