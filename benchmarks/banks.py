"""Compare filter banks with PyTorch: 2,000 drawn layers for their numbers, some for their time.

``--costs`` compares the times that plans predict with measured ones instead. PyTorch is needed only
without it: ``pip install torch --index-url https://download.pytorch.org/whl/cpu``.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import convcli
from convcli.racing.machine import machine
from convcli.words import BankMethod

# Equal to this part of the largest result.
TOLERANCE = 1e-5
# Rounds end after this many seconds, and after the third at least.
ENOUGH, LEAST_ROUNDS = 1.0, 3
# Seconds until the threads of the work before are asleep.
PAUSE = 0.3


class Drawn(NamedTuple):
    """The shapes and parameters of a layer, forward or transposed."""

    x: tuple[int, ...]
    weight: tuple[int, ...]
    parameters: dict[str, Any]
    transposed: bool


def drawn(seed: int) -> Drawn:
    """Draw a layer; every seed gives one that is valid."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    groups = rng.choice([1, 1, 1, 2, 3, 8])
    channels, maps = groups * rng.randint(1, 9), groups * rng.randint(1, 9)
    kernel = rng.randint(1, 7), rng.randint(1, 7)
    stride = rng.randint(1, 3), rng.randint(1, 3)
    dilation = rng.choice([(1, 1), (1, 1), (2, 2), (1, 3)])
    padding = rng.randint(0, 3), rng.randint(0, 3)
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(
        max(e, 1) + 2 * p + rng.randint(1, 40) for e, p in zip(extent, padding, strict=True)
    )
    parameters: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
    }  # fmt: skip
    transposed = rng.random() < 0.4
    if transposed:
        parameters["output_padding"] = tuple(
            rng.randrange(max(s, d)) for s, d in zip(stride, dilation, strict=True)
        )
        weight = channels, maps // groups, *kernel
    else:
        weight = maps, channels // groups, *kernel
    return Drawn((rng.randint(1, 3), channels, *size), weight, parameters, transposed)


def check(number: int) -> None:
    """Compare drawn layers with PyTorch, and print the largest difference."""
    import torch

    worst, far = 0.0, 0
    for seed in range(number):
        x_shape, weight_shape, parameters, transposed = drawn(seed)
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(x_shape, np.float32)
        weight = rng.standard_normal(weight_shape, np.float32)
        name = "conv_transpose2d" if transposed else "conv2d"
        ours = getattr(convcli, name)(x, weight, **parameters)
        theirs = getattr(torch.nn.functional, name)(
            torch.from_numpy(x), torch.from_numpy(weight), **parameters
        ).numpy()
        assert ours.shape == theirs.shape, (seed, ours.shape, theirs.shape)
        error = float(np.abs(ours - theirs).max()) / max(1.0, float(np.abs(theirs).max()))
        worst = max(worst, error)
        far += error > TOLERANCE
    print(f"{number:,} drawn layers: the largest difference is {worst:.1e} of the range; ", end="")
    print("none is above 1e-5" if not far else f"{far} ARE ABOVE 1e-5")


class Timed(NamedTuple):
    """A layer that is timed, and the most that it may take, as a multiple of PyTorch's time."""

    name: str
    x: tuple[int, ...]
    weight: tuple[int, ...]
    parameters: dict[str, Any]
    most: float
    transposed: bool = False


def layers() -> Iterator[Timed]:
    """Yield the layers whose time is compared."""
    for side in (3, 5, 9, 15):
        same = {"padding": side // 2, "groups": 64}
        yield Timed(f"depthwise {side}x{side}, 64 at 112x112", (1, 64, 112, 112),
                    (64, 1, side, side), same, 1.0)  # fmt: skip
    yield Timed("pointwise, 64 to 128 at 112x112", (1, 64, 112, 112), (128, 64, 1, 1), {}, 1.0)
    yield Timed("pointwise, 256 to 256 at 56x56", (1, 256, 56, 56), (256, 256, 1, 1), {}, 1.0)
    for channels in (64, 128, 256):
        for size in (56, 112):
            name = f"dense 3x3, {channels} to {channels} at {size}x{size}"
            square = channels, channels, 3, 3
            yield Timed(name, (1, channels, size, size), square, {"padding": 1}, 1.5)
    yield Timed("32 kernels 11x11, RGB of 2 MP", (1, 3, 1154, 1732), (32, 3, 11, 11),
                {"padding": 5}, 1.2)  # fmt: skip
    yield Timed("transposed 4x4 stride 2, 256 to 128", (1, 256, 16, 16), (256, 128, 4, 4),
                {"stride": 2, "padding": 1}, 1.5, transposed=True)  # fmt: skip


def best_of(work: Callable[[], object]) -> float:
    """Return the best seconds of some rounds, after one that is not counted.

    Contenders do not take turns: the threads of OpenMP, which PyTorch uses, wait for more work in a
    loop that takes a core from the next contender.
    """
    time.sleep(PAUSE)
    work()
    best, start, rounds = float("inf"), time.perf_counter(), 0
    while rounds < LEAST_ROUNDS or time.perf_counter() - start < ENOUGH:
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
        rounds += 1
    return best


def compare() -> None:
    """Time layers beside PyTorch and print the ratios."""
    import torch

    print(f"\n{'layer':38}{'convcli':>11}{'PyTorch':>11}{'ratio':>8}{'limit':>8}")
    for layer in layers():
        rng = np.random.default_rng(0)
        x = rng.standard_normal(layer.x, np.float32)
        weight = rng.standard_normal(layer.weight, np.float32)
        name = "conv_transpose2d" if layer.transposed else "conv2d"
        theirs = torch.from_numpy(x), torch.from_numpy(weight)
        with torch.no_grad():
            mine = best_of(partial(getattr(convcli, name), x, weight, **layer.parameters))
            other = best_of(
                partial(getattr(torch.nn.functional, name), *theirs, **layer.parameters)
            )
        ratio = mine / other
        missed = "  MISSED" if ratio > layer.most else ""
        times = f"{1e3 * mine:8.2f} ms{1e3 * other:8.2f} ms"
        print(f"{layer.name:38}{times}{ratio:8.2f}{layer.most:8.1f}{missed}", flush=True)


def costs(workers: int | None) -> None:
    """Print the measured time of every method by the predicted one, and where auto is far off."""
    methods: tuple[BankMethod, ...] = ("direct", "im2col", "winograd", "winograd_4x4", "fft")
    print(f"{'layer':38}" + "".join(f"{method:>21}" for method in methods) + "  auto")
    more = [
        Timed("gabor:8,3 on 0.25 MP", (1, 1, 408, 612), (48, 1, 55, 55), {"padding": 27}, 0),
        Timed("laws on 1 MP", (1, 1, 816, 1224), (25, 1, 5, 5), {"padding": 2}, 0),
        Timed("haar on 1 MP", (1, 1, 816, 1224), (4, 1, 2, 2), {"stride": 2}, 0),
        Timed("first layer 7x7 stride 2", (1, 3, 224, 224), (64, 3, 7, 7),
              {"padding": 3, "stride": 2}, 0),
        Timed("dense 3x3, 512 to 512 at 14x14", (1, 512, 14, 14), (512, 512, 3, 3),
              {"padding": 1}, 0),
        Timed("dense 3x3, 8 to 8 at 20x20", (1, 8, 20, 20), (8, 8, 3, 3), {"padding": 1}, 0),
        Timed("2 kernels 41x41 on 1 MP", (1, 1, 816, 1224), (2, 1, 41, 41), {"padding": 20}, 0),
    ]  # fmt: skip
    for layer in (*(each for each in layers() if not each.transposed), *more):
        rng = np.random.default_rng(0)
        x = rng.standard_normal(layer.x, np.float32)
        weight = rng.standard_normal(layer.weight, np.float32)
        plan = convcli.plan_conv2d(layer.x, layer.weight, workers=workers, **layer.parameters)
        cells, found = "", dict[str, float]()
        for method in methods:
            predicted = plan.predicted.get(method)
            if predicted is None or predicted > 1:
                cells += f"{'':>21}"
                continue
            work = partial(convcli.conv2d, x, weight, method=method, workers=workers,
                           **layer.parameters)  # fmt: skip
            found[method] = best_of(work)
            cells += f"{1e3 * found[method]:8.2f} /{1e3 * predicted:8.2f} ms"
        loss = found[plan.method] / min(found.values())
        print(f"{layer.name:38}{cells}  {plan.method} {loss:.2f}", flush=True)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=2000, help="how many to draw")
    parser.add_argument("--costs", action="store_true", help="check the plans' predictions")
    parser.add_argument("--workers", type=int, help="threads, for --costs")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{machine()['processor']}, {os.cpu_count()} cores, load {load:.1f}")
    if arguments.costs:
        costs(arguments.workers)
        return
    check(arguments.layers)
    compare()


if __name__ == "__main__":
    main()
