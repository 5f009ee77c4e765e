"""A mask: how much of the filtered image each pixel gets, and the rectangles that cover it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.checks import array, described
from convcli.errors import ConvcliError
from convcli.pixels.part import Rectangle
from convcli.types import Floats, Pixels

# A mask is looked at by squares of so many pixels. Narrower ones would be halo for the most part.
_CELL = 128


def check_size_of(mask: Pixels, size: tuple[int, int]) -> None:
    """Refuse a mask ``(H, W)`` that has not so many rows and columns."""
    if mask.shape != size:
        raise ConvcliError(
            f"mask is {mask.shape[1]} x {mask.shape[0]} pixels, and the image is {size[1]} x "
            f"{size[0]}; both must be of one size"
        )


def checked_mask(given: Any, size: tuple[int, int]) -> Pixels:
    """Return a mask as an array ``(H, W)`` of samples, or refuse it.

    Parameters
    ----------
    given : array_like
        ``(H, W)`` or ``(H, W, 1)``: bool, unsigned integers of which the largest is white, or
        floats from 0 to 1.
    size : (int, int)
        Rows and columns of the image.
    """
    mask: Pixels = array(given, "mask")
    if mask.dtype.kind not in "bf" and mask.dtype.name not in ("uint8", "uint16"):
        raise ConvcliError(
            f"mask has dtype {mask.dtype}; it must be bool, uint8, uint16, or floats from 0 to 1"
        )
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise ConvcliError(f"mask is {described(mask)}; it must be (H, W)")
    check_size_of(mask, size)
    if mask.dtype.kind == "f" and not (mask.min() >= 0 and mask.max() <= 1):  # NaN is neither
        raise ConvcliError("mask has floats that are not from 0, black, to 1, white")
    return mask


def white(mask: Pixels) -> float:
    """Return the sample of a mask that means: filtered."""
    return float(np.iinfo(mask.dtype).max) if mask.dtype.kind == "u" else 1.0


def weights(mask: Pixels, dtype: np.dtype[np.floating[Any]]) -> Floats:
    """Return the samples of a mask as numbers from 0 to 1."""
    result: Floats = mask.astype(dtype) / dtype.type(white(mask))
    return result


def is_filtered(mask: Pixels) -> NDArray[np.bool_]:
    """Say which pixels of a mask are white."""
    return np.asarray(mask == mask.dtype.type(white(mask)))


def is_mixed(mask: Pixels) -> NDArray[np.bool_]:
    """Say which pixels of a mask are neither black nor white."""
    return np.asarray((mask != 0) & ~is_filtered(mask))


def covering(
    mask: Pixels,
    region: Rectangle,
    which: Callable[[Pixels], NDArray[np.bool_]],
    halo: tuple[int, int],
) -> list[Rectangle]:
    """Return rectangles inside a region that together hold every pixel of a kind.

    Parameters
    ----------
    mask : ndarray (H, W)
        The mask.
    region : Rectangle
        Where to look.
    which : callable
        `is_filtered` or `is_mixed`.
    halo : (int, int)
        What a rectangle needs around it, along y and x. Where many small ones would be more work
        than the one that surrounds them all, there is only that.
    """
    (top, bottom), (left, right) = region
    tall, wide = max(_CELL, halo[0]), max(_CELL, halo[1])
    across = range(0, right - left, wide)
    found: list[Rectangle] = []
    above: dict[tuple[int, int], int] = {}  # runs of the cells above, and where they are in `found`
    for first in range(top, bottom, tall):
        last = min(first + tall, bottom)
        columns = which(mask[first:last, left:right]).any(axis=0)
        here = {}
        for start, end in _runs(np.logical_or.reduceat(columns, across)):
            run = left + start * wide, min(left + end * wide, right)
            if run in above:
                at = above[run]
                found[at] = Rectangle((found[at].rows[0], last), run)
            else:
                at = len(found)
                found.append(Rectangle((first, last), run))
            here[run] = at
        above = here
    if len(found) > 1:
        rows, columns_of = zip(*found, strict=True)
        around = Rectangle(
            (min(first for first, _ in rows), max(last for _, last in rows)),
            (min(first for first, _ in columns_of), max(last for _, last in columns_of)),
        )
        if sum(_work(each, halo) for each in found) >= _work(around, halo):
            return [around]
    return found


def _work(region: Rectangle, halo: tuple[int, int]) -> int:
    """Return how many pixels are read to filter a rectangle, and as many as a call costs."""
    (top, bottom), (left, right) = region
    return (bottom - top + halo[0]) * (right - left + halo[1]) + _CELL**2


def _runs(cells: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first cell, and the one after the last, of each run of cells that are set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], cells, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def shared_by(mask: Pixels, shares: tuple[int, int]) -> Floats:
    """Return the means of a mask over so many columns and rows, which share a sample of chroma."""
    across, down = shares
    height, width = mask.shape
    more = (0, -height % down), (0, -width % across)
    whole = np.pad(weights(mask, np.dtype(np.float32)), more, "edge")
    rows, columns = whole.shape
    shares_of = whole.reshape(rows // down, down, columns // across, across)
    return np.asarray(shares_of.mean(axis=(1, 3)))
