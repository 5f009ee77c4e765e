"""Direct correlation compiled by numba: kernels of any form, and both passes of separable ones."""

from __future__ import annotations

import math

import numpy as np

from convcli.loops.compiled.machine_code import function
from convcli.loops.contract import Blur, Correlate, Factors, Thin
from convcli.loops.decimation import Decimations
from convcli.loops.layout import (
    CHUNK,
    DENSE_ROWS,
    EQUAL,
    ROWS,
    TAPS,
    ceil_div,
    most_equal,
    shares_rows,
)
from convcli.pixels.borders import Index
from convcli.types import Floats, Pixels

_correlate = function("correlate")
_dense = function("dense")
_separable = function("separable")
_magnitude = function("magnitude")
_magnitude_of_any_size = function("magnitude_of_any_size")
_magnitude_wide = function("magnitude_wide")
_magnitude_wide_of_any_size = function("magnitude_wide_of_any_size")
_thin = function("thin")
_blur_rows = function("blur_rows")
_interpolate = function("interpolate")
_parted = function("parted")
_divided = function("divided")

# Samples of a row that are summed at a time where eight rows are: their sums, 16 kB, or their
# columns, 32 kB, stay in the first-level cache.
_DENSE_CHUNK, _SEPARABLE_CHUNK = 512, 1024

# A dozen rows of floats are summed at once: 512 samples of each are 26 kB.
_NARROW_CHUNK = 512


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """List the weights that are not 0; see `convcli.loops.contract` for the contract."""
    if not weights.any():
        return _nothing
    if shares_rows(weights.shape, int(np.count_nonzero(weights))):
        return _dense_correlator(weights, divisor)
    where = np.argwhere(weights)
    values = np.ascontiguousarray(weights[weights != 0])
    scale = values.dtype.type(divisor)

    def correlate(window: Pixels, out: Pixels) -> None:
        stride = window.shape[1] * window.shape[2]
        offsets = where[:, 0] * stride + where[:, 1] * window.shape[2]
        total = _scratch((CHUNK,), values.dtype)
        _correlate(window.reshape(-1), stride, offsets, values, scale, total, _rows(out))

    return correlate


def _dense_correlator(weights: Floats, divisor: float) -> Correlate:
    """Prepare a kernel that has no zeros."""
    values = weights.flatten()  # numba takes none that is read-only
    height, width = weights.shape
    scale = values.dtype.type(divisor)

    def correlate(window: Pixels, out: Pixels) -> None:
        channels = window.shape[2]
        offsets = np.arange(width) * channels
        sums = _scratch((DENSE_ROWS, _DENSE_CHUNK), values.dtype)
        _dense(
            window.reshape(-1), window.shape[1] * channels, offsets, values, height, scale,
            sums.reshape(-1), _DENSE_CHUNK, _rows(out),
        )  # fmt: skip

    return correlate


def separable_correlator(column: Floats, row: Floats, divisor: float = 1.0) -> Correlate:
    """Prepare a column and a row, ``(kh, 1)`` and ``(1, kw)``, to be applied in one go."""
    if not (column.any() and row.any()):
        return _nothing
    where = np.flatnonzero(row)
    values = np.ascontiguousarray(row[row != 0])
    is_whole = int(where[-1] - where[0]) + 1 == where.size
    taps, nothing = column[:, 0].copy(), np.zeros(1, np.int64)
    scale = column.dtype.type(divisor)
    in_parts = max(most_equal(column), most_equal(row)) > EQUAL
    longest = EQUAL if in_parts else max(taps.size, values.size)

    def correlate(window: Pixels, out: Pixels) -> None:
        channels = window.shape[2]
        stride = window.shape[1] * channels
        reach = (window.shape[1] - out.shape[1]) * channels
        sums = _scratch((DENSE_ROWS, _SEPARABLE_CHUNK + reach), scale.dtype)
        part = np.empty(sums.size if in_parts else 1, scale.dtype)
        totals = _scratch((ROWS, _SEPARABLE_CHUNK), scale.dtype)
        _separable(
            window.reshape(-1), stride, taps, where * channels, values,
            channels if is_whole else 0, nothing, scale, sums.reshape(-1), sums.shape[1],
            totals.reshape(-1), _SEPARABLE_CHUNK, longest, part, _rows(out),
        )  # fmt: skip

    return correlate


def _nothing(_window: Pixels, out: Pixels) -> None:
    """Filter by a kernel of zeros."""
    out[...] = 0


def magnitude_correlator(
    along_x: Factors, along_y: Factors, divisor: float = 1.0, any_size: bool = True
) -> Correlate:
    """Prepare two kernels, each a column and a row, whose results become one magnitude."""
    if (along_x[0].size, along_x[1].size) != (3, 3):
        return _wide_magnitude(along_x, along_y, divisor, any_size)
    columns = np.stack([along_x[0].ravel(), along_y[0].ravel()])
    rows = np.stack([along_x[1].ravel(), along_y[1].ravel()])
    mantissa, _ = math.frexp(divisor)
    if mantissa == 0.5:  # dividing by a power of two is exact, wherever it is done
        rows, divisor = rows / rows.dtype.type(divisor), 1.0
    scale = rows.dtype.type(divisor)
    compiled = _magnitude_of_any_size if any_size else _magnitude

    def correlate(window: Pixels, out: Pixels) -> None:
        channels = window.shape[2]
        lines = _scratch((3, CHUNK + 2 * channels), scale.dtype)
        compiled(_rows(window), channels, columns, rows, scale, lines, _rows(out))

    return correlate


def _wide_magnitude(
    along_x: Factors, along_y: Factors, divisor: float, any_size: bool
) -> Correlate:
    """Prepare two kernels of any lengths for `magnitude_correlator`."""
    table_x, table_y = _shifted(along_x[0][:, 0]), _shifted(along_y[0][:, 0])
    row_x, row_y = along_x[1][0].copy(), along_y[1][0].copy()  # numba takes none that is read-only
    scale = row_x.dtype.type(divisor)
    compiled = _magnitude_wide_of_any_size if any_size else _magnitude_wide

    def correlate(window: Pixels, out: Pixels) -> None:
        channels = window.shape[2]
        stride = window.shape[1] * channels
        reach = (window.shape[1] - out.shape[1]) * channels
        columns, rows = np.arange(len(table_x)) * stride, np.arange(row_x.size) * channels
        fours = _scratch((2 * ROWS, CHUNK + reach), scale.dtype)
        totals = _scratch((2, CHUNK), scale.dtype)
        compiled(
            window.reshape(-1), stride, columns, table_x, table_y, rows, row_x, row_y, scale, fours,
            totals, _rows(out),
        )  # fmt: skip

    return correlate


def gaussian_blurrer(decimations: Decimations, accumulator: np.dtype[np.floating]) -> Blur:
    """Prepare a wide Gaussian: columns to the grid, rows there and back, columns back."""
    along_y, along_x = decimations
    step_y, step_x = along_y.step, along_x.step
    places = _four_places(along_y.wide.astype(accumulator))
    narrow, wide = along_x.narrow.astype(accumulator), along_x.wide.astype(accumulator)

    def thinner(weights: Floats, step: int) -> Thin:
        table = _shifted(weights.astype(accumulator), step)

        def thin(image: Pixels, lines: Index, rows: Floats, left: int) -> None:
            _, width, channels = image.shape
            samples, stride = _flat(image)
            # Below the window the table holds zeros, and any line of finite samples will do.
            starts = np.full(len(rows) * step + len(table), lines[0] * stride)
            starts[: lines.size - step] = lines[step:] * stride
            run, first = width * channels, left * channels
            _thin(samples, step, starts, table, run, first, CHUNK, _rows(rows))

        return thin

    def across(rows: Floats, skip: int, width: int) -> None:
        channels = rows.shape[2]
        # Places of the grid apart: phase p has the samples p, p + step, p + 2 step, ...
        length = ceil_div(rows.shape[1], step_x) * channels
        phases = np.empty(step_x * length, accumulator)
        taps = skip + np.arange(narrow.size)
        offsets = taps % step_x * length + taps // step_x * channels
        back_offsets = np.arange(wide.shape[1]) * channels
        points_x = ceil_div(width, step_x)
        total = np.empty((points_x + wide.shape[1] - 1) * channels, accumulator)
        back_phases = np.empty((step_x, points_x * channels), accumulator)
        _blur_rows(
            _rows(rows), channels, step_x, offsets, narrow, back_offsets, wide, phases, length,
            total, back_phases, width * channels,
        )  # fmt: skip

    def back(rows: Floats, left: int, out: Pixels) -> None:
        _, width, channels = out.shape
        four = _scratch((ROWS, _NARROW_CHUNK), accumulator)
        stride = rows.shape[1] * channels
        _interpolate(
            rows.reshape(-1)[left * channels :], stride, np.arange(places.shape[1]) * stride,
            step_y, places, width * channels, four, _rows(out),
        )  # fmt: skip

    return Blur(thinner, thinner(along_y.narrow, step_y), across, back)


def parted(window: Floats, dtype: np.dtype[np.floating]) -> tuple[Floats, Floats, bool]:
    """Take a window apart into samples and weights; see `convcli.loops.contract`."""
    known, weights = (np.empty(window.shape, dtype) for _ in range(2))
    infinite = np.empty(1, np.int64)
    _parted(window.reshape(-1), known.reshape(-1), weights.reshape(-1), infinite)
    return known, weights, not infinite[0]


def divided(total: Floats, weights: Floats, whole: float) -> bool:
    """Divide by weights, in place; see `convcli.loops.contract`."""
    empty = np.empty(1, np.int64)
    _divided(total.reshape(-1), weights.reshape(-1), total.dtype.type(whole), empty)
    return bool(empty[0])


def _scratch(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Floats:
    """Return an array whose rows begin where cache lines do: 10 to 20 % faster on Zen 5."""
    *rows, length = shape
    line = 64 // dtype.itemsize
    whole = ceil_div(length, line) * line
    memory = np.empty(math.prod(rows) * whole + line, dtype)
    first = -memory.__array_interface__["data"][0] % 64 // dtype.itemsize
    return memory[first : first + math.prod(rows) * whole].reshape(*rows, whole)


def _flat(image: Pixels) -> tuple[Pixels, int]:
    """View an image as samples one after the other; say how many there are from row to row.

    Its rows may be parts of longer ones.
    """
    if image.flags.c_contiguous:
        return image.reshape(-1), image.shape[1] * image.shape[2]
    size = image.itemsize
    whole = ((len(image) - 1) * image.strides[0]) // size + image.shape[1] * image.shape[2]
    return np.lib.stride_tricks.as_strided(image, (whole,), (size,)), image.strides[0] // size


def _rows(out: Pixels) -> Pixels:
    """View an image as rows of samples: channels are interleaved and need no loop of their own."""
    return out.reshape(out.shape[0], -1)


def _four_places(wide: Floats) -> Floats:
    """Lay the weights of four places between grid points beside each other, zeros below."""
    step, points = wide.shape
    rows = 4 + ceil_div(max(points - 4, 0), TAPS) * TAPS
    tables = np.zeros((step // ROWS, rows, ROWS), wide.dtype)
    tables[:, :points] = wide.reshape(-1, ROWS, points).transpose(0, 2, 1)
    return tables


def _shifted(taps: Floats, step: int = 1) -> Floats:
    """Lay taps out for outputs 0, 1, 2, 3, `step` lines apart, zeros around them."""
    # Four rows, and then eight at a time.
    rows = 4 + ceil_div(taps.size + (ROWS - 1) * step - 4, TAPS) * TAPS
    table = np.zeros((rows, ROWS), taps.dtype)
    for output in range(ROWS):
        table[output * step : output * step + taps.size, output] = taps
    return table
