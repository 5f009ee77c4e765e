"""What a filter does to any image: no image is there yet, and nothing is planned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.loops.decimation import Decimations
from convcli.pixels.colour import EVERY_CHANNEL, ColourUse
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels

Finish = Callable[[Floats, np.dtype[Any], float], Pixels]
"""``finish(result, dtype, flat)``: the whole result, unrounded, to the dtype that is asked for;
`flat` is what may be nothing but rounding."""


@dataclass(frozen=True)
class Filter:
    """What a filter does to any image.

    Attributes
    ----------
    kernels : tuple of Kernel
        All of one shape; each gives one filtered array.
    correlate : bool
        Leave the kernels unflipped.
    combine : callable, optional
        ``combine(centre, *filtered)``: from the image's own samples ``(h, w, C)``, in their
        own dtype unless they are light or weighted, and the filtered arrays, floats that may
        be overwritten, to the result. Without it there is one kernel.
    use : ColourUse
        Which channels are filtered, and whether the result is light.
    decimations : (Decimation, Decimation), optional
        How to blur by way of a coarser grid instead. That is done where 8-bit samples become
        8-bit samples and colour needs nothing.
    settles : bool
        Filtered arrays that may be nothing but rounding count as 0, which each method has of its
        own: it would show in an angle.
    exact : bool
        Sum in float64 whatever the dtype.
    stride : int
        Keep every `stride`-th pixel of each axis, beginning with the first.
    finish : callable, optional
        What is done last, which depends on the whole result: see `Finish`.
    weight : float
        How much of the filtered arrays goes into the result, beside the image's own samples.
    added : float
        What is added to the result.
    """

    kernels: tuple[Kernel, ...]
    correlate: bool = False
    combine: Combine | None = None
    use: ColourUse = EVERY_CHANNEL
    decimations: Decimations | None = None
    settles: bool = False
    exact: bool = False
    stride: int = 1
    finish: Finish | None = None
    weight: float | None = None
    added: float = 0.0

    def growth(self, full: float) -> tuple[float, float]:
        """Return how many times larger samples may become, and independent errors of them."""
        largest = math.fsum(kernel.l1_norm for kernel in self.kernels)
        errors = math.hypot(*(kernel.l2_norm for kernel in self.kernels))
        if self.weight is not None:
            largest = 1 + self.weight * (1 + largest)
            errors = 1 + self.weight
        return largest + abs(self.added) / full, errors
