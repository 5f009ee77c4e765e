"""A numpy dot product a pixel: the two inner loops of the definition in one call."""

from __future__ import annotations

import numpy as np

from convcli.loops.contract import Correlate, guarded
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Lay the weights out as one vector; see `convcli.loops.contract` for the contract.

    A call of numpy takes about a microsecond, whatever the kernel: what is left of Python's time
    is paid once a pixel instead of once a weight.
    """
    height, width = weights.shape
    vector = weights.ravel()

    def correlate(window: Pixels, out: Pixels) -> None:
        samples = window.astype(weights.dtype, copy=False)
        total = np.empty(out.shape, weights.dtype)
        for y, x, channel in np.ndindex(out.shape):
            patch = samples[y : y + height, x : x + width, channel]
            total[y, x, channel] = np.dot(patch.ravel(), vector)
        store(total, out, divisor)

    return guarded(correlate, weights)
