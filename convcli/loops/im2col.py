"""Patches of the image as the columns of a matrix, and one matrix product."""

from __future__ import annotations

from numpy.lib.stride_tricks import sliding_window_view

from convcli.loops.contract import Correlate, guarded
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Lay the weights out as a row; see `convcli.loops.contract` for the contract.

    Chellapilla, Puri and Simard 2006 (High performance convolutional neural networks for document
    processing). The matrix has a row for each weight: it is kh * kw times as large as the image,
    in floats. It pays where many kernels share it; a single one makes a row times a matrix of the
    product, and so reads all of that once.
    """
    row = weights.reshape(1, -1)

    def correlate(window: Pixels, out: Pixels) -> None:
        samples = window.astype(weights.dtype, copy=False)
        patches = sliding_window_view(samples, weights.shape, axis=(0, 1))
        columns = patches.transpose(3, 4, 0, 1, 2).reshape(row.size, -1)  # this is the copy
        store((row @ columns).reshape(out.shape), out, divisor)

    return guarded(correlate, weights)
