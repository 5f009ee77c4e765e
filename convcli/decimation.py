"""A wide Gaussian at constant cost: rows are thinned out, blurred, and interpolated again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from convcli import borders
from convcli.kernels import Kernel, Weights, gaussian_samples
from convcli.loops import load
from convcli.recipe import Recipe
from convcli.types import Floats, OnProgress, Pixels

# Each Gaussian is cut at 4.5 of its sigmas, which leaves out 6.8e-6 of it; scaling it back to
# a sum of 1 adds as much again. Four of them stand one after the other.
_CUT = 4.5
BOUND = 4 * 2 * math.erfc(_CUT / math.sqrt(2))
"""Largest distance from the true Gaussian in a unit of the samples' range: 5.4e-5, which is
0.014 of an 8-bit level. The aliases of the thinned rows (exp(-2 pi^2 0.9^2) = 1e-7 of the
range) are far below it."""

# Sigma of the Gaussians before and after thinning, and of the whole, in steps. The rows that
# are left cost 2 * 4.5 * 2 taps a step in x, the other passes 2 * 4.5 * 0.9 taps each.
_NARROW = 0.9
_WIDE = 2.0


@dataclass(frozen=True)
class Decimation:
    """Three Gaussians whose variances add up to that of a wide one.

    ``sigma**2 = narrow**2 + (step * coarse)**2 + narrow**2``: G(narrow) at every step-th row
    only, G(coarse) on these, and G(narrow) from these to every row (Getreuer, A Survey of
    Gaussian Convolution Algorithms, IPOL 2013, for what it competes with).

    Attributes
    ----------
    step : int
        Distance of the rows that are kept, in pixels.
    down, coarse : ndarray, (taps,)
        Weights of the first two.
    up : ndarray, (step, taps)
        Weights of the last for rows 0, 1, ... step - 1 after a kept one.
    """

    step: int
    down: Weights
    coarse: Weights
    up: Weights

    @property
    def margin(self) -> int:
        """How many kept rows the last two Gaussians reach beyond the picture."""
        return int(self.up.shape[1]) // 2 + self.coarse.size // 2


def decimation_for(sigma: float) -> Decimation:
    """Choose step and Gaussians for a sigma of at least 5 pixels."""
    step = max(2, int(sigma / _WIDE))
    narrow = _NARROW * step
    coarse = math.sqrt(sigma**2 - 2 * narrow**2) / step
    half = math.ceil(_CUT * _NARROW) + 1
    kept = np.arange(-half + 1, half + 1) * step
    up = np.exp(-0.5 * ((np.arange(step)[:, np.newaxis] - kept) / narrow) ** 2)
    return Decimation(
        step,
        gaussian_samples(narrow, math.ceil(_CUT * narrow)),
        gaussian_samples(coarse, math.ceil(_CUT * coarse)),
        up / up.sum(axis=1, keepdims=True),
    )


def serves(kernels: Sequence[Kernel], height: int) -> bool:
    """Whether this is one Gaussian for which leaving out rows keeps what all methods promise.

    The kernel that was asked for is cut at 4 sigma and so is itself up to 2.5e-4 of the range
    away from the Gaussian. Against it fewer than 1 % of the pixels may round to another
    level. On photographs 0.1 to 0.4 % did; on steps up to 0.9 %, and 1.2 % at a sigma below 5
    or where the picture was but a few sigmas high.
    """
    sigma = kernels[0].sigma
    return len(kernels) == 1 and sigma is not None and 5 <= sigma[1] <= height / 8


def taps(sigma: tuple[float, float], height: int) -> float:
    """Return how many taps a sample of the picture costs, on average over its rows."""
    plan = decimation_for(sigma[1])
    kept = (height / plan.step + 2 * plan.margin) / height
    along_x = 2 * _CUT * sigma[0]
    per_kept_row = plan.down.size + along_x + plan.coarse.size
    return kept * per_kept_row + int(plan.up.shape[1])


def blur(
    loop_name: str, recipe: Recipe, source: Pixels, workers: int, on_progress: OnProgress | None
) -> Pixels:
    """Blur a picture ``(H, W, C)`` of 8 bits with the recipe's Gaussian.

    Rows are thinned out and those that are left blurred along x; these few are blurred along
    y, and interpolated. Along x nothing is thinned: what costs there is only rows.
    """
    sigma_x, sigma_y = recipe.kernels[0].sigma or (0.0, 0.0)
    plan = decimation_for(sigma_y)
    correlator = load(loop_name).correlator
    height, width, channels = source.shape
    reach_y, reach_x = plan.down.size // 2, math.ceil(_CUT * sigma_x)

    down = correlator(_as_column(plan.down), 1.0, plan.step)
    along_x = correlator(gaussian_samples(sigma_x, reach_x)[np.newaxis].astype(np.float32), 1.0)
    coarse = correlator(_as_column(plan.coarse), 1.0)
    ups = [correlator(_as_column(phase), 1.0) for phase in plan.up]

    first = -plan.margin + 1  # the kept row that lies at pixel first * step
    count = (height - 1) // plan.step + plan.margin - first + 1
    thinned = np.empty((count, width, channels), np.float32)
    blurred = np.empty((count - plan.coarse.size + 1, width, channels), np.float32)
    out = np.empty(source.shape, recipe.out_dtype)
    steps = -(-height // plan.step)

    def thin_out(rows: range) -> None:
        pixels = (first + rows.start) * plan.step, (first + rows.stop - 1) * plan.step + 1
        halo = (reach_y, reach_y, reach_x, reach_x)
        window = borders.window(
            source, pixels, (0, width), halo, recipe.border, recipe.border_value
        )
        wider = np.empty((len(rows), window.shape[1], channels), np.float32)
        down(window, wider)
        along_x(wider, thinned[rows.start : rows.stop])

    def blur_thinned(rows: range) -> None:
        window = thinned[rows.start : rows.stop + plan.coarse.size - 1]
        coarse(window, blurred[rows.start : rows.stop])

    def interpolate(rows: range) -> None:
        window = blurred[rows.start : rows.stop + plan.up.shape[1] - 1]
        levels = np.empty((len(rows), width, channels), out.dtype)
        for phase, up in enumerate(ups):
            up(window, levels)
            target = out[rows.start * plan.step + phase : rows.stop * plan.step : plan.step]
            target[...] = levels[: len(target)]

    stages: list[tuple[Callable[[range], None], list[range]]] = [
        (thin_out, _ranges(count, max(16, _ROWS // plan.step))),
        (blur_thinned, _ranges(len(blurred), 16)),
        (interpolate, _ranges(steps, max(1, _ROWS // plan.step))),
    ]
    total = sum(len(pieces) for _, pieces in stages)
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        for work, pieces in stages:
            for _ in pool.map(work, pieces):
                done += 1
                if on_progress:
                    on_progress(done, total)
    return out


# Rows of the picture that are worked on at a time.
_ROWS = 128


def _as_column(weights: Weights) -> Floats:
    return weights[:, np.newaxis].astype(np.float32)


def _ranges(count: int, length: int) -> list[range]:
    return [range(start, min(start + length, count)) for start in range(0, count, length)]
