"""Correlation by FFT: the window is cut into blocks, whose results are added where they overlap."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.loops.contract import Correlate, guarded
from convcli.loops.layout import ceil_div
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels

# Transforms of up to 640 x 640 were fastest here (1.6 MB in float32, 3 MB in float64); kernels
# that are longer than a quarter of that may get transforms of their own size.
_LONGEST = 640

# The cost of a block beyond its transforms (slicing, calls), in the unit of N log2 N:
# 30 microseconds over 0.2 (float32) to 0.35 ns (float64), measured on Zen 5.
_BLOCK = 100_000

# The middle of the range is subtracted from samples that are transformed in float32, which halves
# the error; its share of every sum is added at the end.
_MIDDLE = 128

# How far a float32 sum may be off, as a share of 128 times the kernel's L1 norm, which no sum
# exceeds. A transform of n samples errs by about 0.6 u sqrt(log2 n) of their root mean square,
# u = 2**-24 (Schatzman 1996, Accuracy of the discrete Fourier transform and the fast Fourier
# transform). Two transforms make that sqrt(2), four blocks that overlap twice as much, and
# six standard deviations are passed once in 20 images of 24 megapixels: 2.8e-6 for 2048 x
# 2048. Measured on constants, noise, steps and checkerboards: at most 1.4e-6 in one block.
_ERROR = 4e-6

# In levels, of a result that is not exact; `convcli.planning` allows the direct loops as much.
_MOST_ERROR = 0.002

# Before the first block come the kernel's own transform, in float64, and the first touch of new
# memory: together they cost as much as this many blocks. 2 to 4, measured on Zen 5.
FIRST_BLOCK = 3

MIXING = 2.0**-52
"""Of samples that are floats, which are transformed in float64; see `convcli.loops.contract`."""

Transform = Callable[[Floats, NDArray[Any]], Floats]
"""``transform(piece, spectrum)``: their circular convolution, good until the next call."""


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """Prepare the kernel; see `convcli.loops.contract` for the contract.

    Overlap-add (Stockham 1966; Oppenheim and Schafer, Discrete-Time Signal Processing 8.7.3):
    a block of L samples convolved with a kernel of k gives L + k - 1, which a circular
    transform of length N >= L + k - 1 computes without wrapping; the k - 1 samples that
    stick out at each end are added to the neighbouring blocks' results.

    8-bit samples are transformed in float32 by scipy where that is exact enough
    (`float32_serves`); all others in float64 by numpy, whose float32 transforms are slower.
    """
    kernel_height, kernel_width = weights.shape
    # A transform multiplies to a convolution, and the contract asks for a correlation.
    flipped = weights[::-1, ::-1].astype(np.float64)
    # An axis on which the kernel has one weight needs no transform.
    axes = tuple(axis for axis in (0, 1) if weights.shape[axis] > 1) or (1,)
    small = weights.dtype == np.float32 and float32_serves(weights, divisor)
    step = _step(weights) if _has_exact_sums(weights) else 0.0
    spectra: dict[tuple[tuple[int, int], str], NDArray[Any]] = {}

    def spectrum(lengths: tuple[int, int], dtype: str) -> NDArray[Any]:
        """Transform the kernel, once for each block size (windows at the edge are smaller)."""
        if (lengths, dtype) not in spectra:
            values = np.fft.rfftn(flipped, [lengths[a] for a in axes], axes)
            spectra[lengths, dtype] = values.astype(dtype)
        return spectra[lengths, dtype]

    def correlate(window: Pixels, out: Pixels) -> None:
        lengths = block_lengths((kernel_height, kernel_width), (window.shape[0], window.shape[1]))
        if small and window.dtype == np.uint8 and _scipy_fft() is not None:
            transform, kernel = _by_scipy(lengths, axes), spectrum(lengths, "complex64")
            middle = _MIDDLE
        else:
            transform, kernel = _by_numpy(lengths, axes), spectrum(lengths, "complex128")
            middle = 0
        dtype: type[np.floating[Any]] = np.float32 if middle else np.float64
        block_height = lengths[0] - kernel_height + 1
        block_width = lengths[1] - kernel_width + 1
        height, width, channels = out.shape
        # These buffers serve every block: fresh pages cost more than the sums in them. `total`
        # has the sums of one column of blocks.
        piece, total = np.zeros(lengths, dtype), np.empty((height, lengths[1]), dtype)
        for channel in range(channels):
            total[:] = 0
            for left in range(0, window.shape[1], block_width):
                for top in range(0, window.shape[0], block_height):
                    block = window[top : top + block_height, left : left + block_width, channel]
                    np.subtract(block, dtype(middle), out=piece[: block.shape[0], : block.shape[1]])
                    piece[block.shape[0] :] = 0
                    piece[:, block.shape[1] :] = 0
                    # In the convolution of the whole window, the first valid sample is the
                    # one at kernel length - 1.
                    y = top - (kernel_height - 1)
                    first, last = max(y, 0), min(y + lengths[0], height)
                    total[first:last] += transform(piece, kernel)[first - y : last - y]
                x = left - (kernel_width - 1)
                first, last = max(x, 0), min(x + block_width, width)
                if first < last:
                    done = total[:, first - x : last - x]
                    if middle:
                        _snap(done, step)
                        done += middle * flipped.sum().item()
                    store(done, out[:, first:last, channel], divisor)
                # The overlap on the right is where the next column of blocks begins.
                total[:, : kernel_width - 1] = total[:, block_width:]
                total[:, kernel_width - 1 :] = 0

    return guarded(correlate, weights)


def _by_numpy(lengths: tuple[int, int], axes: tuple[int, ...]) -> Transform:
    """Convolve in float64."""
    result = np.empty(lengths)
    half = [n // 2 + 1 if axis == axes[-1] else n for axis, n in enumerate(lengths)]
    product = np.empty(half, np.complex128)

    def transform(piece: Floats, spectrum: NDArray[Any]) -> Floats:
        np.fft.rfftn(piece, axes=axes, out=product)
        np.multiply(product, spectrum, out=product)
        for axis in axes[:-1]:
            np.fft.ifft(product, axis=axis, out=product)
        return np.fft.irfft(product, lengths[axes[-1]], axes[-1], out=result)

    return transform


def _by_scipy(lengths: tuple[int, int], axes: tuple[int, ...]) -> Transform:
    """Convolve in float32: 1.5 to 2 times as fast as numpy's float64."""
    fft = _scipy_fft()

    def transform(piece: Floats, spectrum: NDArray[Any]) -> Floats:
        product = fft.rfftn(piece, axes=axes)
        product *= spectrum
        result: Floats = fft.irfftn(product, [lengths[a] for a in axes], axes, overwrite_x=True)
        return result

    return transform


@cache
def _scipy_fft() -> Any:
    """Import scipy's transforms when they are first needed; None if that is not possible."""
    try:
        import scipy.fft
    except Exception:  # a package that is broken may raise what it likes
        return None
    return scipy.fft


def float32_serves(weights: Floats, divisor: float = 1.0) -> bool:
    """Say whether float32 transforms of 8-bit samples are exact enough.

    Results may be off by 0.002 of a level at most, by a sixth of that usually, which changes
    the rounding of one pixel in a thousand. Where the direct loops' float32 sums are exact
    (`convcli.kernels.kernel.whole_numbers`), a sum half way between two levels must be exact here
    too: all sums are then multiples of one step, and rounding to the nearest multiple removes any
    error of less than half a step.
    """
    most = _ERROR * _MIDDLE * float(np.abs(weights).sum(dtype=float))
    if _has_exact_sums(weights):
        return most < _step(weights) / 2
    return most <= _MOST_ERROR * divisor


def _has_exact_sums(weights: Floats) -> bool:
    """Whether any sum of weights times 8-bit samples is exact in float32, in any order."""
    return 255 * float(np.abs(weights).sum(dtype=float)) <= 2**24 * _step(weights)


def _step(weights: Floats) -> float:
    """Return the largest power of two that all weights, taken as float32, are multiples of."""
    if not weights.any():
        return 1.0
    fractions, exponents = np.frexp(weights[weights != 0].astype(np.float32))
    whole = np.ldexp(fractions, 24).astype(np.int64)
    lowest_bits = (whole & -whole).astype(np.float64)
    return float(np.ldexp(lowest_bits, exponents - 24).min())


def _snap(total: Floats, step: float) -> None:
    """Round to multiples of the step, unless it is 0."""
    if step:
        total /= step
        np.rint(total, out=total)
        total *= step


@lru_cache(maxsize=256)
def block_lengths(kernel: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """Choose the lengths of the transforms, (along y, along x), by what they cost.

    A transform of N = Ny * Nx samples costs about N (log2 N + 1), and handling a block as
    much as a few thousand of its samples. A window needs ceil(window / (N - k + 1)) blocks
    on each axis. Longer blocks waste less on the overlap, but more on the logarithm, on the
    last block, on the start before the first one, and on the cache.
    """
    best, lengths = float("inf"), (0, 0)
    for along_y in _candidates(kernel[0], window[0]):
        blocks_y = ceil_div(window[0], along_y - kernel[0] + 1)
        for along_x in _candidates(kernel[1], window[1]):
            blocks_x = ceil_div(window[1], along_x - kernel[1] + 1)
            size = along_y * along_x
            cost = (blocks_y * blocks_x + FIRST_BLOCK) * (size * (math.log2(size) + 1) + _BLOCK)
            if cost < best:
                best, lengths = cost, (along_y, along_x)
    return lengths


def _candidates(kernel: int, window: int) -> list[int]:
    """Transform lengths worth trying on one axis."""
    if kernel == 1:
        return [min(window, _LONGEST)]
    whole = fast_length(window + kernel - 1)
    longest = min(whole, max(_LONGEST, fast_length(4 * kernel)))
    lengths = {fast_length(kernel + 1), *(n for n in _fast_lengths(longest) if n > kernel)}
    # Of those that need the same number of blocks, the shortest.
    by_blocks = {ceil_div(window, n - kernel + 1): n for n in sorted(lengths, reverse=True)}
    return list(by_blocks.values())


def fast_length(least: int) -> int:
    """Return the smallest 2^a 3^b 5^c that is at least this: lengths that FFTs are fast at."""
    limit = 1 << max(least - 1, 1).bit_length()
    return next(n for n in _fast_lengths(limit) if n >= least)


@lru_cache(maxsize=64)
def _fast_lengths(limit: int) -> list[int]:
    numbers = {1}
    for prime in (2, 3, 5):
        for number in sorted(numbers):
            while (number := number * prime) <= limit:
                numbers.add(number)
    return sorted(numbers)
