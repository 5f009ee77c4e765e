"""Names for the arrays that travel through convcli."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Which dtypes are taken is checked when an image comes in; to the type checker they are any.
Pixels = NDArray[Any]
"""An image of uint8, uint16, float32 or float64: ``(H, W)`` or ``(H, W, C)`` as it is read and
given back, ``(H, W, C)`` from `convcli.filtering.convolution.apply` down to the loops."""

Floats = NDArray[np.floating[Any]]
"""Weights and sums: float32 or float64."""

OnProgress = Callable[[int, int], None]
"""Called with (regions done, regions in all), from the thread that asked for the work."""

OnRows = Callable[[Pixels, int], None]
"""Called with a result and the number of its first rows that are final."""
