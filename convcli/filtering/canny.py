"""Thin edges by Canny's detector: the maxima of the magnitude, linked by two thresholds.

Canny 1986, A computational approach to edge detection. The maxima are sought as in scikit-image:
along the gradient, between the pixels that are interpolated on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from convcli import memory
from convcli.checks import array, at_least_0, described
from convcli.errors import ConvcliError
from convcli.filtering.filter import Filter
from convcli.filtering.options import Options
from convcli.loops.contract import magnitude_of_any_size
from convcli.pixels.colour import full_scale
from convcli.pixels.source import Source
from convcli.pixels.transfer import SRGB, Transfer, to_light
from convcli.types import Floats, OnProgress, Pixels

_WEAK, _STRONG = 1, 2

# Samples of a strip whose maxima are sought at a time: its floats stay in the cache.
_STRIP = 1 << 17

Places = NDArray[np.int64]


def thresholds(canny: Any) -> tuple[float, float]:
    """Check the two thresholds and return them."""
    values = array(canny, "canny")
    if values.dtype.kind not in "uif" or values.shape != (2,):
        raise ConvcliError(f"canny must be two numbers, LOW and HIGH, not {described(canny)}")
    low, high = values.tolist()
    at_least_0(**{"the low threshold of canny": low, "the high threshold of canny": high})
    if low > high:
        raise ConvcliError(
            f"the low threshold of canny must be at most the high one, and {low:g} is more than "
            f"{high:g}"
        )
    return low, high


def thin_edges(
    run: Callable[..., Pixels],
    filter_: Filter,
    image: Source,
    dtype: np.dtype[Any],
    **options: Unpack[Options],
) -> Pixels:
    """Return thin edges: full scale on them, 0 elsewhere, in `dtype`.

    Parameters
    ----------
    run : callable
        ``run(filter_, **options)``: filters the image, perhaps after other stages.
    filter_ : Filter
        Has the derivatives along x and along y, and thresholds in the image's units.
    image : Source
        The image.
    dtype : dtype
        Of the result.
    **options
        Those of `convcli.edge`.
    """
    assert filter_.thresholds, "others have no thin edges"
    low, high = filter_.thresholds
    # float64 differs between methods in its last digits; as float32 the derivatives are the same.
    derivative = np.dtype(np.float64 if image.dtype == np.float64 else np.float32)
    memory.check(math.prod(image.shape[:2]) * (2 * derivative.itemsize + 1))
    linear, on_progress = options.get("linear", False), options.get("on_progress")
    options["exact"], options["out_dtype"] = True, derivative
    options["scratch"] = False  # the image is filtered twice
    found = []
    for number, kernel in enumerate(filter_.kernels):
        if on_progress:
            options["on_progress"] = partial(_half, on_progress, number)
        found.append(run(replace(filter_, kernels=(kernel,), thresholds=None), **options))
    if linear:  # the derivatives are of light, and thresholds are code values
        transfer, full = linear if isinstance(linear, Transfer) else SRGB, full_scale(image.dtype)
        low, high = to_light(transfer, np.array([low, high]), full).tolist()
    first, second = found
    result = np.zeros(first.shape, dtype)
    edges = result
    if result.ndim == 3:  # the second channel is the alpha, which is kept
        result[..., 1], edges = first[..., 1], result[..., 0]
        first, second = (np.ascontiguousarray(each[..., 0]) for each in found)
    marks = maxima(first, second, low, high)
    del found, first, second
    edges[linked(marks)] = full_scale(dtype)
    return result


def _half(on_progress: OnProgress, number: int, done: int, total: int) -> None:
    """Report the progress of one of two filters as that of both."""
    on_progress(number * total + done, 2 * total)


def maxima(along_x: Floats, along_y: Floats, low: float, high: float) -> NDArray[np.uint8]:
    """Mark where the magnitude is a maximum along the gradient: 1 from `low` on, 2 from `high`.

    Of equal neighbours the one on the dark side is the maximum, so that the edge is thin. The
    outermost pixels, which lack a neighbour, are none.
    """
    height, width = along_x.shape
    found = np.zeros((height, width), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(1, height - 1, rows):
        strip = slice(top - 1, min(top + rows, height - 1) + 1)
        with np.errstate(all="ignore"):  # NaN and infinity are samples like others
            _mark(along_x[strip], along_y[strip], low, high, found[strip])
    return found


def _mark(along_x: Floats, along_y: Floats, low: float, high: float, found: Pixels) -> None:
    """Mark the maxima of a strip, its first and last row left out."""
    width = along_x.shape[1]
    x, y = along_x.astype(np.float64), along_y.astype(np.float64)
    size = magnitude_of_any_size(x, x, y)
    likely = (size >= low) & (size > 0)
    likely[[0, -1]] = likely[:, [0, -1]] = False
    at = np.flatnonzero(likely)
    x, y, size = x.ravel()[at], y.ravel()[at], size.ravel()
    wide, tall = np.abs(x), np.abs(y)
    # Between the neighbour along the larger derivative and the one along both.
    to_x, to_y = np.sign(x).astype(np.int64), np.sign(y).astype(np.int64) * width
    near, far = np.where(wide > tall, to_x, to_y), to_x + to_y
    share = np.minimum(wide, tall) / np.maximum(wide, tall)
    here, ahead, behind = size[at], size[at + near], size[at - near]
    ahead += (size[at + far] - ahead) * share  # equal neighbours give their value, unrounded
    behind += (size[at - far] - behind) * share
    is_largest = (here >= ahead) & (here > behind)
    found.reshape(-1)[at[is_largest]] = np.where(here[is_largest] >= high, _STRONG, _WEAK)


def linked(marks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the marked pixels that are connected to a strong one, by any of 8 neighbours."""
    width = marks.shape[1]
    at = np.flatnonzero(marks)
    if not at.size:
        return np.zeros(marks.shape, bool)
    # Runs of marked pixels in a row; no run goes on in the next one, whose first pixel is free.
    run = np.cumsum(np.diff(at, prepend=at[0]) != 1)
    one, other = [], []
    for below in (width - 1, width, width + 1):
        place = np.searchsorted(at, at + below)
        place[place == at.size] = 0
        touches = at[place] == at + below
        one.append(run[touches])
        other.append(run[place[touches]])
    part = _parts(int(run[-1]) + 1, np.concatenate(one), np.concatenate(other))[run]
    is_edge = np.zeros(int(run[-1]) + 1, bool)
    is_edge[part[marks.reshape(-1)[at] == _STRONG]] = True
    result = np.zeros(marks.shape, bool)
    result.reshape(-1)[at[is_edge[part]]] = True
    return result


def _parts(number: int, one: Places, other: Places) -> Places:
    """Return for each node the least node that it is connected to, by these pairs of nodes.

    In each round every tree that touches one of a smaller root joins it, and then each node gets
    its root as parent: the number of trees at least halves in two rounds (Shiloach and Vishkin
    1982, An O(log n) parallel connectivity algorithm).
    """
    parent = np.arange(number)
    while one.size:
        one, other = parent[one], parent[other]
        differ = one != other
        one, other = one[differ], other[differ]
        np.minimum.at(parent, np.maximum(one, other), np.minimum(one, other))
        while (parent[parent] != parent).any():
            parent = parent[parent]
    return parent
