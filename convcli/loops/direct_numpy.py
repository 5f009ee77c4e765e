"""Direct correlation as a sum of shifted slices, one numpy operation a tap."""

from __future__ import annotations

import numpy as np

from convcli.loops.contract import Blur, Correlate, Thin
from convcli.loops.decimation import Decimation, Decimations
from convcli.pixels.borders import Index
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels

# Terms that are summed before their sum is added to the total. Equal terms, as a disc has them in
# an even part of an image, round to the same side again and again: 5,025 of them were off by 6e-5
# of their sum in float32, and by 3e-6 when summed in such blocks.
_BLOCK = 32


def correlator(weights: Floats, divisor: float = 1.0) -> Correlate:
    """List the weights that are not 0; see `convcli.loops.contract` for the contract."""
    rows, columns = np.nonzero(weights)
    taps = list(zip(rows.tolist(), columns.tolist(), weights[rows, columns], strict=True))

    def correlate(window: Pixels, out: Pixels) -> None:
        height, width, channels = out.shape
        # Channels are interleaved, so a row is one run of W * C samples and the next
        # pixel lies C samples on: the channels need no loop of their own.
        samples = window.astype(weights.dtype, copy=False).reshape(window.shape[0], -1)
        run = width * channels
        total = np.zeros((height, run), weights.dtype)
        term = np.empty_like(total)
        for first in range(0, len(taps), _BLOCK):
            part = np.zeros_like(total) if first else total
            for i, j, weight in taps[first : first + _BLOCK]:
                shifted = samples[i : i + height, j * channels : j * channels + run]
                np.multiply(shifted, weight, out=term)
                part += term
            if first:
                total += part
        store(total.reshape(out.shape), out, divisor)

    return correlate


def gaussian_blurrer(decimations: Decimations, accumulator: np.dtype[np.floating]) -> Blur:
    """Prepare a wide Gaussian: along y to the grid, along x there and back, along y back."""
    along_y, along_x = decimations

    def thinner(weights: Floats, step: int) -> Thin:
        def thin(image: Pixels, lines: Index, rows: Floats, left: int) -> None:
            points = min(len(rows), (lines.size - step - weights.size) // step + 1)
            thinned = _thinned(weights, step, image[lines[step:]], points, accumulator)
            rows[:, left : left + image.shape[1]] = 0
            rows[:points, left : left + image.shape[1]] = thinned

        return thin

    def across(rows: Floats, skip: int, width: int) -> None:
        # Copied, so that along x too whole lines are summed and not single pixels.
        points = (width - 1) // along_x.step + along_x.wide.shape[1]
        lines = _turned(rows)[skip:]
        turned = _thinned(along_x.narrow, along_x.step, lines, points, accumulator)
        rows[:, :width] = _turned(_interpolated(along_x, turned, width))

    def back(rows: Floats, left: int, out: Pixels) -> None:
        height, width, _ = out.shape
        store(_interpolated(along_y, rows[:, left : left + width], height), out)

    return Blur(thinner, thinner(along_y.narrow, along_y.step), across, back)


def _turned(lines: Floats) -> Floats:
    return np.ascontiguousarray(lines.swapaxes(0, 1))


def _thinned(
    weights: Floats, step: int, lines: Pixels, points: int, accumulator: np.dtype[np.floating]
) -> Floats:
    """Sum lines onto so many points of the grid."""
    total = np.zeros((points, *lines.shape[1:]), accumulator)
    term = np.empty_like(total)
    for tap, weight in enumerate(weights):
        on_grid = lines[tap : tap + (points - 1) * step + 1 : step]
        np.multiply(on_grid, accumulator.type(weight), out=term)
        total += term
    return total


def _interpolated(axis: Decimation, grid: Floats, length: int) -> Floats:
    """Sum the grid's lines back to `length` lines with the wide Gaussian."""
    out = np.empty((length, *grid.shape[1:]), grid.dtype)
    for place, weights in enumerate(axis.wide.astype(grid.dtype)):
        lines = out[place :: axis.step]
        lines[...] = weights[0] * grid[: len(lines)]
        for point, weight in enumerate(weights[1:], start=1):
            lines += weight * grid[point : point + len(lines)]
    return out
