"""The windows of filter banks: rows of planes with what lies beyond their edges, compiled."""

from __future__ import annotations

import numba

from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS
from convcli.loops.compiled.registers import register_copy
from convcli.loops.compiled.vectors import BYTES

_part = numba.njit(**HOW, **NO_WRAPPERS)

_copy = register_copy(vector_bytes=BYTES)


@_part
def gather(plane, width, rows, columns, inside, window, sizes):
    """Lay rows of a plane out as the phases of a window, with what lies beyond the edges.

    `sizes` begins as the table of `bank`. The window ends with zeros.
    """
    phases_y, phases_x, height, across = sizes[5], sizes[6], sizes[7], sizes[8]
    lanes = BYTES // window.itemsize
    # LLVM would call the C library to fill with a zero that it knows.
    zero = window[window.size - 1]
    for r in range(rows.size):
        y, phase_y = r // phases_y, r % phases_y
        for p in range(phases_x):
            line = window[((phase_y * phases_x + p) * height + y) * across :]
            if rows[r] < 0:
                for x in range(across):
                    line[x] = zero
                continue
            source = plane[rows[r] * width :]
            indices = columns[p * across : (p + 1) * across]
            first, length, start = inside[3 * p], inside[3 * p + 1], inside[3 * p + 2]
            for x in range(first):
                line[x] = source[indices[x]] if indices[x] >= 0 else zero
            if phases_x == 1 and length >= lanes:
                for x in range(0, length, lanes):
                    at = min(x, length - lanes)
                    _copy(source, start + at, line, first + at)
            else:
                middle, samples = line[first:], source[start:]
                for x in range(length):
                    middle[x] = samples[x * phases_x]
            for x in range(first + length, across):
                line[x] = source[indices[x]] if indices[x] >= 0 else zero
