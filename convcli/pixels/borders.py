"""What lies beyond an image's edge, resolved once, against the whole image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.checks import number, word
from convcli.errors import ConvcliError
from convcli.pixels.padded import copy_pixels
from convcli.pixels.source import Source, Span
from convcli.types import Floats, Pixels
from convcli.words import BORDERS, Border

Index = NDArray[np.intp]

Halo = tuple[int, int, int, int]
"""Pixels that a kernel needs above, below, to the left and to the right of each pixel."""

Value = float | Floats
"""What lies beyond the edge under ``constant``: one number, or one for each channel."""


def _reflect(i: Index, n: int) -> Index:
    """``(d c b a | a b c d | d c b a)``: the edge pixel is repeated."""
    i = i % (2 * n)
    return np.minimum(i, 2 * n - 1 - i)


def _mirror(i: Index, n: int) -> Index:
    """``(d c b | a b c d | c b a)``: the edge pixel is the axis."""
    if n == 1:
        return np.zeros_like(i)
    i = i % (2 * n - 2)
    return np.minimum(i, 2 * n - 2 - i)


def _nearest(i: Index, n: int) -> Index:
    """``(a a a | a b c d | d d d)``."""
    return np.clip(i, 0, n - 1)


def _wrap(i: Index, n: int) -> Index:
    """``(a b c d | a b c d | a b c d)``."""
    return i % n


def _constant(i: Index, n: int) -> Index:
    """``(k k k | a b c d | k k k)``: -1 stands for k."""
    return np.where((i >= 0) & (i < n), i, -1)


INDEX_OF: dict[Border, Callable[[Index, int], Index]] = {
    "reflect": _reflect,
    "mirror": _mirror,
    "nearest": _nearest,
    "wrap": _wrap,
    "constant": _constant,
}
"""For each border: which pixel of a line of n stands at position i, however far outside."""


def check(border: Border) -> None:
    """Raise `ConvcliError` for a border that is not in the table."""
    word(border, "border", BORDERS)


# Far beyond any sample, and small enough that float64's rounding of it (1e-16) does not show.
_LARGEST_VALUE = 1e9


def checked_value(value: float, name: str = "border_value") -> float:
    """Return a value, or raise `ConvcliError` if it is not a number or too large to sum exactly."""
    given = number(value, name)
    if not abs(given) <= _LARGEST_VALUE:
        limit = f"{_LARGEST_VALUE:g}"
        raise ConvcliError(f"{name} must be a number between -{limit} and {limit}, not {given:g}")
    return given


def window_dtype(dtype: np.dtype[Any], border: Border, value: Value) -> np.dtype[Any]:
    """Return the image's dtype, or float64 where it cannot hold the value of a constant border."""
    return np.dtype(np.float64) if is_foreign(dtype, border, value) else dtype


def is_foreign(dtype: np.dtype[Any], border: Border, value: Value) -> bool:
    """Say whether a constant border has a value that the image's dtype cannot hold."""
    if border != "constant" or dtype.kind == "f" or not isinstance(value, (int, float)):
        return False
    limits = np.iinfo(dtype)
    return not (limits.min <= value <= limits.max and value == int(value))


def first_needed(top: int, height: int, halo: Halo, border: Border) -> int:
    """Return the first row of an image that windows of the rows from `top` on need."""
    rows = INDEX_OF[border](np.arange(top - halo[0], height + halo[1]), height)
    return int(rows[rows >= 0].min())


def lines(rows: Span, above: int, below: int, border: Border, height: int) -> Index:
    """Return which row of an image stands in each row of a window; -1 is the constant."""
    return INDEX_OF[border](np.arange(rows[0] - above, rows[1] + below), height)


def window(
    source: Source,
    rows: Span,
    columns: Span,
    halo: Halo,
    border: Border,
    value: Value = 0.0,
    out: Pixels | None = None,
) -> Pixels:
    """Read a region of an image with a halo, which may reach beyond the edges.

    Parameters
    ----------
    source : Source
        The whole image, ``(H, W, C)``. Only what the window needs of it is read.
    rows, columns : (int, int)
        The region: first, and one after the last.
    halo : (int, int, int, int)
        How many pixels more above, below, left, right; may exceed the image.
    border, value
        What lies beyond the edge; a value for each channel of float samples may be given.
    out : ndarray, optional
        Where to put it.

    Returns
    -------
    ndarray, (h + above + below, w + left + right, C)
        `out`, or a C-contiguous copy, in the image's own dtype (see `window_dtype`).

    Examples
    --------
    >>> import numpy as np
    >>> from convcli.pixels.source import ArraySource
    >>> row = ArraySource(np.array([[[1], [2], [3]]]))
    >>> window(row, (0, 1), (0, 3), (0, 0, 2, 2), "reflect").ravel().tolist()
    [2, 1, 1, 2, 3, 3, 2]
    """
    height, width, channels = source.shape
    above, below, left, right = halo
    y = lines(rows, above, below, border, height)
    x = INDEX_OF[border](np.arange(columns[0] - left, columns[1] + right), width)
    if out is None:
        out = np.empty((y.size, x.size, channels), window_dtype(source.dtype, border, value))

    # What lies inside the image is one block, and is copied as one.
    top, bottom = max(rows[0] - above, 0), min(rows[1] + below, height)
    first, last = max(columns[0] - left, 0), min(columns[1] + right, width)
    at_y, at_x = top - (rows[0] - above), first - (columns[0] - left)
    inside = out[at_y : at_y + bottom - top]
    copy_pixels(source.window((top, bottom), (first, last)), inside[:, at_x : at_x + last - first])
    # Beyond the edges, most borders repeat what is in the block already. `wrap`, and a halo that
    # is longer than the image, need more of it.
    for at in _beyond(x.size, at_x, last - first):
        if border == "constant":
            inside[:, at] = value
        elif _lies_in(x[at], first, last):
            inside[:, at] = inside[:, x[at] - first + at_x]
        else:
            for span, here in spans(x[at]):
                piece = source.window((top, bottom), span)
                inside[:, at][:, here] = piece[:, x[at][here] - span[0]]
    for at in _beyond(y.size, at_y, bottom - top):
        if border == "constant":
            out[at] = value
        elif _lies_in(y[at], top, bottom):
            out[at] = inside[y[at] - top]
        else:
            for span, here in spans(y[at]):
                piece = window(source, span, columns, (0, 0, left, right), border, value)
                out[at][here] = piece[y[at][here] - span[0]]
    return out


def _beyond(length: int, start: int, inside: int) -> Iterator[slice]:
    """Yield the positions on an axis of a window that lie before and after the image."""
    if start:
        yield slice(0, start)
    if start + inside < length:
        yield slice(start + inside, length)


def _lies_in(index: Index, first: int, last: int) -> bool:
    return bool(index.min() >= first and index.max() < last)


def spans(index: Index) -> Iterator[tuple[Span, NDArray[np.bool_]]]:
    """Yield the runs of neighbouring lines that cover an index, and where it is in each."""
    found = np.unique(index)
    for run in np.split(found, np.flatnonzero(np.diff(found) > 1) + 1):
        span = int(run[0]), int(run[-1]) + 1
        yield span, (index >= span[0]) & (index < span[1])
