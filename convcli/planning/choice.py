"""How a picture is convolved, chosen by what each way is predicted to take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from convcli.kernels.kernel import Kernel, whole_numbers
from convcli.loops.decimation import Decimations
from convcli.loops.layout import LONG_ROW, ROWS, TAPS
from convcli.planning.costs import (
    COMPILING,
    COMPILING_EACH_TIME,
    COSTS,
    dense_cost,
    importing_scipy,
    loading,
    picture_cost,
    separable_cost,
)
from convcli.planning.methods import (
    PRESETS,
    Executor,
    check_method,
    import_problem,
    is_installed,
    worker_count,
)
from convcli.planning.plan import Form, Plan
from convcli.planning.tiles import cut, tile_size
from convcli.words import Method


class Task(NamedTuple):
    """What there is to do, as far as a plan depends on it; see `plan_for`."""

    size: tuple[int, int, int]
    dtype: np.dtype[Any]
    kernels: tuple[Kernel, ...]
    cores: int
    exact: bool
    pictures: int
    form: Form | None
    decimations: Decimations | None
    is_magnitude: bool
    as_floats: bool


class Route(NamedTuple):
    """How one method would do it; see `Plan`. Its seconds are those of the loop alone."""

    loop: str
    form: Form
    rank: int
    executor: Executor
    workers: int
    regions: tuple[int, int]
    tile: tuple[int, int]
    accumulator: str
    seconds: float


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
    is_magnitude: bool = False,
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
    is_magnitude : bool
        The magnitude of two separable kernels is asked for: loops may make that in one pass.
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
    size = (shape[0], shape[1], shape[2] if len(shape) > 2 else 1)
    several = (kernels,) if isinstance(kernels, Kernel) else tuple(kernels)
    samples = np.dtype(dtype)
    if as_floats and samples == np.uint8:
        samples = np.dtype(np.float32)
    task = Task(
        size, samples, several, worker_count(workers), exact, pictures,
        "separable" if is_magnitude else form, decimations, is_magnitude, as_floats,
    )  # fmt: skip
    while True:
        routes = {word: _route(word, task) for word in PRESETS if _is_there(word)}
        waits = {word: _wait(route, task) for word, route in routes.items()}
        predicted = {
            word: waits[word] / pictures + _seconds(route, task, besides)
            for word, route in routes.items()
        }
        chosen = min(predicted, key=predicted.__getitem__) if method == "auto" else method
        route, wait = routes[chosen], waits[chosen]
        compiles = route.loop == "direct_numba" and wait >= COMPILING
        # What is needed now is imported: if it is broken, it is done without from here on.
        if compiles and method != "numba":
            needed = "numba"
        elif route.loop == "overlap_add" and route.accumulator == "float32":
            needed = "scipy.fft"
        else:
            break
        if not import_problem(needed):
            break

    reason = "as asked"
    if method == "auto":
        reason = "chosen by auto, predicted to be the fastest"
        loaded = {word: predicted[word] - waits[word] / pictures for word in routes}
        if chosen != "numba" and loaded.get("numba", math.inf) < predicted[chosen]:
            reason += "; loading numba's loops would take longer than it could save"
    if compiles:
        often = ", once" if wait < COMPILING_EACH_TIME else "; there is no place to keep them"
        reason += f"; the loops are compiled first, which takes 1 to 4 s{often}"
    return Plan(
        method=chosen,
        predicted=predicted,
        reason=reason,
        kernel=" and ".join(f"{k.name} {k.shape[0]} x {k.shape[1]}" for k in several),
        kernel_shape=several[0].shape,
        decimations=decimations,
        **route._replace(seconds=predicted[chosen])._asdict(),
    )


def _is_there(word: Method) -> bool:
    package = PRESETS[word].package
    return package is None or is_installed(package)


def _wait(route: Route, task: Task) -> float:
    """Predict the seconds until a route's loop is loaded."""
    dtype = route.accumulator if task.as_floats else task.dtype.name
    return loading(route.loop, route.accumulator, _entry_of(route.form, task), dtype)


def _entry_of(form: Form, task: Task) -> str:
    """Name the compiled loop that kernels run in, or the first of those."""
    if form == "decimated":
        return "thin"
    if form == "dense":
        return "correlate"
    if task.is_magnitude:
        return "magnitude"
    row = task.kernels[0].factors[0][1]
    return "separable" if np.count_nonzero(row) < LONG_ROW else "separable_long"


def _seconds(route: Route, task: Task, besides: float) -> float:
    """Predict the seconds that a picture takes, its loop loaded."""
    samples = math.prod(task.size)
    size_bytes = samples * task.dtype.itemsize
    return route.seconds + picture_cost(
        route.executor, route.workers, size_bytes, samples * besides
    )


# Half of the 1e-5 that is promised for float images, and less than 0.002 of an 8-bit level.
_MOST_ERROR = 5e-6


def accumulator_for(dtype: DTypeLike, kernels: Sequence[Kernel], form: Form) -> str:
    """Say which float holds the sums of pictures of a dtype, by this form of the kernels.

    16-bit samples need 16 of float32's 24 bits and would be off by a level now and then, so
    they are summed in float64, as float64 samples are. For the others float32 serves as long
    as its rounding stays small against a full sample: each sum errs by about 2**-24 of the
    weights' L1 norm, n of them by about the square root of n as much (Higham, Accuracy and
    Stability of Numerical Algorithms, 2.8). Equal terms, as a disc has them in an even part of a
    picture, all round to one side: measured, n of them err by up to n / 4 as much, where loops
    add up `TAPS` before they come to the sum. That takes in every blur, and edges; a kernel with
    large weights of both signs, or of 2,500 and more, is summed in float64.
    """
    if np.dtype(dtype) not in (np.uint8, np.float32):
        return "float64"
    error = max(kernel.l1_norm * _roundings(kernel, form) for kernel in kernels)
    return "float32" if error * 2**-24 <= _MOST_ERROR else "float64"


def _roundings(kernel: Kernel, form: Form) -> float:
    """Say how many times as much as one sum those of a sample err, at random or to one side."""
    taps = kernel.taps if form == "dense" else kernel.rank * sum(kernel.shape)
    return 4 + max(math.sqrt(taps), taps / TAPS / 4)


def _route(word: Method, task: Task) -> Route:
    """Complete a preset for a picture, and predict its seconds."""
    if task.decimations:
        return _decimated_route(word, task, task.decimations)
    loop, executor = _loop_of(word)
    size, kernels, cores = task.size, task.kernels, task.cores
    shape = kernels[0].shape
    form = task.form or _cheaper_form(loop, task)
    tile = tile_size(loop, size, shape, cores)
    cost_of = separable_cost if form == "separable" else dense_cost
    nanoseconds = cost_of(loop, size, kernels, tile)
    if executor == "processes":
        regions, workers = cut(size, shape, cores), cores
        tile = (min(tile[0], regions[0]), min(tile[1], regions[1]))
    else:
        regions, workers = tile, min(cores, -(-size[0] // tile[0]) * -(-size[1] // tile[1]))
    speed = _speed(loop, workers)
    if loop == "overlap_add":
        saved = nanoseconds * (COSTS[loop].float64 - 1) * 1e-9 / speed
        accumulator = "float32" if form == "dense" and _in_float32(task, saved) else "float64"
    else:
        accumulator = "float64" if task.exact else accumulator_for(task.dtype, kernels, form)
    if accumulator == "float64":
        nanoseconds *= COSTS[loop].float64
    rank = len(kernels[0].cheap_factors or ())
    seconds = nanoseconds * 1e-9 / speed
    return Route(loop, form, rank, executor, workers, regions, tile, accumulator, seconds)


def _cheaper_form(loop: str, task: Task) -> Form:
    """Choose for the picture as one: each form rounds in its own way, whatever the workers."""
    kernel = task.kernels[0]
    if kernel.cheap_factors is None:
        return "dense"
    whole = tile_size(loop, task.size, kernel.shape, 1)
    separable, dense = (
        f(loop, task.size, task.kernels, whole) for f in (separable_cost, dense_cost)
    )
    return "separable" if separable < dense else "dense"


def _speed(loop: str, workers: int) -> float:
    """Say how many times as fast workers are; more than there are cores are no faster."""
    return 1 + (min(workers, worker_count(None)) - 1) * COSTS[loop].share


def _loop_of(word: Method) -> tuple[str, Executor]:
    """Return a preset's loop and executor; without numba its place is taken by numpy."""
    loop, executor, _ = PRESETS[word]
    missing = loop == "direct_numba" and not is_installed("numba")
    return "direct_numpy" if missing else loop, executor


# Rows of a region in steps of the grid: its halo is about 22 of them. 24 MP and a sigma of 8 took
# 42 ms by 32 steps, 26.9 by 64, 26.0 by 128, 27.2 by 256, which take twice the memory.
_DECIMATED_STEPS = 128


def _decimated_route(word: Method, task: Task, decimations: Decimations) -> Route:
    """Complete a preset for a wide Gaussian, and predict its seconds."""
    loop, executor = _loop_of(word)
    if loop == "overlap_add":
        loop = "direct_numpy"  # a dozen weights to the grid and back: nothing to transform
    along_y, _ = decimations
    height, width, channels = task.size
    unit = ROWS * along_y.step  # regions begin on the grid
    each = -(-height // task.cores)
    rows = min(_DECIMATED_STEPS // ROWS, -(-each // unit)) * unit
    regions = -(-height // rows)
    workers = min(task.cores, regions)
    samples = (height + 2 * along_y.radius * regions) * width * channels
    seconds = samples * COSTS[loop].decimated * 1e-9 / _speed(loop, workers)
    tile = (min(rows, height), width)
    return Route(loop, "decimated", 1, executor, workers, tile, tile, "float32", seconds)


# A separable kernel must be expanded to know, which takes 5 ms for so many weights.
_MOST_EXPANDED = 2**20


def _in_float32(task: Task, saved: float) -> bool:
    """Whether overlap-add transforms in float32: where it may, and saves more than scipy takes."""
    if task.dtype != np.uint8 or task.exact or not is_installed("scipy"):
        return False
    if importing_scipy() / task.pictures >= saved:
        return False
    if math.prod(task.kernels[0].shape) > _MOST_EXPANDED:
        return False
    from convcli.loops.overlap_add import float32_serves

    return all(float32_serves(*whole_numbers(kernel.weights)) for kernel in task.kernels)
