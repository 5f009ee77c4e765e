"""Which method takes a task, by what each is predicted to take. Nothing heavy is imported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from convcli.kernels.kernel import Kernel, whole_numbers
from convcli.loops.compiled import machine_code
from convcli.loops.decimation import Decimations
from convcli.loops.layout import EQUAL, ROWS, TAPS, ceil_div, most_equal, shares_rows
from convcli.loops.overlap_add import float32_serves
from convcli.planning.costs import (
    COSTS,
    dense_cost,
    image_cost,
    importing_scipy,
    loading,
    must_compile,
    separable_cost,
    workers_that_pay,
)
from convcli.planning.methods import (
    PRESETS,
    Executor,
    check_method,
    is_installed,
    worker_count,
)
from convcli.planning.plan import Form, Missed, Plan, Route, Task
from convcli.planning.tiles import cut, tile_size
from convcli.words import Method


def plan_for(task: Task) -> Plan:
    """Choose how to do a task, from sizes and from what is installed.

    Nothing is imported, no sample is looked at, and nothing changes.

    Raises
    ------
    ConvcliError
        For an unknown method, fewer than one worker, or a method that is not installed.
    """
    check_method(task.method, task.without)
    routes = {
        word: _route(word, task)
        for word, preset in PRESETS.items()
        if preset.package is None or _can_use(preset.package, task)
    }
    waits = {word: _wait(route, task) for word, route in routes.items()}
    loaded = {word: _seconds(route, task) for word, route in routes.items()}
    predicted = {word: waits[word] / task.images + loaded[word] for word in routes}
    is_auto = task.method == "auto"
    chosen = min(predicted, key=predicted.__getitem__) if is_auto else task.method
    route = routes[chosen]
    compiles = route.loop == "direct_numba" and any(
        must_compile(route.loop, *each) for each in _every_compiled(route, task)
    )
    reason, missed = "as requested", None
    if is_auto:
        reason = "chosen by auto, predicted to be the fastest"
        saved = predicted[chosen] - loaded.get("numba", math.inf)
        if route.loop != "direct_numba" and saved > 0:
            entry = _slowest(routes["numba"], task)
            is_cold = must_compile("direct_numba", *entry)
            reason += (
                f"; {'compiling and ' if is_cold else ''}loading numba's loops would take longer "
                "than it could save"
            )
            if is_cold:
                reason += "; 'convcli warmup' compiles them once for later runs"
            missed = Missed(*entry, saved)
    if compiles:
        often = "once" if machine_code.can_be_kept() else "each time: they cannot be kept"
        reason += f"; the loops are compiled first, which takes 1 to 4 s, {often}"
    return Plan(
        method=chosen,
        route=route,
        needs=_needs(route, compiles),
        seconds=predicted[chosen],
        predicted=predicted,
        reason=reason,
        task=task,
        missed=missed,
    )


def _needs(route: Route, compiles: bool) -> tuple[str, ...]:
    """Name the packages that a route imports."""
    needs = []
    if route.executor == "processes":
        needs.append("pathos")
    if compiles:
        needs.append("numba")
    if route.loop == "overlap_add" and route.accumulator == "float32":
        needs.append("scipy")
    return tuple(needs)


def _can_use(package: str, task: Task) -> bool:
    return package not in task.without and is_installed(package)


def _wait(route: Route, task: Task) -> float:
    """Predict the seconds until the loop of a route is loaded."""
    if route.loop != "direct_numba":  # the others have no compiled loops
        return loading(route.loop, route.accumulator, "", "")
    return loading(route.loop, route.accumulator, *_slowest(route, task))


def _slowest(route: Route, task: Task) -> tuple[str, str]:
    """Name the compiled loop of a route that it takes longest to load."""
    every = _every_compiled(route, task)
    return max(every, key=lambda each: loading(route.loop, route.accumulator, *each))


def _compiled(route: Route, task: Task) -> tuple[str, str]:
    """Name the compiled loop of a route, and the dtype of its samples."""
    dtype = route.accumulator if task.as_floats else task.samples.name
    return _entry_of(route.form, task), dtype


def _every_compiled(route: Route, task: Task) -> list[tuple[str, str]]:
    """Name that loop, and those for windows with missing samples."""
    every = [_compiled(route, task)]
    if task.leaves_out:
        is_plain = task.dtype.kind == "f" and not task.as_floats
        one_term = route.form == "separable" and route.rank == 1
        alone = replace(task, is_magnitude=False) if task.is_magnitude else task
        entry = _entry_of("separable" if one_term else "dense", alone)
        sums, samples = route.accumulator, task.dtype.name if is_plain else route.accumulator
        every += [(entry, sums), ("parted", samples), ("divided", sums)]
    return every


def _entry_of(form: Form, task: Task) -> str:
    """Name the compiled loop that the kernels run in, the first if there are several."""
    if form == "decimated":
        return "thin"
    if form == "dense":
        kernel = task.kernels[0]
        return "dense" if shares_rows(kernel.shape, kernel.taps) else "correlate"
    if task.is_magnitude:
        wide = "" if task.kernels[0].shape == (3, 3) else "_wide"
        return f"magnitude{wide}{'_of_any_size' if task.dtype.kind == 'f' else ''}"
    return "separable"


def _seconds(route: Route, task: Task) -> float:
    """Predict the seconds that an image takes once the loop is loaded."""
    samples = math.prod(task.size)
    size_bytes = samples * task.samples.itemsize
    return route.seconds + image_cost(
        route.executor, route.workers, size_bytes, samples * task.other_work
    )


# Half of the 1e-5 that is promised for float images, and less than 0.002 of an 8-bit level.
_MOST_ERROR = 5e-6


def accumulator_for(dtype: DTypeLike, kernels: Sequence[Kernel], form: Form) -> str:
    """Return which float holds the sums of an image of a dtype, by this form of the kernels.

    16-bit samples need 16 of float32's 24 bits and would be off by a level now and then, so
    they are summed in float64, as float64 samples are. For the others float32 serves as long
    as its rounding stays small against a full sample: each sum errs by about 2**-24 of the
    weights' L1 norm, n of them by about the square root of n as much (Higham, Accuracy and
    Stability of Numerical Algorithms, 2.8). Equal terms, as a box has them in an even part of an
    image, all round to one side: measured, n of them err by up to n / 4 as much. That takes in
    every blur, and edges; a kernel with large weights of both signs, or with hundreds of equal ones
    that is not separable, is summed in float64. So are float images if weights come near the
    smallest float32.
    """
    if np.dtype(dtype) not in (np.uint8, np.float32):
        return "float64"
    if np.dtype(dtype) == np.float32 and any(map(_is_tiny, kernels)):
        return "float64"
    error = max(kernel.l1_norm * _roundings(kernel, form) for kernel in kernels)
    return "float32" if error * 2**-24 <= _MOST_ERROR else "float64"


class Growth(NamedTuple):
    """How much larger a filter may make samples.

    Attributes
    ----------
    largest : float
        How many times larger any samples.
    errors : float
        The same of independent errors of them.
    level : float
        The same of samples that are all alike.
    added : float
        What it adds to them, as a share of the full scale.
    """

    largest: float
    errors: float
    level: float
    added: float


def float_between(
    dtype: np.dtype[np.generic],
    wanted: np.dtype[np.generic],
    stages: Sequence[tuple[Sequence[Kernel], Growth]],
) -> str:
    """Return which float holds the samples between the stages of a chain.

    It depends on the dtypes of the image and of the result. Of each stage there are its kernels,
    and its growth. The rounding of one stage is a share of the samples that reach it, and grows
    with the stages after it. Samples lie about a middle, which most filters do not enlarge. Errors
    of several stages are independent: their squares add up. 8-bit images alone are sure to stay
    within float32's range.
    """
    if dtype != np.uint8 or any(_is_tiny(kernel) for kernels, _ in stages for kernel in kernels):
        return "float64"
    middle, apart, squares = 0.5, 0.5, 0.0  # of the full scale
    for kernels, (largest, errors, level, added) in stages:
        size = max(middle + apart, 1.0) * max(largest, 1.0) + added
        middle, apart = middle * level + added, apart * largest
        roundings = max(
            _roundings(kernel, "separable" if kernel.is_separable else "dense")
            for kernel in kernels
        )
        squares = squares * max(errors, _LEAST_GROWTH) ** 2 + (size * roundings) ** 2
    most = _MOST_ROUNDED if wanted == np.uint8 else _MOST_ERROR
    return "float32" if math.sqrt(squares) * 2**-24 <= most else "float64"


# 0.004 of an 8-bit level: at most 0.8 % of the pixels are then rounded to the next one.
_MOST_ROUNDED = 1.5e-5

# Errors of neighbours may be alike, and then a blur does not make them smaller.
_LEAST_GROWTH = 1.0

# float32 ends at 1e-38, and products of these weights with samples must not.
_LEAST_WEIGHT, _LEAST_NORM = 1e-36, 1e-6


def _is_tiny(kernel: Kernel) -> bool:
    """Whether a kernel, or the least of its weights that are not 0, is tiny for float32."""
    arrays = [kernel.given_weights] if kernel.given_weights is not None else [
        values for factor in kernel.factors for values in factor
    ]  # fmt: skip
    sizes = [np.abs(values[values != 0]) for values in arrays]
    least = math.prod(float(size.min(initial=1.0)) for size in sizes)
    return least < _LEAST_WEIGHT or 0 < kernel.l1_norm < _LEAST_NORM


def _roundings(kernel: Kernel, form: Form) -> float:
    """Return how many times the error of one sum those of a sample add up to."""
    if form == "dense":
        taps, equal = kernel.taps, float(most_equal(kernel.weights))
        if not shares_rows(kernel.shape, taps):
            equal /= TAPS  # so many are added up before they come to the sum
    else:
        taps = kernel.rank * sum(kernel.shape)
        each = [most_equal(line) for factor in kernel.factors for line in factor]
        equal = sum(min(count, EQUAL) + count / EQUAL for count in each)
    return 4 + max(math.sqrt(taps), equal / 4)


# With missing samples there are sums of samples and weights, after transforms also of counts, and
# passes over them all: nanoseconds a sample on one core of an Intel Xeon (family 6, model 167).
_WITHOUT = {"direct_numba": (2, 3.0), "direct_numpy": (2, 11.0), "overlap_add": (3, 50.0)}


def _route(word: Method, task: Task) -> Route:
    """Complete a preset for a task, and predict its seconds."""
    if task.decimations:
        return _decimated_route(word, task, task.decimations)
    loop, executor = _loop_of(word, task)
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
        regions, workers = tile, min(cores, ceil_div(size[0], tile[0]) * ceil_div(size[1], tile[1]))
    if loop == "overlap_add":
        saved = nanoseconds * (COSTS[loop].float64 - 1) * 1e-9 / _speed(loop, workers)
        accumulator = "float32" if form == "dense" and _in_float32(task, saved) else "float64"
    else:
        accumulator = "float64" if task.exact else accumulator_for(task.samples, kernels, form)
    if accumulator == "float64":
        nanoseconds *= COSTS[loop].float64
    if task.leaves_out:
        sums, passes = _WITHOUT[loop]
        nanoseconds = nanoseconds * sums + math.prod(size) * passes
    if executor == "threads":
        workers = workers_that_pay(nanoseconds + math.prod(size) * task.other_work, workers)
    rank = len(kernels[0].cheap_factors or ())
    seconds = nanoseconds * 1e-9 / _speed(loop, workers)
    return Route(loop, form, rank, executor, workers, regions, tile, accumulator, seconds)


def _cheaper_form(loop: str, task: Task) -> Form:
    """Choose for the whole image: the forms round differently, and workers must not matter."""
    kernel = task.kernels[0]
    if kernel.cheap_factors is None:
        return "dense"
    size = task.size if task.whole is None else (*task.whole, task.size[2])
    whole = tile_size(loop, size, kernel.shape, 1)
    separable, dense = (f(loop, size, task.kernels, whole) for f in (separable_cost, dense_cost))
    return "separable" if separable < dense else "dense"


def _speed(loop: str, workers: int) -> float:
    """Return the speed-up by workers; more than there are cores are no faster."""
    return 1 + (min(workers, worker_count(None)) - 1) * COSTS[loop].share


def _loop_of(word: Method, task: Task) -> tuple[str, Executor]:
    """Return a preset's loop and executor; numpy's loop takes the place of a missing numba's."""
    loop, executor, _ = PRESETS[word]
    if task.local and loop == "overlap_add":
        return "direct_numpy", executor
    missing = loop == "direct_numba" and not _can_use("numba", task)
    return "direct_numpy" if missing else loop, executor


# Rows of a region in steps of the grid: its halo is about 22 of them. 24 MP and a sigma of 8 took
# 42 ms by 32 steps, 26.9 by 64, 26.0 by 128, 27.2 by 256, which take twice the memory.
_DECIMATED_STEPS = 128


def _decimated_route(word: Method, task: Task, decimations: Decimations) -> Route:
    """Complete a preset for a wide Gaussian, and predict its seconds."""
    loop, executor = _loop_of(word, task)
    if loop == "overlap_add":
        loop = "direct_numpy"  # a dozen weights to the grid and back: nothing to transform
    along_y, _ = decimations
    height, width, channels = task.size
    unit = ROWS * along_y.step  # regions begin on the grid
    each = ceil_div(height, task.cores)
    rows = min(_DECIMATED_STEPS // ROWS, ceil_div(each, unit)) * unit
    regions = ceil_div(height, rows)
    samples = (height + 2 * along_y.radius * regions) * width * channels
    nanoseconds = samples * COSTS[loop].decimated
    workers = workers_that_pay(nanoseconds, min(task.cores, regions))
    seconds = nanoseconds * 1e-9 / _speed(loop, workers)
    tile = (min(rows, height), width)
    return Route(loop, "decimated", 1, executor, workers, tile, tile, "float32", seconds)


# A separable kernel has to be expanded for this test, which takes 5 ms for so many weights.
_MOST_EXPANDED = 2**20


def _in_float32(task: Task, saved: float) -> bool:
    """Whether overlap-add transforms in float32: if that is exact enough, and scipy pays."""
    if task.samples != np.uint8 or task.exact or not _can_use("scipy", task):
        return False
    if importing_scipy() / task.images >= saved:
        return False
    if math.prod(task.kernels[0].shape) > _MOST_EXPANDED:
        return False
    return all(float32_serves(*whole_numbers(kernel.weights)) for kernel in task.kernels)
