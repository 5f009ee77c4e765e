"""From the accumulator to the dtype of the result: divided, rounded and clipped once."""

import numpy as np
from numpy.typing import NDArray

from convcli.types import Floats, Pixels


def store(total: Floats, out: Pixels, divisor: float = 1.0) -> None:
    """Write ``total / divisor`` into `out`; `total` is scratch afterwards.

    Integers are rounded half to even, as IEEE 754 and ``numpy.rint`` do, and clipped to
    their range. Floats are stored as they are, so sign and range survive.
    """
    if divisor != 1.0:
        total /= divisor
    if np.issubdtype(out.dtype, np.integer):
        limits = np.iinfo(out.dtype)
        np.rint(total, out=total)
        np.clip(total, limits.min, limits.max, out=total)
        # A NaN can only come from a float picture stored as integers; it has no right
        # integer, so let it become whatever the cast gives without a warning per strip.
        with np.errstate(invalid="ignore"):
            out[...] = total.astype(out.dtype)
    else:
        out[...] = total


def as_float(pixels: NDArray[np.generic], accumulator: np.dtype[np.floating]) -> Floats:
    """Return the pixels in the accumulator's dtype, without a copy where they have it."""
    return pixels.astype(accumulator, copy=False)
