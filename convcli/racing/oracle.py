"""The oracle: the right output, by sums in float64 that are compared with the definition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convcli.errors import ConvcliError
from convcli.filtering.convolution import convolve
from convcli.kernels.kernel import Kernel
from convcli.loops import definition
from convcli.pixels import borders
from convcli.pixels.rounding import store
from convcli.pixels.source import ArraySource
from convcli.running.recipe import halo_of
from convcli.types import Floats, Pixels
from convcli.words import Method

# The definition checks this many pixels, the corners first, within this many products of 2 to 4
# microseconds each.
_FEWEST_SPOTS, _MOST_SPOTS = 2, 12
_PRODUCTS = 40_000
# Sums in float64 depend on their order: by 1e-16 of the largest sample for each tap.
_TOLERANCE = 1e-10

# What every method guarantees (see README): integers differ by one level at most, in one sample of
# a hundred at most; floats by 1e-5 of the range.
_MOST_LEVELS = 1.0
_MOST_OFF = 0.01
_MOST_ERROR = 1e-5


class Oracle(NamedTuple):
    """The right output for an image ``(H, W, C)``, in its dtype, and the method that gave it."""

    right: Pixels
    method: Method = "numpy"

    def error(self, result: object) -> tuple[float, bool]:
        """Return the largest difference of an output, in the image's units, and if it is right."""
        right = self.right
        if not isinstance(result, np.ndarray) or result.shape != right.shape:
            return float("inf"), False
        if result.dtype != right.dtype:
            return float("inf"), False
        if np.array_equal(result, right):
            return 0.0, True
        difference = np.abs(result.astype(np.float64) - right)
        largest = float(difference.max())
        if right.dtype.kind == "u":
            # One sample always may: sums next to half a level can be rounded either way.
            most = max(1.0, _MOST_OFF * difference.size)
            return largest, largest <= _MOST_LEVELS and int(np.count_nonzero(difference)) <= most
        scale = max(1.0, float(np.abs(right).max()))
        return largest, largest <= _MOST_ERROR * scale


def oracle_for(picture: Pixels, kernel: Kernel, trusted: Method | None = None) -> Oracle:
    """Convolve in float64, and check the corners and other pixels by the definition.

    The definition would take minutes for a whole image. A fast method is trusted once it agrees
    in these pixels, and then for other images with the same kernel as well (`trusted`).

    Raises
    ------
    ConvcliError
        If no method agrees with the definition.
    """
    methods: tuple[Method, ...] = (trusted,) if trusted else ("auto", "numpy")
    for method in methods:
        try:
            total = convolve(picture, kernel, exact=True, out_dtype="float64", method=method)
        except ConvcliError:  # its package may be broken; numpy needs none
            continue
        if trusted or _agrees(total, picture, kernel):
            right = np.empty_like(picture)
            store(total, right)
            return Oracle(right, method)
    raise ConvcliError("the float64 sums differ from the definition, so no result can be checked")


def _agrees(total: Floats, picture: Pixels, kernel: Kernel) -> bool:
    height, width, channels = picture.shape
    number = _PRODUCTS // (kernel.shape[0] * kernel.shape[1])
    number = min(max(number, _FEWEST_SPOTS), _MOST_SPOTS)
    rng = np.random.default_rng(0)
    spots = [(0, 0), (height - 1, width - 1), (0, width - 1), (height - 1, 0)]
    spots += zip(
        rng.integers(0, height, _MOST_SPOTS), rng.integers(0, width, _MOST_SPOTS), strict=True
    )
    source = ArraySource(picture)
    halo = halo_of(kernel.shape, correlate=False)
    weights = kernel.flipped.weights
    correlate = definition.correlator(weights)
    scale = kernel.l1_norm * max(1.0, float(np.abs(picture).max()))
    for y, x in spots[:number]:
        window = borders.window(source, (y, y + 1), (x, x + 1), halo, "reflect")
        wanted = np.empty((1, 1, channels))
        if weights.size <= _PRODUCTS:
            correlate(window, wanted)
        else:  # the same sums; for millions of weights the loop would take the whole budget
            wanted[0, 0] = np.tensordot(weights, window.astype(np.float64), axes=2)
        if not np.abs(total[y, x] - wanted[0, 0]).max() <= _TOLERANCE * scale:
            return False
    return True
