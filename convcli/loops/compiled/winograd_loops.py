"""Winograd's minimal filtering of 3x3 kernels for filter banks, which numba compiles."""

from __future__ import annotations

import numba

from convcli.loops.compiled.bank_loops import V8, put, sum_block
from convcli.loops.compiled.bank_weights import copy_block, turn
from convcli.loops.compiled.bank_windows import gather
from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS
from convcli.loops.compiled.transforms import F2, F4, register_results, register_transform
from convcli.loops.compiled.vectors import BYTES
from convcli.loops.layout import APART, BLOCK, SLACK

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
                        copy_block(turned, at, scratch, place)
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
def winograd(planes, table, weights, bias, scratch, out):
    """Correlate planes with 3x3 kernels, for a strip of the results.

    Parameters
    ----------
    planes : flat
        Of each channel and row.
    table : flat
        One after the other:

        0 to 9
            As for `bank_loops.bank`, of one group, with a step of m along both axes: a window has
            m x m phases.
        10, 11
            Rows and columns of tiles.
        12, 13
            Rows and columns of results.
        14
            Tiles that are transformed together, a chunk: a multiple of the pixels of a tile of
            registers.
        15 to 18
            From one group, map, row of tiles and pixel of the results to the next in the flat
            `out`.
        rows, columns, inside
            As for `bank`.
        samples, (m + 2)^2 of them
            Where the samples of the first tile lie in the window of a channel.
        products, (m + 2)^2 of them
            Where the chunks of the first map of each place lie in the sums.
        taps, one for each channel
            Where its chunk lies in the data of a place.
    weights : flat
        As laid out by `winograd_kernels`.
    bias : (maps,)
    scratch : flat
        Data: for each place and channel a chunk; places are a gap of APART apart. Sums: for each
        place 8 chunks and a gap of APART; then the slack of a tile. Results: for each of m rows m
        chunks and a gap of APART. A window, and at the end zeros, the slack of a tile.
    """
    channels, maps, height, width = table[1], table[2], table[3], table[4]
    m, lines, pitch, chunk, strides = table[5], table[7], table[8], table[14], table[15:19]
    places = (m + 2) ** 2
    plane, laid = height * width, m * m * lines * pitch
    rows = table[19 : 19 + m * lines]
    columns = table[19 + rows.size :][: m * pitch]
    inside = table[19 + rows.size + columns.size :][: 3 * m]
    taps = table[table.size - channels :]
    products = table[table.size - channels - places :][:places]
    samples = table[table.size - channels - 2 * places :][:places]
    data_step, sums_step = channels * chunk + APART, BLOCK * chunk + APART
    data, slack = scratch[: places * data_step], SLACK // out.itemsize
    sums = scratch[data.size :][: places * sums_step + slack]
    results = scratch[data.size + sums.size :][: m * (m * chunk + APART)]
    window = scratch[data.size + sums.size + results.size :]
    zeros = window[window.size - slack :]
    # The tiles of all rows are one run, together with those beyond the ends of the rows, which are
    # not stored.
    run = (table[10] - 1) * pitch + table[11]
    lanes = BYTES // window.itemsize
    weights_step = -(-maps // BLOCK) * BLOCK * channels + APART
    for channel in range(channels):
        gather(
            planes[channel * plane :], width, rows, columns, inside, window[channel * laid :],
            table,
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
            for place in range(places):
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
                    stored = min(length, (table[12] - i + m - 1) // m * pitch - left)
                    put(
                        results[i * step :], left * m, stored * m, pitch * m, table[13],
                        out[each * strides[1] + i * table[13] :], strides,
                    )  # fmt: skip
