"""Wide Gaussians at a constant cost: two narrower ones, with a coarser grid between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.loops.layout import ROWS
from convcli.once import cached_property
from convcli.types import Floats

# The grid's step is sigma / 1.6 at most, and the narrow Gaussian's sigma is one step: frequencies
# that the grid cannot hold are then damped to exp(-2 pi^2 / 2.8), and the error stays under 0.01
# of an 8-bit level for any sigma (`Decimation.error` computes it). Coarser grids gain nothing: a
# sample takes 9 taps to the grid and 12 or more back whatever the step.
_STEPS_IN_SIGMA = 1.6

# Both Gaussians are cut here: 7e-6 of their weight lies beyond.
_CUT = 4.5

LEAST_SIGMA = _STEPS_IN_SIGMA * ROWS
"""Narrower Gaussians are not decimated: direct sums of 51 taps are as fast. Steps are multiples of
the rows that one sweep makes."""


@dataclass(frozen=True)
class Decimation:
    """One axis of a wide Gaussian.

    G(sigma) = G(narrow) * G(wide) with sigma^2 = narrow^2 + wide^2 (the Gaussians' semigroup).
    The narrow one is evaluated at every `step`-th sample only, and the wide one interpolates
    each sample from those; its weights depend on where the sample lies between grid points.

    Attributes
    ----------
    sigma : float
        Of the Gaussian, in pixels.
    step : int
        Distance of the grid's points, in pixels.
    narrow : ndarray, (2 r + 1,)
        Weights onto the grid.
    wide : ndarray, (step, n)
        Weights back, one row for each place between grid points.
    """

    sigma: float
    step: int
    narrow: Floats
    wide: Floats

    @property
    def radius(self) -> int:
        """How far samples reach, in pixels."""
        return self.narrow.size // 2 + int(self.wide.shape[1] // 2) * self.step

    def points(self, first: int, end: int) -> int:
        """Return how many points of the grid a run of results needs, which begins on the grid."""
        return (end - 1 - first) // self.step + int(self.wide.shape[1])

    @cached_property
    def error(self) -> float:
        """L1 norm of the difference from the true Gaussian, for the worst place.

        The difference sums to 0, so an image of range 1 errs by at most half of this; a
        second axis adds as much again.
        """
        reach = self.radius + math.ceil(4 * self.sigma)
        r = self.narrow.size // 2
        places = self.wide.shape[1]
        worst = 0.0
        for place in range(self.step // 2 + 1):  # those beyond are mirror images
            response = np.zeros(2 * reach + 1)
            for index, weight in enumerate(self.wide[place]):
                centre = reach + (index - (places // 2 - 1)) * self.step
                response[centre - r : centre + r + 1] += weight * self.narrow
            response -= gaussian(np.arange(-reach, reach + 1) - place, self.sigma)
            worst = max(worst, float(np.abs(response).sum()))
        return worst


def from_grid_to_grid(below: Decimation, above: Decimation) -> Floats | None:
    """Return the weights that lead from points of one grid straight to points of the next one.

    A point of the next grid is a sum of rows, and each of these is a sum of points. If the steps of
    the next grid are whole numbers of steps of this one, all its points have the same weights: of
    all points that its rows need. If not, there are none.
    """
    if above.step % below.step:
        return None
    half, points = above.narrow.size // 2, below.wide.shape[1]
    first = -half // below.step
    weights = np.zeros(half // below.step - first + points)
    for row, weight in enumerate(above.narrow, -half):
        steps, place = divmod(row, below.step)
        weights[steps - first :][:points] += weight * below.wide[place]
    return weights


Decimations = tuple[Decimation, Decimation]
"""Along y and along x."""


def decimations(sigma: tuple[float, float]) -> Decimations | None:
    """Return how to decimate a Gaussian of sigma (along x, along y), if it is wide enough."""
    if min(sigma) < LEAST_SIGMA:
        return None
    return _decimation(sigma[1]), _decimation(sigma[0])


# A Gaussian of sigma 1000 takes 100 kB, and augmentation draws a new sigma for each image.
@lru_cache(maxsize=16)
def _decimation(sigma: float) -> Decimation:
    step = ROWS * int(sigma / LEAST_SIGMA)
    narrow, wide = float(step), math.sqrt(sigma**2 - step**2)
    r = math.ceil(_CUT * narrow)
    before = int(_CUT * wide / step)
    grid = np.arange(-before, before + 2) * step
    return Decimation(
        sigma,
        step,
        gaussian(np.arange(-r, r + 1), narrow),
        np.stack([gaussian(grid - place, wide) for place in range(step)]),
    )


def gaussian(x: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    """Sample a Gaussian at positions x, in pixels, and divide the samples by their sum."""
    with np.errstate(over="ignore"):  # exp(-infinity) is 0, which is right
        weights = np.exp(-0.5 * (x / sigma) ** 2)
    return np.asarray(weights / weights.sum())
