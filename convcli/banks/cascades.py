"""Cascades: an image as a sum of planes, each what one smoothing takes away from the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypedDict, Unpack

import numpy as np

from convcli.banks.convolution import run_plan
from convcli.banks.layer import convolution_layer
from convcli.banks.plan import BankPlan, plan_layer
from convcli.checks import count
from convcli.errors import ConvcliError
from convcli.kernels.gaussian import gaussian_kernel
from convcli.types import Floats
from convcli.words import BankMethod, Border

# The cubic B-spline of the a trous algorithm.
_B3 = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


class Plane(NamedTuple):
    """A part of an image, and its name."""

    name: str
    samples: Floats


class How(TypedDict, total=False):
    """How smoothing is computed: `method` and `workers` as for `convcli.conv2d`.

    `on_plan` is called with the plan of each smoothing.
    """

    method: BankMethod
    workers: int | None
    on_plan: Callable[[BankPlan], None] | None


def starlet(
    x: Floats, levels: float = 4, border: Border = "mirror", **how: Unpack[How]
) -> list[Plane]:
    """Split maps ``(C, H, W)`` into wavelet planes and a last smooth one, which add up to them.

    The a trous algorithm (Holschneider et al. 1989; Starck and Murtagh 2006, Astronomical Image and
    Data Analysis): level j smooths by a cubic B-spline whose weights lie 2**j pixels apart, which
    is a dilation, and its plane is what that takes away.

    Parameters
    ----------
    x : ndarray, (C, H, W)
        float32 or float64.
    levels : int
        From 1 to 12.
    border : str
        What lies beyond the edge; "mirror" is usual.
    **how
        method, workers, on_plan: see `How`.

    Returns
    -------
    list of Plane
        ``levels + 1`` planes of the shape of `x`: the finest first, the smooth one last.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((1, 20, 20))
    >>> planes = starlet(x, 3)
    >>> [plane.name for plane in planes]
    ['level-1', 'level-2', 'level-3', 'smooth']
    >>> bool(np.allclose(sum(plane.samples for plane in planes), x, atol=1e-15))
    True
    """

    def smooth(maps: Floats, level: int) -> Floats:
        return _apart(maps, _B3, 2**level, border, how)

    return _differences(x, _levels(levels), smooth)


def unsharp(
    x: Floats, levels: float = 4, border: Border = "mirror", **how: Unpack[How]
) -> list[Plane]:
    """Split maps into differences of Gaussians of sigma 1, 2, 4, ... and a last smooth one.

    What unsharp masking adds at each width (Burt and Adelson 1983, The Laplacian pyramid as a
    compact image code, without the steps between its pixels). Parameters as in `starlet`; the
    planes add up to the image.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((1, 20, 20))
    >>> planes = unsharp(x, 2)
    >>> bool(np.allclose(sum(plane.samples for plane in planes), x, atol=1e-15))
    True
    """

    def smooth(_: Floats, level: int) -> Floats:
        ((column, _row),) = gaussian_kernel(2.0**level).factors
        return _apart(x, column.ravel(), 1, border, how)

    return _differences(x, _levels(levels), smooth)


def plane_names(levels: float) -> tuple[str, ...]:
    """Return the names of the planes of a cascade of so many levels."""
    return (*(f"level-{level + 1}" for level in range(_levels(levels))), "smooth")


CASCADES: dict[str, Callable[..., list[Plane]]] = {"starlet": starlet, "unsharp": unsharp}
"""The built-in cascades, by name. One that is listed is tested."""


def _levels(levels: float) -> int:
    number = count(levels, "LEVELS")
    if number > 12:
        raise ConvcliError(f"LEVELS must be at most 12, not {number}")
    return number


def _differences(x: Floats, levels: int, smooth: Callable[[Floats, int], Floats]) -> list[Plane]:
    *names, last = plane_names(levels)
    planes, before = [], x
    for level, name in enumerate(names):
        after = smooth(before, level)
        planes.append(Plane(name, before - after))
        before = after
    return [*planes, Plane(last, before)]


def _apart(maps: Floats, taps: Floats, step: int, border: Border, how: How) -> Floats:
    """Smooth each map along y and x, with the taps so many pixels apart."""
    channels = len(maps)
    on_plan = how.get("on_plan")
    maps = np.ascontiguousarray(maps)
    for shape in ((taps.size, 1), (1, taps.size)):
        weight = np.tile(taps.astype(maps.dtype).reshape(shape), (channels, 1, 1, 1))
        layer = convolution_layer(
            maps.shape, weight.shape, maps.dtype, padding="same", dilation=step, groups=channels,
            border=border,
        )  # fmt: skip
        plan = plan_layer(layer, how.get("method", "auto"), how.get("workers"))
        if on_plan:
            on_plan(plan)
        maps = run_plan(plan, maps, weight)
    return maps
