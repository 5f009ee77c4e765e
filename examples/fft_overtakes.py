"""Where the FFT overtakes direct sums: time against the size of a kernel that is not separable."""

from functools import partial
from typing import get_args

import matplotlib.pyplot as plt
import numpy as np
from drawing import GREY, curves, milliseconds, scene, write

import convcli
from convcli.kernels.kernel import kernel_from
from convcli.types import Floats
from convcli.words import Method

SIDES = (3, 5, 9, 15, 25, 41, 63)
METHODS: tuple[Method, ...] = tuple(m for m in get_args(Method) if m in ("numpy", "numba", "fft"))


def crossing(sides: Floats, direct: Floats, transformed: Floats) -> float | None:
    """Return the side above which transforms stay faster, interpolated on log axes."""
    behind = np.flatnonzero(transformed >= direct)
    if behind.size == 0 or behind[-1] + 1 == len(sides):
        return None
    last = slice(behind[-1], behind[-1] + 2)
    ahead = np.log(transformed[last] / direct[last])  # above 0 first, then below
    return float(np.exp(np.interp(0, ahead[::-1], np.log(sides[last])[::-1])))


def main() -> None:
    """Race the methods over random kernels, print a table and draw the curves."""
    image, rng = scene("L")[:320, :480], np.random.default_rng(0)
    times: dict[Method, list[float]] = {method: [] for method in METHODS}
    print("side", *(f"{method:>9}" for method in METHODS), "   auto picks")
    for side in SIDES:
        kernel = kernel_from(rng.random((side, side)) / side**2)  # factored once
        for method, row in times.items():
            work = partial(convcli.convolve, image, kernel, method=method, workers=1)
            row.append(milliseconds(work))
        chosen = convcli.plan(image.shape, image.dtype, kernel, workers=1).method
        print(f"{side:4}", *(f"{row[-1]:6.1f} ms" for row in times.values()), f"   {chosen}")
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for method, row in times.items():
        axes.plot(SIDES, row, "o-", label=method)
    curves(axes, SIDES, "side of the kernel", "milliseconds on one core")
    side_at = crossing(np.array(SIDES), np.array(times["numba"]), np.array(times["fft"]))
    if side_at:
        axes.axvline(side_at, color=GREY, linestyle=":")
        axes.text(side_at * 1.03, axes.get_ylim()[0] * 1.2, f"{side_at:.0f} x {side_at:.0f}")
        print(f"fft overtakes numba at about {side_at:.0f} x {side_at:.0f}")
    axes.set_title("A grey image of 0.15 megapixels, kernels that are not separable")
    write(figure, "fft_overtakes.png")


if __name__ == "__main__":
    main()
