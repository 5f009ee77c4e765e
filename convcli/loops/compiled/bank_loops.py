"""The inner loop of filter banks that numba compiles; it is called by way of `machine_code`."""

from __future__ import annotations

import numba

from convcli.loops.compiled.bank_rows import correlate_rows
from convcli.loops.compiled.bank_weights import turn
from convcli.loops.compiled.bank_windows import gather
from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS
from convcli.loops.compiled.registers import register_copy, register_tile
from convcli.loops.compiled.vectors import BYTES
from convcli.loops.layout import APART, BLOCK, LEAST_SHARED, SLACK

_entry = numba.njit(**HOW)
_part = numba.njit(**HOW, **NO_WRAPPERS)

# How many vectors of pixels a tile of so many maps has: its sums, the vectors that are loaded for
# them and a spread weight fit in the registers.
HALF, V8, V4, V2, V1 = (8, 3, 6, 8, 8) if BYTES == 64 else (4, 3, 3, 4, 6)
_eight, _eight_2, _eight_1 = (register_tile(HALF, v, BYTES) for v in (V8, 2, 1))
_packed, _packed_2, _packed_1 = (register_tile(HALF, v, BYTES, packed=V8) for v in (V8, 2, 1))
_four = register_tile(4, V4, BYTES)
_two = register_tile(2, V2, BYTES)
_one = register_tile(1, V1, BYTES)
_copy = register_copy(V8, vector_bytes=BYTES)


@_entry
def bank(planes, table, weights, bias, scratch, out):
    """Correlate the planes of each group with the group's kernels, for a strip of the results.

    Parameters
    ----------
    planes : flat
        Of each group, channel and row, H * W samples a plane.
    table : flat
        One after the other:

        0 to 2
            Groups, channels and maps of a group.
        3, 4
            Rows and columns of a plane.
        5 to 8
            Of a window its phases along y and x, its rows and its columns.
        9
            1 if the planes themselves are the window.
        10
            Rows of a kernel of one channel and map whose neighbouring results share their samples:
            at least 3, without stride and dilation along y; 0 for all others.
        11
            Pixels of a chunk.
        12
            Taps whose samples are packed, or 0: then they are read from the window.
        13
            1 if `weights` are the kernels of the maps, one after the other: then all maps are
            packed, and there is one pass.
        14, 15
            Taps and passes.
        16 to 19
            From one group, map, row and pixel of the results to the next in the flat `out`.
        rows, phases * R of them
            Which row of a plane stands in each row of the window; -1 is zeros.
        columns, phases * the window's columns of them
            The same for columns, phase by phase.
        inside, 3 for each phase
            From which position on, for how many, and from which sample on the columns of a phase
            are every so many-th sample of a plane.
        offsets, one for each tap
            Where the first result's sample of each tap lies in the window.
        passes, 5 for each
            First tap, number of taps, rows, columns and place in `out` of each set of results. A
            convolution has one; a transposed one has as many as there are phases of the output.
    weights, bias : flat
        For each group and pass the weights in blocks of 8, 4, 2 and 1 maps, and in a block all maps
        of a tap together.
    scratch : flat
        BLOCK rows of sums, each of a chunk and the slack of a tile; the samples of a chunk for all
        packed taps, with a gap of APART after each tile; a block of weights, if they are not laid
        out; the window of a group: channels, phases along y and x, rows, columns; and at the end
        zeros, the slack of a tile. Phase p of a window has every stride-th sample from p on, so
        that the samples of neighbouring results lie beside each other.
    """
    groups, channels, maps, height, width = table[0], table[1], table[2], table[3], table[4]
    phases, lines_of_window, pitch = table[5] * table[6], table[7], table[8]
    in_place, shared_rows, chunk, packed_taps = table[9] == 1, table[10], table[11], table[12]
    taps, strides = table[14], table[16:20]
    rows = table[20 : 20 + (0 if in_place else table[5] * lines_of_window)]
    columns = table[20 + rows.size :][: table[6] * pitch]
    inside = table[20 + rows.size + columns.size :][: 3 * table[6]]
    offsets = table[20 + rows.size + columns.size + inside.size :][:taps]
    passes = table[table.size - 5 * table[15] :]
    slack = SLACK // out.itemsize
    sums = scratch[: BLOCK * (chunk + slack)]
    tiles = chunk // (V8 * (BYTES // out.itemsize))
    packed = scratch[sums.size :][: packed_taps * chunk + (tiles * APART if packed_taps else 0)]
    turned = scratch[sums.size + packed.size :][: BLOCK * taps if table[13] else 0]
    window = scratch[sums.size + packed.size + turned.size :]
    plane, laid = height * width, phases * lines_of_window * pitch
    for group in range(groups):
        source = planes[group * channels * plane :]
        if shared_rows and passes[2] >= LEAST_SHARED:
            correlate_rows(
                source, width, rows, columns, inside, window, table, offsets,
                weights[group * taps :], passes[2], passes[3], bias[group], sums,
                out[group * strides[0] + passes[4] :], strides[2],
            )  # fmt: skip
            continue
        flat = source if in_place else window
        for channel in range(0 if in_place else channels):
            gather(
                source[channel * plane :], width, rows, columns, inside, window[channel * laid :],
                table,
            )  # fmt: skip
        for each in range(0, passes.size, 5):
            tap, count, place = passes[each], passes[each + 1], passes[each + 4]
            _correlate(
                flat, offsets[tap : tap + count], weights[(group * taps + tap) * maps :], pitch,
                passes[each + 2], passes[each + 3], bias[group * maps : (group + 1) * maps], turned,
                sums, chunk, packed, out[place + group * strides[0] :], strides,
            )  # fmt: skip


@_part
def _correlate(
    window, offsets, weights, pitch, height, width, bias, turned, sums, chunk, packed, out, strides
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
                first, laid, at = stored, weights, done * taps
                if turned.size:
                    turn(weights, at, taps, BLOCK, taps, turned)
                    laid, at = turned, 0
                _sum_packed(
                    packed, 0, first, offsets, laid, at, bias[done:],
                    out[done * strides[1] + left :], strides[1],
                )  # fmt: skip
                _sum_packed(
                    packed, first, length, offsets, laid, at, bias[done:], sums, capacity
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
def _sum_packed(packed, first, last, offsets, weights, start, bias, sums, pitch):
    """Fill eight rows of sums for some pixels of a chunk that `_pack` has laid out."""
    wide = V8 * (BYTES // packed.itemsize)
    step = offsets.size * wide + APART
    for x in range(first, last, wide):
        at, rest = x // wide * step, (last - x) * packed.itemsize
        for half in range(0, 8, HALF):
            place, row = start + half, half * pitch + x
            if rest > 2 * BYTES:
                _packed(packed, at, offsets, weights, place, 8, bias, half, sums, row, pitch)
            elif rest > BYTES:
                _packed_2(packed, at, offsets, weights, place, 8, bias, half, sums, row, pitch)
            else:
                _packed_1(packed, at, offsets, weights, place, 8, bias, half, sums, row, pitch)


@_part
def sum_block(window, left, offsets, weights, first, block, bias, sums, capacity, length):
    """Fill rows of sums: all maps of a block, for the pixels from `left` on."""
    lanes = BYTES // window.itemsize
    if block == 8:
        for x in range(0, length, V8 * lanes):
            at, rest = left + x, length - x
            for half in range(0, 8, HALF):
                place, row = first + half, half * capacity + x
                if rest > 2 * lanes:
                    _eight(window, at, offsets, weights, place, 8, bias, half, sums, row, capacity)
                elif rest > lanes:
                    _eight_2(
                        window, at, offsets, weights, place, 8, bias, half, sums, row, capacity
                    )
                else:
                    _eight_1(
                        window, at, offsets, weights, place, 8, bias, half, sums, row, capacity
                    )
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
    x, y, column = 0, left // pitch, left % pitch
    while x < length:
        run = min(pitch - column, length - x)
        stored = min(width - column, run)
        source, target = line[x:], out[y * strides[2] + column * strides[3] :]
        if strides[3] == 1:
            for i in range(stored):
                target[i] = source[i]
        else:
            for i in range(stored):
                target[i * strides[3]] = source[i]
        x, y, column = x + run, y + 1, 0
