"""The absolute weights of a kernel: how much each sample under it counts."""

from __future__ import annotations

import numpy as np

from convcli.kernels.kernel import Kernel


def sizes_of(kernel: Kernel) -> Kernel | None:
    """Return the kernel of the absolute weights, or None for a kernel without negative weights.

    >>> from convcli.kernels.kernel import kernel_from
    >>> np.asarray(sizes_of(kernel_from([[1, 0, -2]]))).tolist()
    [[1.0, 0.0, 2.0]]
    """
    name = f"|{kernel.name}|"
    if kernel.given_factors is not None and len(kernel.given_factors) == 1:
        (factor,) = kernel.given_factors
        if min(float(values.min()) for values in factor) >= 0:
            return None
        column, row = map(np.abs, factor)
        return Kernel(name, kernel.shape, given_factors=((column, row),))
    if float(kernel.weights.min()) >= 0:
        return None
    return Kernel(name, kernel.shape, np.abs(kernel.weights))
