"""Winograd's minimal filtering of 3x3 kernels for filter banks, which numba compiles."""

from __future__ import annotations

import numba

from convcli.loops.compiled.bank_loops import BYTES, V8, gather, put, sum_block, turn
from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS
from convcli.loops.compiled.transforms import F2, F4, register_results, register_transform
from convcli.loops.layout import APART, BLOCK

_entry = numba.njit(**HOW)
_part = numba.njit(**HOW, **NO_WRAPPERS)

_data_2 = register_transform(F2.data, BYTES)
_data_4 = register_transform(F4.data, BYTES)
_kernels_2 = register_transform(F2.kernel, BYTES)
_kernels_4 = register_transform(F4.kernel, BYTES)
_results_2 = register_results(F2.sums, BYTES)
_results_4 = register_results(F4.sums, BYTES)


@_entry
def winograd_kernels(weight, groups, maps, channels, m, turned, scratch, places, out):
    """Transform kernels, and lay them out for `winograd`.

    Parameters
    ----------
    weight : flat
        Groups, maps of a group, channels of a group, and 9 weights of each kernel.
    turned : flat scratch
        Kernels of BLOCK maps, and BLOCK vectors.
    scratch : flat
        9 rows of 8 * channels and the slack of a vector.
    places : (9,)
        Where these rows begin.
    out : flat
        For each group and each of (m + 2)^2 places, and each block of 8 maps, all maps of a channel
        together; the last block is filled up with zeros. Places are a gap of APART apart.
    """
    blocks = -(-maps // BLOCK)
    row = channels * BLOCK
    step = blocks * row + APART
    lanes = BYTES // weight.itemsize
    for group in range(groups):
        for block in range(blocks):
            first, count = block * BLOCK, min(BLOCK, maps - block * BLOCK)
            start = (group * maps + first) * channels * 9
            turn(weight, start, channels * 9, count, channels * 9, turned)
            for c in range(channels):
                for tap in range(9):
                    at, place = (c * 9 + tap) * count, places[tap] + c * BLOCK
                    if count == BLOCK:
                        for lane in range(BLOCK):
                            scratch[place + lane] = turned[at + lane]
                    else:
                        for lane in range(BLOCK):
                            value = turned[at + lane] if lane < count else weight.dtype.type(0)
                            scratch[place + lane] = value
            start = group * (m + 2) ** 2 * step + block * row
            for x in range(0, row, lanes):
                if m == 2:
                    _kernels_2(scratch, x, places, out, start + x, step)
                else:
                    _kernels_4(scratch, x, places, out, start + x, step)


@_entry
def winograd(
    planes, sizes, rows, columns, inside, m, window, samples, weights, bias, data, taps,
    zeros, sums, products, results, chunk, out, strides,
):  # fmt: skip
    """Correlate planes with 3x3 kernels, for a strip of the results.

    Parameters
    ----------
    planes, rows, columns, inside, window
        As for `bank_loops.bank`, of one group, with a step of m along both axes: a window has m x m
        phases. It ends with zeros.
    sizes : (14,)
        The first ten as for `bank`; then rows and columns of tiles, rows and columns of results.
    samples : ((m + 2)^2,)
        Where the samples of the first tile lie in the window of a channel.
    weights : flat
        As laid out by `winograd_kernels`.
    bias : (maps,)
    data : flat scratch
        For each place and channel a chunk; places are a gap of APART apart.
    taps : (channels,)
        Where the chunks of the channels of a place lie in `data`.
    zeros : (BLOCK,)
    sums : flat scratch
        For each place 8 chunks, and a gap of APART.
    products : ((m + 2)^2,)
        Where the chunks of the first map of each place lie in `sums`.
    results : flat scratch
        For each of m rows m chunks, and a gap of APART.
    chunk : int
        Tiles that are transformed together: a multiple of the pixels of a tile of registers.
    strides : (4,)
        From one group, map, row of tiles and pixel of the results to the next in the flat `out`.
    """
    channels, maps, height, width = sizes[1], sizes[2], sizes[3], sizes[4]
    pitch = sizes[8]
    plane, laid = height * width, sizes[5] * sizes[6] * sizes[7] * sizes[8]
    # The tiles of all rows are one run, together with those beyond the ends of the rows, which are
    # not stored.
    run = (sizes[10] - 1) * pitch + sizes[11]
    lanes = BYTES // window.itemsize
    data_step, sums_step = channels * chunk + APART, BLOCK * chunk + APART
    weights_step = -(-maps // BLOCK) * BLOCK * channels + APART
    for channel in range(channels):
        gather(
            planes[channel * plane :], width, rows, columns, inside, window[channel * laid :],
            sizes,
        )  # fmt: skip
    for left in range(0, run, chunk):
        length = min(chunk, run - left)
        # Whole tiles of registers: numbers of any kind might be slow ones (subnormal).
        whole = -(-length // (V8 * lanes)) * V8 * lanes
        for channel in range(channels):
            for x in range(0, whole, lanes):
                start, at = channel * laid + left + x, channel * chunk + x
                if m == 2:
                    _data_2(window, start, samples, data, at, data_step)
                else:
                    _data_4(window, start, samples, data, at, data_step)
        for first in range(0, maps, BLOCK):
            for place in range((m + 2) ** 2):
                sum_block(
                    data[place * data_step :], 0, taps, weights,
                    place * weights_step + first * channels, BLOCK, zeros,
                    sums[place * sums_step :], chunk, length,
                )  # fmt: skip
            for each in range(first, min(first + BLOCK, maps)):
                start, step = (each - first) * chunk, m * chunk + APART
                for x in range(0, length, lanes):
                    if m == 2:
                        _results_2(sums, start + x, products, results, 2 * x, step, bias[each])
                    else:
                        _results_4(sums, start + x, products, results, 4 * x, step, bias[each])
                for i in range(m):
                    # Row i of a tile is row y * m + i of the image.
                    stored = min(length, (sizes[12] - i + m - 1) // m * pitch - left)
                    put(
                        results[i * step :], left * m, stored * m, pitch * m, sizes[13],
                        out[each * strides[1] + i * sizes[13] :], strides,
                    )  # fmt: skip
