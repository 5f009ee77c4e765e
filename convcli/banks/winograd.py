"""Winograd's minimal filtering of 3x3 kernels: fewer multiplications, summed over the channels."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from convcli.banks import direct
from convcli.banks.arrays import are_finite
from convcli.banks.contract import Work
from convcli.banks.layer import Layer
from convcli.banks.windows import aligned, columns_of
from convcli.errors import ConvcliError
from convcli.loops.compiled.machine_code import function
from convcli.loops.layout import APART, BLOCK, SLACK, ceil_div
from convcli.pixels.borders import Index
from convcli.types import Floats

_kernels, _winograd = function("winograd_kernels"), function("winograd")

# Bytes of the transformed samples of a chunk, which should stay in the second-level cache, and of a
# window, which is read once. A chunk is a multiple of the 12, 24 or 48 samples of a tile of
# registers.
_CHUNK = 1 << 20
_WINDOW = 1 << 22
_TILE = 48


RESULTS = {"winograd": 2, "winograd_4x4": 4}
"""Rows and columns of results of a tile, by method."""


def fits_cache(layer: Layer, m: int) -> bool:
    """Say whether the transformed samples of the smallest chunk stay in the cache."""
    channels = layer.channels // layer.groups
    return (m + 2) ** 2 * channels * _TILE * layer.dtype.itemsize <= _CHUNK


def serves(layer: Layer) -> bool:
    """Say whether a layer has the only kernel that the algorithm is for."""
    plain = layer.stride == layer.dilation == (1, 1)
    return plain and layer.kernel == (3, 3) and not layer.transposed


def work(
    layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, workers: int, m: int = 2
) -> Work:
    """Transform the kernels; see `convcli.banks.contract` for the contract.

    Lavin and Gray 2015, Fast algorithms for convolutional neural networks (arXiv:1509.09308): the
    products of a tile are added over the channels before they are transformed back, so that each of
    the (m + 2)^2 places is one matrix product of weights and tiles.

    Raises
    ------
    ConvcliError
        If the kernel is not 3 x 3, or has a stride or a dilation.
    """
    if not serves(layer):
        raise ConvcliError(
            f"winograd needs 3 x 3 kernels with stride 1 and dilation 1, not kernels of "
            f"{layer.kernel[0]} x {layer.kernel[1]} with stride {layer.stride} and dilation "
            f"{layer.dilation}"
        )
    if not are_finite(x):  # a sample that is not would reach all results of its tiles
        return direct.work(layer, x, weight, bias, out, workers)
    channels, maps = layer.channels // layer.groups, layer.maps // layer.groups
    height, width = layer.out_size
    row = channels * m * m * (ceil_div(width, m) + 1) * layer.dtype.itemsize
    lines = max(1, min(_WINDOW // row - 1, ceil_div(ceil_div(height, m), workers)))
    kernels = _transformed(layer, weight, m)

    def fill(piece: tuple[int, int, int]) -> None:
        image, group, top = piece
        table, size = _table(layer, m, lines, top)
        scratch = aligned(size, layer.dtype)
        scratch[size - SLACK // layer.dtype.itemsize :] = 0
        here = slice(group * maps, (group + 1) * maps)
        _winograd(
            x[image, group * channels : (group + 1) * channels].reshape(-1), table, kernels[group],
            bias[here], scratch, out[image, here].reshape(-1)[top * width :],
        )  # fmt: skip

    return Work(fill, [
        *product(range(layer.images), range(layer.groups), range(0, height, lines * m))
    ])  # fmt: skip


@lru_cache(maxsize=256)  # a network has the same layers for every image
def _table(layer: Layer, m: int, lines: int, top: int) -> tuple[Index, int]:
    """Return what the loop needs to know for a strip of `lines` tiles, and its scratch's size."""
    channels, maps, places = (
        layer.channels // layer.groups,
        layer.maps // layer.groups,
        (m + 2) ** 2,
    )
    height, width = layer.out_size
    results = min(lines * m, height - top)
    down, across = ceil_div(results, m), ceil_div(width, m)
    pitch = across + 1
    chunk = max(1, _CHUNK // (places * channels * layer.dtype.itemsize * _TILE)) * _TILE
    chunk = min(chunk, ceil_div(lines * pitch, _TILE) * _TILE)
    columns, inside = columns_of(layer, -layer.before[1], m, pitch)
    steps = np.arange(m + 2)
    phases = (steps % m * m)[:, None] + steps % m
    samples = phases * (down + 1) * pitch + (steps // m * pitch)[:, None] + steps // m
    numbers = (
        1, channels, maps, *layer.size, m, m, down + 1, pitch, 0, down, across, results, width,
        chunk, maps * height * width, height * width, m * width, 1,
    )  # fmt: skip
    parts = (
        numbers, layer.index(0, top - layer.before[0], (down + 1) * m), columns, inside, samples,
        np.arange(places) * (BLOCK * chunk + APART), np.arange(channels) * chunk,
    )  # fmt: skip
    slack = SLACK // layer.dtype.itemsize
    data, sums = places * (channels * chunk + APART), places * (BLOCK * chunk + APART) + slack
    window = channels * m * m * (down + 1) * pitch + slack
    size = data + sums + m * (m * chunk + APART) + window
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.int64), size


def _transformed(layer: Layer, weight: Floats, m: int) -> Floats:
    """Return the transformed kernels of each group, as the loop reads them."""
    channels, maps = layer.channels // layer.groups, layer.maps // layer.groups
    row = channels * BLOCK
    size = (m + 2) ** 2 * (ceil_div(maps, BLOCK) * row + APART)
    slack = SLACK // layer.dtype.itemsize
    kernels = np.empty(layer.groups * size + slack, layer.dtype)
    _kernels(
        weight.reshape(-1), layer.groups, maps, channels, m,
        np.empty(9 * row + SLACK, layer.dtype),
        np.empty(9 * (row + APART) + slack, layer.dtype), np.arange(9) * (row + APART), kernels,
    )  # fmt: skip
    return kernels[: layer.groups * size].reshape(layer.groups, size)
