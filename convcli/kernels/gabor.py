"""Gabor kernels: waves under Gaussians."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from convcli.checks import finite, positive
from convcli.errors import ConvcliError
from convcli.kernels.kernel import LONGEST_SIDE, Factor, Kernel, Weights

SIGMA = 0.56
"""Of the wavelength: a bandwidth of one octave (Daugman 1985, Uncertainty relation for resolution
in space, spatial frequency, and orientation optimized by two-dimensional visual cortical filters).
"""

# Share of the sum of the envelope that the product of kernel and wave must be. Less is left where
# the envelope holds no more than the middle of a wave, and of sines of 2 pixels.
_LEAST_RESPONSE = 1e-6


Phase = Literal["even", "odd"]


def gabor_kernel(
    phase: Phase,
    wavelength: float = 4.0,
    angle: float = 0.0,
    sigma: float | None = None,
    radius: int | None = None,
) -> Kernel:
    r"""Return a Gabor kernel; the even and the odd one of the same numbers are a quadrature pair.

    .. math:: g(x, y) = \exp(-(x^2 + y^2) / 2 \sigma^2) \cos(2 \pi x' / \lambda), \quad \sin

    with x' along the wave. The even kernel has its mean under the Gaussian subtracted, so that a
    constant image gives 0. Each is scaled so that its own wave with an amplitude of 1 gives 1.

    Parameters
    ----------
    phase : {"even", "odd"}
        Cosine or sine.
    wavelength : float
        In pixels, 2 or more.
    angle : float
        Direction of the wave in degrees, counter-clockwise from the right.
    sigma : float, optional
        Standard deviation of the Gaussian in pixels. Default: 0.56 of the wavelength.
    radius : int, optional
        Where the kernel is cut. Default: ``ceil(3 * sigma)``.

    Returns
    -------
    Kernel
        A sum of at most three separable terms, and of one where the wave runs along an axis.
    """
    name = "gabor" if phase == "even" else "gabor-odd"
    wavelength = positive(wavelength, f"{name} wavelength")
    finite(**{f"{name} angle": angle})
    if wavelength < 2:
        raise ConvcliError(f"{name} wavelength must be at least 2 pixels, not {wavelength:g}")
    sigma = SIGMA * wavelength if sigma is None else positive(sigma, f"{name} sigma")
    if 6 * sigma + 3 > LONGEST_SIDE:
        raise ConvcliError(f"{name} sigma must be at most {LONGEST_SIDE // 6 - 1}, not {sigma:g}")
    half = math.ceil(3 * sigma) if radius is None else radius
    steps = np.arange(-half, half + 1.0)
    with np.errstate(over="ignore"):  # exp(-infinity) is 0, which is right
        envelope = np.exp(-0.5 * (steps / sigma) ** 2)
    # Sines of right angles are off by 1e-16, which would leave two terms where one is enough.
    turn = math.radians(angle % 360)
    along_x, along_y = round(math.cos(turn), 15), -round(math.sin(turn), 15)  # rows count downwards
    wave = 2 * math.pi / wavelength * steps
    cosines = envelope * np.cos(along_y * wave), envelope * np.cos(along_x * wave)
    sines = envelope * np.sin(along_y * wave), envelope * np.sin(along_x * wave)
    # Sums over the envelope, a product of two, of the cosines of 0, 1 and 2 times the phase.
    none, once, twice = (
        float((envelope * np.cos(n * along_x * wave)).sum())
        * float((envelope * np.cos(n * along_y * wave)).sum())
        for n in (0, 1, 2)
    )
    if phase == "odd":
        terms = tuple(
            term for term in ((cosines[0], sines[1]), (sines[0], cosines[1])) if _is_any(term)
        )
        response = (none - twice) / 2
    else:
        terms = _even(cosines, sines, envelope, once / none)
        response = (none + twice) / 2 - once / none * once
    if response < _LEAST_RESPONSE * none:
        raise ConvcliError(
            f"kernel {name!r}: almost nothing is left of a wave of {wavelength:g} pixels under a "
            f"Gaussian of sigma {sigma:g}; change one of them"
        )
    scaled = tuple((column / response, row) for column, row in terms)
    return Kernel(name, (steps.size, steps.size), given_factors=scaled)


def _is_any(term: Factor) -> bool:
    return bool(term[0].any() and term[1].any())


def _even(cosines: Factor, sines: Factor, envelope: Weights, mean: float) -> tuple[Factor, ...]:
    """Return the terms of ``cos(phase) - mean`` under the envelope."""
    if _is_any(sines):
        return (cosines, (-sines[0], sines[1]), (-mean * envelope, envelope))
    column, row = cosines
    if (column == envelope).all():  # along x
        return ((column, row - mean * envelope),)
    return ((column - mean * envelope, row),)
