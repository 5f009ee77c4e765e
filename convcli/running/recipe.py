"""What is done to an image, apart from how: kernels, border, colour, and how results combine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.loops.contract import magnitude
from convcli.loops.decimation import Decimations
from convcli.pixels.borders import Halo, Value, is_foreign
from convcli.pixels.colour import Colour
from convcli.planning.costs import colour_cost
from convcli.planning.plan import Task
from convcli.types import Floats
from convcli.words import Border, Method

Combine = Callable[..., Floats]
"""``combine(centre, *filtered)``: the image's own samples, and one array a kernel."""


class Missing(NamedTuple):
    """Which samples are left out of every sum: NaN, and those of one value.

    Attributes
    ----------
    sizes : tuple of Kernel or None
        The absolute weights of each kernel of the recipe; None if it has no negative weights.
    sample : float
        The value, as a sample of the image; NaN if there is none.
    mark : float
        What a result is for which no sample remains.
    """

    sizes: tuple[Kernel | None, ...]
    sample: float = math.nan
    mark: float = math.nan


@dataclass(frozen=True)
class Recipe:
    """One filter: every plan that carries it out gives the same image.

    Attributes
    ----------
    kernels : tuple of Kernel
        All of one shape, already flipped where a convolution is meant: the image is correlated
        with them.
    halo : (int, int, int, int)
        Rows above and below, columns left and right of a pixel that the kernels cover.
    border, border_value
        What lies beyond the image's edge.
    colour : Colour
        What happens to the samples before and after.
    combine : callable, optional
        How the kernels' results become one; without it there is one kernel.
    out_dtype : numpy.dtype
        dtype of the result.
    exact : bool
        Sum in float64 whatever the dtype.
    decimations : (Decimation, Decimation), optional
        Along y and x, where a Gaussian is blurred by way of a coarser grid.
    flat : float
        Filtered samples of at most this may be nothing but rounding, and count as 0; 0 leaves them.
    local : bool
        `flat` is a share of the largest magnitude under the kernels, and the rounding of sums
        depends on these samples alone.
    missing : Missing, optional
        Which samples are left out; without it NaN is a value like others.
    bounded : bool
        Float samples are finite and far from the ends of their range, for they come from integers;
        or they are missing.
    """

    kernels: tuple[Kernel, ...]
    halo: Halo
    border: Border
    border_value: Value
    colour: Colour
    combine: Combine | None
    out_dtype: np.dtype[np.generic]
    exact: bool = False
    decimations: Decimations | None = None
    flat: float = 0.0
    local: bool = False
    missing: Missing | None = None
    bounded: bool = False

    @property
    def reach(self) -> Halo:
        """Rows above and below, columns left and right of a pixel that its result depends on."""
        if not self.decimations:
            return self.halo
        down, across = (axis.radius for axis in self.decimations)
        return down, down, across, across

    @property
    def is_magnitude(self) -> bool:
        """Whether it is the magnitude of two derivatives, which loops may make in one pass."""
        return self.combine is magnitude and not self.flat

    @property
    def is_plain_sum(self) -> bool:
        """Whether a loop's sum is the result itself, so that the loop may round it."""
        return self.combine is None and self.colour.is_plain and not self.flat

    def task(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        method: Method,
        workers: int | None,
        images: int,
        whole: tuple[int, int] | None = None,
    ) -> Task:
        """Return what a plan needs to know of this filter and an image."""
        # Such a constant may be so large that float32 sums would lose the samples.
        foreign = is_foreign(dtype, self.border, self.border_value)
        return Task(
            shape=shape,
            dtype=dtype,
            kernels=self.kernels,
            method=method,
            workers=workers,
            exact=self.exact or foreign,
            images=images,
            form="separable" if self.is_magnitude else None,
            decimations=self.decimations,
            is_magnitude=self.is_magnitude,
            local=self.local,
            as_floats=foreign or not self.colour.is_plain,
            leaves_out=self.missing is not None,
            whole=whole,
            other_work=colour_cost(self.colour, bool(self.combine) and not self.is_magnitude),
        )


def halo_of(shape: tuple[int, int], correlate: bool) -> Halo:
    """Return how far a kernel reaches: its element n//2 lies on the pixel, on each axis.

    The element is counted in the kernel as it is written. Convolution flips the kernel, and so
    swaps the longer and the shorter half of an even one.
    """
    (height, width) = shape
    before_y, before_x = height // 2, width // 2
    after_y, after_x = height - 1 - before_y, width - 1 - before_x
    if correlate:
        return before_y, after_y, before_x, after_x
    return after_y, before_y, after_x, before_x
