"""Inner loops whose sums stay in registers over all taps: dense kernels, and separable ones."""

from __future__ import annotations

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
_many, _many_1 = register_rows(MANY, VM, BYTES), register_rows(MANY, 1, BYTES)
_four, _four_1 = register_rows(4, V4, BYTES), register_rows(4, 1, BYTES)
_three, _three_1 = register_rows(3, V3, BYTES), register_rows(3, 1, BYTES)
_one, _one_1 = register_rows(1, V1, BYTES), register_rows(1, 1, BYTES)


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
                sum_row(lines, each * pitch, offsets, row, total, run)
                _store(total[:run], divisor, out[y + each, left : left + run])


@_part
def rows_for(height, wanted):
    """Return how many rows of results a tile has, for a kernel of so many rows."""
    least = min(height, wanted)
    return MANY if least >= MANY else 4 if least >= 4 else 3 if least >= 3 else 1


@_part
def sum_rows(source, start, pitch, offsets, weights, height, rows, out, step, run):
    """Sum `run` pixels of some rows; the order of the sums is the same for every number of rows."""
    lanes, none = BYTES // out.itemsize, out.dtype.type(0)
    if run < lanes:
        for row in range(rows):
            sum_in_order(
                source, start + row * pitch, pitch, offsets, weights, height, out, row * step,
                run,
            )  # fmt: skip
        return
    x = 0
    while x < run:
        # The last tile of a row may overlap the one before.
        at = min(x, run - lanes)
        rest = run - x
        if rows == MANY:
            if rest >= VM * lanes:
                _many(source, start + x, pitch, offsets, weights, none, height, out, x, step)
                x += VM * lanes
            else:
                _many_1(source, start + at, pitch, offsets, weights, none, height, out, at, step)
                x += lanes
        elif rows == 4:
            if rest >= V4 * lanes:
                _four(source, start + x, pitch, offsets, weights, none, height, out, x, step)
                x += V4 * lanes
            else:
                _four_1(source, start + at, pitch, offsets, weights, none, height, out, at, step)
                x += lanes
        elif rows == 3:
            if rest >= V3 * lanes:
                _three(source, start + x, pitch, offsets, weights, none, height, out, x, step)
                x += V3 * lanes
            else:
                _three_1(source, start + at, pitch, offsets, weights, none, height, out, at, step)
                x += lanes
        else:
            _one_1(source, start + at, pitch, offsets, weights, none, height, out, at, step)
            x += lanes


@_part
def sum_row(source, start, offsets, weights, out, run):
    """``out[x] = sum_t weights[t] * source[start + offsets[t] + x]``."""
    lanes, none = BYTES // out.itemsize, out.dtype.type(0)
    if run < lanes:
        sum_in_order(source, start, 0, offsets, weights, 1, out, 0, run)
        return
    x = 0
    while x < run:
        if run - x >= V1 * lanes:
            _one(source, start + x, 0, offsets, weights, none, 1, out, x, 0)
            x += V1 * lanes
        else:
            at = min(x, run - lanes)
            _one_1(source, start + at, 0, offsets, weights, none, 1, out, at, 0)
            x += lanes


@_part
def sum_in_order(source, start, pitch, offsets, weights, height, out, at, run):
    """Do what a tile of one row does, where the row is shorter than a vector."""
    for x in range(run):
        total = out.dtype.type(0)
        for i in range(height):
            for j in range(offsets.size):
                total += weights[i * offsets.size + j] * source[start + i * pitch + offsets[j] + x]
        out[at + x] = total
