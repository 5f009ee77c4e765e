"""Patches as the columns of a matrix, block by block, and one matrix product for each block."""

from __future__ import annotations

from itertools import product

import numpy as np

from convcli.banks.contract import Work
from convcli.banks.layer import Layer
from convcli.banks.windows import strip_of
from convcli.types import Floats

# Bytes of the columns of a block: they should stay in the second-level cache until the product
# reads them. All workers together take at most 48 MB, and as much again for BLAS' own copies.
_BLOCK = 1 << 21
_MOST = 24 << 20


def work(layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, workers: int) -> Work:
    """Lay the weights out as rows; see `convcli.banks.contract` for the contract.

    Chellapilla, Puri and Simard 2006 (High performance convolutional neural networks for document
    processing). The whole matrix would be KH * KW times as large as the input; a block of it is
    made at a time. The matrix product is numpy's, which is BLAS'.
    """
    channels, maps = layer.channels // layer.groups, layer.maps // layer.groups
    (kernel_height, kernel_width), (dy, dx) = layer.kernel, layer.dilation
    sy, sx = layer.stride
    height, width = layer.out_size
    taps = channels * kernel_height * kernel_width
    rows = weight.reshape(layer.groups, maps, taps)
    lines, pixels = block(layer, workers)

    def fill(piece: tuple[int, int, int]) -> None:
        image, group, top = piece
        bottom = min(top + lines, height)
        planes = x[image, group * channels : (group + 1) * channels]
        window = strip_of(layer, planes, top, bottom)
        here = slice(group * maps, (group + 1) * maps)
        for left in range(0, width, pixels):
            right = min(left + pixels, width)
            columns = np.empty(
                (channels, kernel_height, kernel_width, bottom - top, right - left), x.dtype
            )
            for i, j in product(range(kernel_height), range(kernel_width)):
                last_y, last_x = (bottom - top - 1) * sy, (right - 1) * sx
                columns[:, i, j] = window[
                    :,
                    i * dy : i * dy + last_y + 1 : sy,
                    left * sx + j * dx : last_x + j * dx + 1 : sx,
                ]
            with np.errstate(all="ignore"):  # infinity and NaN are results like others
                result = rows[group] @ columns.reshape(taps, -1)
            result += bias[here, None]
            out[image, here, top:bottom, left:right] = result.reshape(maps, bottom - top, -1)

    return Work(fill, [
        *product(range(layer.images), range(layer.groups), range(0, height, lines))
    ])  # fmt: skip


def block(layer: Layer, workers: int) -> tuple[int, int]:
    """Return rows and columns of results in a block: some rows, or a part of a long one."""
    size = min(_BLOCK, _MOST // workers)
    taps = layer.channels // layer.groups * layer.kernel[0] * layer.kernel[1]
    width = layer.out_size[1]
    lines = max(1, size // (taps * width * layer.dtype.itemsize))
    return lines, width if lines > 1 else max(16, size // (taps * layer.dtype.itemsize))


def columns_factor(layer: Layer) -> float:
    """Return how many times as large as its input the whole matrix would be."""
    height, width = layer.out_size
    return layer.kernel[0] * layer.kernel[1] * height * width / (layer.size[0] * layer.size[1])
