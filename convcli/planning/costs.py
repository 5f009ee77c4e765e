"""The cost model: what a plan is predicted to take, and the measured constants behind it."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

from convcli.kernels.kernel import Kernel
from convcli.loops.compiled import machine_code
from convcli.loops.layout import CHUNK, ceil_div, shares_rows
from convcli.loops.overlap_add import FIRST_BLOCK, block_lengths
from convcli.pixels.colour import Colour

# How the constants were obtained: benchmarks/check_auto.py prints measured over predicted times of
# 190 images and kernels. The constants were fitted on one thread so that these ratios lie about 1
# (least mean of |log|), `share` on two. On 2 cores of an AMD EPYC (Zen 5), Python 3.11, numpy 2.4,
# numba 0.68, scipy 1.17. But numba's `dense_tap` and `separable_tap` are those of loops whose sums
# stay in registers. On 2 vCPUs of an Intel Xeon (AVX-512), where transforms take 1.8 times as long
# as is predicted, dense kernels of 25 x 25 took 0.0137 ns and Gaussians of sigma 1 0.021 ns, 2.0
# and 1.8 times these: so both are compared fairly. 31 x 31 take as long either way.


class Cost(NamedTuple):
    """Measured cost of a loop, in nanoseconds on one core, and how it grows.

    Attributes
    ----------
    sample
        For each sample and pass (setting up sums, rounding).
    tap
        For each sample and tap; of overlap-add, for each transformed sample and log2 of its
        length + 1.
    dense_tap, separable_tap
        The same of a dense kernel whose rows of results share samples, and of separable ones.
    tile
        For each tile and pass; of overlap-add, for each block.
    call
        For each tap of a tile: numpy's operations take this on no samples at all.
    float64
        Factor for sums in float64: twice the memory traffic, half the vector width. Of
        overlap-add: numpy's transforms instead of scipy's in float32.
    share
        The speed that a further core adds, in cores: numpy's calls share the interpreter's lock.
    decimated
        For each sample of a wide Gaussian by way of a coarser grid, halo included; the method
        fft uses numpy's slices for that.
    start_up
        Seconds until the first sample: kept machine code is mapped; transforms in float32 need
        `import scipy.fft`.
    """

    sample: float
    tap: float
    dense_tap: float
    separable_tap: float
    tile: float
    call: float
    float64: float
    share: float
    decimated: float
    start_up: float


COSTS: dict[str, Cost] = {
    "direct_numpy": Cost(
        sample=0.1,
        tap=0.18,
        dense_tap=0.18,
        separable_tap=0.18,
        tile=10_000,
        call=1_400,
        float64=2.0,
        share=0.8,
        decimated=7.0,
        start_up=0.0,
    ),
    "direct_numba": Cost(
        sample=0.05,
        tap=0.0165,
        dense_tap=0.0069,
        separable_tap=0.0118,
        tile=25_000,
        call=0,
        float64=1.8,
        share=0.95,
        decimated=0.9,
        start_up=0.005,
    ),
    "overlap_add": Cost(
        sample=0.2,
        tap=0.25,
        dense_tap=0.25,
        separable_tap=0.25,
        tile=40_000,
        call=0,
        float64=1.6,
        share=0.9,
        decimated=math.inf,
        start_up=0.10,
    ),
}

# What an image takes whatever its loop, in nanoseconds: a call (planning, the first thread,
# the kernel's arrays), a further thread, and a byte (windows copied, pages of the result touched
# for the first time). Images below 0.1 megapixels take little else.
_CALL = 450_000
_THREAD = 200_000
_BYTE = 0.2

# What numpy does beside the loops, in nanoseconds a sample on one core: light from sRGB and back,
# alpha as a weight, and combining the results of several kernels. For 16-bit samples, in float64,
# 1.5 times as much was measured, and for alpha and light together 1.2 times the sum.
_LINEAR = 4.5
_WEIGHT = 2.3
_COMBINE = 1.0

# Importing numba and compiling a loop takes 1.2 to 4.2 seconds, for which a person waits. Where the
# code can be kept, later runs use it as well: the first of 20 pays its share, so that a thumbnail
# does not wait for the 36 ms that it would save, and photographs of 24 megapixels are fast from the
# second one on. Where it cannot be kept, the images of this process pay for all of it. What earlier
# images of the process lost without the loop is counted off. So a stream or a caller's loop, whose
# length is not known, takes at most twice the time of the better choice, as where skis are rented
# or bought (Karlin et al., Competitive snoopy caching, 1988).
COMPILING = 2.5
RUNS = 20

# Starting worker processes and stopping them takes 10 to 20 ms; and a byte of the result, whose
# pages the workers share, takes some nanoseconds more than one of their own (both on 2 vCPUs of an
# Intel Xeon; a first import of pathos takes 40 ms, once).
_POOL_START = 0.02
_POOL_BYTE = 0.5


def colour_cost(colour: Colour, combines: bool) -> float:
    """Predict the nanoseconds a sample that colour and combining take beside the kernels."""
    return _LINEAR * colour.linear + _WEIGHT * colour.weight + _COMBINE * combines


def image_cost(executor: str, workers: int, size_bytes: int, other_work: float) -> float:
    """Predict the seconds that an image takes whatever its loop; `other_work` is in nanoseconds."""
    nanoseconds = _CALL + (workers - 1) * _THREAD + (size_bytes * _BYTE + other_work) / workers
    if executor == "processes":
        return _POOL_START + 1e-9 * (nanoseconds + size_bytes * _POOL_BYTE)
    return 1e-9 * nanoseconds


def workers_that_pay(nanoseconds: float, workers: int) -> int:
    """Return how many threads have more to do than it takes to hand it to them.

    Measured with two: of sigma 3, 0.26 megapixels take 0.62 ms in one thread and 0.70 in two, one
    megapixel 1.3 and 1.0 (AMD EPYC, Zen 5).
    """
    return max(1, min(workers, int(nanoseconds / _THREAD)))


def importing_scipy() -> float:
    """Predict the seconds that importing the float32 transforms takes."""
    return 0.0 if "scipy.fft" in sys.modules else COSTS["overlap_add"].start_up


def loading(loop: str, accumulator: str, entry: str, dtype: str) -> float:
    """Predict the seconds until a loop is loaded; compiled code is known by its entry and dtype."""
    if loop == "overlap_add":
        return importing_scipy() if accumulator == "float32" else 0.0
    if loop != "direct_numba":
        return COSTS[loop].start_up
    if machine_code.is_loaded(entry, dtype):
        return 0.0
    start_up = COSTS["direct_numba"].start_up
    if machine_code.is_kept(entry, dtype):
        return max(0.0, start_up - machine_code.missed(entry, dtype))
    share = COMPILING / RUNS if machine_code.can_be_kept() else COMPILING
    return max(start_up, share - machine_code.missed(entry, dtype))


def must_compile(loop: str, entry: str, dtype: str) -> bool:
    """Say whether a loop has to be compiled first, by what is loaded and kept."""
    return loop == "direct_numba" and not (
        machine_code.is_loaded(entry, dtype) or machine_code.is_kept(entry, dtype)
    )


def dense_cost(
    loop: str, size: tuple[int, int, int], kernels: tuple[Kernel, ...], tile: tuple[int, int]
) -> float:
    """Predict the nanoseconds of the dense form: all weights of each kernel at once."""
    total = 0.0
    for kernel in kernels:
        shared = shares_rows(kernel.shape, kernel.taps)
        tap = COSTS[loop].dense_tap if shared else COSTS[loop].tap
        total += _pass_cost(loop, size, kernel.shape, kernel.taps, tap, tile)
    return total


def separable_cost(
    loop: str, size: tuple[int, int, int], kernels: tuple[Kernel, ...], tile: tuple[int, int]
) -> float:
    """Predict the nanoseconds of the separable form: a column and a row pass for each factor.

    The column pass is on the tile's window, which is wider.
    """
    # Compiled loops filter the columns of so many samples before the rows of these.
    run = min(tile[1], CHUNK // size[2] or 1) if loop == "direct_numba" else tile[1]
    tap, total = COSTS[loop].separable_tap, 0.0
    for kernel in kernels:
        height, width = kernel.shape
        wider = (run + width - 1) / run
        columns = _pass_cost(loop, size, (height, 1), height, tap, tile)
        rows = _pass_cost(loop, size, (1, width), width, tap, tile)
        if loop == "direct_numba":  # one call does both passes of a tile
            rows -= _tiles(size, tile) * COSTS[loop].tile
        total += kernel.rank * (wider * columns + rows)
    return total


def _tiles(size: tuple[int, int, int], tile: tuple[int, int]) -> int:
    return ceil_div(size[0], tile[0]) * ceil_div(size[1], tile[1])


# Transforms of more samples than this leave the second-level cache, and take so many times as
# long a sample: 1.1 to 2 were measured, for 800 x 800 to 3000 x 2500.
_CACHED_BLOCK = 640**2
_UNCACHED = 1.6


def _pass_cost(
    loop: str,
    size: tuple[int, int, int],
    shape: tuple[int, int],
    taps: int,
    tap: float,
    tile: tuple[int, int],
) -> float:
    """Predict the nanoseconds of one pass over the image on one core."""
    cost = COSTS[loop]
    samples = math.prod(size)
    tiles = _tiles(size, tile)
    if loop == "overlap_add":
        window = (tile[0] + shape[0] - 1, tile[1] + shape[1] - 1)
        lengths = block_lengths(shape, window)
        blocks = [ceil_div(window[a], lengths[a] - shape[a] + 1) for a in (0, 1)]
        length = math.prod(lengths[a] for a in (0, 1) if shape[a] > 1)
        tiles *= math.prod(blocks) * size[2]
        block = math.prod(lengths) * (math.log2(max(length, 2)) + 1) * tap
        if math.prod(lengths) > _CACHED_BLOCK:
            block *= _UNCACHED
        work = (tiles + FIRST_BLOCK) * block
    else:
        work = samples * taps * tap + tiles * taps * cost.call
    return samples * cost.sample + work + tiles * cost.tile
