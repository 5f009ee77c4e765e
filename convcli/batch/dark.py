"""A note on results that are dark for a reason: a kernel that sums to 0, or soft edges."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convcli.filtering.filter import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convcli.sources.contract import Result
    from convcli.types import Pixels

# A quarter of a million pixels are enough for a share: of 24 megapixels they take 0.5 ms, and every
# fourth row and column 2.0 ms (Intel Xeon).
_LOOKED_AT = 1 << 18
# An eighth of white: a screen shows less than this as black (sRGB: 1.4 % of its light).
_DARK = 32
# Pixels that are kept of an image in parts.
_KEPT = 1 << 20


def note_on(result: Pixels, last: Filter, has_alpha: bool) -> tuple[str, ...]:
    """Return the note on the result of a filter, if it is one of 8 bits and dark.

    Parameters
    ----------
    result : (H, W) or (H, W, C) ndarray
        The result.
    last : Filter
        The filter, or the last of a chain.
    has_alpha : bool
        Whether the last channel is an alpha, which does not count.
    """
    if result.dtype != np.uint8 or last.fills_range or last.added or not last.takes_out_level:
        return ()
    if last.channels:  # a bank, which has neither --stretch nor --bias
        return ()
    step = _step(result.shape, _LOOKED_AT)
    some = np.asarray(result)[::step, ::step]
    if has_alpha:
        some = some[..., :-1]
    if not some.any():  # nothing is there to be shown
        return ()
    if len(last.kernels) > 1:  # a magnitude, which is not negative
        dark = float(np.mean(some < _DARK))
        if dark < 0.99:
            return ()
        return (f"{_percent(dark)} % of the result is nearly black, because the edges are soft; "
                "--stretch makes the strongest white",)  # fmt: skip
    clipped = float(np.mean(some == 0))
    if clipped <= 0.5:
        return ()
    bias = "" if last.use.channels == "luminance" else " or --bias 128"  # edge has none
    return (f"{_percent(clipped)} % of the result is black, because the kernel sums to 0 and "
            f"8 bits hold no negative values; --stretch{bias} shows them",)  # fmt: skip


def _step(shape: tuple[int, ...], most: int) -> int:
    """Return which of the rows and columns leave about so many pixels: every so many-th."""
    return max(1, math.isqrt(shape[0] * shape[1] // most))


def _percent(share: float) -> int:
    return int(100 * share)


class Sample:
    """Pixels of a result that is written in parts: every n-th of its rows and columns."""

    def __init__(self) -> None:
        self._rows: list[Pixels] = []

    def of(self, result: Result) -> Result:
        """Return a result whose pixels are sampled while they go by."""
        step = _step(result.shape, _KEPT)

        def bands_from(row: int) -> Iterator[Pixels]:
            for band in result.bands_from(row):
                self._rows.append(band[-row % step :: step, ::step].copy())
                row += len(band)
                yield band
                del band  # or it would be held while the next one is made

        return replace(result, bands_from=bands_from)

    @property
    def pixels(self) -> Pixels:
        """The pixels so far, ``(rows, columns, C)``; none if no band was left to be computed."""
        return np.concatenate(self._rows or [np.zeros((0, 0, 2), np.uint8)])
