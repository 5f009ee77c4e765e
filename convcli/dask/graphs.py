"""Graphs of Dask: a task for each chunk of a result, over the chunks that it depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from convcli.checks import number
from convcli.errors import ConvcliError, reason_of
from convcli.filtering.convolution import apply
from convcli.filtering.filter import Filter
from convcli.filtering.options import Options
from convcli.loops.compiled import machine_code
from convcli.pixels.source import Span
from convcli.planning.plan import Plan
from convcli.running.chunked import Chunks, Filtering, Gathering, bounds_of, spans_of
from convcli.running.recipe import Recipe
from convcli.running.regions import Region
from convcli.sources.contract import DTYPES
from convcli.types import Pixels
from convcli.words import listed

if TYPE_CHECKING:
    from dask.array import Array

# Those that concern how samples are computed. Dask decides what runs where.
_OPTIONS = (
    "border", "border_value", "method", "alpha", "linear", "exact", "out_dtype", "nan", "nodata",
    "on_plan",
)  # fmt: skip

Sizes = tuple[int, ...]
"""Lengths of the chunks of an axis."""


class _Shape(NamedTuple):
    """An image that is known by its shape and dtype alone: enough to plan."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    def window(self, _rows: Span, _columns: Span) -> Pixels:
        """Refuse: plans touch no pixel."""
        raise NotImplementedError


def lazy(
    name: str, array: Array, filter_: Filter, channel_axis: int | None, options: Options
) -> Array:
    """Return the lazy result of a filter, planned for the whole of each plane.

    Parameters
    ----------
    name : str
        What its tasks are called.
    array : dask.array.Array
        What is filtered.
    filter_ : Filter
        The filter.
    channel_axis : int or None
        The axis of the channels, if there is one.
    options : Options
        Those that concern how samples are computed.

    Raises
    ------
    ConvcliError
        For an array, axis or option that is not valid.
    TypeError
        For an unknown option.
    """
    if unknown := set(options) - {*_OPTIONS}:
        raise TypeError(f"unknown option {min(unknown)!r}; the options are {', '.join(_OPTIONS)}")
    tokenize = _package("dask.base").tokenize
    axis = _checked_axis(array, channel_axis)
    if axis is not None:
        array = array.rechunk({axis: -1})
    filtering = _planned(array, axis, filter_, options)
    name = f"convcli-{name}-{tokenize(array.name, filter_, axis, sorted(options.items()))}"
    given = _Given(array, axis)
    if not filtering.pieces:
        return _layer(name, given, filtering, given.chunks).array
    pieces = [
        tuple(min(step, side - at) for at in range(0, side, step))
        for step, side in zip(filtering.pieces, filtering.shape, strict=False)
    ]
    made = _layer(f"{name}-pieces", given, filtering, pieces)
    gathering = Gathering((*filtering.shape[:2], filtering.result[0]), filtering.result[1])
    return _layer(name, made, gathering, given.chunks).array


def _planned(array: Array, axis: int | None, filter_: Filter, options: Options) -> Filtering:
    """Plan a filter of the planes of an array."""
    given = _Given(array, axis)
    rows, columns = map(sum, given.chunks)
    found: list[Filtering] = []

    def carry_out(plan: Plan, recipe: Recipe, source: _Shape) -> Pixels:
        if plan.missed:
            machine_code.miss(*plan.missed)
        found.append(Filtering(plan, recipe, source.shape, source.dtype))
        return np.empty(0)

    channels = 1 if axis is None else array.shape[axis]
    shape = _Shape((rows, columns, channels), array.dtype.newbyteorder("="))
    asked = Options(**{**options, "carry_out": carry_out, "channels": True})
    apply(cast(ArrayLike, shape), filter_, **asked)
    return found[0]


class _Given(NamedTuple):
    """An array and the axis of its channels, of which each chunk has all."""

    array: Array
    axis: int | None

    @property
    def outer(self) -> list[Sizes]:
        """Sizes of the chunks of the axes before y and x."""
        return self._others[:-2]

    @property
    def chunks(self) -> list[Sizes]:
        """Sizes of the chunks along y and x."""
        return self._others[-2:]

    @property
    def _others(self) -> list[Sizes]:
        return [sizes for at, sizes in enumerate(self.array.chunks) if at != self.axis]


def _layer(
    name: str, given: _Given, work: Filtering | Gathering, chunks: Sequence[Sizes]
) -> _Given:
    """Add a task for each chunk of a result; every task refers to the work, which is one node."""
    array, axis = given
    channels, dtype = work.result
    # The luminance of colour has no channels.
    left = axis if axis is None or channels > 1 or array.shape[axis] == 1 else None
    bounds = bounds_of(given.chunks[0]), bounds_of(given.chunks[1])
    spans = spans_of(bounds[0]), spans_of(bounds[1])
    graph: dict[Any, Any] = {f"{name}-work": work}
    made = [spans_of(bounds_of(sizes)) for sizes in chunks]
    downs = [work.needs((rows, made[1][0]), bounds)[0] for rows in made[0]]
    acrosses = [work.needs((made[0][0], columns), bounds)[1] for columns in made[1]]
    for (i, rows), (j, columns) in product(*map(enumerate, made)):
        down, across = downs[i], acrosses[j]
        task = partial(
            _computed, region=(rows, columns), axes=(axis, left),
            rows=[spans[0][each] for each in down], columns=[spans[1][each] for each in across],
        )  # fmt: skip
        for outer in product(*(range(len(sizes)) for sizes in given.outer)):
            keys = [[(array.name, *_with(axis, 0, *outer, y, x)) for x in across] for y in down]
            graph[name, *_with(left, 0, *outer, i, j)] = (task, f"{name}-work", keys)
    layers = _package("dask.highlevelgraph").HighLevelGraph
    result = _package("dask.array").Array(
        layers.from_collections(name, graph, dependencies=[array]),
        name,
        _with(left, (channels,), *given.outer, *chunks),
        dtype=dtype,
        meta=np.empty((0,) * (len(given.outer) + 2 + (left is not None)), dtype),
    )
    return _Given(result, left)


def _with(axis: int | None, item: Any, *items: Any) -> tuple[Any, ...]:
    """Return items with one more at the place of the channel axis, if there is one."""
    return items if axis is None else (*items[:axis], item, *items[axis:])


def _computed(
    work: Filtering | Gathering,
    chunks: Sequence[Sequence[Pixels]],
    *,
    region: Region,
    axes: tuple[int | None, int | None],
    rows: Sequence[Span],
    columns: Sequence[Span],
) -> Pixels:
    """Compute a chunk of a result, plane by plane."""
    given, left = axes
    last = [[_channels_last(chunk, given, work.dtype) for chunk in line] for line in chunks]
    outer = last[0][0].shape[:-3]
    planes = [
        work.of(
            Chunks(work.shape, work.dtype, rows, columns, [[c[at] for c in line] for line in last]),
            region,
        )
        for at in np.ndindex(*outer)
    ]
    made = planes[0] if len(planes) == 1 else np.stack(planes)
    made = made.reshape(*outer, *planes[0].shape)
    return made[..., 0] if left is None else np.ascontiguousarray(np.moveaxis(made, -1, left))


def _channels_last(chunk: Any, axis: int | None, dtype: np.dtype[Any]) -> Pixels:
    pixels = np.asarray(chunk, dtype)
    return pixels[..., np.newaxis] if axis is None else np.moveaxis(pixels, axis, -1)


def _checked_axis(array: Any, channel_axis: Any) -> int | None:
    """Check an array, and return the number of its channel axis, if there is one."""
    if not isinstance(array, _package("dask.array").Array):
        raise ConvcliError(
            f"array is of the type {type(array).__qualname__}; convcli.dask filters dask arrays, "
            "and convcli.blur, edge, sharpen and convolve filter others"
        )
    meta = _package("dask.array.utils").meta_from_array(array)
    if type(meta) is not np.ndarray:
        raise ConvcliError(
            f"array has chunks of the type {type(meta).__qualname__}; convcli.dask filters chunks "
            "of the type numpy.ndarray, so convert them with array.map_blocks"
        )
    if array.dtype.name not in DTYPES:
        raise ConvcliError(f"array has dtype {array.dtype}; it must be {listed(DTYPES)}")
    least = 2 if channel_axis is None else 3
    if array.ndim < least or any(math.isnan(side) for side in array.shape) or 0 in array.shape:
        raise ConvcliError(
            f"array has shape {array.shape}; it must have at least {least} axes, of known lengths, "
            "and not be empty"
        )
    if channel_axis is None:
        return None
    axis: float = number(channel_axis, "channel_axis")
    if axis not in range(-array.ndim, array.ndim):
        raise ConvcliError(
            f"channel_axis must be a whole number from {-array.ndim} to {array.ndim - 1}, not "
            f"{channel_axis!r}"
        )
    dimensions: int = array.ndim
    return int(axis) % dimensions


def _package(module: str) -> Any:
    """Import a module of dask, which is not needed until there is an array."""
    try:
        return import_module(module)
    except Exception as error:
        raise ConvcliError(
            f"convcli.dask needs the package dask, which cannot be imported ({reason_of(error)}); "
            "install the extra 'cluster'"
        ) from error
