"""Independent meanings of a convolution: four nested loops, scipy.ndimage, and sparse sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from convcli.loops.decimation import Decimations

# The borders' names in numpy.pad, the oracle of the loops; scipy has convcli's names.
NUMPY_PAD = {
    "reflect": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "constant": "constant",
}


def four_loops(
    image: NDArray[Any], kernel: NDArray[Any], border: str, value: float = 0.0
) -> NDArray[np.float64]:
    """Convolve (H, W) by the definition, with numpy.pad for what lies beyond the edge."""
    kh, kw = kernel.shape
    pad = ((kh, kh), (kw, kw))
    if border == "constant":
        padded = np.pad(image.astype(float), pad, "constant", constant_values=value)
    else:
        padded = np.pad(image.astype(float), pad, NUMPY_PAD[border])
    out = np.zeros(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for i in range(kh):
                for j in range(kw):
                    out[y, x] += kernel[i, j] * padded[y + kh // 2 - i + kh, x + kw // 2 - j + kw]
    return out


def scipy_convolve(
    image: NDArray[Any],
    kernel: NDArray[Any],
    border: str,
    value: float = 0.0,
    correlate: bool = False,
) -> NDArray[np.float64]:
    """Convolve (H, W) or (H, W, C) with scipy.ndimage in float64."""
    function = scipy.ndimage.correlate if correlate else scipy.ndimage.convolve
    weights = kernel if image.ndim == 2 else kernel[:, :, np.newaxis]
    return function(image.astype(np.float64), weights.astype(float), mode=border, cval=value)


def sparse_sums(decimations: Decimations, image: NDArray[Any], border: str) -> NDArray[np.float64]:
    """Blur (H, W, C) by way of a coarser grid: all but its points are zeroed in between.

    First the narrow sums; what is left of them is summed by the wide weights, in pixels.
    """
    reach = [axis.radius for axis in decimations]
    result = np.pad(image.astype(float), [(n, n) for n in reach] + [(0, 0)], NUMPY_PAD[border])
    for along, axis in enumerate(decimations):
        narrow = scipy.ndimage.correlate1d(result, axis.narrow, axis=along, mode="constant")
        sparse = np.zeros_like(narrow)
        grid = [slice(None)] * 3
        grid[along] = slice(axis.radius % axis.step, None, axis.step)
        sparse[tuple(grid)] = narrow[tuple(grid)]
        # The weights of the pixels around a pixel, from the farthest on: first the last place
        # between two grid points, which is nearest to the next one.
        wide = np.append(0.0, axis.wide[::-1].T)
        result = scipy.ndimage.correlate1d(sparse, wide, axis=along, mode="constant")
    return result[reach[0] : -reach[0], reach[1] : -reach[1]]


def rounded(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Round half to even and clip, once."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def assert_same_picture(
    result: NDArray[Any], reference: NDArray[np.float64], tolerance: float = 1e-5
) -> None:
    """Assert that a result is as exact as every method must be, given the reference in float64.

    Integers: no pixel off by more than a level, 99 % not at all. Floats: within the
    tolerance of the range.
    """
    assert result.shape == reference.shape
    if result.dtype.kind == "u":
        wanted = rounded(reference, result.dtype.name)
        off = np.abs(result.astype(int) - wanted.astype(int))
        assert off.max(initial=0) <= 1
        assert (off > 0).mean() <= 0.01
    else:
        scale = max(1.0, float(np.abs(reference).max(initial=0)))
        assert np.abs(result - reference).max(initial=0) <= tolerance * scale
