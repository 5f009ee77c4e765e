"""How data is laid out for the loops: numbers that the compiled code shares with its callers."""

from __future__ import annotations

import numpy as np

from convcli.types import Floats

ROWS = 4
"""Output rows that share the loads of their window. Images are cut at multiples of it, so that sums
are made in the same order however many pieces there are."""

TAPS = 8
"""Taps that share one load and store of their rows' sums."""

EQUAL = 128
"""Equal terms that are summed one after the other: they all round to one side. More of them are
summed in parts."""

CHUNK = 2048
"""Samples of a row that are computed at a time. Their buffers (a row of sums, or four rows of
columns and one of sums) fit the first-level cache of 48 kB."""

BLOCK = 8
"""Maps of a filter bank that are summed together: 8 by 3 vectors of AVX-512 are 24 of its 32
registers. Weights lie in blocks of 8, then 4, 2 and 1."""

DENSE_ROWS = 8
"""Rows of results of a kernel that share their samples where vectors have 64 bytes."""

SHARED_ROWS, LEAST_SHARED = 4, 3
"""Rows of results of one kernel that share the samples which they have in common: 4, or 3."""

APART = 16
"""Samples between parts of scratch memory whose lengths are powers of two: without them, rows that
are read together would fall into the same few lines of a cache."""

SLACK = 512
"""Bytes beyond the end of a window that a tile of a bank may load: 8 vectors of 64 bytes."""


def shares_rows(shape: tuple[int, int], taps: int) -> bool:
    """Say whether rows of results share samples: a kernel has three rows or more, and no zeros."""
    return shape[0] >= 3 and taps == shape[0] * shape[1]


def most_equal(weights: Floats) -> int:
    """Return how many weights have the most frequent value, but 0, in float32."""
    counts = np.unique(weights[weights != 0].astype(np.float32), return_counts=True)[1]
    return int(counts.max(initial=0))


def ceil_div(a: int, b: int) -> int:
    """Divide and round up: how many pieces of length b cover a length a."""
    return -(-a // b)
