"""Products of spectra, added over the channels: for kernels that are large."""

from __future__ import annotations

from itertools import product

import numpy as np

from convcli.banks import direct
from convcli.banks.arrays import are_finite
from convcli.banks.contract import Work
from convcli.banks.layer import Layer
from convcli.banks.windows import padded
from convcli.loops.layout import ceil_div
from convcli.types import Floats

# Blocks are at least so long, and at least twice as long as the kernel: then at most three quarters
# of a block overlap the next ones.
_SHORTEST = 32


def block(layer: Layer) -> tuple[int, int]:
    """Return rows and columns of a block: powers of two, no longer than the input needs."""
    lengths = []
    for axis in (0, 1):
        extent = layer.extent[axis]
        whole = layer.size[axis] + layer.before[axis] + layer.after[axis]
        wanted = max(_SHORTEST, 2 * extent) if whole > 2 * extent else whole
        lengths.append(1 << (wanted - 1).bit_length())
    return lengths[0], lengths[1]


def work(layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, workers: int) -> Work:
    """Transform the kernels; see `convcli.banks.contract` for the contract.

    Overlap-save (Oppenheim and Schafer, Discrete-Time Signal Processing 8.7.3). Mathieu, Henaff and
    LeCun 2014 (Fast training of convolutional networks through FFTs): each block of each channel is
    transformed once for all maps. A stride computes every result and keeps one in so many.
    """
    if not are_finite(x):  # a sample that is not would reach all results of its block
        return direct.work(layer, x, weight, bias, out, workers)
    channels, maps = layer.channels // layer.groups, layer.maps // layer.groups
    lengths = block(layer)
    spread = np.zeros((layer.maps, channels, *layer.extent), layer.dtype)
    spread[:, :, :: layer.dilation[0], :: layer.dilation[1]] = weight
    # A product with the conjugate is a correlation.
    kernels = np.conj(np.fft.rfft2(spread, lengths)).reshape(layer.maps, channels, -1)
    kernels = np.ascontiguousarray(kernels.transpose(2, 0, 1))
    valid = [length - extent + 1 for length, extent in zip(lengths, layer.extent, strict=True)]
    (height, width), (sy, sx) = layer.out_size, layer.stride
    lines, pixels = ceil_div(valid[0], sy), ceil_div(valid[1], sx)

    def fill(piece: tuple[int, int, int]) -> None:
        image, group, top = piece
        here = slice(group * maps, (group + 1) * maps)
        planes = x[image, group * channels : (group + 1) * channels]
        lefts = range(0, width, pixels)
        blocks = np.stack([
            padded(
                layer, planes, top * sy - layer.before[0], lengths[0],
                left * sx - layer.before[1], lengths[1],
            )
            for left in lefts
        ])  # fmt: skip
        with np.errstate(all="ignore"):
            spectra = np.fft.rfft2(blocks).reshape(len(lefts), channels, -1)
            products = kernels[:, here] @ spectra.transpose(2, 1, 0)
            shape = len(lefts), maps, lengths[0], lengths[1] // 2 + 1
            results = np.fft.irfft2(products.transpose(2, 1, 0).reshape(shape), lengths)
        bottom = min(top + lines, height)
        for result, left in zip(results, lefts, strict=True):
            right = min(left + pixels, width)
            kept = result[:, : (bottom - top) * sy : sy, : (right - left) * sx : sx]
            out[image, here, top:bottom, left:right] = kept + bias[here, None, None]

    return Work(fill, [
        *product(range(layer.images), range(layer.groups), range(0, height, lines))
    ])  # fmt: skip
