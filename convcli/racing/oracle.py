"""What is right: sums in float64, themselves held against the definition."""

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

# Pixels that the definition checks, corners among them, and products that they may cost: each
# takes 2 to 4 microseconds.
_FEWEST_SPOTS, _MOST_SPOTS = 2, 12
_PRODUCTS = 40_000
# Sums in float64 differ by their order: by 1e-16 of the largest sample for each of the taps.
_TOLERANCE = 1e-10

# What every method owes (see README): integers at most one level off, one pixel in a hundred at
# most; floats 1e-5 of the range.
_MOST_LEVELS = 1.0
_MOST_OFF = 0.01
_MOST_ERROR = 1e-5


class Oracle(NamedTuple):
    """The right result of a picture ``(H, W, C)``, in its own dtype, and whose it is."""

    right: Pixels
    method: Method = "numpy"

    def error(self, result: object) -> tuple[float, bool]:
        """Return the largest difference of a result, in the picture's units, and if it serves."""
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
            # One always may: a sample that comes to half a level is nobody's fault.
            most = max(1.0, _MOST_OFF * difference.size)
            return largest, largest <= _MOST_LEVELS and int(np.count_nonzero(difference)) <= most
        scale = max(1.0, float(np.abs(right).max()))
        return largest, largest <= _MOST_ERROR * scale


def oracle_for(picture: Pixels, kernel: Kernel, trusted: Method | None = None) -> Oracle:
    """Sum a picture in float64, and check the corners and other pixels by the definition.

    The definition itself would take minutes for a picture: what is fast is trusted once it
    agrees, and then also for other pictures and this kernel (`trusted`).

    Raises
    ------
    ConvcliError
        If no way to do it agrees with the definition.
    """
    methods: tuple[Method, ...] = (trusted,) if trusted else ("auto", "numpy")
    for method in methods:
        try:
            total = convolve(picture, kernel, exact=True, out_dtype="float64", method=method)
        except ConvcliError:  # its package may be broken; the last has none
            continue
        if trusted or _agrees(total, picture, kernel):
            right = np.empty_like(picture)
            store(total, right)
            return Oracle(right, method)
    raise ConvcliError("the exact sums do not agree with the definition, so nothing can be checked")


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
        else:  # the same sums, which for millions of weights took the whole budget
            wanted[0, 0] = np.tensordot(weights, window.astype(np.float64), axes=2)
        if not np.abs(total[y, x] - wanted[0, 0]).max() <= _TOLERANCE * scale:
            return False
    return True
