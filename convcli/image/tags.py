"""Tags of EXIF data and of a TIFF: which are kept, which are stale, and the names of the others."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image, TiffTags
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from convcli.image.previews import shows_image

if TYPE_CHECKING:
    from PIL import TiffImagePlugin

# Tags that a TIFF keeps: filtering does not change where the pixels lie, what marks missing data,
# or what the primaries are. OGC GeoTIFF 1.1 (33550 to 34737), GDAL's GTiff driver (42112, 42113),
# TIFF 6.0.
IN_TIFF = {
    **dict.fromkeys((33550, 33922, 34264, 34735, 34736, 34737), "GeoTIFF keys"),
    42112: "GDAL metadata",
    42113: "no-data value",
    50844: "RPC coefficients",
    Tag.DocumentName: "document name",
    Tag.PageName: "page name",
    Tag.PageNumber: "page number",
    286: "position",
    287: "position",
    Tag.NewSubfileType: "subfile type",
    33723: "IPTC data",
    Tag.WhitePoint: "white point",
    Tag.PrimaryChromaticities: "primary chromaticities",
}

TEXTS = (Tag.DocumentName, Tag.PageName, 34737, 42112, 42113)
"""Those of `IN_TIFF` that are text."""

SHAPE = '{"shape": '
"""How an ImageDescription of tifffile's own begins; the result may have another shape."""

# Those that place pixels by their rows and columns, so that they are wrong in a turned image.
_PLACES = (33550, 33922, 34264, 34735, 34736, 34737, 50844)

# Names of tags that are never kept.
_NAMED = {
    34377: "Photoshop data",
    37724: "Photoshop layers",
    50838: "ImageJ metadata",
    50839: "ImageJ metadata",
    50341: "PrintImageMatching",
    Tag.TransferFunction: "transfer function",
    Tag.SubIFDs: "images in SubIFDs",
}

# Tags that say how samples are stored, that another tag replaces, or that are padding.
_STORED = {
    *(Tag.SubfileType, Tag.ImageWidth, Tag.ImageLength, Tag.BitsPerSample, Tag.Compression),
    *(Tag.PhotometricInterpretation, Tag.Thresholding, Tag.CellWidth, Tag.CellLength),
    *(Tag.FillOrder, Tag.StripOffsets, Tag.Orientation, Tag.SamplesPerPixel, Tag.RowsPerStrip),
    *(Tag.StripByteCounts, Tag.MinSampleValue, Tag.MaxSampleValue, Tag.PlanarConfiguration),
    *(Tag.FreeOffsets, Tag.FreeByteCounts, Tag.GrayResponseUnit, Tag.GrayResponseCurve),
    *(Tag.T4Options, Tag.T6Options, Tag.ResolutionUnit, Tag.XResolution, Tag.YResolution),
    *(Tag.Predictor, Tag.ColorMap, Tag.HalftoneHints, Tag.TileWidth, Tag.TileLength),
    *(Tag.TileOffsets, Tag.TileByteCounts, 326, 327, 328, 332, 334, 336, Tag.ExtraSamples),
    *(Tag.SampleFormat, Tag.SMinSampleValue, Tag.SMaxSampleValue, Tag.TransferRange),
    *(Tag.JPEGTables, 346, *range(512, 522), *range(529, 533), 559, Tag.XMLPacket),
    *(32995, 32996, 32997, 32998, 34675, IFD.Interop, 59932, 65537),
}

# Starts of maker notes whose offsets count from within them: by ExifTool's MakerNotes.pm those
# with a TIFF header of their own, or with their base at their start.
_SELF_CONTAINED = (
    *(b"Nikon\0\2", b"FUJIFILM", b"OLYMPUS\0", b"OM SYSTEM\0", b"Apple iOS\0", b"PENTAX \0"),
)

# EXIF 2.3, not among Pillow's names.
_SUBJECT_AREA = 37396

# The byte with which each record of IPTC data begins (IIM 4.2, section 1.5).
_IPTC_RECORD = 0x1C

# Integers of a TIFF, as `struct` packs them.
_INTEGERS = {TiffTags.SHORT: "H", TiffTags.LONG: "I", TiffTags.SIGNED_LONG: "i"}

# The number of no group of tags: Pillow's tables do not apply to it.
_NO_GROUP = 0

# Values that say nothing: an image of full size, and page 0 of 1, which ImageMagick writes.
_EMPTY: dict[int, Any] = {Tag.NewSubfileType: 0, Tag.PageNumber: (0, 1)}

# TIFF 6.0 replaced the values of SubfileType, a number, by bits of NewSubfileType: full size, a
# smaller version of another image in the file, a page of several.
_SUBFILE_TYPES = {1: 0, 2: 1, 3: 2}


def says_nothing(code: int, exif: Image.Exif) -> bool:
    """Return whether a tag need not be kept, nor noted."""
    return code in _EMPTY and bool(exif[code] == _EMPTY[code])


def tags_of_tiff(file: Image.Image, codes: Iterable[int], turned: bool) -> dict[int, Any]:
    """Return the values of those of some tags of a TIFF that another TIFF keeps.

    `turned` tells whether the image has been turned upright.
    """
    if file.format != "TIFF":
        return {}
    tags = file.tag_v2  # type: ignore[attr-defined]
    found = {}
    for code in sorted((set(codes) & set(IN_TIFF)) - set(_PLACES if turned else ())):
        value = tags.get(code)
        if isinstance(value, str) and (code == Tag.IPTCNAA or not value.isascii()):
            value = value.encode("latin-1", "replace")  # as Pillow decoded it
        if value is not None and not shows_image(value) and _is_writable(code, value):
            found[code] = value
    kind = found.pop(Tag.NewSubfileType, 0) or _SUBFILE_TYPES.get(tags.get(Tag.SubfileType), 0)
    return found | ({Tag.NewSubfileType: kind} if kind else {})


def directory(
    file: BinaryIO, layout: tuple[bool, bytes], offset: int, group: int | None = None
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Read the tags at an offset of a TIFF.

    Parameters
    ----------
    file : BinaryIO
        The TIFF.
    layout : (bool, bytes)
        Whether it is a BigTIFF, and its byte order, as it begins: ``b"II"`` or ``b"MM"``.
    offset : int
        Where the directory begins.
    group : int, optional
        The tag that points there, for a block of EXIF data.
    """
    from PIL import TiffImagePlugin

    is_big, order = layout
    # Pillow knows a BigTIFF by the third byte, which in its big-endian header is the fourth.
    header = b"II\x2b\0" + bytes(12) if is_big else b"II\x2a\0" + bytes(4)
    tags = TiffImagePlugin.ImageFileDirectory_v2(header, order, group)
    file.seek(offset)
    tags.load(file)
    return tags


def restore_iptc(tags: TiffImagePlugin.ImageFileDirectory_v2, file: BinaryIO) -> None:
    """Give the tags of an open TIFF its IPTC data as bytes: some programs state integers or text.

    By Pillow's table they are one value: of several integers it keeps the first alone. It has read
    integers in the byte order of the file. Data that were swapped with the order begin with a
    record in the other one.
    """
    layout = _INTEGERS.get(tags.tagtype.get(Tag.IPTCNAA, 0))
    if not layout:
        return
    file.seek(0)
    is_big = b"\x2b" in file.read(4)
    again = directory(file, (is_big, tags.prefix), tags.offset, _NO_GROUP)
    value = again[Tag.IPTCNAA]
    numbers = value if isinstance(value, tuple) else (value,)
    orders = "<>" if tags.prefix == b"II" else "><"
    stored, swapped = (struct.pack(f"{order}{len(numbers)}{layout}", *numbers) for order in orders)
    tags.tagtype[Tag.IPTCNAA] = TiffTags.UNDEFINED
    tags[Tag.IPTCNAA] = swapped if swapped[0] == _IPTC_RECORD != stored[0] else stored


def _is_writable(code: int, value: Any) -> bool:
    """Return whether Pillow can write a tag: it reads values of types that the tag cannot have."""
    from PIL import TiffImagePlugin

    directory = TiffImagePlugin.ImageFileDirectory_v2()
    try:
        directory[code] = value
        directory.tobytes()
    except Exception:  # its exceptions vary
        return False
    return True


def lost_names(codes: Iterable[int]) -> list[str]:
    """Name tags that are not kept; those that say how samples are stored have no name."""
    names = []
    for code in sorted(set(codes) - _STORED):
        known = TiffTags.lookup(code).name
        names.append(
            IN_TIFF.get(code)
            or _NAMED.get(code)
            or (f"{known} tag" if known != "unknown" else f"tag {code}")
        )
    return list(dict.fromkeys(names))


def drop_stale(exif: Image.Exif, size: tuple[int, int], turned: bool) -> list[str]:
    """Correct or remove EXIF tags that describe the old image; return the names of those lost.

    Parameters
    ----------
    exif : Image.Exif
        Changed in place.
    size : (int, int)
        Width and height of the upright image.
    turned : bool
        The image has been turned upright: positions in it are no longer right.
    """
    lost = []
    block = exif.get_ifd(IFD.Exif) if IFD.Exif in exif else {}
    for side, length in ((Tag.ExifImageWidth, size[0]), (Tag.ExifImageHeight, size[1])):
        if side in block:
            block[side] = length
    if str(exif.get(Tag.ImageDescription, "")).startswith(SHAPE):
        del exif[Tag.ImageDescription]
    if turned:
        places = [block.pop(place, None) for place in (_SUBJECT_AREA, Tag.SubjectLocation)]
        lost += ["subject area"] * any(places)
    if IFD.Interop in block:
        for side in (Tag.RelatedImageWidth, Tag.RelatedImageLength):
            exif.get_ifd(IFD.Interop).pop(side, None)
    note = block.get(Tag.MakerNote)
    if note is not None and not (
        isinstance(note, bytes) and note.startswith(_SELF_CONTAINED) and not shows_image(note)
    ):
        del block[Tag.MakerNote]
        lost.append("maker notes")
    gps = exif.get_ifd(IFD.GPSInfo) if IFD.GPSInfo in exif else {}
    for tags in (exif, block, gps):
        for tag in [tag for tag, value in tags.items() if shows_image(value)]:
            del tags[tag]
            lost.append("previews in EXIF")
    return list(dict.fromkeys(lost))
