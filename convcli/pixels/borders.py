"""What lies beyond a picture's edge, decided once, against the whole picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.errors import ConvcliError
from convcli.types import Pixels
from convcli.words import BORDERS, Border, listed

Index = NDArray[np.intp]
Span = tuple[int, int]
"""First row (or column), and the one after the last."""

Halo = tuple[int, int, int, int]
"""Pixels that a kernel needs above, below, to the left and to the right of each pixel."""


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
"""For each border, which pixel of a line of n stands at position i, however far outside."""


def check(border: Border) -> None:
    """Raise `ConvcliError` for a border that is not in the table."""
    if border not in INDEX_OF:
        raise ConvcliError(f"unknown border {border!r}; it must be {listed(BORDERS)}")


# Far beyond any sample, and small enough for what float64 loses of it (1e-16) not to be seen.
_LARGEST_VALUE = 1e9


def check_value(value: float) -> None:
    """Raise `ConvcliError` for a value that cannot stand beyond the edge."""
    if not abs(value) <= _LARGEST_VALUE:
        limit = f"{_LARGEST_VALUE:g}"
        raise ConvcliError(
            f"border_value must be a number between -{limit} and {limit}, not {value:g}"
        )


def window_dtype(dtype: np.dtype[Any], border: Border, value: float) -> np.dtype[Any]:
    """Return the picture's dtype, or float64 where a constant border has no place in it."""
    if border != "constant" or dtype.kind == "f":
        return dtype
    limits = np.iinfo(dtype)
    fits = limits.min <= value <= limits.max and value == int(value)
    return dtype if fits else np.dtype(np.float64)


def first_needed(top: int, height: int, halo: Halo, border: Border) -> int:
    """Say which row of a picture is the first that windows of the rows from `top` on need."""
    rows = INDEX_OF[border](np.arange(top - halo[0], height + halo[1]), height)
    return int(rows[rows >= 0].min())


def lines(rows: Span, above: int, below: int, border: Border, height: int) -> Index:
    """Say which rows of a picture stand where a window has its rows; -1 is the constant."""
    return INDEX_OF[border](np.arange(rows[0] - above, rows[1] + below), height)


def window(
    pixels: Pixels, rows: Span, columns: Span, halo: Halo, border: Border, value: float = 0.0
) -> Pixels:
    """Cut a piece out of a picture, with a halo that reaches over the edges where it must.

    Parameters
    ----------
    pixels : ndarray, (H, W, C)
        The whole picture.
    rows, columns : (int, int)
        The piece: first, and one after the last.
    halo : (int, int, int, int)
        How many pixels more above, below, left, right; may exceed the picture.
    border, value
        What lies beyond the edge.

    Returns
    -------
    ndarray, (h + above + below, w + left + right, C)
        A C-contiguous copy, in the picture's own dtype (see `window_dtype`).
    """
    height, width, channels = pixels.shape
    above, below, left, right = halo
    y = lines(rows, above, below, border, height)
    x = INDEX_OF[border](np.arange(columns[0] - left, columns[1] + right), width)
    out = np.empty((y.size, x.size, channels), window_dtype(pixels.dtype, border, value))

    # The columns inside the picture are one run and are copied as runs; only the few
    # beyond its edges are gathered one by one.
    first, last = max(columns[0] - left, 0), min(columns[1] + right, width)
    a, b = first - (columns[0] - left), last - (columns[0] - left)
    inside_rows = rows[0] >= above and rows[1] + below <= height
    source = slice(rows[0] - above, rows[1] + below) if inside_rows else y
    _copy(pixels[source, first:last], out[:, a:b])
    for beyond in (slice(0, a), slice(b, x.size)):
        if beyond.start < beyond.stop:
            out[:, beyond] = pixels[source][:, x[beyond]] if inside_rows else (
                pixels[y[:, np.newaxis], x[beyond]]
            )  # fmt: skip
    if border == "constant":
        out[y < 0] = value
        out[:, x < 0] = value
    return out


def _copy(piece: Pixels, out: Pixels) -> None:
    """Copy pixels, a channel at a time where a fourth lies between them.

    numpy would copy runs of three samples: 160 ms for 24 megapixels instead of 42.
    """
    channels = piece.shape[2]
    if piece.strides[1] == channels * piece.itemsize:
        out[...] = piece
        return
    for channel in range(channels):
        out[..., channel] = piece[..., channel]
