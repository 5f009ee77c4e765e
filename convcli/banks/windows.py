"""Rows and columns of an input with their padding, as the methods need them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convcli.banks.layer import Layer
from convcli.loops.layout import ceil_div
from convcli.pixels.borders import Index
from convcli.types import Floats

# A vector of AVX-512, and a line of most caches.
_LINE = 64


def aligned(shape: int | tuple[int, ...], dtype: np.dtype[Any]) -> Floats:
    """Allocate an array that begins where a line of the cache does: loads of vectors are faster."""
    sizes = (shape,) if isinstance(shape, int) else shape
    whole = np.empty(math.prod(sizes) + _LINE // dtype.itemsize, dtype)
    first = -whole.__array_interface__["data"][0] % _LINE // dtype.itemsize
    return whole[first : first + math.prod(sizes)].reshape(sizes)


def padded(layer: Layer, planes: Floats, top: int, height: int, left: int, width: int) -> Floats:
    """Return ``(C, height, width)`` of padded planes, whose first row and column are `top`, `left`.

    Positions are those of the input: the padding above it has negative ones.
    """
    rows = layer.index(0, top, height)
    columns = layer.index(1, left, width)
    out = planes[:, rows[:, None], columns]
    out[:, rows < 0] = 0
    out[:, :, columns < 0] = 0
    return np.ascontiguousarray(out)


def strip_of(layer: Layer, planes: Floats, top: int, bottom: int) -> Floats:
    """Return the padded rows that the rows of results from `top` to `bottom` need."""
    step, extent = layer.stride[0], layer.extent[0]
    height = (bottom - 1 - top) * step + extent
    width = layer.size[1] + layer.before[1] + layer.after[1]
    return padded(layer, planes, top * step - layer.before[0], height, -layer.before[1], width)


def columns_of(layer: Layer, start: int, step: int, width: int) -> tuple[Index, Index]:
    """Return which column of the input stands at each position of a window, phase by phase.

    A window begins at column `start` of the input, and has `step` phases of `width` columns each.
    The second array tells from which position of a phase on, for how many, and from which column on
    its columns are plain steps through the input.
    """
    columns = layer.index(1, start, width * step).reshape(-1, step).T.copy()
    inside = []
    for phase in range(step):
        # Position q of the phase is column start + q * step + phase of the input.
        first = min(max(ceil_div(-start - phase, step), 0), width)
        last = min(max(ceil_div(layer.size[1] - start - phase, step), first), width)
        inside.append((first, last - first, max(start + first * step + phase, 0)))
    return columns, np.array(inside)
