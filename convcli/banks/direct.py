"""Direct sums, compiled: tiles of maps and pixels that stay in registers over all taps."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from convcli.banks.contract import Work
from convcli.banks.layer import Layer
from convcli.banks.windows import aligned, columns_of
from convcli.loops.compiled.machine_code import function
from convcli.loops.layout import APART, BLOCK, LEAST_SHARED, SLACK, ceil_div
from convcli.pixels.borders import Index
from convcli.types import Floats

_bank, _lay_out = function("bank"), function("lay_out")

# Bytes of a window, which should stay in the second-level cache with the weights: it has 1 MB a
# core on Zen 4 and Zen 5, and 2 MB on recent Xeons.
_WINDOW = 1 << 20

# Pixels of which all maps are summed before the next ones: their samples stay in the first-level
# cache while the weights pass by.
_CHUNK = 768

# From so many maps on the samples of a chunk are copied into the order in which they are read: that
# costs as much as the products of two maps. Chunks are multiples of the 12, 24 or 48 samples of a
# tile, and their copy should stay in the second-level cache: it may fill half of it. With 1 MB
# instead of 512 kB, 256 to 256 maps at 56 x 56 take 2 % less (Intel Xeon with 2 MB).
_PACKED_MAPS = 16
_NARROWEST, _TILE = 12, 48

# Up to so many chunks, weights are laid out again for each of them. Those of 8 maps take a
# twentieth of the time of their products with 480 pixels. 256 to 256 maps take 430 microseconds
# instead of 500 at 28 x 28, and 1.43 ms instead of 1.49 at 56 x 56 (two threads of an Intel Xeon).
# With 27 chunks there is no difference.
_FEW_CHUNKS = 16

# Products for which a worker gets one piece, and otherwise four: a piece takes 25 microseconds to
# set up, as much as 2 million products.
_SHORT = 250_000_000
# What a thread computes until the next one begins, in multiplications: 35 microseconds. With the
# first of two pieces so much larger, 256 to 256 maps at 56 x 56 take 1.29 ms instead of 1.31 (two
# threads of an Intel Xeon).
_LEAD = 3_300_000


class _Axis(NamedTuple):
    """One axis of a set of results: where its taps lie.

    Attributes
    ----------
    first, step : int
        The first result, and how far the next one is.
    taps : list of (int, int, int)
        For each tap: its index in the kernel, the phase of the window that it reads, and the
        position there that the first result reads.
    """

    first: int
    step: int
    taps: list[tuple[int, int, int]]


class Piece(NamedTuple):
    """A strip of the results of some groups of one image."""

    image: int
    groups: tuple[int, int]
    rows: tuple[int, int]


def work(layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, workers: int) -> Work:
    """Lay the weights out; see `convcli.banks.contract` for the contract."""
    if workers > 1 and layer.groups == 1 and weight.size > x.size + out.size:
        return _shared_by_maps(layer, x, weight, bias, out, workers)
    layout = _layout(layer)
    if layout.is_column:
        shape = layout.layer.size
        x, out = x.reshape(*x.shape[:2], *shape), out.reshape(*out.shape[:2], *shape)
    weights = layout.laid_out(weight)
    return Work(lambda piece: layout.fill(x, weights, bias, out, piece), layout.pieces(workers))


def _shared_by_maps(
    layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, workers: int
) -> Work:
    """Give each worker some of the maps, whose weights it lays out: there are more than samples."""

    def fill(maps: slice) -> None:
        layout = _layout(replace(layer, maps=maps.stop - maps.start))
        weights = layout.laid_out(weight[:, maps] if layer.transposed else weight[maps])
        for piece in layout.pieces(1):
            layout.fill(x, weights, bias[maps], out[:, maps], piece)

    share = ceil_div(ceil_div(layer.maps, workers), BLOCK) * BLOCK
    firsts = range(0, layer.maps, share)
    return Work(fill, [slice(first, min(first + share, layer.maps)) for first in firsts])


@cache
def _packed_bytes() -> int:
    """Return half the bytes of the second-level cache; 512 kB where the system does not tell."""
    size = 0
    with suppress(AttributeError, ValueError, OSError):  # only glibc knows it
        size = os.sysconf("SC_LEVEL2_CACHE_SIZE")
    return size // 2 if size > 0 else 1 << 19


@lru_cache(maxsize=64)  # a network has the same layers for every image
def _layout(layer: Layer) -> _Layout:
    layout = _Layout(layer)
    if layer.kernel == (1, 1) and layout.is_plain and layout.is_all_packed():
        # Every pixel is alike: in a single column they can be cut anywhere.
        layout = _Layout(replace(layer, size=(math.prod(layer.size), 1)))
        layout.is_column = True
    return layout


class _Layout:
    """Where the samples and weights of a layer lie; `fill` computes a piece of the result."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.channels = layer.channels // layer.groups
        self.maps = layer.maps // layer.groups
        self.axes = _axes(layer, 0), _axes(layer, 1)
        # Where the window of the first result begins, and how much longer than the results it is.
        self.starts = _start(layer, 0), _start(layer, 1)
        # A transposed layer may have phases that no tap reaches, and then no others.
        self.reaches = tuple(
            max((at for each in sets for *_, at in each.taps), default=0) for sets in self.axes
        )
        self.phases = (1, 1) if layer.transposed else layer.stride
        self.width = self._results(1) + self.reaches[1]
        self.steps = self.axes[0][0].step, self.axes[1][0].step
        self.slack = SLACK // layer.dtype.itemsize
        self.is_column = False
        forward = not layer.transposed
        self.is_plain = forward and layer.stride == (1, 1) and layer.before == layer.after == (0, 0)
        # Rows of a kernel of one channel and map, whose results share samples; 0 for others.
        alone = forward and self.channels == self.maps == 1
        shared = alone and layer.stride[0] == layer.dilation[0] == 1
        self.shared_rows = layer.kernel[0] if shared and layer.kernel[0] >= LEAST_SHARED else 0
        taps = self.channels * max(len(y.taps) * len(x.taps) for y, x in self._passes())
        self.taps = taps if self.maps >= _PACKED_MAPS else 0
        self.chunk = _CHUNK
        if self.taps:
            tiles = _packed_bytes() // (taps * layer.dtype.itemsize * _TILE)
            self.chunk = min(max(tiles, 1) * _TILE, _CHUNK)
        # Where there are few chunks, threads lay the weights of a block of maps out when they come
        # to it: no thread waits until all are laid out, and the block is still in the cache.
        chunks = layer.images * ceil_div(math.prod(layer.out_size), self.chunk)
        self.turns = forward and self.is_all_packed() and chunks <= _FEW_CHUNKS
        self.columns, self.inside = columns_of(layer, self.starts[1], self.phases[1], self.width)
        self.taps_of_passes = self._taps_of_passes()
        self.table = lru_cache(maxsize=64)(self._table)
        self.pieces = lru_cache(maxsize=8)(self._pieces)

    def _results(self, axis: int) -> int:
        """Rows or columns of the largest set of results."""
        _, step, _ = self.axes[axis][0]
        return ceil_div(self.layer.out_size[axis], step)

    def _passes(self) -> Iterator[tuple[_Axis, _Axis]]:
        for along_y in self.axes[0]:
            for along_x in self.axes[1]:
                yield along_y, along_x

    def laid_out(self, weight: Floats) -> Floats:
        """Lay the weights of each group out in blocks of maps, all maps of a tap together.

        If threads do that (`turns`), or there is one map, they stay as they are.
        """
        layer = self.layer
        if self.turns or (self.maps == 1 and not layer.transposed):
            return weight.reshape(layer.groups, -1)
        step, channel, map_ = weight.itemsize, *(weight.strides[:2])
        if not layer.transposed:
            channel, map_ = map_, channel
        # A group's maps follow those of the one before; of a transposed layer its channels do.
        group = channel * self.channels if layer.transposed else map_ * self.maps
        channels, area = self.channels, math.prod(layer.kernel)
        if not layer.transposed:  # all taps of all channels lie together
            channels, area = 1, channels * area
        sizes = (
            layer.groups, self.maps, channels, area, group // step, map_ // step, channel // step
        )  # fmt: skip
        if weight.flags.c_contiguous:
            flat = weight.reshape(-1)
        else:  # some of the maps of a transposed layer
            flat = as_strided(weight, (1 + sum(
                (length - 1) * (each // step)
                for length, each in zip(weight.shape, weight.strides, strict=True)
            ),), (step,))  # fmt: skip
        taps, passes = self.taps_of_passes
        out = np.empty(layer.maps * channels * (taps.size or area), layer.dtype)
        turned = aligned(BLOCK * area + SLACK, layer.dtype) if taps.size else out
        _lay_out(flat, np.array(sizes), taps, passes, turned, out)
        return out.reshape(layer.groups, -1)

    def _pieces(self, workers: int) -> list[Piece]:
        """Cut the work so that windows fit the cache and every worker has its share."""
        layer = self.layer
        height = self._results(0)
        row = self.channels * math.prod(self.phases) * self.width * layer.dtype.itemsize
        most = max(_WINDOW // row - self.reaches[0], 1)
        if self.is_plain and self.is_all_packed():  # there are no windows
            most = height
        is_short = layer.multiplications < _SHORT * workers
        wanted = workers * (1 if is_short or workers == 1 else 4)
        groups = max(1, ceil_div(layer.groups, max(1, wanted // layer.images)))
        shares = layer.images * ceil_div(layer.groups, groups)
        strips = max(ceil_div(height, most), min(ceil_div(wanted, shares), height))
        rows = ceil_div(height, strips)
        if self.is_column:  # whole tiles
            lead = _LEAD * height // layer.multiplications if strips == workers == 2 else 0
            rows = ceil_div(ceil_div(height + lead, strips), _TILE) * _TILE
        cuts = [*range(0, height, rows), height]
        if self.is_plain and not self.is_all_packed():  # the last rows are windows: see `fill`
            last = height - ceil_div(self.slack, layer.size[1]) - 1
            cuts = sorted({*cuts, max(last, 0)})
        return [
            Piece(image, (group, min(group + groups, layer.groups)), strip)
            for image in range(layer.images)
            for group in range(0, layer.groups, groups)
            for strip in pairwise(cuts)
        ]

    def is_all_packed(self) -> bool:
        """Say whether no tile reads the window itself, and so nothing beyond its end."""
        return self.taps > 0 and self.maps % BLOCK == 0

    def fill(self, x: Floats, weights: Floats, bias: Floats, out: Floats, piece: Piece) -> None:
        """Compute a piece of the result."""
        first, last = piece.groups
        table, size = self.table(last - first, piece.rows)
        scratch = aligned(size, self.layer.dtype)
        scratch[size - self.slack :] = 0
        maps = slice(first * self.maps, last * self.maps)
        _bank(
            x[piece.image, first * self.channels : last * self.channels].reshape(-1), table,
            weights[first:last].reshape(-1), bias[maps], scratch,
            out[piece.image, maps].reshape(-1),
        )  # fmt: skip

    def _table(self, groups: int, strip: tuple[int, int]) -> tuple[Index, int]:
        """Return what the loop needs to know for a strip of some groups, and its scratch's size."""
        layer, (top, bottom) = self.layer, strip
        _, _, out_height, out_width = layer.out_shape
        plane = out_height * out_width
        # Without padding and steps the input itself is the window, but for what lies so near its
        # end that a tile would read beyond it.
        is_last = bottom == self._results(0)
        in_place = self.is_plain and (self.is_all_packed() or not is_last)
        height, rows, laid = layer.size[0], np.empty(0, np.int64), 0
        if not in_place:
            height = bottom - top + self.reaches[0]
            step = self.phases[0]
            rows = layer.index(0, self.starts[0] + top * step, height * step)
            laid = self.channels * math.prod(self.phases) * height * self.width
        offsets, passes = self._places(height, top, bottom)
        if in_place:
            offsets = offsets + top * self.width
        numbers = (
            groups, self.channels, self.maps, *layer.size, *self.phases, height, self.width,
            in_place, self.shared_rows, self.chunk, self.taps, self.turns, offsets.size,
            len(passes),
            self.maps * plane, plane, self.steps[0] * out_width, self.steps[1],
        )  # fmt: skip
        parts = numbers, rows, self.columns, self.inside, offsets, passes
        tiles = self.chunk // _NARROWEST if self.taps else 0
        sums = BLOCK * (self.chunk + self.slack)
        turned = BLOCK * self.taps if self.turns else 0
        size = sums + self.taps * self.chunk + tiles * APART + turned + laid + self.slack
        return np.concatenate([np.ravel(part) for part in parts]).astype(np.int64), size

    def _places(self, height: int, top: int, bottom: int) -> tuple[Index, Index]:
        """Return the offsets of all taps in a window of so many rows, and the passes."""
        phases_y, phases_x = self.phases
        plane = phases_y * phases_x * height * self.width
        channels = np.arange(self.channels)[:, None, None] * plane
        offsets, passes, done = [], [], 0
        out_height, out_width = self.layer.out_size
        for along_y, along_x in self._passes():
            rows = np.array([p * phases_x * height + at for _, p, at in along_y.taps], np.int64)
            columns = np.array([p * height * self.width + at for _, p, at in along_x.taps])
            taps = (channels + rows[:, None] * self.width + columns).ravel()
            lines = min(ceil_div(out_height - along_y.first, along_y.step), bottom) - top
            pixels = ceil_div(out_width - along_x.first, along_x.step)
            row = along_y.first + top * along_y.step
            place = row * out_width + along_x.first
            offsets.append(taps)
            passes.append((done, taps.size, lines, pixels, place))
            done += taps.size
        return np.concatenate(offsets).astype(np.int64), np.array(passes)

    def _taps_of_passes(self) -> tuple[Index, Index]:
        """Return which taps of a kernel those of all passes are, and the passes, for `lay_out`."""
        taps, passes = list[int](), []
        for along_y, along_x in self._passes():
            here = [
                i * self.layer.kernel[1] + j for i, *_ in along_y.taps for j, *_ in along_x.taps
            ]
            passes.append((len(taps), len(here)))
            taps += here
        if not self.layer.transposed:  # one pass with all taps in their order
            taps = []
        return np.array(taps, np.int64), np.array(passes)


def _axes(layer: Layer, axis: int) -> list[_Axis]:
    """Return the sets of results along an axis: a transposed layer has one for each phase."""
    step, gap = layer.stride[axis], layer.dilation[axis]
    taps = range(layer.kernel[axis])
    if not layer.transposed:
        return [_Axis(0, 1, [(k, k * gap % step, k * gap // step) for k in taps])]
    # Result q * step + phase takes tap k of sample i where i * step + k * gap - before is its
    # place.
    start = _start(layer, axis)
    sets = []
    for phase in range(min(step, layer.out_size[axis])):
        reached = [(k, phase + layer.before[axis] - k * gap) for k in taps]
        here = [(k, 0, at // step - start) for k, at in reached if at % step == 0]
        sets.append(_Axis(phase, step, here))
    return sets


def _start(layer: Layer, axis: int) -> int:
    """Return the position in the input at which the window of the first result begins."""
    if not layer.transposed:
        return -layer.before[axis]
    return (layer.before[axis] - layer.extent[axis] + 1) // layer.stride[axis]
