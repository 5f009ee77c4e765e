"""Inner loops whose sums stay in registers over all taps: dense kernels, and separable ones."""

from __future__ import annotations

from typing import Any

import numba

from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS, _store
from convcli.loops.compiled.registers import register_lines, register_rows
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

# Lines, and vectors of each, that share the samples and the weights of a long row: 16 sums, 4
# vectors of samples and a weight; or 9 sums, 3 and 1. Shorter rows would gain nothing.
LINES, VL = (4, 4) if BYTES == 64 else (3, 3)
LEAST_VECTORS = 3
_tile = register_lines(LINES, VL, BYTES)


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
def separable(
    samples, stride, column, offsets, row, between, nothing, divisor, lines, pitch, totals, chunk,
    out,
):  # fmt: skip
    """Some rows at a time: their columns into `lines`, then each of these rows into `out`.

    The columns of a chunk are done from top to bottom, so that the rows which they share stay in
    the cache. `between` is how many samples lie between the taps of the row; 0 if some are missing.
    """
    height, width = out.shape
    reach = stride - width
    rows = rows_for(column.size, height)
    lanes = BYTES // totals.itemsize
    is_long = between > 0 and row.size >= LEAST_VECTORS * lanes
    for left in range(0, width, chunk):
        run = min(chunk, width - left)
        # What is left of a chunk is summed one line at a time.
        shared = run // (VL * lanes * between) * (VL * lanes * between) if is_long else 0
        for top in range(0, height, rows):
            y = min(top, height - rows)
            sum_rows(
                samples, y * stride + left, stride, nothing, column, column.size, rows, lines,
                pitch, run + reach,
            )  # fmt: skip
            for first in range(0, rows, LINES):
                count = min(LINES, rows - first)
                done = 0
                if shared > 0 and count == LINES:
                    done = shared
                    _sum_lines(lines, first * pitch, pitch, between, row, totals, chunk, done)
                for each in range(count):
                    total = totals[each * chunk if done else 0 :][:run]
                    if done < run:
                        line, rest = (first + each) * pitch + done, run - done
                        _sum_one(lines, line, 0, offsets, row, 1, total[done:], 0, rest)
                    _store(total, divisor, out[y + first + each, left : left + run])


@_part
def _sum_lines(lines, start, pitch, between, row, totals, chunk, run):
    """Sum `run` samples of a long row for some lines, by tiles that share their samples."""
    lanes = BYTES // totals.itemsize
    for left in range(0, run, VL * lanes * between):
        for x in range(left, left + lanes * between, lanes):
            _tile(lines, start + x, pitch, between, row, totals, x, chunk)


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
