"""Check the cost model: auto's choice against the best method, and predicted against measured.

With ``--workers 1`` the figures in brackets test the loops' constants in
convcli/planning/costs.py; without it, also what further cores add.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import numpy as np

import convcli
from convcli.kernels.kernel import kernel_from
from convcli.kernels.named import box_kernel, motion_kernel
from convcli.loops import overlap_add
from convcli.planning.plan import Plan
from convcli.running import packages
from convcli.types import Pixels
from convcli.words import Method

SIZES = ((64, 64), (300, 400), (1000, 1000), (2000, 3000), (4000, 6000))

# auto may be this many times slower than the best method.
LIMIT = 1.3

# Methods that are predicted to take longer than LONGEST seconds are left out. Rounds end after
# ROUNDS of them, or after ENOUGH seconds together.
LONGEST = 2.5
ENOUGH = 0.15
ROUNDS = 20

# Cases above the limit are measured this many times again: a busy machine makes spikes.
AGAIN = 2

Work = Callable[..., Pixels]


class Contender(NamedTuple):
    """A method, and whether its transforms may be scipy's."""

    method: Method
    scipy: bool


CONTENDERS = {
    "numpy": Contender("numpy", True),
    "numba": Contender("numba", True),
    "tiled": Contender("tiled", True),
    "fft": Contender("fft", True),
    "fft, no scipy": Contender("fft", False),
}

INSTALLED = {
    "all": ("numba", "numpy", "tiled", "fft"),
    "no scipy": ("numba", "numpy", "tiled", "fft, no scipy"),
    "no numba": ("numpy", "fft"),
    "neither": ("numpy", "fft, no scipy"),
}
"""The contenders, by what is installed."""

_scipy_fft = overlap_add._scipy_fft


def allow_scipy(allowed: bool) -> None:
    """Let the plans and transforms that follow use scipy, or behave as if it were missing."""
    overlap_add._scipy_fft = _scipy_fft if allowed else lambda: None  # type: ignore[assignment]
    packages._broken = {} if allowed else {"scipy": "must not be used"}


class _PlanKnownError(Exception):
    """Ends a filter before it touches a pixel."""


def plan_of(work: Work, contender: Contender) -> Plan:
    """Return the plan that a filter would use."""
    plans: list[Plan] = []

    def stop(plan: Plan) -> None:
        plans.append(plan)
        raise _PlanKnownError

    allow_scipy(contender.scipy)
    with suppress(_PlanKnownError):
        work(method=contender.method, on_plan=stop)
    return plans[0]


def filters() -> Iterator[tuple[str, str, Work]]:
    """Yield a name, the images' dtype and ``work(image, method=...)``."""
    for sigma in (1, 3, 8, 20):
        yield f"sigma {sigma}", "uint8", partial(convcli.blur, sigma=sigma)
    for dtype in ("float32", "uint16"):
        for sigma in (3, 20):
            yield f"sigma {sigma}, {dtype}", dtype, partial(convcli.blur, sigma=sigma)
    kernels = {f"box {side}": box_kernel(side) for side in (101, 1001)}
    kernels["motion 31"] = motion_kernel(31, 30)
    for side in (3, 5, 9, 15, 25, 31, 63, 127):
        weights = np.random.default_rng(side).random((side, side))
        kernels[f"dense {side}"] = kernel_from(weights / weights.sum())
    for name, kernel in kernels.items():
        yield name, "uint8", partial(convcli.convolve, kernel=kernel)


def times_of(work: Work, entered: dict[str, Plan]) -> dict[str, float]:
    """Return the shortest time of each contender; in each round they take turns.

    A contender that took more than twice as long as the best one other than numba (8 times, in
    the first round) drops out.
    """
    best = dict.fromkeys(entered, float("inf"))
    left, spent = list(entered), 0.0
    for number in range(ROUNDS):
        for name in left:
            allow_scipy(CONTENDERS[name].scipy)
            start = time.perf_counter()
            work(method=CONTENDERS[name].method)
            best[name] = min(best[name], time.perf_counter() - start)
        limit = min(seconds for name, seconds in best.items() if name != "numba")
        limit *= 2 if number else 8
        left = [name for name in left if best[name] <= limit]
        spent += sum(best[name] for name in left)
        if number > 0 and spent > ENOUGH:
            break
    return best


def choice(there: str, predicted: dict[str, float]) -> str:
    """Return the contender that auto picks with these packages installed."""
    return min(INSTALLED[there], key=predicted.__getitem__)


def ratios_of(times: dict[str, float], predicted: dict[str, float]) -> dict[str, float]:
    """Return auto's time over the best time, by what is installed."""
    measured = {"fft, no scipy": times.get("fft", float("inf")), **times}
    ratios = {}
    for there, names in INSTALLED.items():
        chosen = choice(there, predicted)
        if measured.get(chosen, float("inf")) < float("inf"):
            ratios[there] = measured[chosen] / min(measured.get(n, float("inf")) for n in names)
    return ratios


def main() -> None:
    """Print a line for each image and filter; mark those where auto was too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, help="cores to use")
    parser.add_argument("--only", default="", help="only lines whose name contains this")
    wanted = parser.parse_args()

    convcli.convolve(np.zeros((64, 64), np.uint8), np.ones((3, 3)), method="numba")
    _scipy_fft()  # loaded now, so that no time includes it
    rng = np.random.default_rng(0)
    choices = missed = 0
    off: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    columns = "".join(f"{name:>15}" for name in INSTALLED)
    print(f"{'auto / best, if installed:':34}{columns}   best of rounds in ms (/ predicted)")
    for size in SIZES:
        for channels in (1, 3):
            noise = rng.integers(0, 256, (*size, channels), np.uint8)
            for name, dtype, filtered in filters():
                title = f"{size[0]} x {size[1]} {'RGB' if channels == 3 else 'grey'}, {name}"
                if wanted.only not in title:
                    continue
                work = partial(filtered, noise.astype(dtype), workers=wanted.workers)
                plans = {key: plan_of(work, contender) for key, contender in CONTENDERS.items()}
                entered = {key: plan for key, plan in plans.items() if plan.seconds < LONGEST}
                if plans["fft"].route.accumulator == "float64":  # numpy's transforms in any case
                    entered.pop("fft, no scipy", None)
                predicted = {key: plan.seconds for key, plan in plans.items()}
                times = times_of(work, entered)
                for _ in range(AGAIN):
                    if max(ratios_of(times, predicted).values()) <= LIMIT:
                        break
                    more = times_of(work, entered)
                    times = {key: min(times[key], more[key]) for key in times}
                ratios = ratios_of(times, predicted)
                line, mark = f"{title:34}", ""
                for there in INSTALLED:
                    if there not in ratios:
                        line += f"{'-':>15}"
                        continue
                    chosen = choice(there, predicted)
                    choices += 1
                    if ratios[there] > LIMIT:
                        missed += 1
                        mark = "  MISSED"
                    line += f"{chosen.removesuffix(', no scipy'):>10}{ratios[there]:5.2f}"
                line += "   "
                for key in entered:
                    off[key].append(times[key] / predicted[key])
                    line += f"{key} {times[key] * 1e3:.3g} ({off[key][-1]:.2f}) "
                print(line + mark, flush=True)
    allow_scipy(True)
    print(f"\nauto above {LIMIT} times the best: {missed} of {choices}")
    print("measured / predicted: 10, 50 and 90 % are below")
    for key, each in off.items():
        if each:
            low, middle, high = np.quantile(each, [0.1, 0.5, 0.9])
            print(f"{key:14} {low:.2f} {middle:.2f} {high:.2f}")


if __name__ == "__main__":
    main()
