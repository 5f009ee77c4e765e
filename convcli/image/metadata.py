"""The metadata of an image: colour profile, resolution, EXIF, XMP, text."""

from __future__ import annotations

import struct
from numbers import Real
from typing import Any

from PIL import Image, ImageOps
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError
from convcli.files.formats import FORMATS

# The tags that describe the photograph. The other tags of a TIFF describe how its samples are
# stored.
_EXIF_KEPT = {
    *(Tag.ImageDescription, Tag.Make, Tag.Model, Tag.Software, Tag.DateTime, Tag.Artist),
    *(Tag.HostComputer, Tag.Rating, Tag.Copyright, Tag.DateTimeOriginal),
    *(Tag.XResolution, Tag.YResolution, Tag.ResolutionUnit),
    *(Tag.XPTitle, Tag.XPComment, Tag.XPAuthor, Tag.XPKeywords, Tag.XPSubject),  # Windows
    *(IFD.Exif, IFD.GPSInfo),
}
RESOLUTION: set[int] = {Tag.XResolution, Tag.YResolution}
_UNITS = (1, 2, 3)  # none, inch, centimetre

BLOCKS: set[int] = {IFD.Exif, IFD.GPSInfo}
"""Tags that point to blocks of further tags."""

# Text that Pillow also keeps under another name.
_NO_TEXT = ("XML:com.adobe.xmp", "Raw profile type exif")

# The colour space in the header of an ICC profile, for the modes that it can describe.
_ICC_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I": b"GRAY", "F": b"GRAY", "RGB": b"RGB ",
               "RGBA": b"RGB ", "CMYK": b"CMYK", "LAB": b"Lab "}  # fmt: skip

# In dots per inch. PNG and BMP count dots per metre, from 1 to 2**32 - 1; TIFF holds more; JPEG
# has two bytes for dots per inch. Pillow would write larger numbers truncated.
_COARSEST, _FINEST = 0.0254, 0.0254 * (2**32 - 1)
_FINEST_JPEG = 65535

# The most bytes in a segment of a JPEG, less the longest header of a segment that is not split
# (XMP, 29 bytes): in ITU-T T.81 the length has two bytes and includes itself.
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
    """Turn a loaded image upright; return its metadata and notes.

    Parameters
    ----------
    image : Image
        The image, which is turned in place as its EXIF or XMP data say.
    file : Image
        The opened file that it comes from, if `image` is a copy: only the file has the tags of
        a TIFF.
    mode : str or None
        The mode of the pixels, which a colour profile has to describe; None if the filter turns
        them into grey and so drops the profile.

    Returns
    -------
    dict
        By Pillow's names for saving: icc_profile, dpi, exif (bytes, without the thumbnail), xmp
        (bytes), comment; and text, the texts of a PNG by their keywords.
    list of str
        Notes on what was dropped.
    """
    notes = []
    kept = ("icc_profile", "dpi", "comment")
    metadata = {key: image.info[key] for key in kept if image.info.get(key)}
    stated = metadata.get("dpi", (1, 1))  # Pillow's value for a TIFF without a resolution
    invalid = set() if _is_resolution(stated) else RESOLUTION
    if stated == (1, 1) or invalid:
        metadata.pop("dpi", None)
    if mode and "icc_profile" in metadata and not describes(metadata["icc_profile"], mode):
        del metadata["icc_profile"]
        notes.append("dropped its colour profile, which does not describe its pixels")
    if file.info.get("photoshop"):
        metadata["iptc"] = True  # only noted: no format is written with it
    if gamma := _gamma(file):
        metadata["gamma"] = gamma
    if text := {k: v for k, v in getattr(file, "text", {}).items() if k not in _NO_TEXT}:
        metadata["text"] = text
    try:
        ImageOps.exif_transpose(image, in_place=True)  # also removes the orientation
        exif = file.getexif()
        # These blocks are read by their position in the file, so before the layout is changed to
        # the one that all formats know.
        for block in BLOCKS & set(exif):
            if IFD.Interop in exif.get_ifd(block):
                exif.get_ifd(IFD.Interop)
        exif.bigtiff = False
        if exif.get(Tag.ResolutionUnit, 2) not in _UNITS:
            invalid = RESOLUTION | {Tag.ResolutionUnit}
        for tag in set(exif) - (_EXIF_KEPT - invalid):
            del exif[tag]
        _keep_bytes(exif)
        if exif:
            metadata["exif"] = exif.tobytes()
    except Exception:  # Pillow reads values that it cannot write; its exceptions vary
        notes.append("dropped its EXIF data, which are damaged")
    if xmp := image.info.get("xmp"):
        metadata["xmp"] = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    return metadata, notes


def _is_resolution(stated: Any) -> bool:
    """Return whether a resolution is valid: a TIFF may hold 0/0, which is not a number, or text."""
    return all(isinstance(value, Real) and _COARSEST <= float(value) <= _FINEST for value in stated)


def _keep_bytes(exif: Image.Exif) -> None:
    """Convert text back to its bytes: Pillow writes "?" for every character outside ASCII.

    The standard says ASCII and most programs write UTF-8; Pillow reads Latin-1.
    """
    blocks = [exif.get_ifd(tag) for tag in BLOCKS & set(exif)]
    for tags in (exif, *blocks):
        for tag, value in list(tags.items()):
            if isinstance(value, str) and not value.isascii():
                tags[tag] = value.encode("latin-1", "replace")


def _gamma(file: Image.Image) -> dict[bytes, bytes]:
    """Return the chunks of a PNG that define its levels, for images without a profile."""
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
    """Return whether an ICC profile is one for images of this mode."""
    return profile[16:20] == _ICC_SPACES[mode.removesuffix(";16")]


def metadata_settings(
    metadata: dict[str, Any], format_name: str, mode: str, own_mode: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings with which Pillow saves metadata, and notes on what is dropped.

    `mode` is the mode in which the format stores an image of `own_mode`.
    """
    found = dict(metadata)
    kept = set(FORMATS[format_name].metadata)
    if profile := found.get("icc_profile"):
        # Edges of a colour image are grey: its profile would give them wrong colours.
        if not describes(profile, own_mode):
            del found["icc_profile"]
        elif not describes(profile, mode):  # grey that is written as RGB
            kept.discard("icc_profile")
    if _is_srgb(found.get("gamma", {})):
        kept.add("gamma")  # nothing is lost: sRGB is assumed without it
    dropped = [_MEANING[key] for key in found if key not in kept]
    notes = [f"dropped its {_listed(dropped)}, which {format_name} cannot store"] if dropped else []
    found = {key: value for key, value in found.items() if key in kept}
    if format_name == "JPEG":
        if max(found.get("dpi", (0,))) > _FINEST_JPEG:
            del found["dpi"]
            if RESOLUTION.isdisjoint(exif_of(found.get("exif", b""))):
                notes.append("dropped its resolution, too fine for JPEG")
        for key in ("exif", "xmp", "comment"):
            if len(found.get(key, b"")) > _JPEG_SEGMENT:
                del found[key]
                notes.append(f"dropped its {_MEANING[key]}, too long for JPEG")
    gamma = found.pop("gamma", {})
    if format_name == "PNG":
        found = _in_chunks(found, gamma)
    if format_name == "TIFF" and "exif" in found:
        found["exif"] = exif_of(found["exif"])
    if format_name == "TIFF" and (xmp := found.pop("xmp", None)):
        found["exif"] = with_tag(found.get("exif", b""), Tag.XMLPacket, xmp)
    return found, notes


def with_tag(exif: bytes | Image.Exif, tag: int, value: Any) -> Image.Exif:
    """Return EXIF data with one more tag, which Pillow writes among the tags of a TIFF."""
    tags = exif_of(exif)
    tags[tag] = value
    return tags


def exif_of(exif: bytes | Image.Exif) -> Image.Exif:
    """Return EXIF data as tags."""
    if not isinstance(exif, bytes):
        return exif
    tags = Image.Exif()
    tags.load(exif)
    _keep_bytes(tags)
    return tags


def _is_srgb(gamma: dict[bytes, bytes]) -> bool:
    """Return whether the chunks of a PNG state the default: sRGB, or its gamma of 1/2.2."""
    stated = gamma.get(b"gAMA", _USUAL_GAMMA)
    return b"sRGB" in gamma or (b"cHRM" not in gamma and stated == _USUAL_GAMMA)


def _in_chunks(found: dict[str, Any], gamma: dict[bytes, bytes]) -> dict[str, Any]:
    """Put text and XMP into text chunks of a PNG, and its gamma into chunks of its own."""
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    for kind, content in gamma.items():
        chunks.add(kind, content)
    for keyword, value in found.pop("text", {}).items():
        try:
            chunks.add_text(keyword, value)
        except (ValueError, UnicodeError):
            raise ConvcliError("has text that PNG cannot store; --strip drops it") from None
    if xmp := found.pop("xmp", None):
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    return found | {"pnginfo": chunks} if chunks.chunks else found


def _listed(words: list[str]) -> str:
    """Join words in a sentence: "a, b and c"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
