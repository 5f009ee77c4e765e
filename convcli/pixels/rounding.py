"""From sums to the dtype of the result: divided, rounded once and clipped once."""

import numpy as np

from convcli.types import Floats, Pixels

# Sums have rounding errors, which differ between methods: 1e-5 of a level for 8 bits summed in
# float32, 1e-13 of the largest sum by an FFT in float64. Equal areas of black and white sum to
# half a level everywhere, so sums are first rounded to so many steps a level; then all methods
# round such a plateau alike.
STEPS_IN_LEVEL = {"uint8": 2.0**12, "uint16": 2.0**20}
# With a divisor they are sums of whole numbers (`convcli.kernels.kernel.whole_numbers`): exact in
# float32, and in float64 but for that.
STEPS_OF_WHOLE_NUMBERS = 2.0**20


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
    # Clipped first, so that no product overflows. The limits are whole, so this changes no result.
    limits = np.iinfo(out.dtype)
    np.clip(total, limits.min, limits.max, out=total)
    if divisor == 1.0 or total.dtype != np.float32:
        steps = STEPS_IN_LEVEL[out.dtype.name] if divisor == 1.0 else STEPS_OF_WHOLE_NUMBERS
        total *= steps
        np.rint(total, out=total)
        total /= steps
    np.rint(total, out=total)
    # NaN can only come from a float image stored as integers. No integer stands for it: it becomes
    # 0, as in every method.
    if np.isnan(total.max()):
        total[np.isnan(total)] = 0
    out[...] = total.astype(out.dtype)
