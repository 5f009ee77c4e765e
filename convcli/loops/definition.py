"""The meaning of the program in four nested loops, and the oracle of its tests."""

from __future__ import annotations

import numpy as np

from convcli.loops.contract import Correlate
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Prepare a correlation by the definition; see `convcli.loops.contract` for the contract."""

    def correlate(window: Pixels, out: Pixels) -> None:
        # float64 samples near the ends of their range need more room: an x87's is 2**16384.
        total = np.zeros(out.shape, np.longdouble)
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                for i in range(weights.shape[0]):
                    for j in range(weights.shape[1]):
                        if weights[i, j] == 0:
                            continue  # takes nothing, not even a NaN
                        total[y, x] += weights[i, j] * window[y + i, x + j].astype(np.longdouble)
        store(total, out, divisor)

    return correlate
