"""Measure the constants of the cost model in convcli/planning.py, one loop on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from convcli.convolution import apply
from convcli.kernel import Kernel, kernel_from
from convcli.planning import COSTS, PRESETS, plan_for
from convcli.words import Method

SIZES = ((300, 400), (1200, 1600), (3000, 4000))
SIDES = (3, 9, 17, 33)


def best_of(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the shortest of several times, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def kernels() -> list[Kernel]:
    """Return kernels of many sizes in both forms; random ones have no factors to use."""
    rng = np.random.default_rng(0)
    dense = [kernel_from(rng.random((side, side)), f"dense {side}") for side in SIDES]
    factors = [rng.random(side) for side in SIDES]
    separable = [kernel_from(np.outer(f, f), f"separable {f.size}") for f in factors]
    return [*dense, *separable]


def main() -> None:
    """Print measured against predicted time for each loop, picture and kernel."""
    rng = np.random.default_rng(1)
    methods: tuple[Method, ...] = ("numpy", "numba", "fft")
    for method in methods:
        loop = PRESETS[method].loop
        print(f"\n{method}: {COSTS[loop]}")
        ratios = []
        for size in SIZES:
            image = rng.integers(0, 256, size, dtype=np.uint8)
            for kernel in kernels():
                if method == "numpy" and kernel.taps > 300 and size[0] > 1200 and kernel.rank > 1:
                    continue  # half a minute that would tell nothing new

                work = partial(apply, image, (kernel,), method=method, workers=1)
                work()
                measured = best_of(work)
                plan = plan_for(size, "uint8", kernel, method, 1)
                ratios.append(measured / plan.seconds)
                print(
                    f"{size[0]:5} x {size[1]:4}  {kernel.name:13} {plan.form:9} "
                    f"{measured * 1e3:9.2f} ms, predicted {plan.seconds * 1e3:9.2f} ms, "
                    f"ratio {ratios[-1]:.2f}"
                )
        print(f"{method}: geometric mean {np.exp(np.mean(np.log(ratios))):.2f}")


if __name__ == "__main__":
    main()
