"""The contract of the inner loops, and the table that names them.

A loop module has a function ``correlator(weights, divisor)``, which prepares what depends on
the kernel alone and returns ``correlate(window, out)``::

    out[y, x, c] = sum_ij weights[i, j] * window[y + i, x + j, c] / divisor

window
    ``(h + kh - 1, w + kw - 1, C)``, C-contiguous, of any dtype that an image has.
weights
    ``(kh, kw)``, float32 or float64. Their dtype is the one that the sum is kept in.
out
    ``(h, w, C)``, C-contiguous. Floats take the sum as it is; integers take it rounded
    half to even and clipped, once.

Some more functions are optional:

``gaussian_blurrer(decimations, accumulator)``
    Wide Gaussians of 8-bit images on a coarser grid, in the three steps of a `Blur`.
``magnitude_correlator(along_x, along_y, divisor, any_size)``
    Edges in one pass: the root of the sum of squares of two separable kernels of one shape. With
    `any_size` the squares may leave the range of the sums' dtype, as those of float images do.
``separable_correlator(column, row, divisor)``
    Both passes of a separable kernel at once. Loops without it use `two_pass`.

``parted(window, dtype)`` and ``divided(total, weights, whole)``
    What numpy does in `convcli.running.normalised` before and after the sums of a window with
    missing samples. The first returns the samples with 0 in place of NaN, and a weight for each, 0
    for NaN and else 1, both of the dtype of the sums, and whether all are finite. The second
    multiplies a total by whole / weights, in place, and returns whether some weights are 0.

The correlators may multiply samples by 0, so those two get windows of finite samples alone.

``MIXING`` is how large the rounding of a sum is, as a share of the largest sample, where it depends
on samples that the kernel does not reach: then it is not 0 where all samples under the kernel are.

``kernel_shape`` names the only shape of kernels that a loop takes, if there is one; its
`correlator` refuses others.

So a loop is a pure "valid" correlation. It knows no border, colour, file, flip or progress,
and may run on any piece of an image, in any thread or process.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import numpy as np

from convcli.loops.decimation import Decimations
from convcli.pixels.borders import Index
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels

Correlate = Callable[[Pixels, Pixels], None]
Factors = tuple[Floats, Floats]
"""A column ``(kh, 1)`` and a row ``(1, kw)``."""


Thin = Callable[[Pixels, Index, Floats, int], None]
"""The first step of a `Blur`."""


class Blur(NamedTuple):
    """A wide Gaussian on a coarser grid, in three steps.

    Attributes
    ----------
    thinner : callable
        ``thinner(weights, step)`` prepares what `thin` does, with any weights and step.
    thin : callable
        ``thin(image, lines, rows, left)``: along y onto the grid. `lines` are the rows of the image
        that make up the window, halo and border included; the halo above is one step of the grid
        longer than what the first point needs. Rows of the image may lie apart. `rows` gets the
        grid's, from the column `left` on; it has a multiple of `convcli.loops.layout.ROWS`, of
        which the last ones may need more lines than there are, and then get anything.
    across : callable
        ``across(rows, skip, width)``: along x onto the grid and back, in place. The first point of
        the grid needs `rows` from the column `skip` on; the result has so many columns.
    back : callable
        ``back(rows, left, out)``: along y from the grid back to each row of `out`, from the column
        `left` on.
    """

    thinner: Callable[[Floats, int], Thin]
    thin: Thin
    across: Callable[[Floats, int, int], None]
    back: Callable[[Floats, int, Pixels], None]


class Loop(NamedTuple):
    """What a loop module offers."""

    correlator: Callable[[Floats, float], Correlate]
    separable_correlator: Callable[[Floats, Floats, float], Correlate]
    by_passes: Callable[[Floats, Floats, float], Correlate]
    gaussian_blurrer: Callable[[Decimations, np.dtype[np.floating]], Blur] | None
    magnitude_correlator: Callable[[Factors, Factors, float, bool], Correlate] | None
    parted: Callable[[Floats, np.dtype[np.floating]], tuple[Floats, Floats, bool]] | None
    divided: Callable[[Floats, Floats, float], bool] | None
    kernel_shape: tuple[int, int] | None
    mixing: float


LOOPS = {
    "definition": "four nested Python loops: what every other loop must equal",
    "direct_numpy": "sums of shifted slices",
    "direct_numba": "compiled loops, several taps and rows a sweep",
    "overlap_add": "FFT blocks, added where they overlap",
    "dot": "a numpy dot product a pixel",
    "windows": "a strided view of every window, and one contraction",
    "im2col": "patches as the columns of a matrix, and one matrix product",
    "fft_whole": "one FFT of the whole window",
    "winograd": "Winograd's F(2x2, 3x3): 4 multiplications a pixel instead of 9",
    "winograd_4x4": "Winograd's F(4x4, 3x3): 2.25 multiplications a pixel instead of 9",
}
"""The name of each loop's module, and what it does. A loop that is listed here is tested.

No plan takes those from `dot` on: they are the textbook algorithms, and ``convcli bench`` times
them.
"""


def load(name: str) -> Loop:
    """Import a loop, when it is first needed."""
    module = import_module(f"convcli.loops.{name}")

    def by_passes(column: Floats, row: Floats, divisor: float) -> Correlate:
        passes = module.correlator(column, 1.0), module.correlator(row, divisor)
        return two_pass(*passes, row.size, column.dtype)

    return Loop(
        module.correlator,
        getattr(module, "separable_correlator", by_passes),
        by_passes,
        getattr(module, "gaussian_blurrer", None),
        getattr(module, "magnitude_correlator", None),
        getattr(module, "parted", None),
        getattr(module, "divided", None),
        getattr(module, "kernel_shape", None),
        getattr(module, "MIXING", 0.0),
    )


def guarded(correlate: Correlate, weights: Floats) -> Correlate:
    """Keep NaN and infinity out of sums that mix pixels, or multiply by weights of 0.

    There they would spread to pixels that the kernel does not reach. The other samples are
    filtered with zeros in their place; then each is added where the definition adds it.
    """

    def apart(window: Pixels, out: Pixels) -> None:
        if window.dtype.kind != "f":
            correlate(window, out)
            return
        finite = np.isfinite(window)
        if finite.all():
            correlate(window, out)
            return
        total = np.empty(out.shape, weights.dtype)
        correlate(np.where(finite, window, 0), total)
        _add(np.where(finite, 0, window), weights, total)
        store(total, out)

    return apart


def _add(samples: Pixels, weights: Floats, total: Floats) -> None:
    """Add samples that are not finite, zeros elsewhere, to the sums that take them in."""
    height, width, channels = total.shape
    above, beside = weights.shape[0] - 1, weights.shape[1] - 1
    # NaN, infinity and its negative reach these sums.
    found = np.zeros((3, height + 2 * above, width + 2 * beside, channels), bool)
    kinds = np.isnan(samples), samples == np.inf, samples == -np.inf
    places, taps = np.argwhere(samples), np.argwhere(weights)
    if len(places) < len(taps):
        flipped = weights[::-1, ::-1]
        reached = np.stack([flipped != 0, flipped > 0, flipped < 0])
        for y, x, channel in places.tolist():
            part = found[:, y : y + above + 1, x : x + beside + 1, channel]
            if np.isnan(samples[y, x, channel]):
                part[0] |= reached[0]
            else:
                part[1:] |= reached[1:] if samples[y, x, channel] > 0 else reached[:0:-1]
    else:
        inside = found[:, above : above + height, beside : beside + width]
        for i, j in taps.tolist():
            nan, up, down = (kind[i : i + height, j : j + width] for kind in kinds)
            inside[0] |= nan
            inside[1] |= up if weights[i, j] > 0 else down
            inside[2] |= down if weights[i, j] > 0 else up
    nan, up, down = found[:, above : above + height, beside : beside + width]
    total[up] += np.inf
    total[down] -= np.inf
    total[nan] = np.nan


def two_pass(
    along_y: Correlate, along_x: Correlate, width: int, accumulator: np.dtype[np.generic]
) -> Correlate:
    """Filter columns, then rows: the first pass removes the halo above and below."""

    def correlate(window: Pixels, out: Pixels) -> None:
        height, run, channels = out.shape
        between = np.empty((height, run + width - 1, channels), accumulator)
        along_y(window, between)
        along_x(between, out)

    return correlate


def magnitude(_centre: Pixels, along_x: Floats, along_y: Floats) -> Floats:
    """Combine two derivatives; some loops do this in the same pass as the sums."""
    along_x *= along_x
    along_y *= along_y
    along_x += along_y
    return np.sqrt(along_x, out=along_x)


def magnitude_of_any_size(_centre: Pixels, along_x: Floats, along_y: Floats) -> Floats:
    """Combine two derivatives whose squares may be too large or too small for their dtype.

    numpy's hypot takes care of both, but 10 times as long as a root: it gets those alone.
    """
    limits = np.finfo(along_x.dtype)
    total = along_x * along_x
    total += along_y * along_y
    least, most = limits.tiny / limits.eps, limits.max
    off = (total < least) & ((along_x != 0) | (along_y != 0))
    off |= (total > most) & np.isfinite(along_x) & np.isfinite(along_y)
    np.sqrt(total, out=total)
    if off.any():
        total[off] = np.hypot(along_x[off], along_y[off])
    return total
