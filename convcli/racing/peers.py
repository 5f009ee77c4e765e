"""Other packages at the same work: a convolution with the border "reflect", rounded once.

Their outputs are rounded to the image's dtype as convcli's are (`convcli.pixels.rounding`),
because most packages would truncate; the time for that counts as theirs. Each function imports its
package when it is called, so that none has to be installed.
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
    """Direct sums in float64, in one thread: scipy.ndimage.convolve."""
    import scipy.ndimage

    weights = kernel.weights[:, :, np.newaxis]
    total = scipy.ndimage.convolve(picture, weights, output=np.float64, mode="reflect")
    return _stored(total, picture)


def fftconvolve(picture: Pixels, kernel: Kernel) -> Pixels:
    """FFT of the whole image: scipy.signal.fftconvolve."""
    import scipy.signal

    return _by_spectra(scipy.signal.fftconvolve, picture, kernel)


def oaconvolve(picture: Pixels, kernel: Kernel) -> Pixels:
    """FFT of blocks, overlap-add: scipy.signal.oaconvolve."""
    import scipy.signal

    return _by_spectra(scipy.signal.oaconvolve, picture, kernel)


def filter2d(picture: Pixels, kernel: Kernel) -> Pixels:
    """Direct sums, or a DFT for large kernels, in all of its threads: cv2.filter2D."""
    import cv2

    height, width = kernel.shape
    # It correlates, and its anchor is a position in the flipped kernel.
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
    """Separable Gaussian blur in float64: skimage.filters.gaussian."""
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
    """Return the sigma of a square Gaussian kernel, and None for any other kernel."""
    height, width = kernel.shape
    if kernel.name != "gaussian" or kernel.given_factors is None or not (height == width > 1):
        return None
    ((column, row),) = kernel.given_factors
    middle = height // 2
    # Of two weights next to each other in the middle: exp(-1 / 2 sigma^2).
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
