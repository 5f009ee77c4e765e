"""Folding a kernel that is far larger than the image: the same sums with fewer weights."""

from __future__ import annotations

import numpy as np

from convcli.kernels.kernel import Kernel, Weights
from convcli.pixels.borders import Halo, Index
from convcli.words import Border


def folded(
    kernels: tuple[Kernel, ...], halo: Halo, size: tuple[int, int], border: Border
) -> tuple[tuple[Kernel, ...], Halo]:
    """Add up the weights that lie on the same sample for every position of the kernel.

    Beyond its edges a line of n samples repeats (`reflect`, `mirror`, `wrap`) or is constant
    (`nearest`, `constant`), so 2 n + 1 weights can replace any larger number. Otherwise time and
    memory would grow with the square of the kernel's length: 10,001 x 10,001 equal weights took
    6 s and 480 MB for 64 x 48 pixels. The sums are the same to rounding error, with one
    exception: a NaN does not reach the result if the weights on it add up to 0.

    Parameters
    ----------
    kernels : tuple of Kernel
        Kernels of one shape, as for a correlation.
    halo : (int, int, int, int)
        How far they reach above, below, left and right, in pixels.
    size : (int, int)
        Rows and columns of the image.
    border : str
        What lies beyond its edge.

    Returns
    -------
    kernels, halo
        The folded ones, or those given if folding would not make them shorter.
    """
    height, width = kernels[0].shape
    rows, above, below = _places(height, halo[0], size[0], border)
    columns, left, right = _places(width, halo[2], size[1], border)
    shape = above + 1 + below, left + 1 + right
    if shape == (height, width):
        return kernels, halo

    def added(values: Weights, places: Index, length: int) -> Weights:
        sums = np.zeros((length, *values.shape[1:]))
        np.add.at(sums, places, values)
        return sums

    def shorter(kernel: Kernel) -> Kernel:
        name = f"{kernel.name} {width} x {height} folded to"
        if kernel.given_factors is None:
            weights = added(kernel.weights, rows, shape[0])
            return Kernel(name, shape, added(weights.T, columns, shape[1]).T)
        factors = tuple(
            (added(column, rows, shape[0]), added(row, columns, shape[1]))
            for column, row in kernel.given_factors
        )
        return Kernel(name, shape, given_factors=factors)

    return tuple(map(shorter, kernels)), (above, below, left, right)


def _places(length: int, before: int, n: int, border: Border) -> tuple[Index, int, int]:
    """Return the new place of each weight, and how many then lie before and after the centre."""
    if length <= 2 * n + 1:
        return np.arange(length), before, length - 1 - before
    offsets = np.arange(length) - before
    period = {"reflect": 2 * n, "mirror": max(2 * n - 2, 1), "wrap": n}.get(border)
    near = np.clip(offsets, -n, n) if period is None else (offsets + n) % period - n
    return near + n, n, n
