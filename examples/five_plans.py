"""One blur under five plans: each fifth of the image has its own, and no seam is visible."""

from functools import partial
from time import perf_counter
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from drawing import milliseconds, scene, show, write

import convcli
from convcli.planning.plan import Plan
from convcli.types import Pixels

SIGMA = 7.0
# The first four use the kernel cut at 4 sigma; the last uses a coarser grid.
PLANS: dict[str, dict[str, Any]] = {
    "numpy": {"method": "numpy", "truncate": 4},
    "numba": {"method": "numba", "truncate": 4},
    "fft": {"method": "fft", "truncate": 4},
    "tiled": {"method": "tiled", "truncate": 4},
    "coarser grid": {"method": "numba"},
}


def blurred(image: Pixels, options: dict[str, Any]) -> tuple[Pixels, Plan]:
    """Blur an image; return the result and the plan."""
    plans: list[Plan] = []
    result = convcli.blur(image, SIGMA, on_plan=plans.append, **options)
    return result, plans[0]


def main() -> None:
    """Blur the scene five times, compare each with sums in float64, and draw."""
    image = scene()
    exact = convcli.blur(image, SIGMA, method="numpy", truncate=4, exact=True).astype(int)
    edges = np.linspace(0, image.shape[1], len(PLANS) + 1).astype(int).tolist()
    patchwork, differences = np.empty_like(image), np.zeros(image.shape[:2])
    figure, (top, below) = plt.subplots(2, figsize=(8, 10.4))
    print(f"{'plan':14}{'form':12}{'ms':>7}{'pixels that differ':>21}{'by at most':>12}")
    for (name, options), left, right in zip(PLANS.items(), edges, edges[1:], strict=False):
        result, plan = blurred(image, options)
        ms = milliseconds(partial(blurred, image, options), perf_counter)
        off = np.abs(result - exact).max(axis=2)
        print(f"{name:14}{plan.route.form:12}{ms:7.1f}{(off > 0).mean():21.3%}{off.max():6} level")
        patchwork[:, left:right] = result[:, left:right]
        differences[:, left:right] = off[:, left:right]
        for axes, text in ((top, f"{name}\n{ms:.1f} ms"), (below, f"{(off > 0).mean():.3%}")):
            axes.text((left + right) / 2, -12, text, ha="center", va="bottom")
    show(top, patchwork)
    # A single pixel is hard to see, so each becomes a dot of 5 x 5.
    show(below, convcli.convolve(255 * differences.astype(np.float32), np.ones((5, 5))))
    top.set_title("Five plans, one blur: where are the seams?", pad=40, weight="bold")
    below.set_title("Pixels that differ, by one level", pad=24, weight="bold")
    write(figure, "five_plans.png")


if __name__ == "__main__":
    main()
