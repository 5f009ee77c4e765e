"""The kernels of ``edge``. All have one scale: a step of height h gives h where it is steepest."""

from __future__ import annotations

import numpy as np

from convcli.kernels.derivatives import derivatives
from convcli.kernels.gaussian import gaussian_kernel
from convcli.kernels.kernel import Kernel, Weights
from convcli.kernels.named import edge_kernels, laplacian_kernel
from convcli.words import Operator

Pair = tuple[Kernel, Kernel]
"""Kernels of the derivatives along x and along y."""


def gradient_kernels(operator: Operator, sigma: float | None) -> Pair:
    """Return the derivatives of a Gaussian of width `sigma`, or the operator's without one.

    Across the derivative ``g`` smooths, and along it ``g'`` is divided by its response to a step
    of height 1, which is ``g(0)`` but for the sampling: the sum of ``|g'(x)|`` over x > 0.
    """
    if sigma is None:
        return edge_kernels(operator)
    g, first, _ = derivatives(sigma)
    return _along_both(f"gaussian {sigma:g}", g, _of_a_step(first))


def smoothed_kernels(operator: Operator, sigma: float | None) -> Pair:
    """Return the operator's kernels, after a Gaussian of width `sigma` if there is one.

    Each is the convolution of both, again divided by its response to a step, ``g(0) + g(1)``.
    """
    if sigma is None:
        return edge_kernels(operator)
    ((_, g),) = gaussian_kernel(sigma).factors
    ((smooth, derivative),) = edge_kernels(operator)[0].factors
    along = _of_a_step(np.convolve(g, derivative))
    return _along_both(f"{operator} after gaussian {sigma:g}", np.convolve(g, smooth), along)


def laplacian_of(sigma: float | None) -> Kernel:
    """Return the Laplacian of a Gaussian of width `sigma`, or without one ``0 1 0; 1 -4 1; 0 1 0``.

    ``g''(x) g(y) + g(x) g''(y)``, divided by the largest response of ``g''`` to a step of height
    1: a step of height h gives h on its dark side and -h on the other.
    """
    if sigma is None:
        return laplacian_kernel()
    g, _, second = derivatives(sigma)
    second = _of_a_step(second)
    return Kernel("log", (g.size, g.size), given_factors=((g, second), (second, g)))


def _along_both(name: str, across: Weights, along: Weights) -> Pair:
    shape = across.size, along.size
    along_x = Kernel(f"{name}, x", shape, given_factors=((across, along),))
    return along_x, Kernel(f"{name}, y", shape, given_factors=((along, across),))


def _of_a_step(weights: Weights) -> Weights:
    """Divide weights that sum to 0 by their largest response to a step of height 1."""
    response: Weights = weights / np.abs(np.cumsum(weights)).max()
    return response
