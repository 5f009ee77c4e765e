"""Correlation by one FFT of the whole window."""

from __future__ import annotations

import numpy as np

from convcli.loops.contract import Correlate, guarded
from convcli.loops.overlap_add import fast_length
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels

MIXING = 2.0**-52
"""See `convcli.loops.contract`."""


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Turn the kernel over; see `convcli.loops.contract` for the contract.

    The convolution theorem: a product of spectra is a circular convolution. Where it wraps round,
    in the first kh - 1 rows and kw - 1 columns, there is no valid result anyway, so that the
    window needs no zeros beside it (Press et al., Numerical Recipes 13.1) but those that make
    its length a product of 2, 3 and 5.
    """
    flipped = weights[::-1, ::-1].astype(np.float64)
    top, left = weights.shape[0] - 1, weights.shape[1] - 1

    def correlate(window: Pixels, out: Pixels) -> None:
        lengths = [fast_length(n) for n in window.shape[:2]]
        spectrum = np.fft.rfft2(window.astype(np.float64), lengths, axes=(0, 1))
        spectrum *= np.fft.rfft2(flipped, lengths)[:, :, np.newaxis]
        total = np.fft.irfft2(spectrum, lengths, axes=(0, 1))
        store(total[top : top + out.shape[0], left : left + out.shape[1]], out, divisor)

    return guarded(correlate, weights)
