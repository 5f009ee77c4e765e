"""Other packages at the same work: a convolution under the border "reflect", rounded once.

Their results are brought to the picture's dtype as convcli's are (`convcli.pixels.rounding`),
because most of them would cut fractions off; the time for that is theirs. Each imports its package
when it is first called, so that none has to be installed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.pixels import borders
from convcli.pixels.rounding import store
from convcli.pixels.source import ArraySource
from convcli.running.recipe import halo_of
from convcli.types import Floats, Pixels


def ndimage(picture: Pixels, kernel: Kernel) -> Pixels:
    """Sum directly in float64, one thread: scipy.ndimage.convolve."""
    import scipy.ndimage

    weights = kernel.weights[:, :, np.newaxis]
    total = scipy.ndimage.convolve(picture, weights, output=np.float64, mode="reflect")
    return _stored(total, picture)


def fftconvolve(picture: Pixels, kernel: Kernel) -> Pixels:
    """Transform the whole picture: scipy.signal.fftconvolve."""
    import scipy.signal

    return _by_spectra(scipy.signal.fftconvolve, picture, kernel)


def oaconvolve(picture: Pixels, kernel: Kernel) -> Pixels:
    """Transform blocks and add where they overlap: scipy.signal.oaconvolve."""
    import scipy.signal

    return _by_spectra(scipy.signal.oaconvolve, picture, kernel)


def filter2d(picture: Pixels, kernel: Kernel) -> Pixels:
    """Sum directly, or by DFT where the kernel is large: cv2.filter2D, with all its threads."""
    import cv2

    height, width = kernel.shape
    # It correlates, and counts the anchor in the kernel that is turned over already.
    anchor = width - 1 - width // 2, height - 1 - height // 2
    dtype = np.float64 if picture.dtype == np.float64 else np.float32
    filtered = cv2.filter2D(
        picture,
        -1,
        kernel.flipped.weights.astype(dtype),
        anchor=anchor,
        borderType=cv2.BORDER_REFLECT,
    )
    return np.asarray(filtered).reshape(picture.shape)


def gaussian(picture: Pixels, kernel: Kernel) -> Pixels:
    """Blur by columns and rows in float64: skimage.filters.gaussian."""
    from skimage.filters import gaussian as blur

    sigma, radius = kernel_sigma(kernel), kernel.shape[0] // 2
    assert sigma is not None
    total = blur(
        picture,
        sigma,
        mode="reflect",
        preserve_range=True,
        truncate=radius / sigma,
        channel_axis=-1,
    )
    return _stored(total, picture)


def kernel_sigma(kernel: Kernel) -> float | None:
    """Return the sigma of a square Gaussian, and None for any other kernel."""
    height, width = kernel.shape
    if kernel.name != "gaussian" or kernel.given_factors is None or not (height == width > 1):
        return None
    ((column, row),) = kernel.given_factors
    middle = height // 2
    # Neighbours in the middle: exp(-1 / 2 sigma^2).
    ratio = float(row[middle + 1] / row[middle])
    if not np.array_equal(column, row) or not 0 < ratio < 1:
        return None
    return float(np.sqrt(-0.5 / np.log(ratio)))


def _by_spectra(convolve: Callable[..., Floats], picture: Pixels, kernel: Kernel) -> Pixels:
    height, width, _ = picture.shape
    halo = halo_of(kernel.shape, correlate=False)
    window = borders.window(ArraySource(picture), (0, height), (0, width), halo, "reflect")
    weights = kernel.weights[:, :, np.newaxis]
    return _stored(convolve(window.astype(np.float64), weights, mode="valid"), picture)


def _stored(total: Floats, picture: Pixels) -> Pixels:
    out = np.empty(picture.shape, picture.dtype)
    store(total, out)
    return out
