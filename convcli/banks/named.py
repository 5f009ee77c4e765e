"""The built-in banks of kernels: Gabor filters, steerable filters, Laws' masks, Haar wavelets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np

from convcli.banks.bank import Bank
from convcli.checks import count
from convcli.errors import ConvcliError
from convcli.kernels.derivatives import derivatives
from convcli.kernels.gabor import SIGMA, Phase, gabor_kernel
from convcli.types import Floats

_MOST = 4096  # maps of a bank


def gabor_bank(angles: float = 8, scales: float = 3) -> Bank:
    """Return Gabor kernels, even and odd, for angles in 180 degrees and scales by octaves.

    The wavelength is 4 pixels and doubles with each scale, and sigma is 0.56 of it; see
    `convcli.kernels.gabor.gabor_kernel`.
    """
    turns, octaves = count(angles, "ANGLES"), count(scales, "SCALES")
    if octaves > 8:
        raise ConvcliError(f"gabor has at most 8 scales, not {octaves}: kernels would be too large")
    _check_number(2 * turns * octaves)
    kernels, names = [], []
    radius = math.ceil(3 * SIGMA * 4 * 2 ** (octaves - 1))
    for octave in range(octaves):
        length = 4.0 * 2**octave
        for turn in range(turns):
            angle = 180 * turn / turns
            for phase in get_args(Phase):
                kernels.append(gabor_kernel(phase, length, angle, radius=radius).weights)
                names.append(f"{length:g}px-{angle:g}deg-{phase}")
    pairs = tuple((i, i + 1) for i in range(0, len(kernels), 2))
    return Bank(np.stack(kernels)[:, None], tuple(names), pairs, row=2 * turns)


def steerable_bank(sigma: float = 2.0, *, angle: float | None = None) -> Bank:
    """Return first and second derivatives of a Gaussian, or with an angle those along it.

    Freeman and Adelson 1991, The design and use of steerable filters: a derivative in any direction
    is a sum of these, ``cos(a) Gx + sin(a) Gy`` and ``cos(a)^2 Gxx + 2 cos(a) sin(a) Gxy + sin(a)^2
    Gyy``. The angle is in degrees from x to the right towards up. A ramp of 1 a pixel gives 1 in
    the first order.
    """
    if not 0.3 <= sigma <= 100:
        raise ConvcliError(f"sigma of steerable must be from 0.3 to 100, not {sigma:g}")
    g, first, second = derivatives(sigma)
    x = np.arange(g.size) - g.size // 2
    first = first / (first * x).sum()
    second = second * 2 / (second * x * x).sum()
    # Rows grow downwards: y upwards has the other sign.
    gx, gy = np.outer(g, first), np.outer(-first, g)
    gxx, gyy, gxy = np.outer(g, second), np.outer(second, g), np.outer(-first, first)
    if angle is None:
        return Bank(np.stack([gx, gy, gxx, gxy, gyy])[:, None], ("x", "y", "xx", "xy", "yy"))
    if not math.isfinite(angle):
        raise ConvcliError(f"angle must be a finite number of degrees, not {angle:g}")
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = [c * gx + s * gy, c * c * gxx + 2 * c * s * gxy + s * s * gyy]
    return Bank(np.stack(along)[:, None], (f"first-{angle:g}deg", f"second-{angle:g}deg"))


def laws_bank() -> Bank:
    """Return Laws' 25 texture masks: products of level, edge, spot, wave and ripple.

    Laws 1980, Textured image segmentation. Each vector is divided by the sum of its absolute
    values, so that maps have the range of the image.
    """
    vectors = {
        "L": (1, 4, 6, 4, 1), "E": (-1, -2, 0, 2, 1), "S": (-1, 0, 2, 0, -1),
        "W": (-1, 2, 0, -2, 1), "R": (1, -4, 6, -4, 1),
    }  # fmt: skip
    scaled = {name: np.array(v) / np.abs(v).sum() for name, v in vectors.items()}
    names = [(a, b) for a in scaled for b in scaled]
    kernels = [np.outer(scaled[a], scaled[b]) for a, b in names]
    return Bank(np.stack(kernels)[:, None], tuple(f"{a}5{b}5" for a, b in names), row=5)


def haar_bank() -> Bank:
    """Return the Haar wavelet's filters: mean, and differences across, down and both, of 2 x 2.

    Haar 1910; orthonormal: with the bank's stride of 2 the maps' squares add up to the image's.
    """
    low, high = np.array([1.0, 1.0]) / math.sqrt(2), np.array([1.0, -1.0]) / math.sqrt(2)
    kernels: list[Floats] = [np.outer(a, b) for a in (low, high) for b in (low, high)]
    return Bank(np.stack(kernels)[:, None], ("LL", "LH", "HL", "HH"), stride=2, row=2)


def _check_number(maps: int) -> None:
    if maps > _MOST:
        raise ConvcliError(f"a bank has at most {_MOST} maps, not {maps}")


class _Named(NamedTuple):
    """A word for a bank: how to make it, how it is typed, and how many numbers it takes."""

    make: Callable[..., Bank]
    usage: str
    most: int


NAMED = {
    "gabor": _Named(gabor_bank, "gabor:ANGLES,SCALES", 2),
    "steerable": _Named(steerable_bank, "steerable:SIGMA", 1),
    "laws": _Named(laws_bank, "laws", 0),
    "haar": _Named(haar_bank, "haar", 0),
}
"""The built-in banks. One that is listed is tested."""


def named_bank(text: str, angle: float | None = None) -> Bank:
    """Return a built-in bank, such as ``gabor:8,3``.

    Raises
    ------
    ConvcliError
        If its name or its numbers are not valid.

    Examples
    --------
    >>> named_bank("gabor:4,2").weights.shape
    (16, 1, 29, 29)
    >>> named_bank("haar").names
    ('LL', 'LH', 'HL', 'HH')
    """
    name, colon, rest = text.partition(":")
    if name not in NAMED:
        raise ConvcliError(f"unknown bank {name!r}; it must be {', '.join(NAMED)}")
    given = rest.split(",") if colon else []
    row = NAMED[name]
    try:
        values = [float(word) for word in given]
    except ValueError:
        raise ConvcliError(f"{text!r} must be typed as {row.usage}, with numbers") from None
    if len(values) > row.most:
        raise ConvcliError(f"{text!r} has too many numbers; it is typed as {row.usage}")
    if angle is not None and name != "steerable":
        raise ConvcliError(f"an angle is for steerable, not for {name}")
    return row.make(*values) if angle is None else row.make(*values, angle=angle)
