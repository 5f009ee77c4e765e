"""A wide blur costs no more than a narrow one: two Gaussians, with a coarser grid between."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from drawing import COLOURS, GREY, curves, milliseconds, scene, write
from numpy.typing import NDArray

import convcli
from convcli.loops.decimation import Decimation, decimations
from convcli.types import Floats

SIGMAS, SHOWN = (1, 2, 3, 5, 8, 15, 30, 60, 120), 15


def spread(axis: Decimation, x: NDArray[np.intp]) -> Floats:
    """Blur one bright pixel on the grid; return the part of each grid point, (points, x)."""
    half = axis.narrow.size // 2
    points = np.arange(-(half // axis.step), half // axis.step + 1)
    onto = axis.narrow[points * axis.step + half]
    base, place = np.divmod(x, axis.step)
    last = axis.wide.shape[1] - 1
    index = points[:, np.newaxis] - base + last // 2
    back = np.where((index >= 0) & (index <= last), axis.wide[place, index.clip(0, last)], 0)
    return np.asarray(onto[:, np.newaxis] * back)


def main() -> None:
    """Time both ways for each sigma, print the bounds, and draw the parts of one Gaussian."""
    image = scene("L")
    stated, coarser = [], []
    print("sigma     stated kernel       coarser grid   step   largest error")
    for sigma in SIGMAS:
        blur = partial(convcli.blur, image, float(sigma), method="numba", workers=1)
        stated.append(milliseconds(partial(blur, truncate=4.0)))
        coarser.append(milliseconds(blur))
        grid = decimations((sigma, sigma))
        note = f"{grid[0].step:6}   {255 * grid[0].error:.4f} levels" if grid else "  none"
        print(f"{sigma:5} {stated[-1]:14.1f} ms {coarser[-1]:15.1f} ms {note}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
    both, x = decimations((SHOWN, SHOWN)), np.arange(-70, 71)
    assert both is not None
    parts = spread(both[0], x)
    for part in parts:
        left.fill_between(x, part, color=COLOURS[0], alpha=0.25, linewidth=0)
    true = np.exp(-0.5 * (x / SHOWN) ** 2) / (SHOWN * np.sqrt(2 * np.pi))
    left.plot(x, true, color=GREY, linewidth=6, alpha=0.5, label=f"the Gaussian of sigma {SHOWN}")
    left.plot(x, parts.sum(axis=0), label=f"the sum of {len(parts)} grid points")
    left.set(xlabel="pixels", yticks=[], ylim=(0, 1.5 * true.max()))
    left.legend(loc="upper center")
    right.plot(SIGMAS, stated, "o-", color=COLOURS[1], label="the stated kernel")
    right.plot(SIGMAS, coarser, "o-", label="convcli blur")
    curves(right, SIGMAS, "sigma in pixels", "ms on one core, 0.6 megapixels")
    write(figure, "wide_blur.png")


if __name__ == "__main__":
    main()
