"""Missing samples: NaN, and a no-data value such as -9999, which becomes NaN on the way in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.types import Pixels


def sample_of(value: float | None, dtype: np.dtype[Any]) -> float:
    """Return a no-data value as a sample of a dtype; NaN if no sample equals it.

    Text in files has fewer digits than a sample: it is rounded as GDAL rounds it.

    >>> sample_of(-3.40282346638529e38, np.dtype(np.float32))
    -3.4028234663852886e+38
    >>> sample_of(-9999, np.dtype(np.uint8))
    nan
    """
    if value is None:
        return math.nan
    if dtype.kind == "u":
        is_sample = 0 <= value <= np.iinfo(dtype).max and value == int(value)
        return float(value) if is_sample else math.nan
    with np.errstate(over="ignore"):
        sample = float(dtype.type(value))
    return math.nan if math.isinf(sample) and math.isfinite(value) else sample


def marked(
    window: Pixels,
    sample: float,
    has_alpha: bool,
    beyond: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None,
    dtype: np.dtype[np.floating],
) -> Pixels:
    """Return a window in which a no-data value is NaN; the window itself if it has none.

    Parameters
    ----------
    window : ndarray (h, w, C)
        Of any dtype.
    sample : float
        The value, as a sample of the image.
    has_alpha : bool
        The last channel is an alpha, of which every value means something.
    beyond : (rows, columns), optional
        Which rows and columns of the window lie beyond the image, where a constant border stands
        that has this value: it counts as a value there.
    dtype
        What integers are turned into.
    """
    if math.isnan(sample):
        return window
    colours = window[..., :-1] if has_alpha else window
    is_missing = colours == colours.dtype.type(sample)
    if beyond is not None:
        rows, columns = beyond
        is_missing[rows] = False
        is_missing[:, columns] = False
    if not is_missing.any():
        return window
    values = window.astype(dtype) if window.dtype.kind == "u" else window.copy()
    (values[..., :-1] if has_alpha else values)[is_missing] = np.nan
    return values


def has_missing(window: Pixels) -> bool:
    """Say whether a window holds NaN; numpy's maximum is NaN if any sample is."""
    return window.dtype.kind == "f" and math.isnan(float(window.max()))


def count_missing(pixels: Pixels, value: float | None, has_alpha: bool) -> int:
    """Count the samples of an image that are NaN or have a no-data value (not in an alpha)."""
    sample = sample_of(value, pixels.dtype)
    colours = pixels[..., :-1] if has_alpha else pixels
    found = 0 if math.isnan(sample) else int((colours == pixels.dtype.type(sample)).sum())
    return found + (int(np.isnan(pixels).sum()) if pixels.dtype.kind == "f" else 0)
