"""The tags of a TIFF that go along with its pixels: resolution, profile, GeoTIFF keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.ExifTags import Base as Tag

from convcli.image.nodata import NODATA, scaled
from convcli.image.picture import form_of
from convcli.image.tags import SHAPE
from convcli.sources.contract import Given

if TYPE_CHECKING:
    import tifffile

# Tags that say how samples are stored, and are written as the result is stored: TIFF 6.0, and
# T4Options to XPosition of it, SubIFDs, JPEGTables and YCbCr.
_STORAGE = {*range(254, 260), 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284,
            288, 289, 290, 291, 292, 293, 301, 317, 320, 321, 322, 323, 324, 325, 330, 332, 333,
            334, 336, 338, 339, 340, 341, 342, 347, *range(512, 522), 529, 530, 531, 532,
            32997, 32998}  # fmt: skip

# Tags that are arguments of tifffile's writer.
_ARGUMENTS: dict[int, str] = {Tag.ImageDescription: "description", Tag.Software: "software",
              Tag.DateTime: "datetime", Tag.InterColorProfile: "iccprofile"}  # fmt: skip
_RESOLUTION = (Tag.XResolution, Tag.YResolution, Tag.ResolutionUnit)

# Tags that lead to further directories, whose places are those of the old file.
_POINTERS = {Tag.ExifOffset: "EXIF data", Tag.GPSInfo: "GPS data", 40965: "interoperability data"}

_UNDEFINED, _BYTE, _ASCII = 7, 1, 2


def carried_of(page: tifffile.TiffPage) -> tuple[dict[str, Any], list[str]]:
    """Return a page's tags as arguments of tifffile's writer, and notes on those that are lost."""
    carried: dict[str, Any] = {}
    extra: list[tuple[Any, ...]] = []
    notes = []
    for tag in page.tags:
        code, value = tag.code, tag.value
        if isinstance(value, str) and not value.isascii():
            value = value.encode()  # OME-XML is UTF-8; of text tifffile writes ASCII alone
        if code in _POINTERS:
            notes.append(f"dropped its {_POINTERS[code]}, which cannot be written in parts")
        elif code == Tag.ImageDescription and str(value).startswith(SHAPE):
            continue
        elif code in _ARGUMENTS:
            carried.setdefault(_ARGUMENTS[code], value)  # the first of several descriptions
        elif code not in _STORAGE and code not in _RESOLUTION:
            if isinstance(value, bytes):
                kind = int(tag.dtype) if tag.dtype in (_BYTE, _ASCII) else _UNDEFINED
                extra.append((code, kind, None, value, True))
            elif _is_written(value):
                extra.append((code, int(tag.dtype), tag.count, value, True))
            else:
                notes.append(f"dropped its tag {code}")
    if Tag.XResolution in page.tags and Tag.YResolution in page.tags:
        carried["resolution"] = tuple(page.tags[code].value for code in _RESOLUTION[:2])
        unit = page.tags.get(Tag.ResolutionUnit)
        carried["resolutionunit"] = 2 if unit is None else int(unit.value)
    carried["extratags"] = extra
    return carried, notes


def _is_written(value: Any) -> bool:
    """Return whether a value is text or numbers; tifffile reads some tags into other objects."""
    values = value if isinstance(value, tuple) else (value,)
    return all(isinstance(each, (str, int, float)) for each in values)


def settings_of(given: Given, dtype: np.dtype[Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments of tifffile's writer that describe a result of a dtype, and notes."""
    if given.kind != "TIFF":
        return {}, ()
    names = (*_ARGUMENTS.values(), "resolution", "resolutionunit", "extratags")
    found = {name: given.carried[name] for name in names if name in given.carried}
    if given.nodata is None:
        return found, ()
    value, note = scaled(given.nodata, np.dtype(form_of(given.mode)[1]), dtype)
    if not note:
        return found, ()
    found["extratags"] = [tag for tag in found["extratags"] if tag[0] != NODATA]
    if value is not None:
        found["extratags"].append((NODATA, _ASCII, 0, f"{value:.10g}", True))
    return found, (note,)
