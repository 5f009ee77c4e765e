"""Seven nested loops: what a convolution layer means, and the oracle of the other methods."""

from __future__ import annotations

from convcli.banks.contract import Work
from convcli.banks.layer import Layer
from convcli.types import Floats


def work(layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, _workers: int) -> Work:
    """Do it all in one piece; see `convcli.banks.contract` for the contract."""
    fill = _spread if layer.transposed else _convolve
    return Work(lambda _piece: fill(layer, x, weight, bias, out), [None])


def _convolve(layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats) -> None:
    """Add each product of a weight and a sample to the result, one at a time."""
    channels = layer.channels // layer.groups
    maps = layer.maps // layer.groups
    height, width = layer.out_size
    rows = layer.index(0, -layer.before[0], layer.size[0] + layer.before[0] + layer.after[0])
    columns = layer.index(1, -layer.before[1], layer.size[1] + layer.before[1] + layer.after[1])
    out[...] = bias[:, None, None]
    for n in range(layer.images):
        for m in range(layer.maps):
            for y in range(height):
                for x_ in range(width):
                    for c in range(channels):
                        for i in range(layer.kernel[0]):
                            for j in range(layer.kernel[1]):
                                row = rows[y * layer.stride[0] + i * layer.dilation[0]]
                                column = columns[x_ * layer.stride[1] + j * layer.dilation[1]]
                                inside = row >= 0 and column >= 0
                                sample = x[n, m // maps * channels + c, row, column]
                                out[n, m, y, x_] += weight[m, c, i, j] * (sample if inside else 0)


def _spread(layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats) -> None:
    """Add each sample times each weight to its place in the result: the transposed convolution."""
    channels = layer.channels // layer.groups
    maps = layer.maps // layer.groups
    height, width = layer.out_size
    out[...] = bias[:, None, None]
    for n in range(layer.images):
        for c in range(layer.channels):
            for y in range(layer.size[0]):
                for x_ in range(layer.size[1]):
                    for m in range(maps):
                        for i in range(layer.kernel[0]):
                            for j in range(layer.kernel[1]):
                                row = y * layer.stride[0] + i * layer.dilation[0] - layer.before[0]
                                column = (
                                    x_ * layer.stride[1] + j * layer.dilation[1] - layer.before[1]
                                )
                                if 0 <= row < height and 0 <= column < width:
                                    out[n, c // channels * maps + m, row, column] += (
                                        weight[c, m, i, j] * x[n, c, y, x_]
                                    )
