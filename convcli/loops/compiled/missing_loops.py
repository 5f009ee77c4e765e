"""Compiled passes over windows with missing samples: before their sums are made, and after.

numpy takes five passes for what each of them does in one: 130 microseconds instead of 23 for the
first, of 72 x 1008 samples, of which the sums of 9 + 9 weights take 62.
"""

from __future__ import annotations

import numpy as np

from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS, _entry

__all__ = ["HOW", "NO_WRAPPERS", "divided", "parted"]


@_entry
def parted(samples, known, weights, infinite):
    """Copy samples, 0 in place of NaN, and weights: 0 for NaN, else 1; count infinite ones.

    Both are of the dtype of the sums, so that these need not convert a sample for each row of a
    kernel that takes it in: 15 x 15 weights in float64 take 5.9 instead of 6.9 ms a megapixel.
    """
    found = 0
    one, nothing = known.dtype.type(1), known.dtype.type(0)
    for x in range(samples.size):
        value = samples[x]
        is_there = value == value
        known[x] = value if is_there else nothing
        weights[x] = one if is_there else nothing
        found += abs(value) == np.inf
    infinite[0] = found


@_entry
def divided(total, weights, whole, empty):
    """``total *= whole / weights``, where weights are not 0; count the others."""
    found = 0
    for x in range(total.size):
        weight = weights[x]
        total[x] = total[x] / weight * whole
        found += weight == 0
    empty[0] = found
