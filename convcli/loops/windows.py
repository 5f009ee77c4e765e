"""A strided view in which every pixel has its whole window, and one contraction of it."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convcli.loops.contract import Correlate, guarded
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Take the weights as they are; see `convcli.loops.contract` for the contract.

    The view ``(h, w, C, kh, kw)`` repeats every sample kh * kw times and costs no memory: steps
    between pixels and between taps are the same ones.
    """

    def correlate(window: Pixels, out: Pixels) -> None:
        samples = window.astype(weights.dtype, copy=False)
        patches = sliding_window_view(samples, weights.shape, axis=(0, 1))
        store(np.einsum("yxcij,ij->yxc", patches, weights), out, divisor)

    return guarded(correlate, weights)
