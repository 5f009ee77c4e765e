"""How data is laid out for the compiled loops: numbers that they share with those who call them."""

ROWS = 4
"""Output rows that share the loads of their window. What an image is cut into begins at multiples
of it, so that sums are made in the same order however many pieces there are."""

TAPS = 8
"""Taps that share one load and store of their rows' sums."""

CHUNK = 2048
"""Samples of a row that are worked on at a time: what is kept of them, a row of sums or four rows
of columns and one of sums, fits the first-level cache (48 kB)."""

LONG_ROW = 40
"""Weights of a row from which on its sums, too, are made four at a time. On Zen 5 a blur with 25
taps gains nothing from it, one with 65 a fifth."""


def ceil_div(a: int, b: int) -> int:
    """Divide and round up: how many pieces of length b cover a length a."""
    return -(-a // b)
