"""What a picture carries along besides its pixels: profile, resolution, EXIF, XMP, text."""

from __future__ import annotations

import struct
from numbers import Real
from typing import Any

from PIL import Image, ImageOps
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError
from convcli.files.formats import FORMATS

# The tags that say something about the photograph. A TIFF's other tags say how its samples were
# stored.
_EXIF_KEPT = {
    *(Tag.ImageDescription, Tag.Make, Tag.Model, Tag.Software, Tag.DateTime, Tag.Artist),
    *(Tag.HostComputer, Tag.Rating, Tag.Copyright, Tag.DateTimeOriginal),
    *(Tag.XResolution, Tag.YResolution, Tag.ResolutionUnit),
    *(Tag.XPTitle, Tag.XPComment, Tag.XPAuthor, Tag.XPKeywords, Tag.XPSubject),  # Windows'
    *(IFD.Exif, IFD.GPSInfo),
}
RESOLUTION: set[int] = {Tag.XResolution, Tag.YResolution}
_UNITS = (1, 2, 3)  # none, inch, centimetre

BLOCKS: set[int] = {IFD.Exif, IFD.GPSInfo}
"""Tags that lead to blocks of their own."""

# Text that Pillow keeps under another name as well.
_NO_TEXT = ("XML:com.adobe.xmp", "Raw profile type exif")

# The colour space that an ICC profile names in its header, for the modes that it can describe.
_ICC_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I": b"GRAY", "F": b"GRAY", "RGB": b"RGB ",
               "RGBA": b"RGB ", "CMYK": b"CMYK", "LAB": b"Lab "}  # fmt: skip

# In dots per inch: PNG and BMP count dots per metre, from one to 2**32 - 1, TIFF can say more and
# JPEG has two bytes for dots per inch. Pillow would write what is left of a larger number.
_COARSEST, _FINEST = 0.0254, 0.0254 * (2**32 - 1)
_FINEST_JPEG = 65535

# The most bytes in a segment of a JPEG, less the longest header of those that are not split
# (XMP's, 29 bytes): ITU-T T.81 gives the length two bytes, which count themselves.
_JPEG_SEGMENT = 65535 - 2 - 29

_MEANING = {
    "icc_profile": "colour profile",
    "dpi": "resolution",
    "exif": "EXIF data",
    "xmp": "XMP data",
    "text": "text",
    "comment": "comment",
    "gamma": "gamma",
    "iptc": "IPTC data",
}

# 1 / 2.2 in a gAMA chunk (PNG specification, section 11.3.2.2).
_USUAL_GAMMA = struct.pack(">I", 45455)


def metadata_of(
    image: Image.Image, file: Image.Image, mode: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Turn a loaded picture upright, and return what it carries along, and notes.

    Parameters
    ----------
    image : Image
        The picture, which is turned as its EXIF or XMP data say, in place.
    file : Image
        What it was read from, if it is a copy: a TIFF's tags are known there alone.
    mode : str or None
        What its samples are read as, and so what a profile must describe; None where the
        filter makes grey of them, and drops it.

    Returns
    -------
    dict
        By the names that Pillow saves them under: icc_profile, dpi, exif (bytes, without its
        thumbnail), xmp (bytes), comment, and text, a PNG's by their keywords.
    list of str
        What had to be left out.
    """
    notes = []
    kept = ("icc_profile", "dpi", "comment")
    metadata = {key: image.info[key] for key in kept if image.info.get(key)}
    stated = metadata.get("dpi", (1, 1))  # which Pillow says of a TIFF that says nothing
    unsaid = set() if _is_resolution(stated) else RESOLUTION
    if stated == (1, 1) or unsaid:
        metadata.pop("dpi", None)
    if mode and "icc_profile" in metadata and not describes(metadata["icc_profile"], mode):
        del metadata["icc_profile"]
        notes.append("its colour profile, which does not describe its pixels, was left out")
    if file.info.get("photoshop"):
        metadata["iptc"] = True  # no format is written with it
    if gamma := _gamma(file):
        metadata["gamma"] = gamma
    if text := {k: v for k, v in getattr(file, "text", {}).items() if k not in _NO_TEXT}:
        metadata["text"] = text
    try:
        ImageOps.exif_transpose(image, in_place=True)  # and takes the orientation away
        exif = file.getexif()
        # What is known by its place in the file is read before the layout is changed to that
        # which all formats know.
        for block in BLOCKS & set(exif):
            if IFD.Interop in exif.get_ifd(block):
                exif.get_ifd(IFD.Interop)
        exif.bigtiff = False
        if exif.get(Tag.ResolutionUnit, 2) not in _UNITS:
            unsaid = RESOLUTION | {Tag.ResolutionUnit}
        for tag in set(exif) - (_EXIF_KEPT - unsaid):
            del exif[tag]
        _keep_bytes(exif)
        if exif:
            metadata["exif"] = exif.tobytes()
    except Exception:  # Pillow reads values that it cannot write, and says so in many ways
        notes.append("its EXIF data are damaged and were left out")
    if xmp := image.info.get("xmp"):
        metadata["xmp"] = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    return metadata, notes


def _is_resolution(stated: Any) -> bool:
    """Say whether this is one: a TIFF says 0/0, which is no number, or bytes, as it likes."""
    return all(isinstance(value, Real) and _COARSEST <= float(value) <= _FINEST for value in stated)


def _keep_bytes(exif: Image.Exif) -> None:
    """Turn text back into the bytes that it was: Pillow writes a "?" for all but ASCII.

    EXIF's text is ASCII by its standard, UTF-8 by habit; Pillow reads it as Latin-1.
    """
    blocks = [exif.get_ifd(tag) for tag in BLOCKS & set(exif)]
    for tags in (exif, *blocks):
        for tag, value in list(tags.items()):
            if isinstance(value, str) and not value.isascii():
                tags[tag] = value.encode("latin-1", "replace")


def _gamma(file: Image.Image) -> dict[bytes, bytes]:
    """Return a PNG's chunks that say what its levels mean, where no profile does."""
    if file.format != "PNG":
        return {}
    chunks = {}
    if "gamma" in file.info:
        chunks[b"gAMA"] = struct.pack(">I", round(file.info["gamma"] * 100_000))
    if len(chromaticity := file.info.get("chromaticity", ())) == 8:
        chunks[b"cHRM"] = struct.pack(">8I", *(round(v * 100_000) for v in chromaticity))
    if "srgb" in file.info:
        chunks[b"sRGB"] = bytes([file.info["srgb"]])
    return chunks


def describes(profile: bytes, mode: str) -> bool:
    """Say whether an ICC profile is one for pictures of this mode."""
    return profile[16:20] == _ICC_SPACES[mode.removesuffix(";16")]


def settings_for(
    metadata: dict[str, Any], format_name: str, mode: str, own_mode: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings by which Pillow saves metadata in a format, and notes on the rest.

    `mode` is what the format holds a picture of `own_mode` in.
    """
    found = dict(metadata)
    kept = set(FORMATS[format_name].metadata)
    if profile := found.get("icc_profile"):
        # Edges of a colour picture are grey; its profile would make of them what they are not.
        if not describes(profile, own_mode):
            del found["icc_profile"]
        elif not describes(profile, mode):  # grey that is written as RGB
            kept.discard("icc_profile")
    if _is_srgb(found.get("gamma", {})):
        kept.add("gamma")  # as everything else is taken to be
    left = [_MEANING[key] for key in found if key not in kept]
    notes = [f"{format_name} has no place for its {_joined(left)}, left out"] if left else []
    found = {key: value for key, value in found.items() if key in kept}
    if format_name == "JPEG":
        if max(found.get("dpi", (0,))) > _FINEST_JPEG:
            del found["dpi"]
            if RESOLUTION.isdisjoint(exif_of(found.get("exif", b""))):
                notes.append("its resolution, too fine for JPEG, left out")
        for key in ("exif", "xmp", "comment"):
            if len(found.get(key, b"")) > _JPEG_SEGMENT:
                del found[key]
                notes.append(f"its {_MEANING[key]}, too long for JPEG, left out")
    gamma = found.pop("gamma", {})
    if format_name == "PNG":
        found = _in_chunks(found, gamma)
    if format_name == "TIFF" and "exif" in found:
        found["exif"] = exif_of(found["exif"])
    if format_name == "TIFF" and (xmp := found.pop("xmp", None)):
        found["exif"] = with_tag(found.get("exif", b""), Tag.XMLPacket, xmp)
    return found, notes


def with_tag(exif: bytes | Image.Exif, tag: int, value: Any) -> Image.Exif:
    """Return EXIF data with one more tag, which Pillow writes among a TIFF's own."""
    tags = exif_of(exif)
    tags[tag] = value
    return tags


def exif_of(exif: bytes | Image.Exif) -> Image.Exif:
    """Return EXIF data as the tags that they are."""
    if not isinstance(exif, bytes):
        return exif
    tags = Image.Exif()
    tags.load(exif)
    _keep_bytes(tags)
    return tags


def _is_srgb(gamma: dict[bytes, bytes]) -> bool:
    """Say whether a PNG's chunks say what is taken for granted: sRGB, or its gamma of 1/2.2."""
    stated = gamma.get(b"gAMA", _USUAL_GAMMA)
    return b"sRGB" in gamma or (b"cHRM" not in gamma and stated == _USUAL_GAMMA)


def _in_chunks(found: dict[str, Any], gamma: dict[bytes, bytes]) -> dict[str, Any]:
    """Put text and XMP into a PNG's text chunks, and its gamma into its own."""
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    for kind, content in gamma.items():
        chunks.add(kind, content)
    for keyword, value in found.pop("text", {}).items():
        try:
            chunks.add_text(keyword, value)
        except (ValueError, UnicodeError):
            raise ConvcliError("has text that PNG cannot hold; --strip leaves it out") from None
    if xmp := found.pop("xmp", None):
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    return found | {"pnginfo": chunks} if chunks.chunks else found


def _joined(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
