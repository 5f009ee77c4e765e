"""The luminance alone is filtered: what it gains is added to every colour.

So the differences between the colours stay. In linear light that is done to light.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convcli.errors import ConvcliError
from convcli.filtering.options import Options
from convcli.pixels import colour
from convcli.pixels.colour import Colour, full_scale
from convcli.pixels.missing import sample_of
from convcli.pixels.rounding import store
from convcli.pixels.transfer import SRGB, Transfer
from convcli.types import Floats, Pixels

# Rows that become floats at a time, so that temporary arrays stay small.
_BAND_ROWS = 256


class Luma:
    """How the luminance of an image is filtered.

    Parameters
    ----------
    channels : int
        Of the image; the last of 2 or 4 is an alpha, which stays as it is.
    dtype : dtype
        Of its samples.
    asked : Options
        Those of the filter.
    """

    def __init__(self, channels: int, dtype: np.dtype[Any], asked: Options) -> None:
        linear = asked["linear"]
        self._how = Colour(
            full_scale(dtype),
            linear=bool(linear),
            alpha=channels in (2, 4),
            transfer=linear if isinstance(linear, Transfer) else SRGB,
        )
        self._is_weighted = self._how.alpha and asked["alpha"] == "weight"
        self._missing = sample_of(asked["nodata"], dtype)
        self._leaves_out = asked["nan"] == "skip" or asked["nodata"] is not None
        is_single = dtype in (np.uint8, np.float32) and not asked["exact"]
        self.floats: np.dtype[np.floating[Any]] = np.dtype(np.float32 if is_single else np.float64)
        """The dtype in which it is filtered."""

    def options(self, asked: Options) -> Options:
        """Return the options of the filter for an image of luminance, which is floats or light."""
        own = Options(**asked)
        own["linear"], own["nodata"], own["scratch"], own["channels"] = False, None, False, True
        own["alpha"] = "weight" if self._is_weighted else "straight"
        own["nan"] = "skip" if self._leaves_out else asked["nan"]
        own["out_dtype"] = self.floats
        return own

    def check_border(self, border: str, value: float) -> None:
        """Refuse a constant that would have to be another number for the luminance."""
        if border == "constant" and value and (self._is_weighted or self._how.linear):
            raise ConvcliError(
                "channels='luma' (--channels luma) allows only the border value 0 for linear light "
                f"or colours weighted by alpha, not {value:g}; choose another border"
            )

    @np.errstate(all="ignore")  # infinity and NaN are samples like others
    def of(self, image: Pixels) -> Floats:
        """Return the luminance ``(h, w, 1)``, with the alpha (0 to 1) if it is weighted by that.

        Where a colour has the no-data value, the luminance is NaN.
        """
        height, width, channels = image.shape
        result = np.empty((height, width, 2 if self._is_weighted else 1), self.floats)
        for top in range(0, height, _BAND_ROWS):
            band = image[top : top + _BAND_ROWS]
            values = colour.samples(self._how, band, self.floats)
            colours = values[..., : channels - self._how.alpha]
            into = result[top : top + _BAND_ROWS]
            into[..., :1] = colour.luminance(colours)
            if self._is_weighted:
                into[..., 1] = values[..., -1] / self.floats.type(self._how.full)
            if not math.isnan(self._missing):
                given = band[..., : channels - self._how.alpha]
                is_gone = (given == given.dtype.type(self._missing)).any(axis=2)
                into[is_gone, 0] = np.nan
        return result

    def added_to(
        self, image: Pixels, before: Floats, after: Floats, out_dtype: np.dtype[Any]
    ) -> Pixels:
        """Add to the colours of an image what its luminance gained, and return them all.

        Pixels of alpha 0 stay as they are, if colours are weighted by it; so do those that are
        missing, if these are left out.
        """
        colours = image.shape[2] - self._how.alpha
        result = np.empty((*image.shape[:2], colours), out_dtype)
        for top in range(0, len(image), _BAND_ROWS):
            rows = slice(top, top + _BAND_ROWS)
            band = image[rows]
            gain = after[rows, :, :1] - before[rows, :, :1]
            if self._is_weighted:
                gain[before[rows, :, 1:] == 0] = 0
            if self._leaves_out:
                gain[np.isnan(gain)] = 0
            values = colour.samples(self._how, band, self.floats)
            values[..., :colours] += gain
            values = colour.finished(self._how, values, values)
            store(np.ascontiguousarray(values[..., :colours]), result[rows])
        return result


@np.errstate(all="ignore")
def filtered(
    luma: Luma,
    image: Pixels,
    before: Floats,
    after: Floats,
    out_dtype: np.dtype[Any],
    scale: float,
) -> Pixels:
    """Return the colours of an image whose luminance `before` became `after`.

    `scale` is what the result has to be multiplied by to be in the image's units.
    """
    if scale != 1:
        after = after * after.dtype.type(scale)
    return luma.added_to(image, before, after, out_dtype)
