"""Cascades: an image as a sum of planes, each what one smoothing takes away from the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from convcli.banks.convolution import conv2d
from convcli.checks import count
from convcli.errors import ConvcliError
from convcli.kernels.named import gaussian_kernel
from convcli.types import Floats
from convcli.words import Border

# The cubic B-spline of the a trous algorithm.
_B3 = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


class Plane(NamedTuple):
    """A part of an image, and its name."""

    name: str
    samples: Floats


def starlet(x: Floats, levels: float = 4, border: Border = "mirror") -> list[Plane]:
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
        return _apart(maps, _B3, 2**level, border)

    return _differences(x, _levels(levels), smooth)


def unsharp(x: Floats, levels: float = 4, border: Border = "mirror") -> list[Plane]:
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
        return _apart(x, column.ravel(), 1, border)

    return _differences(x, _levels(levels), smooth)


CASCADES: dict[str, Callable[..., list[Plane]]] = {"starlet": starlet, "unsharp": unsharp}
"""The built-in cascades, by name. One that is listed is tested."""


def _levels(levels: float) -> int:
    number = count(levels, "LEVELS")
    if number > 12:
        raise ConvcliError(f"LEVELS must be at most 12, not {number}")
    return number


def _differences(x: Floats, levels: int, smooth: Callable[[Floats, int], Floats]) -> list[Plane]:
    planes, before = [], x
    for level in range(levels):
        after = smooth(before, level)
        planes.append(Plane(f"level-{level + 1}", before - after))
        before = after
    return [*planes, Plane("smooth", before)]


def _apart(maps: Floats, taps: Floats, step: int, border: Border) -> Floats:
    """Smooth each map along y and x, with the taps so many pixels apart."""
    channels = len(maps)
    padding: Literal["same"] = "same"
    for shape in ((-1, 1), (1, -1)):
        weight = np.broadcast_to(taps.reshape(shape), (channels, 1, *taps.reshape(shape).shape))
        maps = conv2d(maps, weight, padding=padding, dilation=step, groups=channels, border=border)
    return maps
