"""From the sum to the dtype of the result: divided, rounded and clipped once."""

import numpy as np

from convcli.types import Floats, Pixels

# Of a float64 sum of samples, 2**-20 of a level and less is rounding, and each method has its
# own: an FFT's is about 1e-13 of the largest sum. Taken off first, what lies half way between
# two levels lies just there, and is rounded alike by all. (float32 sums are whole numbers
# where that matters: see `convcli.kernel.whole_numbers`.)
_NOISE = 2.0**20


# A wide Gaussian's float32 sums, each method's in its own order, differ by up to 1e-4 of a
# level. Equal areas of black and white come to just half a level everywhere, so sums are
# brought to multiples of 2**-9 first: then all methods round such a plateau alike.
STEPS_IN_LEVEL = 2.0**9


def settle(total: Floats) -> None:
    """Bring sums of 8-bit levels to the nearest multiple of 2**-9, in place."""
    total *= STEPS_IN_LEVEL
    np.rint(total, out=total)
    total /= STEPS_IN_LEVEL


def store(total: Floats, out: Pixels, divisor: float = 1.0) -> None:
    """Write ``total / divisor`` into `out`; `total` is scratch afterwards.

    Integers are rounded half to even, as IEEE 754 and ``numpy.rint`` do, and clipped to
    their range. Floats are stored as they are, so sign and range survive.
    """
    if divisor != 1.0:
        total /= divisor
    if out.dtype.kind == "f":
        out[...] = total
        return
    if total.dtype == np.float64:
        total *= _NOISE
        np.rint(total, out=total)
        total /= _NOISE
    limits = np.iinfo(out.dtype)
    np.rint(total, out=total)
    np.clip(total, limits.min, limits.max, out=total)
    # A NaN can only come from a float picture stored as integers; it has no right integer, so
    # let it become whatever the cast gives without a warning per strip.
    with np.errstate(invalid="ignore"):
        out[...] = total.astype(out.dtype)
