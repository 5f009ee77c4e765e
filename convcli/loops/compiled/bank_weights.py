"""The weights of filter banks, laid out for their loops by compiled code."""

from __future__ import annotations

import numba

from convcli.loops.compiled.inner_loops import HOW, NO_WRAPPERS
from convcli.loops.compiled.registers import register_copy, register_turn
from convcli.loops.compiled.vectors import BYTES
from convcli.loops.layout import BLOCK

_entry = numba.njit(**HOW)
_part = numba.njit(**HOW, **NO_WRAPPERS)

copy_block = register_copy(lanes=BLOCK)
"""Copies the weights of BLOCK maps."""

_turn = register_turn(BLOCK, BYTES)


@_entry
def lay_out(weight, sizes, taps, passes, turned, out):
    """Lay weights out as `bank` takes them.

    Parameters
    ----------
    weight : flat
        Weights of which the taps of a kernel lie together.
    sizes : (7,)
        Groups, maps and channels of a group, taps of a kernel, and in `weight` the steps from one
        group, map and channel to the next.
    taps : flat
        Which taps of a kernel those of each pass are; nothing for all in their order.
    passes : (n, 2)
        First tap and number of taps of each pass.
    turned : flat scratch
        BLOCK kernels and BLOCK vectors.
    out : flat
        For each group and pass blocks of 8, 4, 2 and 1 maps, all maps of a tap together.
    """
    groups, maps, channels, area = sizes[0], sizes[1], sizes[2], sizes[3]
    used = taps.size if taps.size else area
    for group in range(groups):
        done = 0
        while done < maps:
            rest = maps - done
            block = 8 if rest >= 8 else 4 if rest >= 4 else 2 if rest >= 2 else 1
            for channel in range(channels):
                start = group * sizes[4] + done * sizes[5] + channel * sizes[6]
                if taps.size == 0:
                    row = (group * maps * channels + done * channels + channel * block) * area
                    turn(weight, start, sizes[5], block, area, out[row:])
                    continue
                turn(weight, start, sizes[5], block, area, turned)
                for each in range(passes.shape[0]):
                    first, count = passes[each, 0], passes[each, 1]
                    row = ((group * used + first) * maps + done * count) * channels
                    row += channel * count * block
                    for tap in range(count):
                        at, place = taps[first + tap] * block, row + tap * block
                        if block == BLOCK:
                            copy_block(turned, at, out, place)
                        else:
                            for m in range(block):
                                out[place + m] = turned[at + m]
            done += block


@_part
def turn(weight, start, pitch, block, count, out):
    """Lay `count` weights of each of `block` maps out so that the maps of a weight are together."""
    lanes = BYTES // weight.itemsize
    for first in range(0, count, lanes):
        at, place = start + first, first * block
        if (
            block == BLOCK
            and at + (BLOCK - 1) * pitch + lanes <= weight.size
            and place + BLOCK * lanes <= out.size
        ):
            _turn(weight, at, pitch, out, place)
            continue
        for tap in range(min(lanes, count - first)):
            for m in range(block):
                out[place + tap * block + m] = weight[at + tap + m * pitch]
