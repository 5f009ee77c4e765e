"""The settings with which Pillow saves an image's metadata, and what a format cannot hold of it."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

from PIL import TiffTags
from PIL.ExifTags import Base as Tag

from convcli.files.formats import FORMATS, spelt
from convcli.image import tags
from convcli.image.held import is_srgb
from convcli.image.metadata import RESOLUTION, describes, exif_of, with_tag
from convcli.words import listed_all

if TYPE_CHECKING:
    from PIL import PngImagePlugin

# JPEG has two bytes for dots per inch. Pillow would write larger numbers truncated.
_FINEST_JPEG = 65535

# The most bytes in a segment of a JPEG, less the longest header of a segment that is not split
# (XMP, 29 bytes): in ITU-T T.81 the length has two bytes and includes itself.
_JPEG_SEGMENT = 65535 - 2 - 29

# Metadata of so many bytes that compress to such a share of it hold hardly anything, but would
# become megabytes from a file of some kilobytes that has them compressed, as a PNG has. (XMP data
# have some kB of padding; profiles, the largest of metadata, compress to a fifth or more.)
_SUSPECT_BYTES = 100_000
_HARDLY_ANYTHING = 1 / 50

# What a PNG holds compressed.
_COMPRESSED_IN_PNG = ("icc_profile", "xmp")

# Bytes from which XMP data in a PNG are compressed: readers expect short ones as they are.
_LONG = 1 << 16

_MEANING = {
    "icc_profile": "colour profile",
    "dpi": "resolution",
    "exif": "EXIF data",
    "xmp": "XMP data",
    "text": "text",
    "comment": "comment",
    "gamma": "gamma",
    "code_points": "colour code points",
}

# Bytes of a background colour by the number of channels: grey has one value, colour three.
_BACKGROUND = {"L": 2, "LA": 2, "I": 2, "RGB": 6, "RGBA": 6}

# Public chunks that Pillow writes if it gets them; it ignores others.
_BY_PILLOW = {
    *(b"bKGD", b"cICP", b"gAMA", b"cHRM", b"sRGB", b"tEXt", b"zTXt", b"iTXt"),
}

# 1 / 2.2 in a gAMA chunk (PNG specification, section 11.3.2.2).
_USUAL_GAMMA = struct.pack(">I", 45455)


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
            found["lost"] = [*found.get("lost", ()), "colour profile, as the result is grey"]
        elif not describes(profile, mode):  # grey that is written as RGB
            kept.discard("icc_profile")
    if _is_srgb(found.get("gamma", {})):
        kept.add("gamma")  # nothing is lost: sRGB is assumed without it
    if is_srgb(found.get("code_points", b"")):
        kept.add("code_points")
    lost = [*found.pop("lost", []), *_drop_inflated(found, format_name)]
    if format_name == "AVIF" and "code_points" not in kept and found.pop("code_points", b""):
        lost = [*lost, _MEANING["code_points"]]  # AVIF can store them; Pillow does not write them
    dropped = _names([key for key in found if key not in kept], found)
    found = {key: value for key, value in found.items() if key in kept}
    if format_name == "PNG":
        dropped += _unfit_chunks(found, mode)
    notes = _note_on(dropped, lost, format_name)
    if format_name == "JPEG":
        notes += _fit_jpeg(found)
    gamma = found.pop("gamma", {})
    if format_name != "PNG":
        found.pop("code_points", None)
    comments = [*found.pop("comments", []), *([found["comment"]] if "comment" in found else [])]
    if format_name == "JPEG" and len(comments) > 1:
        found["extra"] = b"".join(map(_comment_segment, comments[:-1]))
    if format_name == "GIF" and comments:
        found["comment"] = b"\n".join(comments)
    if format_name == "PNG":
        found = _in_chunks(found, gamma)
    if format_name == "TIFF":
        found = _in_tags(found)
    return found, notes


def _drop_inflated(found: dict[str, Any], format_name: str) -> list[str]:
    """Drop data that would take far more than they hold; return their names."""
    kept = _COMPRESSED_IN_PNG if format_name == "PNG" else ()
    names = []
    for key in ("icc_profile", "exif", "xmp"):
        size = len(found.get(key, b""))
        if key in kept or size <= _SUSPECT_BYTES:
            continue
        if len(zlib.compress(found[key])) < size * _HARDLY_ANYTHING:
            del found[key]
            names.append(f"{_MEANING[key]} ({size} bytes, nearly all repetition)")
    return names


def _names(keys: list[str], found: dict[str, Any]) -> list[str]:
    """Name metadata, some of which are several things."""
    names = []
    for key in keys:
        if key == "comment":
            count = 1 + len(found.get("comments", ()))
            names.append("comment" if count == 1 else f"{count} comments")
        elif key == "tags":
            names += [tags.IN_TIFF[code] for code in found[key]]
        elif key == "chunks":
            from convcli.image.png_blocks import name_of_chunk

            names += [name_of_chunk(kind) for kind, _ in found[key]]
        elif key != "comments":
            names.append(_MEANING[key])
    return list(dict.fromkeys(names))


def _note_on(dropped: list[str], lost: list[str], format_name: str) -> list[str]:
    """Return one note, or none, on what a format cannot store and what no format keeps."""
    parts = (
        [f"its {listed_all(dropped)}, which {spelt(format_name)} cannot store"] if dropped else []
    )
    parts += [f"its {listed_all(lost)}"] if lost else []
    return [f"dropped {', and '.join(parts)}"] if parts else []


def _unfit_chunks(found: dict[str, Any], mode: str) -> list[str]:
    """Fit the background of a PNG to the samples, or drop it; return the names of the dropped."""
    from convcli.image.png_blocks import in_8_bits, name_of_chunk

    fit, dropped = [], []
    for kind, content in found.get("chunks", []):
        if kind != b"bKGD":
            fit.append((kind, content))
        elif len(content) == _BACKGROUND.get(mode.removesuffix(";16")):
            is_deep = mode.startswith("I") or mode.endswith(";16")
            fit.append((kind, content if is_deep else in_8_bits(content)))
        else:
            dropped.append(name_of_chunk(kind))
    found["chunks"] = fit
    return dropped


def _fit_jpeg(found: dict[str, Any]) -> list[str]:
    """Drop what is too long or too fine for a JPEG; return notes on it."""
    notes = []
    if max(found.get("dpi", (0,))) > _FINEST_JPEG:
        del found["dpi"]
        if RESOLUTION.isdisjoint(exif_of(found.get("exif", b""))):
            notes.append("dropped its resolution, too fine for JPEG")
    for key in ("exif", "xmp", "comment"):
        if len(found.get(key, b"")) > _JPEG_SEGMENT:
            del found[key]
            notes.append(f"dropped its {_MEANING[key]}, too long for JPEG")
    return notes


def _comment_segment(comment: bytes) -> bytes:
    """Return a comment as a segment of a JPEG (ITU-T T.81, section B.2.4.5)."""
    return b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment


def _in_tags(found: dict[str, Any]) -> dict[str, Any]:
    """Put XMP data and tags of another TIFF among the tags that Pillow writes."""
    if "exif" in found:
        found["exif"] = exif_of(found["exif"])
    if packet := found.pop("xmp", None):
        found["exif"] = with_tag(found.get("exif", b""), Tag.XMLPacket, packet)
    kept = found.pop("tags", {})
    for code, value in kept.items():
        found["exif"] = with_tag(found.get("exif", b""), code, value)
    if kept:  # or Pillow would take text that is not ASCII, and so in bytes, for bytes
        texts = [code for code in tags.TEXTS if isinstance(kept.get(code), (str, bytes))]
        found["exif"].tagtype = dict.fromkeys(texts, TiffTags.ASCII)
    return found


def _is_srgb(gamma: dict[bytes, bytes]) -> bool:
    """Return whether the chunks of a PNG state the default: sRGB, or its gamma of 1/2.2."""
    stated = gamma.get(b"gAMA", _USUAL_GAMMA)
    return b"sRGB" in gamma or (b"cHRM" not in gamma and stated == _USUAL_GAMMA)


def _in_chunks(found: dict[str, Any], gamma: dict[bytes, bytes]) -> dict[str, Any]:
    """Put text, XMP and what states the colour into chunks of a PNG."""
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    if code_points := found.pop("code_points", b""):
        chunks.add(b"cICP", code_points)
    for kind, content in [*gamma.items(), *found.pop("chunks", []), *found.pop("text", [])]:
        chunks.add(kind, content)
    if packet := found.pop("xmp", None):
        text = packet.decode(errors="replace")
        chunks.add_itxt("XML:com.adobe.xmp", text, zip=len(packet) > _LONG)
    return found | {"pnginfo": chunks} if chunks.chunks else found


def not_by_pillow(info: PngImagePlugin.PngInfo | None) -> list[tuple[bytes, bytes]]:
    """Return the chunks that Pillow does not write: the public ones that it does not know."""
    chunks = [] if info is None else [(chunk[0], chunk[1]) for chunk in info.chunks]
    return [(kind, data) for kind, data in chunks if kind[1:2].isupper() and kind not in _BY_PILLOW]
