"""Direct correlation as a sum of shifted slices, one numpy operation a tap."""

from __future__ import annotations

import numpy as np

from convcli.loops import Correlate
from convcli.rounding import store
from convcli.types import Floats, Pixels


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Prepare the taps that are not 0; see `convcli.loops` for the contract."""
    taps = [(int(i), int(j), weights[i, j]) for i, j in np.argwhere(weights)]

    def correlate(window: Pixels, out: Pixels) -> None:
        height, width, channels = out.shape
        # Channels are interleaved, so a row is one run of W * C samples and the next
        # pixel lies C samples on: the channels need no loop of their own.
        samples = window.astype(weights.dtype, copy=False).reshape(window.shape[0], -1)
        run = width * channels
        total = np.zeros((height, run), weights.dtype)
        term = np.empty_like(total)
        for i, j, weight in taps:
            shifted = samples[i : i + height, j * channels : j * channels + run]
            np.multiply(shifted, weight, out=term)
            total += term
        store(total.reshape(out.shape), out, divisor)

    return correlate
