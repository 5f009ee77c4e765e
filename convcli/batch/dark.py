"""A note on results that are dark for a reason: a kernel that sums to 0, or soft edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convcli.filtering.filter import Filter

if TYPE_CHECKING:
    from convcli.types import Pixels

# Samples of every fourth row and column are enough for a share.
_STEP = 4
# An eighth of white: a screen shows less than this as black (sRGB: 1.4 % of its light).
_DARK = 32


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
    some = np.asarray(result)[::_STEP, ::_STEP]
    if has_alpha:
        some = some[..., :-1]
    if not some.any():  # nothing is there to be shown
        return ()
    if len(last.kernels) > 1:  # a magnitude, which is not negative
        dark = float(np.mean(some < _DARK))
        if dark < 0.99:
            return ()
        return (f"{_percent(dark)} % of it is nearly black, because its edges are soft; "
                "--stretch makes the strongest white",)  # fmt: skip
    clipped = float(np.mean(some == 0))
    if clipped <= 0.5:
        return ()
    bias = "" if last.use.channels == "luminance" else " or --bias 128"  # edge has none
    return (f"{_percent(clipped)} % of it is black, because the kernel sums to 0 and 8 bits hold "
            f"no negative values; --stretch{bias} shows them",)  # fmt: skip


def _percent(share: float) -> int:
    return int(100 * share)
