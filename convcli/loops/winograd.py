"""Winograd's minimal filtering of 3x3 kernels: fewer multiplications, more additions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from convcli.errors import ConvcliError
from convcli.loops.contract import Correlate, guarded
from convcli.loops.layout import ceil_div
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels

Planes = list[list[Any]]
"""``planes[i][j]``: the samples at row i and column j of every tile, an array each."""


class Tile(NamedTuple):
    """F(m x m, 3 x 3): how m x m results come of (m + 2) x (m + 2) samples and products."""

    results: int
    data: Sequence[Sequence[int]]
    kernel: Sequence[Sequence[float]]
    sums: Sequence[Sequence[int]]


# Lavin and Gray 2015, Fast algorithms for convolutional neural networks (arXiv:1509.09308),
# 4.1: B transposed, G, and A transposed.
F2 = Tile(
    2,
    ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    ((1, 1, 1, 0), (0, 1, -1, -1)),
)
# The same, 4.2.
F4 = Tile(
    4,
    (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
    (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
    ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
)

kernel_shape = (3, 3)

MIXING = 2.0**-20
"""In float32, where rounding is largest; see `convcli.loops.contract`."""


def correlator(weights: Floats, divisor: float = 1.0, tile: Tile = F2) -> Correlate:
    """Transform the kernel; see `convcli.loops.contract` for the contract.

    A tile of m x m results takes (m + 2)^2 products: 4 a pixel for m = 2 and 2.25 for m = 4, where
    the direct sum takes 9. In return the samples are added up before, and the products after.

    Raises
    ------
    ConvcliError
        If the kernel is not 3 x 3.
    """
    if weights.shape != kernel_shape:
        raise ConvcliError(
            f"winograd takes 3 x 3 kernels, not {' x '.join(map(str, weights.shape))}"
        )
    by_rows = np.array(tile.kernel)
    transformed = by_rows @ weights.astype(np.float64) @ by_rows.T
    # Halves are exact in binary, and sums of whole numbers stay so. The sixths of F(4x4, 3x3)
    # are not: float32 would turn results that lie half way between two levels.
    dtype = weights.dtype if tile is F2 else np.dtype(np.float64)
    transformed = transformed.astype(dtype)

    def correlate(window: Pixels, out: Pixels) -> None:
        height, width, channels = out.shape
        size = tile.results
        rows, columns = ceil_div(height, size), ceil_div(width, size)
        samples = np.zeros((rows * size + 2, columns * size + 2, channels), dtype)
        samples[: window.shape[0], : window.shape[1]] = window
        places = range(size + 2)
        planes = [
            [samples[i : i + rows * size : size, j : j + columns * size : size] for j in places]
            for i in places
        ]
        total = np.empty((rows * size, columns * size, channels), dtype)
        for i, line in enumerate(outputs(planes, transformed, tile)):
            for j, plane in enumerate(line):
                total[i::size, j::size] = plane
        store(total[:height, :width], out, divisor)

    return guarded(correlate, weights)


def outputs(planes: Planes, transformed: Floats, tile: Tile) -> Planes:
    """Return m x m planes of results from (m + 2) x (m + 2) planes of samples."""
    data = on_both_axes(tile.data, planes)
    products = [
        [plane * weight for plane, weight in zip(line, weights, strict=True)]
        for line, weights in zip(data, transformed, strict=True)
    ]
    return on_both_axes(tile.sums, products)


def on_both_axes(matrix: Sequence[Sequence[int]], planes: Planes) -> Planes:
    """Multiply planes by a matrix from the left, and by its transpose from the right."""
    for _ in range(2):
        columns = list(zip(*planes, strict=True))
        planes = [[_sum(row, column) for row in matrix] for column in columns]
    return planes


def _sum(factors: Sequence[int], terms: Sequence[Any]) -> Any:
    """Add up terms times small whole numbers; 1 and -1 multiply nothing."""
    total: Any = None
    for factor, term in zip(factors, terms, strict=True):
        if factor:
            part = term if abs(factor) == 1 else term * abs(factor)
            if total is None:
                total = part if factor > 0 else -part
            else:
                total = total + part if factor > 0 else total - part
    return total
