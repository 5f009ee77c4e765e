"""The no-data value of a TIFF, by which GDAL marks pixels that hold no measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convcli.image.picture import Picture, form_of
from convcli.image.tiff_layout import BLACK_IS_ZERO, RGB, Layout

if TYPE_CHECKING:
    import numpy as np

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


def scaled(value: float, before: np.dtype[Any], after: np.dtype[Any]) -> tuple[float | None, str]:
    """Return what a no-data value is in a result of another depth, and a note.

    It is scaled as samples are. None means that the depth does not hold it.

    >>> import numpy as np
    >>> scaled(255, np.dtype("uint8"), np.dtype("uint16"))
    (65535.0, 'scaled its no-data value to 65535')
    >>> scaled(-9999, np.dtype("float32"), np.dtype("uint8"))[0] is None
    True
    """
    from convcli.pixels.colour import full_scale

    if after.kind == "f" or after == before:
        return value, ""
    most = full_scale(after)
    became = value * most / full_scale(before)
    if 0 <= became <= most:
        became = float(round(became))
        return became, f"scaled its no-data value to {became:.10g}" if became != value else ""
    nearest = most if became > most else 0
    return None, (
        f"dropped its no-data value, {value:.10g}, which {8 * after.itemsize}-bit samples cannot "
        f"hold; samples that are still missing became {nearest:g}"
    )


def at_depth(result: Picture, before: np.dtype[Any]) -> Picture:
    """Let a result state the no-data value that its samples have, if they had another depth."""
    assert result.nodata is not None
    value, note = scaled(result.nodata, before, result.pixels.dtype)
    if not note:
        return result
    tags = {code: each for code, each in result.metadata["tags"].items() if code != NODATA}
    if value is not None:
        tags[NODATA] = f"{value:.10g}"
    metadata = {**result.metadata, "tags": tags}
    return replace(result, metadata=metadata, nodata=value, notes=(*result.notes, note))
