"""Why separable kernels are cheap: a column and a row of weights replace the whole square."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from drawing import COLOURS, curves, milliseconds, scene, write
from matplotlib.figure import Figure

import convcli
from convcli.kernels.kernel import Kernel
from convcli.loops.contract import load

SHOWN = ("gaussian:3", "box:9", "sobel", "log:2", "disc:6", "motion:15,30")
RADII = (1, 2, 4, 8, 16, 32)


def nanoseconds(kernel: Kernel) -> tuple[float, float]:
    """Measure the time for a pixel on one core: all weights at once, and in two passes."""
    loop, window = load("direct_numba"), np.ascontiguousarray(scene("L")[..., np.newaxis])
    shape = [n - m + 1 for n, m in zip(window.shape, (*kernel.shape, 1), strict=True)]
    out = np.empty(shape, np.uint8)
    column, row = (factor.astype(np.float32) for factor in kernel.factors[0])
    dense = loop.correlator(kernel.weights.astype(np.float32), 1.0)
    both = loop.separable_correlator(column[:, None], row[None], 1.0)
    first, second = (milliseconds(partial(each, window, out)) for each in (dense, both))
    return first * 1e6 / out.size, second * 1e6 / out.size


def draw_kernel(figure: Figure, kernel: Kernel) -> None:
    """Draw the row above, the column beside, and the square that they span."""
    ((column, row),) = kernel.factors
    places = (0.06, 0.13, 0.3, 0.66), (0.06, 0.83, 0.3, 0.05), (0.015, 0.13, 0.0225, 0.66)
    for place, values in zip(places, (kernel.weights, row[None], column[:, None]), strict=True):
        axes = figure.add_axes(place, xticks=[], yticks=[])
        axes.imshow(values, cmap="magma", aspect="auto")
    figure.text(0.12, 0.93, f"{row.size} + {column.size} weights, not {row.size} x {row.size}")


def main() -> None:
    """Print the weights of kernels in both forms; time and draw both for a Gaussian."""
    print("kernel             size  rank  all weights  columns and rows")
    for name in SHOWN:
        kernel = convcli.kernel(name)
        size, apart = "{} x {}".format(*kernel.shape), kernel.rank * sum(kernel.shape)
        print(f"{name:14}{size:>9}{kernel.rank:6}{kernel.taps:13}{apart:18}")
    times = np.array([nanoseconds(convcli.gaussian_kernel(r / 3, radius=r)) for r in RADII])
    figure = plt.figure(figsize=(9, 4), layout="none")
    draw_kernel(figure, convcli.gaussian_kernel(2.5, radius=7))
    axes, sides = figure.add_axes((0.45, 0.13, 0.53, 0.82)), [2 * r + 1 for r in RADII]
    axes.plot(sides, times[:, 0], "o-", color=COLOURS[1], label="all weights at once")
    axes.plot(sides, times[:, 1], "o-", label="columns, then rows")
    axes.text(sides[-1], times[-1, 0], f"{np.divide(*times[-1]):.0f} times   ", ha="right")
    curves(axes, sides, "side of the Gaussian", "nanoseconds a pixel, one core")
    write(figure, "separable.png")


if __name__ == "__main__":
    main()
