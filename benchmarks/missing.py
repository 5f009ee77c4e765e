"""Compare filters that leave missing samples out with astropy: results and times.

``pip install astropy`` first. Images are float32 with holes; astropy's `convolve` sums in C, and
`convolve_fft` transforms. Both sides run in one thread, in turns.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from astropy.convolution import convolve, convolve_fft  # type: ignore[import-untyped]

import convcli
from convcli.filtering.options import Options
from convcli.kernels.kernel import kernel_from
from convcli.racing.machine import machine
from convcli.types import Floats

ROUNDS = 4


def holes(side: int, share: float) -> Floats:
    """Return an image with clouds: round holes that cover about this share of it."""
    rng = np.random.default_rng(0)
    image = rng.normal(100, 20, (side, side)).astype(np.float32)
    noise = convcli.blur(rng.normal(size=(side, side)), 12.0)
    image[noise > np.quantile(noise, 1 - share)] = np.nan
    image[rng.random((side, side)) < 0.01] = np.nan
    return image


def best(*several: Callable[[], Floats]) -> tuple[list[float], list[Floats]]:
    """Return the least processor time of each, after a first one, in turns, and the results."""
    results = [work() for work in several]
    times = [float("inf") for _ in several]
    for _ in range(ROUNDS):
        for place, work in enumerate(several):
            for _ in range(12 if place == 0 else 1):
                start = time.process_time()
                work()
                times[place] = min(times[place], time.process_time() - start)
    return times, results


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1000, help="rows and columns of the image")
    parser.add_argument("--share", type=float, default=0.2, help="part that is missing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # astropy warns where NaN remains
    image = holes(arguments.side, arguments.share)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{arguments.side} x {arguments.side} float32, {np.isnan(image).mean():.0%} missing")
    print(f"{'kernel':22}{'convcli':>10}{'astropy':>10}{'ratio':>8}{'fft':>10}{'difference':>12}")
    kernels = {f"gaussian, sigma {sigma}": convcli.gaussian_kernel(sigma) for sigma in (1, 3, 8)}
    weights = np.random.default_rng(1).random((15, 15))
    kernels["15 x 15, sum 1"] = kernel_from(weights / weights.sum())
    kernels["15 x 15, sum 112"] = kernel_from(weights)
    for name, kernel in kernels.items():
        weights = np.asarray(kernel)
        # Loops that are compiled and kept, as after some runs.
        convcli.convolve(image, kernel, border="constant", nan="skip", method="numba")
        own = Options(border="constant", nan="skip", workers=1)
        given = {"boundary": "fill", "normalize_kernel": False, "nan_treatment": "interpolate"}
        (ours, theirs, transformed), (result, wanted, _) = best(
            partial(convcli.convolve, image, kernel, **own),
            partial(convolve, image, weights, **given),
            partial(convolve_fft, image, weights, **given),
        )
        off = float(np.nanmax(np.abs(result - wanted)) / np.nanmax(np.abs(wanted)))
        same = (np.isnan(result) == np.isnan(wanted)).all()
        print(
            f"{name:22}{ours * 1e3:>7.1f} ms{theirs * 1e3:>7.0f} ms{theirs / ours:>8.0f}"
            f"{transformed * 1e3:>7.0f} ms{off:>12.1e}{'' if same else ', other holes'}"
        )


if __name__ == "__main__":
    main()
