"""The filters as functions of dask arrays: lazy, a task for each chunk of the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike

from convcli.checks import number
from convcli.errors import ConvcliError, reason_of
from convcli.filtering.convolution import apply
from convcli.filtering.definitions import blurring, convolving, edges, sharpening
from convcli.filtering.filter import Filter
from convcli.filtering.options import Options
from convcli.kernels.kernel import Kernel
from convcli.loops.compiled import machine_code
from convcli.pixels.source import Span
from convcli.planning.plan import Plan
from convcli.running.chunked import Chunks, Filtering, Gathering, bounds_of, spans_of
from convcli.running.recipe import Recipe
from convcli.running.regions import Region
from convcli.sources.contract import DTYPES
from convcli.types import Pixels
from convcli.words import Operator, Show, listed

if TYPE_CHECKING:
    from dask.array import Array

# Those that concern how samples are computed. Dask decides what runs where.
_OPTIONS = (
    "border", "border_value", "method", "alpha", "linear", "exact", "out_dtype", "nan", "nodata",
    "on_plan",
)  # fmt: skip

Sizes = tuple[int, ...]
"""Lengths of the chunks of an axis."""


def blur(
    array: Array,
    sigma: float | tuple[float, float] = 3.0,
    *,
    truncate: float | None = None,
    radius: int | None = None,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Blur a dask array with a Gaussian, as `convcli.blur` does.

    Parameters
    ----------
    array : dask.array.Array
        The last two axes, apart from the channel axis, are y and x. Those before them are looped
        over: ``(z, y, x)`` is a stack of planes, each an image of its own.
    sigma, truncate, radius
        See `convcli.blur`.
    channel_axis : int, optional
        The axis of the channels. Default: there is none.
    **options
        border, border_value, method, alpha, linear, exact, out_dtype, nan, nodata and on_plan of
        `convcli.filtering.options.Options`.

    Returns
    -------
    dask.array.Array
        The array's shape, chunks and dtype (or `out_dtype`). Where all samples are finite it equals
        the result of the whole array to the bit, but for rounding in a luminance of float32.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> row = da.from_array(np.array([[0, 0, 0, 255, 0, 0]], np.uint8), chunks=(1, 2))
    >>> convcli.dask.blur(row, sigma=0.5).compute()
    array([[  0,   0,  27, 201,  27,   0]], dtype=uint8)
    """
    filter_ = blurring(sigma, truncate=truncate, radius=radius)
    return _lazy("blur", array, filter_, channel_axis, options)


def edge(
    array: Array,
    operator: Operator | None = None,
    show: Show = "magnitude",
    *,
    sigma: float | None = None,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Detect edges in a dask array, as `convcli.edge` does, but for `stretch` and `canny`.

    These two need the whole image.

    Parameters
    ----------
    array, channel_axis, **options
        See `blur`.
    operator, show, sigma
        See `convcli.edge`.

    Returns
    -------
    dask.array.Array
        The array's dtype. Of colour the luminance is filtered: the channel axis is gone, or has
        two channels under ``alpha="keep"``.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> step = np.repeat(np.array([[0, 0, 0, 200, 200, 200]], np.uint8), 3, axis=0)
    >>> convcli.dask.edge(da.from_array(step, chunks=2))[1].compute()
    array([  0,   0, 200, 200,   0,   0], dtype=uint8)
    """
    for word in ("canny", "stretch"):
        if word in options:
            raise ConvcliError(
                f"{word} needs the whole image, and a dask array is filtered chunk by chunk; pass "
                "array.compute() to convcli.edge"
            )
    filter_ = edges(operator, show, sigma=sigma)
    return _lazy("edge", array, filter_, channel_axis, options)


def sharpen(
    array: Array,
    sigma: float | tuple[float, float] = 1.0,
    amount: float = 1.0,
    threshold: float = 0.0,
    *,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Sharpen a dask array by an unsharp mask, as `convcli.sharpen` does.

    Parameters
    ----------
    array, channel_axis, **options
        See `blur`.
    sigma, amount, threshold
        See `convcli.sharpen`.

    Returns
    -------
    dask.array.Array
        The array's shape, chunks and dtype.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> step = da.from_array(np.array([[100, 100, 100, 150, 150, 150]], np.uint8), chunks=(1, 3))
    >>> convcli.dask.sharpen(step, sigma=0.5).compute()
    array([[100, 100,  95, 155, 150, 150]], dtype=uint8)
    """
    return _lazy("sharpen", array, sharpening(sigma, amount, threshold), channel_axis, options)


def convolve(
    array: Array,
    kernel: ArrayLike | Kernel,
    *,
    correlate: bool = False,
    bias: float = 0.0,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Convolve a dask array with a kernel, as `convcli.convolve` does.

    Parameters
    ----------
    array, channel_axis, **options
        See `blur`.
    kernel, correlate, bias
        See `convcli.convolve`. The kernel may be larger than a chunk.

    Returns
    -------
    dask.array.Array
        The array's shape, chunks and dtype.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> row = da.from_array(np.array([[0, 0, 255, 255, 255]], np.uint8), chunks=(1, 2))
    >>> convcli.dask.convolve(row, [[0.5, 0, 0.5]]).compute()
    array([[  0, 128, 128, 255, 255]], dtype=uint8)
    """
    filter_ = convolving(kernel, correlate=correlate, bias=bias)
    return _lazy("convolve", array, filter_, channel_axis, options)


class _Shape(NamedTuple):
    """An image that is known by its shape and dtype alone: enough to plan."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    def window(self, _rows: Span, _columns: Span) -> Pixels:
        """Refuse: plans touch no pixel."""
        raise NotImplementedError


def _lazy(
    name: str, array: Array, filter_: Filter, channel_axis: int | None, options: Options
) -> Array:
    """Plan for the whole image, and make a graph of tasks, each of which computes a region."""
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
    regions = [spans_of(bounds_of(sizes)) for sizes in chunks]
    for (i, rows), (j, columns) in product(*map(enumerate, regions)):
        down, across = work.needs((rows, columns), bounds)
        task = partial(
            _computed, region=(rows, columns), axes=(axis, left),
            rows=[spans[0][each] for each in down], columns=[spans[1][each] for each in across],
        )  # fmt: skip
        for outer in product(*(range(len(sizes)) for sizes in given.outer)):
            keys = [[(array.name, *_with(axis, 0, *outer, y, x)) for x in across] for y in down]
            graph[name, *_with(left, 0, *outer, i, j)] = (task, f"{name}-work", keys)
    layers = _package("dask.highlevelgraph").HighLevelGraph
    made = _package("dask.array").Array(
        layers.from_collections(name, graph, dependencies=[array]),
        name,
        _with(left, (channels,), *given.outer, *chunks),
        dtype=dtype,
        meta=np.empty((0,) * (len(given.outer) + 2 + (left is not None)), dtype),
    )
    return _Given(made, left)


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
