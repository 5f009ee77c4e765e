"""Derivatives and differences of sampled Gaussians."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convcli.checks import positive
from convcli.errors import ConvcliError
from convcli.kernels.gaussian import radius_of
from convcli.kernels.kernel import Factor, Kernel, Weights
from convcli.loops.decimation import gaussian


class Derivatives(NamedTuple):
    """A Gaussian and its derivatives along one axis, from -r to r."""

    none: Weights
    first: Weights
    second: Weights


# Of a narrower Gaussian the samples beside the middle are less than 4e-6 of it, and nothing but
# rounding would be left of its derivatives.
_LEAST_SIGMA = 0.2


def derivatives(sigma: float, name: str = "sigma") -> Derivatives:
    r"""Sample a Gaussian, cut at 4 sigma, and its first two derivatives.

    .. math:: g, \quad g'(x) = -x/\sigma^2\,g(x), \quad g''(x) = (x^2/\sigma^4 - 1/\sigma^2)\,g(x)

    They are scipy.ndimage's (``gaussian_filter1d`` with ``order``), with one difference: after
    cutting, the samples of g'' have a small sum, and that multiple of g is subtracted. So a
    constant image gives 0. `name` is what errors call sigma.
    """
    sigma = positive(sigma, name)
    if sigma < _LEAST_SIGMA:
        raise ConvcliError(f"{name} must be at least {_LEAST_SIGMA}, not {sigma:g}")
    half = radius_of(sigma)
    x = np.arange(-half, half + 1)
    g = gaussian(x, sigma)
    second = (x**2 / sigma**4 - 1 / sigma**2) * g
    second -= second.sum() * g
    return Derivatives(g, -x / sigma**2 * g, second)


def derivative_kernel(axes: str, sigma: float = 1.0) -> Kernel:
    """Return a derivative of a Gaussian along x, y, xx, xy or yy, in units per pixel.

    Convolution gives the derivative of the blurred image: positive along x where brightness rises
    to the right, along y where it rises downwards.
    """
    name = f"gaussian-{axes}"
    along = derivatives(sigma, f"sigma of the kernel {name}")
    column, row = along[axes.count("y")], along[axes.count("x")]
    return Kernel(name, (column.size, row.size), given_factors=((column, row),))


def log_kernel(sigma: float = 1.0) -> Kernel:
    r"""Return a Laplacian of Gaussian, cut at 4 sigma, that sums to 0.

    .. math:: g''(x)\,g(y) + g(x)\,g''(y)

    See `derivatives` for g''.
    """
    g, _, second = derivatives(sigma, "sigma of the kernel log")
    return Kernel("log", (g.size, g.size), given_factors=((g, second), (second, g)))


def dog_kernel(sigma: float = 1.0, other: float = 1.6) -> Kernel:
    """Return a difference of Gaussians, each cut at 4 of its sigma: the first minus the other.

    With a ratio of 1.6 it resembles a Laplacian of Gaussian (Marr and Hildreth 1980, Theory of edge
    detection), with the sign reversed.
    """
    sizes = positive(sigma, "sigma of the kernel dog"), positive(other, "sigma of the kernel dog")
    if sizes[0] == sizes[1]:
        raise ConvcliError(f"the two sigmas of the kernel dog must differ, and both are {sigma:g}")
    half = max(map(radius_of, sizes))
    x = np.arange(-half, half + 1)
    terms: list[Factor] = []
    for sign, size in zip((1.0, -1.0), sizes, strict=True):
        g = gaussian(x[np.abs(x) <= radius_of(size)], size)
        g = np.pad(g, half - g.size // 2)
        terms.append((sign * g, g))
    return Kernel("dog", (x.size, x.size), given_factors=tuple(terms))
