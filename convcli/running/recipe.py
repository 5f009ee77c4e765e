"""What is done to a picture, apart from how: kernels, border, colour, and how results combine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.loops.contract import magnitude
from convcli.loops.decimation import Decimations
from convcli.pixels.borders import Halo
from convcli.pixels.colour import Colour
from convcli.types import Floats
from convcli.words import Border

Combine = Callable[..., Floats]
"""``combine(centre, *filtered)``: the picture's own samples, and one array a kernel."""


@dataclass(frozen=True)
class Recipe:
    """One filter: every plan that carries it out gives the same picture.

    Attributes
    ----------
    kernels : tuple of Kernel
        All of one shape, already turned so that correlating with them is what was asked.
    halo : (int, int, int, int)
        Rows above and below, columns left and right of a pixel that the kernels cover.
    border, border_value
        What lies beyond the picture's edge.
    colour : Colour
        What happens to the samples before and after.
    combine : callable, optional
        How the kernels' results become one; without it there is one kernel.
    out_dtype : numpy.dtype
        dtype of the result.
    decimations : (Decimation, Decimation), optional
        Along y and x, where a Gaussian is blurred by way of a coarser grid.
    """

    kernels: tuple[Kernel, ...]
    halo: Halo
    border: Border
    border_value: float
    colour: Colour
    combine: Combine | None
    out_dtype: np.dtype[np.generic]
    decimations: Decimations | None = None

    @property
    def is_magnitude(self) -> bool:
        """Whether it is the magnitude of two derivatives, which loops may make in one pass."""
        return self.combine is magnitude

    @property
    def is_plain_sum(self) -> bool:
        """Whether a loop's sum is the result itself, so that it may round it."""
        return self.combine is None and self.colour.is_plain


def halo_of(shape: tuple[int, int], correlate: bool) -> Halo:
    """Say how far a kernel reaches: its element n//2 lies on the pixel, on each axis.

    The element is counted in the kernel as it is written. Convolution turns the kernel
    over, and so the longer half of an even one with it.
    """
    (height, width) = shape
    before_y, before_x = height // 2, width // 2
    after_y, after_x = height - 1 - before_y, width - 1 - before_x
    if correlate:
        return before_y, after_y, before_x, after_x
    return after_y, before_y, after_x, before_x
