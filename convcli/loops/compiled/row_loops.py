"""Inner loops whose sums stay in registers over all taps: dense kernels, and separable ones."""

from __future__ import annotations

from typing import Any

import numba

from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS, _store
from convcli.loops.compiled.registers import register_rows
from convcli.loops.compiled.vectors import BYTES
from convcli.loops.layout import DENSE_ROWS

_entry = numba.njit(**HOW)
_part = numba.njit(**HOW, **NO_WRAPPERS)

# Rows of results that share the samples which they have in common, and vectors of a tile of them.
# A sample is converted to a float as it is loaded, in slots in which two products could begin: the
# more rows share it, the less that counts. 24 sums, 3 vectors of samples and a spread weight fit in
# the 32 registers of AVX-512, 12 sums and 2 vectors of samples in the 16 of AVX2.
MANY = DENSE_ROWS if BYTES == 64 else 6
VM, V4, V3, V1 = (3, 4, 4, 8) if BYTES == 64 else (2, 3, 3, 6)


@_part
def sum_in_order(source, start, pitch, offsets, weights, height, out, at, run):
    """Do what a tile of one row does, where the row is shorter than a vector."""
    for x in range(run):
        total = out.dtype.type(0)
        for i in range(height):
            for j in range(offsets.size):
                total += weights[i * offsets.size + j] * source[start + i * pitch + offsets[j] + x]
        out[at + x] = total


def _summing(rows: int, vectors: int) -> Any:
    """Compile the sums of `run` pixels of so many rows, by tiles of so many vectors and of one."""
    wide, narrow = register_rows(rows, vectors, BYTES), register_rows(rows, 1, BYTES)

    @_part
    def sum_rows(source, start, pitch, offsets, weights, height, out, step, run):
        lanes, none = BYTES // out.itemsize, out.dtype.type(0)
        if run < lanes:
            for row in range(rows):
                line, at = start + row * pitch, row * step
                sum_in_order(source, line, pitch, offsets, weights, height, out, at, run)
            return
        x = 0
        while x < run:
            if run - x >= vectors * lanes:
                wide(source, start + x, pitch, offsets, weights, none, height, out, x, step)
                x += vectors * lanes
            else:
                at = min(x, run - lanes)  # the last tile of a row may overlap the one before
                narrow(source, start + at, pitch, offsets, weights, none, height, out, at, step)
                x += lanes

    return sum_rows


_sum_many, _sum_four, _sum_three = _summing(MANY, VM), _summing(4, V4), _summing(3, V3)
_sum_one = _summing(1, V1)


@_entry
def dense(window, stride, offsets, weights, height, divisor, sums, chunk, out):
    """``out[y, x] = sum_ij weights[i, j] * window[(y + i) * stride + offsets[j] + x] / divisor``.

    `height` is how many rows the kernel has, 3 or more. `sums` has 8 rows of a chunk.
    """
    rows = rows_for(height, out.shape[0])
    for top in range(0, out.shape[0], rows):
        y = min(top, out.shape[0] - rows)  # the last rows may be computed twice
        for left in range(0, out.shape[1], chunk):
            run = min(chunk, out.shape[1] - left)
            sum_rows(
                window, y * stride + left, stride, offsets, weights, height, rows, sums, chunk, run
            )
            for row in range(rows):
                _store(sums[row * chunk :][:run], divisor, out[y + row, left : left + run])


@_entry
def separable(samples, stride, column, offsets, row, nothing, divisor, lines, pitch, total, out):
    """Some rows at a time: their columns into `lines`, then each of these rows into `out`."""
    height, width = out.shape
    reach, chunk = stride - width, total.size
    rows = rows_for(column.size, height)
    for top in range(0, height, rows):
        y = min(top, height - rows)
        for left in range(0, width, chunk):
            run = min(chunk, width - left)
            sum_rows(
                samples, y * stride + left, stride, nothing, column, column.size, rows, lines,
                pitch, run + reach,
            )  # fmt: skip
            for each in range(rows):
                _sum_one(lines, each * pitch, 0, offsets, row, 1, total, 0, run)
                _store(total[:run], divisor, out[y + each, left : left + run])


@_part
def rows_for(height, wanted):
    """Return how many rows of results a tile has, for a kernel of so many rows."""
    least = min(height, wanted)
    return MANY if least >= MANY else 4 if least >= 4 else 3 if least >= 3 else 1


@_part
def sum_rows(source, start, pitch, offsets, weights, height, rows, out, step, run):
    """Sum `run` pixels of some rows; the order of the sums is the same for every number of rows."""
    if rows == MANY:
        _sum_many(source, start, pitch, offsets, weights, height, out, step, run)
    elif rows == 4:
        _sum_four(source, start, pitch, offsets, weights, height, out, step, run)
    elif rows == 3:
        _sum_three(source, start, pitch, offsets, weights, height, out, step, run)
    else:
        _sum_one(source, start, pitch, offsets, weights, height, out, step, run)
