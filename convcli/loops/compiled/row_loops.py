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


def _summing(rows: int, vectors: int, is_column: bool = False) -> Any:
    """Compile the sums of `run` pixels of so many rows, by tiles of so many vectors and of one."""
    wide, narrow = (register_rows(rows, each, BYTES, is_column) for each in (vectors, 1))

    @_part
    def sum_tiles(source, start, pitch, offsets, weights, height, out, step, run):
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

    return sum_tiles


def _choosing(is_column: bool) -> Any:
    """Compile the sums of several rows; their order is the same for every number of rows."""
    sum_many, sum_four, sum_three, sum_one = (
        _summing(*each, is_column) for each in ((MANY, VM), (4, V4), (3, V3), (1, V1))
    )

    @_part
    def sum_rows(source, start, pitch, offsets, weights, height, rows, out, step, run):
        if rows == MANY:
            sum_many(source, start, pitch, offsets, weights, height, out, step, run)
        elif rows == 4:
            sum_four(source, start, pitch, offsets, weights, height, out, step, run)
        elif rows == 3:
            sum_three(source, start, pitch, offsets, weights, height, out, step, run)
        else:
            sum_one(source, start, pitch, offsets, weights, height, out, step, run)

    return sum_rows


sum_rows, _sum_columns = _choosing(is_column=False), _choosing(is_column=True)
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
    longest, part, out,
):  # fmt: skip
    """Some rows at a time: their columns into `lines`, then each of these rows into `out`.

    The columns of a chunk are done from top to bottom, so that the rows which they share stay in
    the cache. `between` is how many samples lie between the taps of the row; 0 if some are missing.
    At most `longest` terms are summed one after the other, and `part` has such sums, as many as
    `lines` and `totals`.
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
            parts = -(-column.size // longest)
            for i in range(parts):
                some, first = _part_of(column, i, parts)
                _sum_columns(
                    samples, (y + first) * stride + left, stride, nothing, some, some.size, rows,
                    part if i else lines, pitch, run + reach,
                )  # fmt: skip
                if i:
                    _add(part, lines, rows, pitch, run + reach)
            parts = -(-row.size // longest)
            for first in range(0, rows, LINES):
                count = min(LINES, rows - first)
                done = shared if count == LINES else 0
                for i in range(parts):
                    some, tap = _part_of(row, i, parts)
                    into = part if i else totals
                    start, places = first * pitch, offsets[tap : tap + some.size]
                    if done > 0:
                        _sum_lines(
                            lines, start + places[0], pitch, between, some, into, chunk, done
                        )
                    for each in range(count if done < run else 0):
                        _sum_one(
                            lines, start + each * pitch + done, 0, places, some, 1,
                            into[each * chunk + done :], 0, run - done,
                        )  # fmt: skip
                    if i:
                        _add(part, totals, count, chunk, run)
                for each in range(count):
                    total = totals[each * chunk :][:run]
                    _store(total, divisor, out[y + first + each, left : left + run])


@_part
def _sum_lines(lines, start, pitch, between, row, totals, chunk, run):
    """Sum `run` samples of a long row for some lines, by tiles that share their samples."""
    lanes = BYTES // totals.itemsize
    for left in range(0, run, VL * lanes * between):
        for x in range(left, left + lanes * between, lanes):
            _tile(lines, start + x, pitch, between, row, totals, x, chunk)


@_part
def _part_of(weights, i, parts):
    """Return one of some parts that are about as long, and where it begins."""
    first = i * weights.size // parts
    return weights[first : (i + 1) * weights.size // parts], first


@_part
def _add(part, sums, rows, pitch, run):
    """Add some rows of sums to others."""
    for row in range(rows):
        total, more = sums[row * pitch :], part[row * pitch :]
        for x in range(run):
            total[x] += more[x]


@_part
def rows_for(height, wanted):
    """Return how many rows of results a tile has, for a kernel of so many rows."""
    least = min(height, wanted)
    return MANY if least >= MANY else 4 if least >= 4 else 3 if least >= 3 else 1
