"""The filters as functions of an image."""

from __future__ import annotations

from typing import Unpack

from numpy.typing import ArrayLike

from convcli.filtering.convolution import apply
from convcli.filtering.definitions import blurring, edges, sharpening
from convcli.filtering.options import Options
from convcli.types import Pixels
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
    return apply(image, blurring(sigma, truncate=truncate, radius=radius), **options)


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
        dtype of the image. Of a `region` or with a `mask` it has the channels of the image: each
        colour becomes the edges there.

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
    filter_ = edges(operator, show, sigma=sigma, canny=canny, stretch=stretch)
    return apply(image, filter_, **options)


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
    return apply(image, sharpening(sigma, amount, threshold), **options)
