"""Direct correlation compiled by numba, eight taps a sweep over a row."""

from __future__ import annotations

import numba
import numpy as np
from numba.extending import overload

from convcli.loops import Correlate
from convcli.types import Floats, Pixels

# nogil: strips run in threads. "contract" lets multiply and add fuse but keeps the order of
# the sum, so NaN, infinity and the result of any strip size stay what they are; measured on
# Zen 5 it is as fast as full fastmath. No parallel=True: its threading layers are not safe
# to fork, and threads over strips are as fast.
_compiled = numba.njit(
    nogil=True, cache=True, fastmath={"contract"}, error_model="numpy", boundscheck=False
)


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """List the taps that are not 0; see `convcli.loops` for the contract."""
    where = np.argwhere(weights)
    below, right = where[:, 0].copy(), where[:, 1].copy()
    values = np.ascontiguousarray(weights[weights != 0])
    scale = values.dtype.type(divisor)

    def correlate(window: Pixels, out: Pixels) -> None:
        channels = window.shape[2]
        _correlate(
            window.reshape(window.shape[0], -1),
            below,
            right * channels,
            values,
            scale,
            out.reshape(out.shape[0], -1),
        )

    return correlate


@_compiled
def _correlate(window, below, right, weights, divisor, out):
    """``out[y, x] = sum_t weights[t] * window[y + below[t], x + right[t]] / divisor``."""
    # The loops over x start at 0 and read slices that begin at the tap: an index that could
    # be negative would cost the vectoriser (15 times slower, numba issue 1226). Eight taps
    # share one load and store of the running sum: 63 instead of 37 GMAC/s on Zen 5.
    taps = weights.size
    run = out.shape[1]
    total = np.empty(run, weights.dtype)
    for y in range(out.shape[0]):
        total[:] = 0
        t = 0
        while t + 8 <= taps:
            w0, w1, w2, w3 = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
            w4, w5, w6, w7 = weights[t + 4], weights[t + 5], weights[t + 6], weights[t + 7]
            s0 = window[y + below[t], right[t] :]
            s1 = window[y + below[t + 1], right[t + 1] :]
            s2 = window[y + below[t + 2], right[t + 2] :]
            s3 = window[y + below[t + 3], right[t + 3] :]
            s4 = window[y + below[t + 4], right[t + 4] :]
            s5 = window[y + below[t + 5], right[t + 5] :]
            s6 = window[y + below[t + 6], right[t + 6] :]
            s7 = window[y + below[t + 7], right[t + 7] :]
            for x in range(run):
                total[x] += (w0 * s0[x] + w1 * s1[x] + w2 * s2[x] + w3 * s3[x]) + (
                    w4 * s4[x] + w5 * s5[x] + w6 * s6[x] + w7 * s7[x]
                )
            t += 8
        while t < taps:
            w0 = weights[t]
            s0 = window[y + below[t], right[t] :]
            for x in range(run):
                total[x] += w0 * s0[x]
            t += 1
        if divisor != 1:
            for x in range(run):
                total[x] /= divisor
        _store(total, out[y])


def _store(total: Floats, out: Pixels) -> None:
    """Say what `convcli.rounding.store` says, compiled: numba takes the overload below."""
    raise RuntimeError("only meant for compiled code")


@overload(_store)
def _store_by_dtype(total, out):
    """Choose the way into `out` while compiling, when its dtype is known."""
    if not isinstance(out.dtype, numba.types.Integer):

        def copy(total, out):
            for x in range(out.size):
                out[x] = total[x]

        return copy

    accumulator = np.dtype(str(total.dtype)).type
    integer = np.dtype(str(out.dtype)).type
    lowest = accumulator(np.iinfo(integer).min)
    highest = accumulator(np.iinfo(integer).max)

    def round_and_clip(total, out):
        for x in range(out.size):
            level = min(max(np.rint(total[x]), lowest), highest)
            # By way of int32: float to int32 is one vector instruction, to uint8 none.
            out[x] = integer(np.int32(level))

    return round_and_clip
