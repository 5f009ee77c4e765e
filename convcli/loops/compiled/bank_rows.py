"""One kernel of one channel: rows of results that share the samples which they have in common."""

from __future__ import annotations

import numba

from convcli.loops.compiled.bank_windows import gather
from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS
from convcli.loops.compiled.registers import register_rows
from convcli.loops.compiled.vectors import BYTES
from convcli.loops.layout import SHARED_ROWS

_part = numba.njit(**HOW, **NO_WRAPPERS)

# Vectors of pixels of a tile of rows. The sums of four rows, the vectors that are loaded for them
# and a spread weight fit in the registers.
VR = 4 if BYTES == 64 else 2
_rows_4, _rows_4_half = register_rows(4, VR, BYTES), register_rows(4, VR // 2, BYTES)
_rows_3, _rows_3_half = register_rows(3, VR, BYTES), register_rows(3, VR // 2, BYTES)


@_part
def correlate_rows(
    plane, width, rows, columns, inside, window, sizes, offsets, weights, height, across, bias,
    sums, out, pitch,
):  # fmt: skip
    """Do what `bank` does for one channel and map, a few rows of results at a time.

    The rows of the window are laid out when the first results need them, so that they are still in
    the first-level cache.
    """
    kernel_rows, in_place, lanes = sizes[10], sizes[9] == 1, BYTES // window.itemsize
    shared = min(kernel_rows, SHARED_ROWS, height)
    offsets = offsets[: offsets.size // kernel_rows]
    flat, line, ready = plane if in_place else window, sizes[8], 0
    wide = (VR if across >= VR * lanes else VR // 2) * lanes
    for top in range(0, height, shared):
        y = min(top, height - shared)  # the last rows may be computed twice
        if not in_place:
            wanted = y + shared + kernel_rows - 1
            gather(plane, width, rows[ready:wanted], columns, inside, window[ready * line :], sizes)
            ready = wanted
        start, at = y * line, y * pitch
        if across < wide:
            _sum_rows(
                flat, start, line, offsets, weights, bias, kernel_rows, shared, wide // lanes, sums,
                0, wide,
            )  # fmt: skip
            for row in range(shared):
                for x in range(across):
                    out[at + row * pitch + x] = sums[row * wide + x]
            continue
        x = 0
        while x < across:
            # The last tile of a row may overlap the one before.
            tile = VR // 2 * lanes if across - x <= VR // 2 * lanes else wide
            left = min(x, across - tile)
            _sum_rows(
                flat, start + left, line, offsets, weights, bias, kernel_rows, shared,
                tile // lanes, out, at + left, pitch,
            )  # fmt: skip
            x += tile


@_part
def _sum_rows(
    window, start, line, offsets, weights, bias, height, shared, vectors, out, at, pitch
):  # fmt: skip
    """Sum a tile of some rows of results, by VR vectors or half of them."""
    if shared == 4:
        if vectors == VR:
            _rows_4(window, start, line, offsets, weights, bias, height, out, at, pitch)
        else:
            _rows_4_half(window, start, line, offsets, weights, bias, height, out, at, pitch)
    elif vectors == VR:
        _rows_3(window, start, line, offsets, weights, bias, height, out, at, pitch)
    else:
        _rows_3_half(window, start, line, offsets, weights, bias, height, out, at, pitch)
