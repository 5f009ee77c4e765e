"""The contract of the inner loops, and the table that names them.

A loop module has a function ``correlator(weights, divisor)``, which prepares what depends on
the kernel alone and returns ``correlate(window, out)``::

    out[y, x, c] = sum_ij weights[i, j] * window[y + i, x + j, c] / divisor

window
    ``(h + kh - 1, w + kw - 1, C)``, C-contiguous, of any dtype that a picture has.
weights
    ``(kh, kw)``, float32 or float64. Their dtype is the one that the sum is kept in.
out
    ``(h, w, C)``, C-contiguous. Floats take the sum as it is; integers take it rounded
    half to even and clipped, once.

It may have another, ``separable_correlator(column, row, divisor)``, for both passes of a
separable kernel in one go; `two_pass` serves the loops that have none.

So a loop is a pure "valid" correlation. It knows no border, colour, file, flip or progress,
and may run on any piece of a picture, in any thread or process.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import numpy as np

from convcli.types import Floats, Pixels

Correlate = Callable[[Pixels, Pixels], None]


class Loop(NamedTuple):
    """What a loop module offers."""

    correlator: Callable[[Floats, float], Correlate]
    separable_correlator: Callable[[Floats, Floats, float], Correlate]


LOOPS = {
    "definition": "four nested Python loops: what every other loop must equal",
    "direct_numpy": "sums of shifted slices",
    "direct_numba": "compiled loops, eight taps a sweep",
    "overlap_add": "FFT blocks, added where they overlap",
}
"""Name of a loop's module and what it does. A loop that stands here is tested."""


def load(name: str) -> Loop:
    """Import a loop when it is first needed; only numba's takes long."""
    module = import_module(f"convcli.loops.{name}")

    def by_passes(column: Floats, row: Floats, divisor: float) -> Correlate:
        passes = module.correlator(column, 1.0), module.correlator(row, divisor)
        return two_pass(*passes, row.size, column.dtype)

    return Loop(module.correlator, getattr(module, "separable_correlator", by_passes))


def two_pass(
    along_y: Correlate, along_x: Correlate, width: int, accumulator: np.dtype[np.generic]
) -> Correlate:
    """Columns first: their pass takes the halo above and below off, and no row is done twice."""

    def correlate(window: Pixels, out: Pixels) -> None:
        height, run, channels = out.shape
        between = np.empty((height, run + width - 1, channels), accumulator)
        along_y(window, between)
        along_x(between, out)

    return correlate
