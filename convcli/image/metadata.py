"""What a picture carries along besides its pixels: profile, resolution, EXIF, XMP, text."""

from __future__ import annotations

from typing import Any

from PIL import ExifTags, Image, ImageOps

from convcli.errors import ConvcliError
from convcli.formats import FORMATS

# The tags that say something about the photograph: description, camera, orientation,
# resolution, program, time, artist, computer, rating, copyright, the EXIF and GPS blocks, and
# Windows' title to subject. A TIFF's other tags say how its samples were stored.
_EXIF_KEPT = {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 33432, 34665, 34853,
              *range(40091, 40096)}  # fmt: skip
_XMP_TAG = 700

# Text that Pillow keeps under another name as well.
_NO_TEXT = ("XML:com.adobe.xmp", "Raw profile type exif")

# The colour space that an ICC profile names in its header, for the modes that it can describe.
_ICC_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I": b"GRAY", "F": b"GRAY", "RGB": b"RGB ",
               "RGBA": b"RGB ", "CMYK": b"CMYK", "LAB": b"Lab "}  # fmt: skip

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
}


def metadata_of(image: Image.Image, file: Image.Image) -> tuple[dict[str, Any], list[str]]:
    """Turn a loaded picture upright, and return what it carries along, and notes.

    Parameters
    ----------
    image : Image
        The picture, which is turned as its EXIF or XMP data say, in place.
    file : Image
        What it was read from, if it is a copy: a TIFF's tags are known there alone.

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
    if metadata.get("dpi") == (1, 1):  # what Pillow says of a TIFF that says nothing
        del metadata["dpi"]
    if text := {k: v for k, v in getattr(file, "text", {}).items() if k not in _NO_TEXT}:
        metadata["text"] = text
    try:
        ImageOps.exif_transpose(image, in_place=True)  # and takes the orientation away
        exif = file.getexif()
        # What is known by its place in the file is read before the layout is changed to that
        # which all formats know.
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if block in exif and ExifTags.IFD.Interop in exif.get_ifd(block):
                exif.get_ifd(ExifTags.IFD.Interop)
        exif.bigtiff = False
        for tag in set(exif) - _EXIF_KEPT:
            del exif[tag]
        if exif:
            metadata["exif"] = exif.tobytes()
    except Exception:  # Pillow reads values that it cannot write, and says so in many ways
        notes.append("its EXIF data are damaged and were left out")
    if xmp := image.info.get("xmp"):
        metadata["xmp"] = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    return metadata, notes


def describes(profile: bytes, mode: str) -> bool:
    """Say whether an ICC profile is one for pictures of this mode."""
    return profile[16:20] == _ICC_SPACES[mode.removesuffix(";16")]


def settings_for(
    metadata: dict[str, Any], format_name: str, mode: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings by which Pillow saves metadata in a format, and notes on the rest."""
    found = dict(metadata)
    # Edges of a colour picture are grey; its profile would make of them what they are not.
    if "icc_profile" in found and not describes(found["icc_profile"], mode):
        del found["icc_profile"]
    kept = FORMATS[format_name].metadata
    left = [_MEANING[key] for key in found if key not in kept]
    notes = [f"{format_name} has no place for its {_joined(left)}, left out"] if left else []
    found = {key: value for key, value in found.items() if key in kept}
    if format_name == "JPEG":
        for key in ("exif", "xmp", "comment"):
            if len(found.get(key, b"")) > _JPEG_SEGMENT:
                del found[key]
                notes.append(f"its {_MEANING[key]}, too long for JPEG, left out")
    if format_name == "PNG":
        found = _in_chunks(found)
    if format_name == "TIFF" and (xmp := found.pop("xmp", None)):
        found["exif"] = with_tag(found.get("exif", b""), _XMP_TAG, xmp)
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
    return tags


def _in_chunks(found: dict[str, Any]) -> dict[str, Any]:
    """Put text and XMP into a PNG's text chunks."""
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
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
