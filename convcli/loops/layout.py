"""How data is laid out for the loops: numbers that the compiled code shares with its callers."""

ROWS = 4
"""Output rows that share the loads of their window. Images are cut at multiples of it, so that sums
are made in the same order however many pieces there are."""

TAPS = 8
"""Taps that share one load and store of their rows' sums."""

CHUNK = 2048
"""Samples of a row that are computed at a time. Their buffers (a row of sums, or four rows of
columns and one of sums) fit the first-level cache of 48 kB."""

LONG_ROW = 40
"""A row of at least so many weights is summed for four outputs at a time. On Zen 5 a blur with 25
taps gains nothing from it, one with 65 a fifth."""


def ceil_div(a: int, b: int) -> int:
    """Divide and round up: how many pieces of length b cover a length a."""
    return -(-a // b)
