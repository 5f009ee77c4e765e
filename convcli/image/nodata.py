"""The no-data value of a TIFF, by which GDAL marks pixels that hold no measurement."""

from __future__ import annotations

from dataclasses import replace

from convcli.image.picture import MODES, Picture
from convcli.image.tiff_layout import BLACK_IS_ZERO, RGB, Layout

# GDAL_NODATA of GDAL's GTiff driver: a number as text, "nan" and "-inf" among them.
_NODATA = 42113


def with_nodata(picture: Picture, layout: Layout) -> Picture:
    """Add to an image the no-data value that its page states, if its samples are as stored.

    Scaled, inverted or looked-up samples no longer have that value.
    """
    stated = picture.metadata.get("tags", {}).get(_NODATA)
    if stated is None:
        return picture
    text = stated.decode("latin-1") if isinstance(stated, bytes) else str(stated)
    try:
        value = float(text.strip("\0 "))
    except ValueError:
        return picture
    channels, dtype = MODES[picture.mode]
    # Grey of more than 8 bits is not scaled to the depth in which it is held.
    depth = 8 if dtype == "uint8" else 16 if channels > 1 else layout.bits[0]
    is_scaled = layout.bits[0] != depth
    as_stored = layout.photometric in (BLACK_IS_ZERO, RGB) and not is_scaled
    return replace(picture, nodata=value) if as_stored and not layout.is_associated else picture
