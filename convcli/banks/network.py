"""What stands between the layers of a network: rectifier and pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convcli import checks
from convcli.banks.layer import Pair, pair
from convcli.errors import ConvcliError
from convcli.types import Floats


def relu(x: ArrayLike) -> Floats:
    """Replace negative samples by 0; NaN stays NaN.

    Examples
    --------
    >>> import convcli
    >>> convcli.relu([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """
    maps = checks.array(x, "x")
    if maps.dtype.kind not in "fiub":
        raise ConvcliError(f"x must be an array of real numbers, not of {maps.dtype}")
    found: Floats = np.maximum(maps, 0)
    return found


def max_pool2d(x: ArrayLike, size: int | Pair, stride: int | Pair | None = None) -> Floats:
    """Take the largest sample of each window of ``(..., H, W)``.

    Parameters
    ----------
    x : array_like, (..., H, W)
        Maps.
    size : int or (int, int)
        Rows and columns of a window.
    stride : int or (int, int), optional
        Steps between windows; default: their size. Windows that do not fit are dropped.

    Returns
    -------
    ndarray, (..., (H - size) // stride + 1, (W - size) // stride + 1)

    Raises
    ------
    ConvcliError
        If the windows are larger than the maps.

    Examples
    --------
    >>> import convcli
    >>> convcli.max_pool2d([[1.0, 2.0], [3.0, 4.0]], 2).tolist()
    [[4.0]]
    """
    return _pooled(x, size, stride, np.maximum)


def avg_pool2d(x: ArrayLike, size: int | Pair, stride: int | Pair | None = None) -> Floats:
    """Take the mean of each window of ``(..., H, W)``; parameters as in `max_pool2d`.

    Examples
    --------
    >>> import convcli
    >>> convcli.avg_pool2d([[1.0, 2.0], [3.0, 4.0]], 2).tolist()
    [[2.5]]
    """
    height, width = pair(size, "size")
    total = _pooled(x, size, stride, np.add)
    total /= total.dtype.type(height * width)
    return total


def check_windows(size: Pair, maps: Pair) -> None:
    """Raise `ConvcliError` if windows of this size do not fit in maps of that size."""
    if size[0] > maps[0] or size[1] > maps[1]:
        raise ConvcliError(
            f"windows of {size[0]} x {size[1]} do not fit in maps of {maps[0]} x {maps[1]}"
        )


def _pooled(
    x: ArrayLike, size: int | Pair, stride: int | Pair | None, combine: Callable[..., Any]
) -> Floats:
    maps = checks.array(x, "x")
    if maps.dtype.kind != "f" or maps.ndim < 2:
        raise ConvcliError(
            f"x must be floats of shape (..., H, W), not {maps.dtype} of shape {maps.shape}"
        )
    height, width = pair(size, "size")
    sy, sx = pair(size if stride is None else stride, "stride")
    rows, columns = maps.shape[-2:]
    check_windows((height, width), (rows, columns))
    down, across = (rows - height) // sy + 1, (columns - width) // sx + 1
    total: Floats | None = None
    for i in range(height):
        for j in range(width):
            part = maps[..., i : i + (down - 1) * sy + 1 : sy, j : j + (across - 1) * sx + 1 : sx]
            total = part.copy() if total is None else combine(total, part, out=total)
    assert total is not None
    return total
