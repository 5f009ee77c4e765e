"""Rows of an input with their padding, for the methods that work on whole arrays."""

from __future__ import annotations

import numpy as np

from convcli.banks.layer import Layer
from convcli.types import Floats


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
