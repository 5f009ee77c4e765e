"""The no-data value of a TIFF, by which GDAL marks pixels that hold no measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convcli.image.picture import Picture, form_of
from convcli.image.tiff_layout import BLACK_IS_ZERO, RGB, Layout

# GDAL_NODATA of GDAL's GTiff driver: a number as text, "nan" and "-inf" among them.
NODATA = 42113


def with_nodata(picture: Picture, layout: Layout) -> Picture:
    """Add to an image the no-data value that its page states, if its samples are as stored.

    Scaled, inverted or looked-up samples no longer have that value.
    """
    stated = picture.metadata.get("tags", {}).get(NODATA)
    value = None if stated is None else value_of(stated, layout, picture.mode)
    return picture if value is None else replace(picture, nodata=value)


def value_of(stated: Any, layout: Layout, mode: str) -> float | None:
    """Return the no-data value that a tag states, if samples of the mode are those of the page."""
    text = stated.decode("latin-1") if isinstance(stated, bytes) else str(stated)
    try:
        value = float(text.strip("\0 "))
    except ValueError:
        return None
    channels, dtype = form_of(mode)
    # Grey of more than 8 bits is not scaled to the depth in which it is held.
    is_one = channels == 1 or mode[0].isdigit() or dtype.startswith("float")
    depth = 8 if dtype == "uint8" else layout.bits[0] if is_one else 16
    as_stored = layout.photometric in (BLACK_IS_ZERO, RGB) and layout.bits[0] == depth
    return value if as_stored and not layout.is_associated else None
