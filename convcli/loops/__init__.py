"""The contract of the inner loops, and the table that names them.

A loop module has one public function, ``correlator(weights, divisor)``, which prepares
what depends on the kernel alone and returns ``correlate(window, out)``::

    out[y, x, c] = sum_ij weights[i, j] * window[y + i, x + j, c] / divisor

window
    ``(h + kh - 1, w + kw - 1, C)``, C-contiguous, of any dtype that a picture has.
weights
    ``(kh, kw)``, float32 or float64. Their dtype is the one that the sum is kept in.
out
    ``(h, w, C)``, C-contiguous. Floats take the sum as it is; integers take it rounded
    half to even and clipped, once.

So a loop is a pure "valid" correlation. It knows no border, colour, file, flip or progress,
and may run on any piece of a picture, in any thread or process.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from convcli.types import Floats, Pixels

Correlate = Callable[[Pixels, Pixels], None]
Correlator = Callable[[Floats, float], Correlate]

LOOPS = {
    "definition": "four nested Python loops: what every other loop must equal",
    "direct_numpy": "sums of shifted slices",
    "direct_numba": "compiled loops, eight taps a sweep",
    "overlap_add": "FFT blocks, added where they overlap",
}
"""Name of a loop's module and what it does. A loop that stands here is tested."""


def load(name: str) -> Correlator:
    """Import a loop when it is first needed; only numba's takes long."""
    return cast(Correlator, import_module(f"convcli.loops.{name}").correlator)
