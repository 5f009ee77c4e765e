"""The depth of a result that is not the image's: 8 or 16 bits, or floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack, cast

import numpy as np

from convcli.filtering.options import Options
from convcli.pixels.colour import full_scale
from convcli.pixels.rounding import store
from convcli.types import Floats, Pixels
from convcli.words import Depth

_DTYPES: dict[Depth, str] = {"8": "uint8", "16": "uint16", "float32": "float32"}

# Rows that are rounded at a time, so that temporary floats stay small.
_BAND_ROWS = 256


def at_depth(
    image: Any,
    *,
    verb: Callable[..., Pixels],
    depth: Depth,
    fills_range: bool = False,
    **options: Unpack[Options],
) -> Pixels:
    """Filter an image to a result of another depth.

    Integers are scaled so that white stays white: by 257 from 8 to 16 bits, by 1/257 back, and from
    floats by 255 or 65535. They are rounded once, after that. Floats keep the image's units, the
    sign and the range.

    Parameters
    ----------
    image : array_like
        The image.
    verb : callable
        ``verb(image, **options)``: a filter of `convcli.filtering.filters`.
    depth : {"8", "16", "float32"}
        Samples of the result.
    fills_range : bool
        The filter spreads its result over the range of any dtype, as an angle is.
    **options
        See `convcli.filtering.options.Options`.

    Examples
    --------
    >>> from convcli.filtering.filters import blur
    >>> at_depth(np.array([[0, 0, 255, 255]], np.uint8), verb=blur, depth="16", sigma=0.5)
    array([[   17,  6994, 58541, 65518]], dtype=uint16)
    """
    dtype, wanted = image.dtype, np.dtype(_DTYPES[depth])
    if wanted.kind == "f" or wanted == dtype or fills_range:
        return verb(image, **options, out_dtype=wanted)
    floats: Any = verb(image, **{**options, "out_dtype": np.float64, "exact": True})
    scale = full_scale(wanted) / full_scale(dtype)

    def rounded(floats: Floats) -> Pixels:
        floats = np.asarray(floats)  # colours may be `Padded`
        result = np.empty(floats.shape, wanted)
        with np.errstate(all="ignore"):  # not-a-number and infinity are samples like others
            for top in range(0, len(floats), _BAND_ROWS):
                band = slice(top, top + _BAND_ROWS)
                store(floats[band] * scale, result[band])
        return result

    if options.get("carry_out"):
        return cast(Pixels, floats.converted(wanted, rounded))
    return rounded(floats)
