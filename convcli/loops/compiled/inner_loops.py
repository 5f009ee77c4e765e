"""The inner loops that numba compiles; they are called by way of `machine_code`."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba.extending import overload

from convcli.loops.layout import ROWS, TAPS
from convcli.pixels.rounding import STEPS_IN_LEVEL, STEPS_OF_WHOLE_NUMBERS, store
from convcli.types import Floats, Pixels

# nogil: strips run in threads. "contract" lets multiply and add fuse but keeps the order of
# the sum, so NaN and infinity stay what they are, and so do results however an image is cut
# at multiples of ROWS; measured on Zen 5 it is as fast as full fastmath. No parallel=True: its
# threading layers are not safe to fork, and threads over strips are as fast. No memory is taken
# here, so that the code needs nothing of numba's runtime: callers pass scratch.
HOW: dict[str, Any] = {
    "nogil": True,
    "fastmath": {"contract"},
    "error_model": "numpy",
    "boundscheck": False,
    "_nrt": False,
}
NO_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""For code that is not called from Python."""

_entry = numba.njit(**HOW)
_part = numba.njit(**HOW, **NO_WRAPPERS)


@_entry
def correlate(window, stride, offsets, weights, divisor, total, out):
    """``out[y, x] = sum_t weights[t] * window[y * stride + offsets[t] + x] / divisor``."""
    for y in range(out.shape[0]):
        for left in range(0, out.shape[1], total.size):
            run = min(total.size, out.shape[1] - left)
            _sum(window[y * stride + left :], offsets, weights, total[:run])
            _store(total[:run], divisor, out[y, left : left + run])


@_part
def _root(x, y, _one):
    return math.sqrt(x * x + y * y)


@_part
def _root_of_any_size(x, y, one):
    """Square the quotient of the two alone, which neither overflows nor vanishes unseen."""
    most, least = max(abs(x), abs(y)), min(abs(x), abs(y))
    quotient = least / most
    return most * math.sqrt(one + quotient * quotient) if most > 0 else most


def _magnitude_by(root):
    """Compile the magnitude of two derivatives, by this root of the sum of their squares."""

    @_entry
    def magnitude(window, channels, columns, rows, divisor, lines, out):
        """``out = sqrt(x**2 + y**2) / divisor`` for two kernels of a column and a row of 3 taps."""
        a0, a1, a2 = columns[0, 0], columns[0, 1], columns[0, 2]
        b0, b1, b2 = columns[1, 0], columns[1, 1], columns[1, 2]
        c0, c1, c2 = rows[0, 0], rows[0, 1], rows[0, 2]
        d0, d1, d2 = rows[1, 0], rows[1, 1], rows[1, 2]
        chunk, one = lines.shape[1] - 2 * channels, lines.dtype.type(1)
        for y in range(out.shape[0]):
            for left in range(0, out.shape[1], chunk):
                run = min(chunk, out.shape[1] - left)
                s0, s1, s2 = window[y, left:], window[y + 1, left:], window[y + 2, left:]
                f0, g0 = lines[0], lines[1]
                for x in range(run + 2 * channels):
                    v0, v1, v2 = s0[x], s1[x], s2[x]
                    f0[x] = a0 * v0 + a1 * v1 + a2 * v2
                    g0[x] = b0 * v0 + b1 * v1 + b2 * v2
                f1, g1 = lines[0, channels:], lines[1, channels:]
                f2, g2 = lines[0, 2 * channels :], lines[1, 2 * channels :]
                total = lines[2, :run]
                for x in range(run):
                    along_x = c0 * f0[x] + c1 * f1[x] + c2 * f2[x]
                    along_y = d0 * g0[x] + d1 * g1[x] + d2 * g2[x]
                    total[x] = root(along_x, along_y, one)
                _store(total, divisor, out[y, left : left + run])

    return magnitude


def _wide_magnitude_by(root):
    """Compile the same for two kernels of any column and row."""

    @_entry
    def magnitude_wide(
        samples, stride, columns, table_x, table_y, rows, weights_x, weights_y, divisor, fours,
        totals, out,
    ):  # fmt: skip
        """Do what `separable` does for two kernels, and store the magnitude of both."""
        height, width = out.shape
        reach = stride - width
        chunk, one = totals.shape[1], totals.dtype.type(1)
        for top in range(0, height, ROWS):
            for left in range(0, width, chunk):
                run = min(chunk, width - left)
                start, last = top * stride + left, samples.size - stride + left
                _sum_four(samples, start, columns, last, table_x, fours, 0, 0, run + reach)
                _sum_four(samples, start, columns, last, table_y, fours, ROWS, 0, run + reach)
                for row in range(min(ROWS, height - top)):
                    along_x, along_y = totals[0, :run], totals[1, :run]
                    _sum(fours[row], rows, weights_x, along_x)
                    _sum(fours[ROWS + row], rows, weights_y, along_y)
                    for x in range(run):
                        along_x[x] = root(along_x[x], along_y[x], one)
                    _store(along_x, divisor, out[top + row, left : left + run])

    return magnitude_wide


# Of 8-bit and 16-bit samples no square leaves the range of the sums; float images have any.
magnitude = _magnitude_by(_root)
magnitude_of_any_size = _magnitude_by(_root_of_any_size)
magnitude_wide = _wide_magnitude_by(_root)
magnitude_wide_of_any_size = _wide_magnitude_by(_root_of_any_size)


@_entry
def thin(samples, step, lines, table, width, first, chunk, out):
    """``out[k, first + x] = sum_i column[i] * samples[lines[k * step + i] + x]``, by four rows."""
    for left in range(0, width, chunk):
        run = min(chunk, width - left)
        for top in range(0, out.shape[0], ROWS):
            rows = lines[top * step :]
            _sum_four(samples, left, rows, samples.size, table, out, top, first + left, run)


@_entry
def blur_rows(
    rows, channels, step, offsets, narrow, wide_offsets, wide, phases, length, total, back, run
):
    """Blur each row in place by way of a coarser grid; its first `run` samples are the result.

    Samples at the same place between grid points are brought together first, so that all loops
    run over neighbours.
    """
    for y in range(rows.shape[0]):
        _take(rows[y], channels, step, phases, length)
        _sum(phases, offsets, narrow, total)
        for place in range(step):
            _sum(total, wide_offsets, wide[place], back[place])
        _put(back, channels, step, rows[y, :run])


@_entry
def interpolate(samples, stride, points, step, tables, width, four, out):
    """``out[k * step + p, x] = sum_t wide[p, t] * samples[(k + t) * stride + x]``, rounded.

    A table has the weights of four places between grid points.
    """
    height, chunk = out.shape[0], four.shape[1]
    below = (samples.size - 1) // stride * stride  # where the last row begins
    for top in range(0, height, step):
        for left in range(0, width, chunk):
            run = min(chunk, width - left)
            start, last = top // step * stride + left, below + left
            for group in range(tables.shape[0]):
                first = top + group * ROWS
                if first < height:
                    _sum_four(samples, start, points, last, tables[group], four, 0, 0, run)
                    for row in range(min(ROWS, height - first)):
                        line = out[first + row, left : left + run]
                        _store(four[row, :run], four.dtype.type(1), line)


@_part
def _take(row, channels, step, phases, length):
    """``phases[p * length + q] = row[q * step + p]``, pixels of so many channels each."""
    whole = 0
    if channels == 1 and step == 4:  # written out, these loads become shuffles of vectors
        p0, p1, p2, p3 = phases, phases[length:], phases[2 * length :], phases[3 * length :]
        whole = row.size // 4
        for q in range(whole):
            p0[q], p1[q], p2[q], p3[q] = row[4 * q], row[4 * q + 1], row[4 * q + 2], row[4 * q + 3]
    for place in range(step):
        phase = phases[place * length :]
        points = (row.size // channels - place + step - 1) // step
        for channel in range(channels):
            for q in range(whole, points):
                phase[q * channels + channel] = row[(q * step + place) * channels + channel]


@_part
def _put(phases, channels, step, row):
    """``row[q * step + p] = phases[p, q]``, pixels of so many channels each."""
    whole = 0
    if channels == 1 and step == 4:
        p0, p1, p2, p3 = phases[0], phases[1], phases[2], phases[3]
        whole = row.size // 4
        for q in range(whole):
            row[4 * q], row[4 * q + 1], row[4 * q + 2], row[4 * q + 3] = p0[q], p1[q], p2[q], p3[q]
    for place in range(step):
        phase = phases[place]
        points = (row.size // channels - place + step - 1) // step
        for channel in range(channels):
            for q in range(whole, points):
                row[(q * step + place) * channels + channel] = phase[q * channels + channel]


@_part
def _sum(source, offsets, weights, total):
    """``total[x] = sum_t weights[t] * source[offsets[t] + x]``."""
    # The loops over x start at 0 and read slices that begin at the tap: an index that could
    # be negative would cost the vectoriser (15 times slower, numba issue 1226). Eight taps
    # share one load and store of the running sum: 63 instead of 37 GMAC/s on Zen 5.
    run = total.size
    # The first sweep sets the sums: with nine taps where there are as many, because kernels
    # cut at whole sigmas have 8 n + 1 (10 % of a blur with 9 or 25 taps).
    t = 9 if weights.size >= 9 else 1
    w0 = weights[0]
    s0 = source[offsets[0] :]
    if t == 1:
        for x in range(run):
            total[x] = w0 * s0[x]
    else:
        w1, w2, w3, w4 = weights[1], weights[2], weights[3], weights[4]
        w5, w6, w7, w8 = weights[5], weights[6], weights[7], weights[8]
        s1, s2, s3, s4 = (
            source[offsets[1] :],
            source[offsets[2] :],
            source[offsets[3] :],
            source[offsets[4] :],
        )
        s5, s6, s7, s8 = (
            source[offsets[5] :],
            source[offsets[6] :],
            source[offsets[7] :],
            source[offsets[8] :],
        )
        for x in range(run):
            total[x] = (w0 * s0[x] + w1 * s1[x] + w2 * s2[x] + w3 * s3[x]) + (
                w4 * s4[x] + w5 * s5[x] + w6 * s6[x] + w7 * s7[x] + w8 * s8[x]
            )
    while t + 8 <= weights.size:
        w0, w1, w2, w3 = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        w4, w5, w6, w7 = weights[t + 4], weights[t + 5], weights[t + 6], weights[t + 7]
        s0, s1 = source[offsets[t] :], source[offsets[t + 1] :]
        s2, s3 = source[offsets[t + 2] :], source[offsets[t + 3] :]
        s4, s5 = source[offsets[t + 4] :], source[offsets[t + 5] :]
        s6, s7 = source[offsets[t + 6] :], source[offsets[t + 7] :]
        for x in range(run):
            total[x] += (w0 * s0[x] + w1 * s1[x] + w2 * s2[x] + w3 * s3[x]) + (
                w4 * s4[x] + w5 * s5[x] + w6 * s6[x] + w7 * s7[x]
            )
        t += 8
    while t + 2 <= weights.size:
        w0, w1 = weights[t], weights[t + 1]
        s0, s1 = source[offsets[t] :], source[offsets[t + 1] :]
        for x in range(run):
            total[x] += w0 * s0[x] + w1 * s1[x]
        t += 2
    if t < weights.size:
        w0 = weights[t]
        s0 = source[offsets[t] :]
        for x in range(run):
            total[x] += w0 * s0[x]


@_part
def _sum_four(source, start, offsets, last, table, out, row, left, run):
    """``out[row + r, left + x] = sum_i table[i, r] * source[start + offsets[i] + x]``.

    A sample that is loaded and converted once serves four sums: on Zen 5, columns of 25 taps take
    less than half the time of one row at a time. Beyond `last` the table holds zeros, so the
    samples that are read there instead do not matter.
    """
    f0, f1, f2, f3 = out[row, left:], out[row + 1, left:], out[row + 2, left:], out[row + 3, left:]
    # The first four taps set the sums, the others add to them.
    s0 = source[min(start + offsets[0], last) :]
    s1 = source[min(start + offsets[1], last) :]
    s2 = source[min(start + offsets[2], last) :]
    s3 = source[min(start + offsets[3], last) :]
    t0, t1, t2, t3 = table[0], table[1], table[2], table[3]
    a0, a1, a2, a3 = t0[0], t1[0], t2[0], t3[0]
    b0, b1, b2, b3 = t0[1], t1[1], t2[1], t3[1]
    c0, c1, c2, c3 = t0[2], t1[2], t2[2], t3[2]
    d0, d1, d2, d3 = t0[3], t1[3], t2[3], t3[3]
    for x in range(run):
        v0, v1, v2, v3 = s0[x], s1[x], s2[x], s3[x]
        f0[x] = a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3
        f1[x] = b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3
        f2[x] = c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
        f3[x] = d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3
    for i in range(4, table.shape[0], TAPS):
        s0 = source[min(start + offsets[i], last) :]
        s1 = source[min(start + offsets[i + 1], last) :]
        s2 = source[min(start + offsets[i + 2], last) :]
        s3 = source[min(start + offsets[i + 3], last) :]
        s4 = source[min(start + offsets[i + 4], last) :]
        s5 = source[min(start + offsets[i + 5], last) :]
        s6 = source[min(start + offsets[i + 6], last) :]
        s7 = source[min(start + offsets[i + 7], last) :]
        t0, t1, t2, t3 = table[i], table[i + 1], table[i + 2], table[i + 3]
        t4, t5, t6, t7 = table[i + 4], table[i + 5], table[i + 6], table[i + 7]
        a0, a1, a2, a3, a4, a5, a6, a7 = t0[0], t1[0], t2[0], t3[0], t4[0], t5[0], t6[0], t7[0]
        b0, b1, b2, b3, b4, b5, b6, b7 = t0[1], t1[1], t2[1], t3[1], t4[1], t5[1], t6[1], t7[1]
        c0, c1, c2, c3, c4, c5, c6, c7 = t0[2], t1[2], t2[2], t3[2], t4[2], t5[2], t6[2], t7[2]
        d0, d1, d2, d3, d4, d5, d6, d7 = t0[3], t1[3], t2[3], t3[3], t4[3], t5[3], t6[3], t7[3]
        for x in range(run):
            v0, v1, v2, v3 = s0[x], s1[x], s2[x], s3[x]
            v4, v5, v6, v7 = s4[x], s5[x], s6[x], s7[x]
            f0[x] += (a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3) + (
                a4 * v4 + a5 * v5 + a6 * v6 + a7 * v7
            )
            f1[x] += (b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3) + (
                b4 * v4 + b5 * v5 + b6 * v6 + b7 * v7
            )
            f2[x] += (c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3) + (
                c4 * v4 + c5 * v5 + c6 * v6 + c7 * v7
            )
            f3[x] += (d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3) + (
                d4 * v4 + d5 * v5 + d6 * v6 + d7 * v7
            )


def _store(total: Floats, divisor: float, out: Pixels) -> None:
    """Call `convcli.pixels.rounding.store`; compiled code gets the overload below instead."""
    store(total, out, divisor)


@overload(_store, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _store_by_dtype(total, divisor, out):
    """Choose the way into `out` while compiling, when its dtype is known."""
    if not isinstance(out.dtype, numba.types.Integer):

        def copy(total, divisor, out):
            if divisor == 1:
                for x in range(total.size):
                    out[x] = total[x]
            else:
                for x in range(total.size):
                    out[x] = total[x] / divisor

        return copy

    accumulator = np.dtype(str(total.dtype)).type
    integer = np.dtype(str(out.dtype)).type
    lowest = accumulator(np.iinfo(integer).min)
    highest = accumulator(np.iinfo(integer).max)
    steps = accumulator(STEPS_IN_LEVEL[str(out.dtype)])
    whole_steps = accumulator(STEPS_OF_WHOLE_NUMBERS)
    # Multiplying by the inverse of a power of two is exact, and takes a tenth of the time.
    step, whole_step = accumulator(1 / steps), accumulator(1 / whole_steps)
    in_float64 = accumulator is np.float64

    def round_and_clip(total, divisor, out):
        if divisor == 1:
            for x in range(total.size):
                settled = np.rint(total[x] * steps) * step
                level = min(max(np.rint(settled), lowest), highest)
                # By way of int32: float to int32 is one vector instruction, float to uint8 is not.
                out[x] = integer(np.int32(level))
            return
        for x in range(total.size):
            total[x] /= divisor
        if in_float64:
            for x in range(total.size):
                total[x] = np.rint(total[x] * whole_steps) * whole_step
        for x in range(total.size):
            level = min(max(np.rint(total[x]), lowest), highest)
            out[x] = integer(np.int32(level))

    return round_and_clip
