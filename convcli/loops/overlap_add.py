"""Correlation by FFT: the window is cut into blocks, whose results are added where they overlap."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from convcli.loops import Correlate, direct_numpy
from convcli.rounding import store
from convcli.types import Floats, Pixels

# Transforms of up to 512 x 512 complex128 (4 MB) were fastest here; kernels that are longer
# than half of that get transforms of their own size.
_LONGEST = 512

# What a block costs beyond its transforms (slicing, the calls), in the unit of N log2 N:
# 30 microseconds over 0.4 ns, measured on Zen 5.
_BLOCK = 75_000


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Prepare the kernel; see `convcli.loops` for the contract.

    Overlap-add (Stockham 1966; Oppenheim and Schafer, Discrete-Time Signal Processing 8.7.3):
    a block of L samples convolved with a kernel of k gives L + k - 1, which a circular
    transform of length N >= L + k - 1 computes without wrapping; the k - 1 samples that
    stick out at each end are added to the neighbouring blocks' results.

    Transforms are float64, because numpy's are slower in float32.
    """
    kernel_height, kernel_width = weights.shape
    # A transform multiplies to a convolution, and the contract asks for a correlation.
    flipped = weights[::-1, ::-1].astype(np.float64)
    # An axis on which the kernel has one weight needs no transform.
    axes = tuple(axis for axis in (0, 1) if weights.shape[axis] > 1) or (1,)
    batch_axes = tuple(axis + 1 for axis in axes)
    spectra: dict[tuple[int, int], NDArray[np.complex128]] = {}

    def spectrum(lengths: tuple[int, int]) -> NDArray[np.complex128]:
        """Transform the kernel, once for each block size (windows at the edge are smaller)."""
        if lengths not in spectra:
            spectra[lengths] = np.fft.rfftn(flipped, [lengths[a] for a in axes], axes)
        return spectra[lengths]

    def correlate(window: Pixels, out: Pixels) -> None:
        if window.dtype.kind == "f" and not np.isfinite(window).all():
            # A transform would spread a NaN over its whole block; a sum does not.
            direct_numpy.correlator(weights, divisor)(window, out)
            return
        lengths = block_lengths((kernel_height, kernel_width), (window.shape[0], window.shape[1]))
        block_height = lengths[0] - kernel_height + 1
        block_width = lengths[1] - kernel_width + 1
        height, width, channels = out.shape
        # Channels go first, so that the transformed axes are contiguous in memory.
        total = np.zeros((channels, height, width))
        for top in range(0, window.shape[0], block_height):
            for left in range(0, window.shape[1], block_width):
                block = window[top : top + block_height, left : left + block_width]
                piece = _padded(block, lengths)
                product = np.fft.rfftn(piece, axes=batch_axes)
                product *= spectrum(lengths)
                piece = np.fft.irfftn(product, [lengths[a] for a in axes], batch_axes)
                # In the convolution of the whole window, the first valid sample is the one
                # at kernel length - 1.
                y, x = top - (kernel_height - 1), left - (kernel_width - 1)
                first_y, last_y = max(y, 0), min(y + lengths[0], height)
                first_x, last_x = max(x, 0), min(x + lengths[1], width)
                total[:, first_y:last_y, first_x:last_x] += piece[
                    :, first_y - y : last_y - y, first_x - x : last_x - x
                ]
        store(total.transpose(1, 2, 0), out, divisor)

    return correlate


def _padded(block: Pixels, lengths: tuple[int, int]) -> NDArray[np.float64]:
    """Return the block as float64, channels first, with zeros up to the transform's lengths."""
    padded = np.zeros((block.shape[2], *lengths))
    padded[:, : block.shape[0], : block.shape[1]] = block.transpose(2, 0, 1)
    return padded


@cache
def block_lengths(kernel: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """Choose the lengths of the transforms, (along y, along x), by what they cost.

    A transform of N = Ny * Nx samples costs about N (log2 N + 1), and handling a block as
    much as a few thousand of its samples. A window needs ceil(window / (N - k + 1)) blocks
    on each axis. Longer blocks waste less on the overlap, but more on the logarithm, on the
    last block, and on the cache.
    """
    best, lengths = float("inf"), (0, 0)
    for along_y in _candidates(kernel[0], window[0]):
        blocks_y = -(-window[0] // (along_y - kernel[0] + 1))
        for along_x in _candidates(kernel[1], window[1]):
            blocks_x = -(-window[1] // (along_x - kernel[1] + 1))
            size = along_y * along_x
            cost = blocks_y * blocks_x * (size * (np.log2(size) + 1) + _BLOCK)
            if cost < best:
                best, lengths = cost, (along_y, along_x)
    return lengths


def _candidates(kernel: int, window: int) -> list[int]:
    """Transform lengths worth trying on one axis."""
    if kernel == 1:
        return [min(window, _LONGEST)]
    whole = fast_length(window + kernel - 1)
    longest = min(whole, max(_LONGEST, fast_length(2 * kernel)))
    return sorted({fast_length(kernel + 1), *(n for n in _fast_lengths(longest) if n > kernel)})


def fast_length(least: int) -> int:
    """Return the smallest 2^a 3^b 5^c that is at least this: lengths that FFTs are fast at."""
    limit = 1 << max(least - 1, 1).bit_length()
    return next(n for n in _fast_lengths(limit) if n >= least)


@cache
def _fast_lengths(limit: int) -> list[int]:
    numbers = {1}
    for prime in (2, 3, 5):
        for number in sorted(numbers):
            while (number := number * prime) <= limit:
                numbers.add(number)
    return sorted(numbers)
