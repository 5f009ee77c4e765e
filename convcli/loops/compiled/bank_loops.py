"""The inner loop of filter banks that numba compiles; it is called by way of `machine_code`."""

from __future__ import annotations

import numba

from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS
from convcli.loops.compiled.machine_code import target
from convcli.loops.compiled.registers import register_copy, register_rows, register_tile
from convcli.loops.layout import APART, BLOCK, SHARED_ROWS

_entry = numba.njit(**HOW)
_part = numba.njit(**HOW, **NO_WRAPPERS)

# How many vectors of pixels a tile of so many maps has. AVX-512 has 32 registers of 64 bytes, AVX2
# 16 of 32: the sums of a tile, the vectors that are loaded for them and a spread weight fit in.
if "+avx512f" in target()[1]:
    BYTES, HALF = 64, 8
    V8, V4, V2, V1, VR = 3, 6, 8, 8, 4
else:
    BYTES, HALF = 32, 4
    V8, V4, V2, V1, VR = 3, 3, 4, 6, 2
_eight = register_tile(HALF, V8, BYTES)
_four = register_tile(4, V4, BYTES)
_two = register_tile(2, V2, BYTES)
_one = register_tile(1, V1, BYTES)
_copy = register_copy(V8, BYTES)
_rows_wide = register_rows(SHARED_ROWS, VR, BYTES)
_rows_narrow = register_rows(SHARED_ROWS, 1, BYTES)


@_entry
def bank(
    planes, sizes, rows, columns, inside, step, constant, window, offsets, passes, weights, bias,
    shared_rows, sums, chunk, packed, panel, out, strides,
):  # fmt: skip
    """Correlate the planes of each group with the group's kernels, for a strip of the results.

    Parameters
    ----------
    planes : flat
        Of each group, channel and row, H * W samples a plane.
    sizes : (10,)
        Groups, channels and maps of a group, rows and columns of a plane; of a window its phases
        along y and x, its rows and columns; and 1 if the planes themselves are the window.
    rows : (phases * R,)
        Which row of a plane stands in each row of the window; -1 is the constant.
    columns : (phases, width)
        The same for columns, phase by phase.
    inside : (phases, 3)
        From which position on, for how many, and from which sample on the columns of a phase are
        every `step`-th sample of a plane.
    window : flat scratch for one group
        Channels, phases along y and x, rows, columns. Phase p has every stride-th sample from p
        on, so that the samples of neighbouring results lie beside each other.
    offsets : (taps,)
        Where the first result's sample of each tap lies in the window.
    passes : (n, 5)
        First tap, number of taps, rows, columns and place in `out` of each set of results. A
        convolution has one; a transposed one has as many as there are phases of the output.
    weights, bias : flat
        For each group and pass the weights in blocks of 8, 4, 2 and 1 maps, and in a block all maps
        of a tap together.
    shared_rows : int
        Rows of a kernel of one channel and map whose neighbouring results share their samples: at
        least SHARED_ROWS, without stride and dilation along y; 0 for all others.
    sums : flat scratch
        BLOCK rows, each of a chunk and the slack of a tile.
    packed : flat scratch
        The samples of a chunk for all taps, or nothing: then they are read from the window.
    panel : (taps,) scratch
        Where the samples of each tap begin in the part of it that a tile reads.
    strides : (4,)
        From one group, map, row and pixel of the results to the next in the flat `out`.
    """
    groups, channels, maps, height, width = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    pitch, in_place = sizes[8], sizes[9] == 1
    plane, laid = height * width, sizes[5] * sizes[6] * sizes[7] * sizes[8]
    taps = offsets.size
    # Never 0, or LLVM would fill with 0 if an item had no size, and call the C library for it.
    wide = V8 * max(BYTES // window.itemsize, 1)
    for tap in range(panel.size):
        panel[tap] = tap * wide
    for group in range(groups):
        source = planes[group * channels * plane :]
        flat = source if in_place else window
        for channel in range(0 if in_place else channels):
            gather(
                source[channel * plane :], width, rows, columns, inside, step, constant,
                window[channel * laid :], sizes,
            )  # fmt: skip
        for each in range(passes.shape[0]):
            tap, count = passes[each, 0], passes[each, 1]
            lines, across, place = passes[each, 2], passes[each, 3], passes[each, 4]
            if shared_rows and lines >= SHARED_ROWS:
                _correlate_rows(
                    flat, pitch, offsets[: count // shared_rows], weights[group * taps :],
                    shared_rows, lines, across, bias[group], sums,
                    out[place + group * strides[0] :], strides,
                )  # fmt: skip
                continue
            _correlate(
                flat, offsets[tap : tap + count], weights[(group * taps + tap) * maps :], pitch,
                lines, across, bias[group * maps : (group + 1) * maps], sums, chunk, packed, panel,
                out[place + group * strides[0] :], strides,
            )  # fmt: skip


@_entry
def lay_out(weight, sizes, strides, taps, passes, out):
    """Lay weights out as `bank` takes them.

    Parameters
    ----------
    weight : flat
        Weights in any order.
    sizes : (3,)
        Groups, maps and channels of a group.
    strides : (3,)
        From one group, map and channel to the next in `weight`.
    taps : (n,)
        Where the taps of each pass lie in a kernel.
    passes : (n, 2)
        First tap and number of taps of each pass.
    out : flat
        For each group and pass blocks of 8, 4, 2 and 1 maps, all maps of a tap together.
    """
    groups, maps, channels = sizes[0], sizes[1], sizes[2]
    for group in range(groups):
        done = 0
        while done < maps:
            rest = maps - done
            block = 8 if rest >= 8 else 4 if rest >= 4 else 2 if rest >= 2 else 1
            for channel in range(channels):
                # All passes read a kernel while its samples are in the cache.
                kernel = weight[group * strides[0] + done * strides[1] + channel * strides[2] :]
                for each in range(passes.shape[0]):
                    first, count = passes[each, 0], passes[each, 1]
                    row = out[((group * taps.size + first) * maps + done * count) * channels :]
                    for tap in range(count):
                        at, place = taps[first + tap], (channel * count + tap) * block
                        for m in range(block):
                            row[place + m] = kernel[at + m * strides[1]]
            done += block


@_part
def gather(plane, width, rows, columns, inside, step, constant, window, sizes):
    """Lay the rows of a plane out as the phases of a window, with what lies beyond the edges."""
    phases_y, phases_x, height, across = sizes[5], sizes[6], sizes[7], sizes[8]
    for r in range(rows.size):
        y, phase_y = r // phases_y, r % phases_y
        for p in range(phases_x):
            line = window[((phase_y * phases_x + p) * height + y) * across :]
            if rows[r] < 0:
                for x in range(across):
                    line[x] = constant
                continue
            source = plane[rows[r] * width :]
            first, length, start = inside[p, 0], inside[p, 1], inside[p, 2]
            for x in range(first):
                line[x] = source[columns[p, x]] if columns[p, x] >= 0 else constant
            middle, samples = line[first:], source[start:]
            if step == 1:
                for x in range(length):
                    middle[x] = samples[x]
            else:
                for x in range(length):
                    middle[x] = samples[x * step]
            for x in range(first + length, across):
                line[x] = source[columns[p, x]] if columns[p, x] >= 0 else constant


@_part
def _correlate(
    window, offsets, weights, pitch, height, width, bias, sums, chunk, packed, panel, out, strides
):  # fmt: skip
    """``out[m, y, x] = bias[m] + sum_t weights[t, m] * window[offsets[t] + y * pitch + x]``.

    The pixels of all rows are one run, together with those beyond the ends of the rows, which are
    not stored: so rows shorter than a tile leave no register unused.
    """
    maps, taps = bias.size, offsets.size
    run = (height - 1) * pitch + width
    is_run = pitch == width == strides[2] and strides[3] == 1
    if is_run:
        pitch = width = run  # rows follow each other in the result, too
    capacity = sums.size // BLOCK
    blocks = maps // BLOCK if packed.size else 0
    wide = V8 * (BYTES // window.itemsize)
    for left in range(0, run, chunk):
        length = min(chunk, run - left)
        if blocks:
            _pack(window, left, length, offsets, packed)
        # Whole tiles of rows that are one run are stored where they belong.
        stored = length // wide * wide if blocks and is_run else 0
        done = 0
        while done < maps:
            rest = maps - done
            block = 8 if rest >= 8 else 4 if rest >= 4 else 2 if rest >= 2 else 1
            first = 0
            if done < blocks * BLOCK:
                first = stored
                _sum_packed(
                    packed, 0, first, panel[:taps], weights, done * taps, bias[done:],
                    out[done * strides[1] + left :], strides[1],
                )  # fmt: skip
                _sum_packed(
                    packed, first, length, panel[:taps], weights, done * taps, bias[done:], sums,
                    capacity,
                )  # fmt: skip
            else:
                sum_block(
                    window, left, offsets, weights, done * taps, block, bias[done:], sums, capacity,
                    length,
                )  # fmt: skip
            for m in range(done, done + block):
                put(
                    sums[(m - done) * capacity + first :], left + first, length - first, pitch,
                    width, out[m * strides[1] :], strides,
                )  # fmt: skip
            done += block


@_part
def _pack(window, left, length, offsets, packed):
    """Lay the samples of a chunk out in the order in which tiles of 8 maps read them."""
    wide = V8 * (BYTES // window.itemsize)
    step = offsets.size * wide + APART
    for tap in range(offsets.size):
        start = offsets[tap] + left
        for each in range(-(-length // wide)):
            x, at = each * wide, each * step + tap * wide
            if start + x + wide <= window.size:
                _copy(window, start + x, packed, at)
            else:
                # Where there is nothing, the last sample: numbers of any kind might be slow ones
                # (subnormal).
                for i in range(wide):
                    packed[at + i] = window[min(start + x + i, window.size - 1)]


@_part
def _sum_packed(packed, first, last, panel, weights, start, bias, sums, pitch):
    """Fill eight rows of sums for some pixels of a chunk that `_pack` has laid out."""
    wide = V8 * (BYTES // packed.itemsize)
    step = panel.size * wide + APART
    for x in range(first, last, wide):
        for half in range(0, 8, HALF):
            _eight(
                packed, x // wide * step, panel, weights, start + half, 8, bias, half, sums,
                half * pitch + x, pitch,
            )  # fmt: skip


@_part
def _correlate_rows(
    window, pitch, offsets, weights, kernel_rows, height, width, bias, sums, out, strides
):  # fmt: skip
    """Do what `_correlate` does for one channel and map, a few rows of results at a time."""
    lanes = BYTES // window.itemsize
    capacity = sums.size // BLOCK
    chunk = capacity // (VR * lanes) * VR * lanes
    for top in range(0, height, SHARED_ROWS):
        y = min(top, height - SHARED_ROWS)  # the last rows may be computed twice
        for left in range(0, width, chunk):
            length = min(chunk, width - left)
            x = 0
            while x < length:
                start = y * pitch + left + x
                if length - x > lanes:
                    _rows_wide(
                        window, start, pitch, offsets, weights, bias, kernel_rows, sums, x, capacity
                    )
                    x += VR * lanes
                else:
                    _rows_narrow(
                        window, start, pitch, offsets, weights, bias, kernel_rows, sums, x, capacity
                    )
                    x += lanes
            for row in range(SHARED_ROWS):
                line = out[(y + row) * strides[2] + left * strides[3] :]
                put(sums[row * capacity :], 0, length, length, length, line, strides)


@_part
def sum_block(window, left, offsets, weights, first, block, bias, sums, capacity, length):
    """Fill rows of sums: all maps of a block, for the pixels from `left` on."""
    lanes = BYTES // window.itemsize
    if block == 8:
        for x in range(0, length, V8 * lanes):
            for half in range(0, 8, HALF):
                _eight(
                    window, left + x, offsets, weights, first + half, 8, bias, half, sums,
                    half * capacity + x, capacity,
                )  # fmt: skip
    elif block == 4:
        for x in range(0, length, V4 * lanes):
            _four(window, left + x, offsets, weights, first, 4, bias, 0, sums, x, capacity)
    elif block == 2:
        for x in range(0, length, V2 * lanes):
            _two(window, left + x, offsets, weights, first, 2, bias, 0, sums, x, capacity)
    else:
        for x in range(0, length, V1 * lanes):
            _one(window, left + x, offsets, weights, first, 1, bias, 0, sums, x, capacity)


@_part
def put(line, left, length, pitch, width, out, strides):
    """Store the sums that lie in the first `width` pixels of their rows."""
    x = 0
    while x < length:
        y, column = (left + x) // pitch, (left + x) % pitch
        run = min(pitch - column, length - x)
        stored = min(width - column, run)
        source, target = line[x:], out[y * strides[2] + column * strides[3] :]
        if strides[3] == 1:
            for i in range(stored):
                target[i] = source[i]
        else:
            for i in range(stored):
                target[i * strides[3]] = source[i]
        x += run
