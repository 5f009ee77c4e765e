"""The sampled Gaussian."""

from __future__ import annotations

import numpy as np

from convcli.checks import array, count, described, positive
from convcli.errors import ConvcliError
from convcli.kernels.kernel import LONGEST_SIDE, Kernel
from convcli.loops.decimation import gaussian


def sigmas(sigma: float | tuple[float, float]) -> tuple[float, float]:
    """Check sigma and return it as (along x, along y)."""
    values = array(sigma, "sigma")
    if values.dtype.kind not in "buif" or values.shape not in ((), (1,), (2,)):
        raise ConvcliError(
            f"sigma must be one number or two (along x, along y), not {described(sigma)}"
        )
    along_x, along_y = (positive(value, "sigma") for value in np.broadcast_to(values, 2))
    return along_x, along_y


def gaussian_kernel(
    sigma: float | tuple[float, float] = 1.0, truncate: float = 4.0, radius: int | None = None
) -> Kernel:
    """Return a sampled Gaussian: ``exp(-x**2 / (2 sx**2) - y**2 / (2 sy**2))`` over its sum.

    Parameters
    ----------
    sigma : float or (float, float)
        Standard deviation in pixels; a pair is (along x, along y).
    truncate : float
        The kernel is cut at ``int(truncate * sigma + 0.5)`` pixels, as in scipy.ndimage.
    radius : int, optional
        The kernel is cut at this many pixels instead; 0 or more.

    Returns
    -------
    Kernel
        ``(2 ry + 1, 2 rx + 1)`` weights that sum to 1, stored as a column and a row.

    Raises
    ------
    ConvcliError
        If sigma or truncate is not finite and above 0, if radius is negative or not a whole
        number, or if the kernel would be longer than 200,001 weights.

    Examples
    --------
    >>> kernel = gaussian_kernel(1.0)
    >>> kernel.shape, kernel.rank
    ((9, 9), 1)
    >>> gaussian_kernel((2.0, 1.0), radius=1).weights.round(3)
    array([[0.087, 0.099, 0.087],
           [0.144, 0.163, 0.144],
           [0.087, 0.099, 0.087]])
    """
    sigma_x, sigma_y = sigmas(sigma)
    half_x, half_y = radius_of(sigma_x, truncate, radius), radius_of(sigma_y, truncate, radius)
    row = gaussian(np.arange(-half_x, half_x + 1), sigma_x)
    column = gaussian(np.arange(-half_y, half_y + 1), sigma_y)
    return Kernel("gaussian", (column.size, row.size), given_factors=((column, row),))


def radius_of(sigma: float, truncate: float = 4.0, radius: int | None = None) -> int:
    """Return the radius of a sampled Gaussian: ``int(truncate * sigma + 0.5)``, as in scipy."""
    positive(truncate, "truncate")
    if radius is not None:
        half = count(radius, "radius", least=0)
        if 2 * half + 1 > LONGEST_SIDE:
            raise ConvcliError(f"radius must be at most {LONGEST_SIDE // 2} pixels, not {half}")
    else:
        half_width = positive(truncate, "truncate") * sigma + 0.5
        half = int(half_width) if half_width < LONGEST_SIDE else LONGEST_SIDE
    if 2 * half + 1 > LONGEST_SIDE:
        raise ConvcliError(
            f"sigma {sigma:g} needs a kernel of more than {LONGEST_SIDE} samples; "
            "shrink the image first, or cut the kernel earlier (truncate, radius)"
        )
    return half
