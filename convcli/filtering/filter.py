"""What a filter does to any image: no image is there yet, and nothing is planned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.loops.decimation import Decimations
from convcli.pixels.colour import EVERY_CHANNEL, ColourUse
from convcli.planning.choice import Growth
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels


class Whole(NamedTuple):
    """A whole result, unrounded, for what is done last.

    Attributes
    ----------
    result : ndarray
        All of it; it may be overwritten.
    colours : ndarray
        The same without its alpha: a view.
    dtype : dtype
        The dtype that is asked for.
    flat : float
        What may be nothing but rounding.
    mark : float
        What stays missing becomes this; NaN if it stays NaN.
    """

    result: Floats
    colours: Floats
    dtype: np.dtype[Any]
    flat: float
    mark: float


Finish = Callable[[Whole], Pixels]
"""What is done last, to the whole result."""


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
    local : bool
        Their rounding must depend on the samples under the kernel alone.
    marks : bool
        What stays missing gets the no-data value, and not NaN.
    exact : bool
        Sum in float64 whatever the dtype.
    stride : int
        Keep every `stride`-th pixel of each axis, beginning with the first.
    finish : callable, optional
        What is done last, which depends on the whole result: see `Finish`.
    thresholds : (float, float), optional
        Draw thin edges of two derivatives, from which they are made last; see
        `convcli.filtering.canny`.
    weight : float
        How much of the filtered arrays goes into the result, beside the image's own samples.
    added : float
        What is added to the result.
    channels : int
        How many channels it takes, apart from an alpha; 0 for any number.
    """

    kernels: tuple[Kernel, ...]
    correlate: bool = False
    combine: Combine | None = None
    use: ColourUse = EVERY_CHANNEL
    decimations: Decimations | None = None
    settles: bool = False
    local: bool = False
    marks: bool = True
    exact: bool = False
    stride: int = 1
    finish: Finish | None = None
    thresholds: tuple[float, float] | None = None
    weight: float | None = None
    added: float = 0.0
    channels: int = 0

    @property
    def needs_all(self) -> bool:
        """Whether the result depends on the whole image, so that no stage can follow."""
        return self.finish is not None or self.thresholds is not None

    @property
    def fills_range(self) -> bool:
        """Whether the result is spread over the range of its dtype, as an angle is."""
        return self.needs_all or not self.use.gives_light

    @property
    def total(self) -> float:
        """The sum of the kernel's weights, 0 for a derivative, and for kernels of several sums."""
        kernel, *others = self.kernels
        total = kernel.sum()
        differ = any(abs(each.sum() - total) > 1e-9 * kernel.l1_norm for each in others)
        return 0.0 if kernel.is_derivative or differ else total

    @property
    def takes_out_level(self) -> bool:
        """Whether a constant added to the samples changes nothing."""
        return all(kernel.is_derivative for kernel in self.kernels)

    @property
    def keeps_level(self) -> bool:
        """Whether a constant added to the samples is added to the result and does nothing else."""
        return abs(self.total - 1) <= 1e-9 and not self.added

    def growth(self, full: float) -> Growth:
        """Return how much larger samples may become."""
        largest = math.fsum(kernel.l1_norm for kernel in self.kernels)
        errors = math.hypot(*(kernel.l2_norm for kernel in self.kernels))
        level = math.fsum(abs(kernel.sum()) for kernel in self.kernels)
        if self.weight is not None:
            largest, errors = 1 + self.weight * (1 + largest), 1 + self.weight
            level = 1 + self.weight * abs(1 - level)
        return Growth(largest, errors, level, abs(self.added) / full)
