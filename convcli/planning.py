"""How a picture is convolved, decided before any pixel moves: the plan."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from convcli import machine_code
from convcli.checks import count
from convcli.costs import (
    COMPILING,
    COMPILING_EACH_TIME,
    COSTS,
    dense_cost,
    importing_scipy,
    loading,
    picture_cost,
    separable_cost,
)
from convcli.decimation import Decimations
from convcli.errors import ConvcliError, reason_of
from convcli.kernel import Kernel, whole_numbers
from convcli.loops import LOOPS
from convcli.words import METHODS, Method, listed

Executor = Literal["threads", "processes"]
Form = Literal["separable", "dense", "decimated"]


class Preset(NamedTuple):
    """What a word of --method stands for."""

    loop: str
    executor: Executor
    package: str | None = None


PRESETS: dict[Method, Preset] = {
    "numpy": Preset("direct_numpy", "threads"),
    "numba": Preset("direct_numba", "threads", "numba"),
    "fft": Preset("overlap_add", "threads"),
    "tiled": Preset("direct_numba", "processes", "pathos"),
}


# Lines that the compiled loops sum together: regions begin at multiples of it, so that sums are
# made in the same order however many regions there are.
_FOUR = 4


@dataclass(frozen=True)
class Plan:
    """What would run: a preset completed for one picture and kernel.

    Attributes
    ----------
    method : str
        The word that names it, never "auto".
    loop : str
        The inner loop, a name in `convcli.loops.LOOPS`.
    form : {"separable", "dense", "decimated"}
        Columns then rows for each factor of the kernel, all weights at once, or a Gaussian by
        way of a coarser grid.
    rank : int
        How many column-times-row terms the separable form has; 0 where finding out would
        cost more than it could save.
    executor : {"threads", "processes"}
        What the work is spread over, and `workers`, how many of them.
    regions : (int, int)
        Rows and columns of the pieces that are handed out.
    tile : (int, int)
        Rows and columns of the pieces of those that go through the loop at a time, so
        that the buffers stay in the cache.
    accumulator : str
        The float that sums are kept in.
    seconds : float
        Predicted time, start-up included.
    predicted : dict
        The same for every method.
    reason : str
        Why this one.
    kernel : str
        The kernels' names and sizes.
    kernel_shape : (int, int)
        Rows and columns that each of them has.
    decimations : (Decimation, Decimation), optional
        The grids of the form "decimated".
    """

    method: Method
    loop: str
    form: Form
    rank: int
    executor: Executor
    workers: int
    regions: tuple[int, int]
    tile: tuple[int, int]
    accumulator: str
    seconds: float
    predicted: dict[Method, float]
    reason: str
    kernel: str
    kernel_shape: tuple[int, int]
    decimations: Decimations | None = None

    def __str__(self) -> str:
        below = "\n" + 11 * " "
        return "\n".join(f"{word:11}{text}".replace("\n", below) for word, text in self.parts())

    def parts(self) -> list[tuple[str, str]]:
        """Return what the plan says, each under a word; a text may be two lines."""
        others = ", ".join(f"{m} {duration(s)}" for m, s in self.predicted.items())
        several = self.form == "separable" and self.rank > 1
        form = f"{self.rank} separable terms" if several else self.form
        if self.decimations:
            steps = " and ".join(str(axis.step) for axis in self.decimations)
            error = 255 * sum(axis.error for axis in self.decimations) / 2
            form = (
                f"decimated: on a grid of every {steps} pixels (y and x),\n"
                f"at most {error:.2g} of a level from the true Gaussian"
            )
        one = {"threads": "thread", "processes": "process"}
        executor = one[self.executor] if self.workers == 1 else self.executor
        return [
            ("method", f"{self.method}: {self.reason}"),
            ("kernel", f"{self.kernel}, {form}"),
            ("loop", f"{LOOPS[self.loop]}, sums in {self.accumulator}"),
            (
                "spread",
                f"over {self.workers} {executor}, "
                f"{self.regions[0]} x {self.regions[1]} pixels at a time",
            ),
            ("predicted", f"{duration(self.seconds)} to filter ({others})"),
        ]

    def passes(self) -> list[str]:
        """Say in what order the weights are summed, a line for each pass over the picture."""
        height, width = self.kernel_shape
        if self.decimations:
            along_y, along_x = self.decimations
            return [
                f"onto the grid: {along_y.narrow.size} x {along_x.narrow.size} weights",
                f"back from it: {along_y.wide.shape[1]} x {along_x.wide.shape[1]} weights",
            ]
        if self.form == "dense":
            return [f"all {height} x {width} weights at once"]
        times = f", {self.rank} times and added" if self.rank > 1 else ""
        return [f"columns of {height} weights{times}", f"rows of {width} weights{times}"]

    def reach(self) -> tuple[int, int]:
        """Return how many pixels beyond the picture are looked at, along y and along x."""
        if self.decimations:
            return self.decimations[0].radius, self.decimations[1].radius
        return self.kernel_shape[0] // 2, self.kernel_shape[1] // 2


def duration(seconds: float) -> str:
    """Return seconds in milliseconds below one."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def plan_for(
    shape: Sequence[int],
    dtype: DTypeLike,
    kernels: Kernel | Sequence[Kernel],
    method: Method = "auto",
    workers: int | None = None,
    *,
    exact: bool = False,
    pictures: int = 1,
    form: Form | None = None,
    decimations: Decimations | None = None,
    besides: float = 0.0,
    as_floats: bool = False,
) -> Plan:
    """Choose how to convolve a picture, from sizes alone.

    Parameters
    ----------
    shape : (H, W) or (H, W, C)
        Size of the picture in pixels.
    dtype : dtype
        Its samples.
    kernels : Kernel or sequence of Kernel
        The kernels, all of one shape.
    method : {"auto", "numpy", "numba", "fft", "tiled"}
        Whose plan to make; "auto" takes the one that is predicted to be fastest.
    workers : int, optional
        Cores to use; default: every core that this process may use.
    exact : bool
        Sum in float64 whatever the dtype.
    pictures : int
        How many pictures share the start-up.
    form : {"separable", "dense"}, optional
        Force one form; the default is the cheaper one.
    decimations : (Decimation, Decimation), optional
        Blur by way of these grids, whatever the method, so that all give the same picture.
    besides : float
        What `cost_besides` says.
    as_floats : bool
        The samples come to the loop as floats of the accumulator's kind, as light, weighted
        colours and what has a constant beside it do.

    Returns
    -------
    Plan

    Raises
    ------
    ConvcliError
        For an unknown method, fewer than one worker, or a method that is not installed.
    """
    check_method(method)
    cores = worker_count(workers)
    size = (shape[0], shape[1], shape[2] if len(shape) > 2 else 1)
    samples = math.prod(size)
    if as_floats and np.dtype(dtype) == np.uint8:
        dtype = np.float32
    size_bytes = samples * np.dtype(dtype).itemsize
    several = (kernels,) if isinstance(kernels, Kernel) else tuple(kernels)

    plans: dict[Method, tuple[dict[str, Any], float]] = {
        word: _decimated_plan(word, size, decimations, cores)
        if decimations
        else _preset_plan(word, size, dtype, several, cores, exact, pictures, form)
        for word in PRESETS
        if _installed(word)
    }

    def wait(plan: dict[str, Any]) -> float:
        return loading(plan, plan["accumulator"] if as_floats else dtype, several)

    predicted: dict[Method, float] = {
        word: seconds
        + wait(plan) / pictures
        + picture_cost(plan["executor"], plan["workers"], size_bytes, samples * besides)
        for word, (plan, seconds) in plans.items()
    }
    if method == "auto":
        chosen = min(predicted, key=lambda word: predicted[word])
        reason = "chosen by auto, predicted to be the fastest"
        if (
            "numba" in plans
            and chosen != "numba"
            and predicted["numba"] - wait(plans["numba"][0]) / pictures < predicted[chosen]
        ):
            reason += "; loading numba's loops would take longer than it could save"
    else:
        chosen, reason = method, "as asked"
    plan, _ = plans[chosen]
    seconds = wait(plan)
    if plan["loop"] == "direct_numba" and seconds >= COMPILING:
        if method != "numba" and _import_problem("numba"):
            # It would be imported now. numpy takes its place, now that it is known to be broken.
            return plan_for(
                shape,
                dtype,
                kernels,
                method,
                workers,
                exact=exact,
                pictures=pictures,
                form=form,
                decimations=decimations,
                besides=besides,
                as_floats=as_floats,
            )
        often = ", once" if seconds < COMPILING_EACH_TIME else "; there is no place to keep them"
        reason += f"; the loops are compiled first, which takes 1 to 4 s{often}"
    return Plan(
        method=chosen,
        seconds=predicted[chosen],
        predicted=predicted,
        reason=reason,
        kernel=" and ".join(f"{k.name} {k.shape[0]} x {k.shape[1]}" for k in several),
        kernel_shape=several[0].shape,
        decimations=decimations,
        **plan,
    )


# Half of the 1e-5 that is promised for float images, and less than 0.002 of an 8-bit level.
_MOST_ERROR = 5e-6


def accumulator_for(dtype: DTypeLike, kernels: Sequence[Kernel], form: Form) -> str:
    """Say which float holds the sums of pictures of a dtype, by this form of the kernels.

    16-bit samples need 16 of float32's 24 bits and would be off by a level now and then, so
    they are summed in float64, as float64 samples are. For the others float32 serves as long
    as its rounding stays small against a full sample: each sum errs by about 2**-24 of the
    weights' L1 norm, n of them by about the square root of n as much (Higham, Accuracy and
    Stability of Numerical Algorithms, 2.8). That takes in every blur, and edges; a kernel
    with large weights of both signs is summed in float64.
    """
    if np.dtype(dtype) not in (np.uint8, np.float32):
        return "float64"
    error = max(
        kernel.l1_norm * (4 + math.sqrt(_taps_in_a_row(kernel, form))) for kernel in kernels
    )
    return "float32" if error * 2**-24 <= _MOST_ERROR else "float64"


def _taps_in_a_row(kernel: Kernel, form: Form) -> int:
    """Count the products that are summed for a sample."""
    return kernel.taps if form == "dense" else kernel.rank * sum(kernel.shape)


def worker_count(workers: int | None) -> int:
    """Return how many cores to use: those asked for, or all that this process may use."""
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (
            os.cpu_count() or 1
        )  # fmt: skip
    return count(workers, "workers")


_broken: set[str] = set()  # packages that are there, and could not be imported


@cache
def _installed(word: Method) -> bool:
    package = PRESETS[word].package
    return package is None or (package not in _broken and find_spec(package) is not None)


def _import_problem(package: str) -> str:
    """Import a package that is needed now, and say why it cannot be."""
    try:
        import_module(package)
    except Exception as error:  # a package may raise what it likes
        _broken.add(package)
        _installed.cache_clear()
        return f"cannot be imported ({reason_of(error)})"
    return ""


def check_import(method: Method) -> None:
    """Raise `ConvcliError` if the package of a method is broken, where it is certainly needed."""
    package = PRESETS[method].package if method != "auto" else None
    needed = package == "pathos" or (package == "numba" and not machine_code.is_any_kept())
    if package and needed and (problem := _import_problem(package)):
        raise ConvcliError(
            f"method {method!r} needs the package {package}, which {problem}; choose another method"
        )


def check_method(method: Method) -> None:
    """Raise `ConvcliError` for a word that is unknown, or whose package is not installed."""
    if method not in METHODS:
        raise ConvcliError(f"unknown method {method!r}; it must be {listed(METHODS)}")
    if method != "auto" and not _installed(method):
        package = PRESETS[method].package
        raise ConvcliError(
            f"method {method!r} needs the package {package}, which is not installed; "
            f"pip install {package}, or choose another method"
        )


def _preset_plan(
    word: Method,
    size: tuple[int, int, int],
    dtype: DTypeLike,
    kernels: tuple[Kernel, ...],
    cores: int,
    exact: bool,
    pictures: int,
    form: Form | None,
) -> tuple[dict[str, Any], float]:
    """Complete a preset for a picture, and predict its seconds."""
    loop, executor = _loop_of(word)
    kernel = kernels[0]
    tile = _tile_size(loop, size, kernel.shape, cores)
    factors = kernel.cheap_factors
    if form is None:
        # Whatever the number of workers: each form has rounding of its own.
        whole = _tile_size(loop, size, kernel.shape, 1)
        dense = dense_cost(loop, size, kernels, whole)
        fewer = factors and separable_cost(loop, size, kernels, whole) < dense
        form = "separable" if fewer else "dense"
    cost_of = separable_cost if form == "separable" else dense_cost
    nanoseconds = cost_of(loop, size, kernels, tile)
    accumulator = "float64" if exact else accumulator_for(dtype, kernels, form)

    workers = cores
    if executor == "processes":
        regions = _cut(size, kernel.shape, cores)
        tile = (min(tile[0], regions[0]), min(tile[1], regions[1]))
    else:
        regions = tile
        workers = min(cores, -(-size[0] // tile[0]) * -(-size[1] // tile[1]))
    cost = COSTS[loop]
    speed = _speed(loop, workers)
    if loop == "overlap_add":
        accumulator = "float64"
        saved = nanoseconds * (cost.float64 - 1) * 1e-9 / speed
        if np.dtype(dtype) == np.uint8 and not exact and form == "dense" and _has_scipy():
            worth_it = importing_scipy() / pictures < saved
            if worth_it and _float32_transforms_serve(kernels):
                accumulator = "float32"
    if accumulator == "float64":
        nanoseconds *= cost.float64
    plan: dict[str, Any] = {
        "loop": loop,
        "form": form,
        "rank": len(factors or ()),
        "executor": executor,
        "workers": workers,
        "regions": regions,
        "tile": tile,
        "accumulator": accumulator,
    }
    return plan, nanoseconds * 1e-9 / speed


def _speed(loop: str, workers: int) -> float:
    """Say how many times as fast workers are; more than there are cores are no faster."""
    return 1 + (min(workers, worker_count(None)) - 1) * COSTS[loop].share


def _loop_of(word: Method) -> tuple[str, Executor]:
    """Return a preset's loop and executor; without numba its place is taken by numpy."""
    loop, executor, _ = PRESETS[word]
    missing = loop == "direct_numba" and not _installed("numba")
    return "direct_numpy" if missing else loop, executor


# Rows of a region in steps of the grid: its halo is about 22 of them.
_DECIMATED_STEPS = 128


def _decimated_plan(
    word: Method,
    size: tuple[int, int, int],
    decimations: Decimations,
    cores: int,
) -> tuple[dict[str, Any], float]:
    """Complete a preset for a wide Gaussian, and predict its seconds."""
    loop, executor = _loop_of(word)
    if loop == "overlap_add":
        loop = "direct_numpy"  # a dozen weights to the grid and back: nothing to transform
    along_y, _ = decimations
    height, width, channels = size
    # Regions begin on the grid, and four of its lines are summed together (`_FOUR`).
    unit = _FOUR * along_y.step
    each = -(-height // cores)
    rows = min(_DECIMATED_STEPS // _FOUR, -(-each // unit)) * unit
    regions = -(-height // rows)
    workers = min(cores, regions)
    samples = (height + 2 * along_y.radius * regions) * width * channels
    plan: dict[str, Any] = {
        "loop": loop,
        "form": "decimated",
        "rank": 1,
        "executor": executor,
        "workers": workers,
        "regions": (min(rows, height), width),
        "tile": (min(rows, height), width),
        "accumulator": "float32",
    }
    return plan, samples * COSTS[loop].decimated * 1e-9 / _speed(loop, workers)


# A separable kernel must be expanded to know, which takes 5 ms for so many weights.
_MOST_EXPANDED = 2**20


def _float32_transforms_serve(kernels: tuple[Kernel, ...]) -> bool:
    """Whether overlap-add may transform 8-bit samples in float32 with these kernels, dense."""
    if math.prod(kernels[0].shape) > _MOST_EXPANDED:
        return False
    from convcli.loops.overlap_add import float32_serves

    return all(float32_serves(*whole_numbers(kernel.weights)) for kernel in kernels)


@cache
def _has_scipy() -> bool:
    return find_spec("scipy") is not None


# A tile is 64 rows, or more where the picture is narrow. numpy keeps three arrays of a tile's
# size, which should fit the second-level cache: 64 rows of 1536 float32 samples are 400 kB.
# numba keeps only pieces of rows, so its tiles are strips of the picture's whole width, and taller:
# 24 MP with 9 taps took 7.1 ms by 64 rows, 5.8 by 256.
_TILE_ROWS = 64
_STRIP_ROWS = 256
_TILE_SAMPLES = 1536
_LEAST_COLUMNS = 256
# A strip's window takes as many rows as the kernel has: of one row of 89 million pixels and a
# kernel of 17 that were 3.4 GB.
_LONGEST_ROW = 1 << 20


def _tile_size(
    loop: str, size: tuple[int, int, int], kernel: tuple[int, int], cores: int
) -> tuple[int, int]:
    """Choose the rows and columns that go through a loop at a time."""
    height, width, channels = size
    if loop == "overlap_add":
        rows, columns = _tile_of_blocks(size, kernel, cores)
    else:
        # Three times as long as the kernel, or most of a window would be halo.
        longest = _TILE_SAMPLES if loop == "direct_numpy" else _LONGEST_ROW
        columns = min(max(longest // channels, kernel[1]), width)
        least = _STRIP_ROWS if loop == "direct_numba" else _TILE_ROWS
        rows = max(least, 3 * kernel[0], _TILE_ROWS * _TILE_SAMPLES // (columns * channels))
        # Every core gets some: of the rows, or where there are too few of the columns.
        rows = min(rows, max(-(-height // cores), min(height, _TILE_ROWS)))
        pieces = -(-height // rows)
        if pieces < cores:
            columns = min(columns, max(-(-width * pieces // cores), kernel[1], _LEAST_COLUMNS))
    rows, columns = (-(-n // _FOUR) * _FOUR for n in (rows, columns))
    return min(rows, height), min(columns, width)


def _tile_of_blocks(
    size: tuple[int, int, int], kernel: tuple[int, int], cores: int
) -> tuple[int, int]:
    """Cut a picture for overlap-add into equal pieces, some for every core, with the least halo.

    Two megapixels keep several cores busy to the end and memory low. Pieces of 16 times the
    kernel on each axis have a halo of an eighth, and may be twice as large for that; below
    twice the kernel the halo would be most of the work.
    """
    height, width, _ = size
    pixels, taps = height * width, math.prod(kernel)
    area = max(2**21, min(256 * taps, 2**22), 4 * taps)
    pieces = cores * -(-pixels // (cores * area))
    pieces = max(1, min(pieces, pixels // max(128**2, 4 * taps)))
    cuts = [
        (-(-height // rows), -(-width // (pieces // rows)))
        for rows in range(1, pieces + 1)
        if pieces % rows == 0
    ]
    return min(cuts, key=lambda cut: (cut[0] + kernel[0] - 1) * (cut[1] + kernel[1] - 1))


def _cut(size: tuple[int, int, int], kernel: tuple[int, int], pieces: int) -> tuple[int, int]:
    """Cut a picture into pieces for processes, along the axis that wastes least.

    A piece is as long as the picture's length over `pieces`, rounded up, and its halo comes
    on top; the axis on which the largest such window is smaller divides best.
    """
    height, width, _ = size
    tall = min(-(-height // (pieces * _FOUR)) * _FOUR, height)
    wide = min(-(-width // (pieces * _FOUR)) * _FOUR, width)
    by_rows = (tall + kernel[0] - 1) * (width + kernel[1] - 1)
    by_columns = (height + kernel[0] - 1) * (wide + kernel[1] - 1)
    return (tall, width) if by_rows <= by_columns else (height, wide)
