"""Winograd's minimal filtering of 3x3 kernels, with a matrix product over the channels."""

from __future__ import annotations

from itertools import product

import numpy as np

from convcli.banks.contract import Work
from convcli.banks.layer import Layer
from convcli.banks.windows import padded
from convcli.errors import ConvcliError
from convcli.loops.layout import ceil_div
from convcli.loops.winograd import F2, Tile, on_both_axes
from convcli.types import Floats

# Bytes of the transformed samples of a piece, which should stay in the second-level cache.
_BLOCK = 1 << 20


def serves(layer: Layer) -> bool:
    """Say whether a layer has the only kernel that the algorithm is for."""
    plain = layer.stride == layer.dilation == (1, 1)
    return plain and layer.kernel == (3, 3) and not layer.transposed


def work(
    layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, _workers: int,
    tile: Tile = F2,
) -> Work:  # fmt: skip
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
    channels, maps, m = layer.channels // layer.groups, layer.maps // layer.groups, tile.results
    # On both axes at once, as one matrix product: 9 weights become (m + 2)^2.
    both = np.kron(tile.kernel, tile.kernel)
    kernels = both @ weight.astype(np.float64).reshape(-1, 9).T
    kernels = kernels.astype(layer.dtype).reshape(m + 2, m + 2, layer.maps, channels)
    height, width = layer.out_size
    across = ceil_div(width, m)
    row = (m + 2) ** 2 * channels * across * layer.dtype.itemsize
    lines = max(1, _BLOCK // row) * m

    def fill(piece: tuple[int, int, int]) -> None:
        image, group, top = piece
        down = ceil_div(min(lines, height - top), m)
        window = padded(
            layer, x[image, group * channels : (group + 1) * channels], top - layer.before[0],
            down * m + 2, -layer.before[1], across * m + 2,
        )  # fmt: skip
        places = range(m + 2)
        planes = [
            [
                window[:, i : i + down * m : m, j : j + across * m : m].reshape(channels, -1)
                for j in places
            ]
            for i in places
        ]
        here = slice(group * maps, (group + 1) * maps)
        with np.errstate(all="ignore"):
            data = on_both_axes(tile.data, planes)
            products = [[kernels[i, j, here] @ data[i][j] for j in places] for i in places]
            results = on_both_axes(tile.sums, products)
        total = np.empty((maps, down * m, across * m), layer.dtype)
        for i, line in enumerate(results):
            for j, plane in enumerate(line):
                total[:, i::m, j::m] = plane.reshape(maps, down, across)
        bottom = min(top + lines, height)
        out[image, here, top:bottom] = total[:, : bottom - top, :width] + bias[here, None, None]

    return Work(fill, [
        *product(range(layer.images), range(layer.groups), range(0, height, lines))
    ])  # fmt: skip
