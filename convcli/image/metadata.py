"""The metadata of an image: colour profile, resolution, EXIF, XMP, text."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from numbers import Real
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps, TiffTags
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from convcli.files.formats import FORMATS, spelt
from convcli.image import tags
from convcli.image.held import Held, is_srgb
from convcli.image.previews import shows_image

if TYPE_CHECKING:
    from PIL import PngImagePlugin

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


def metadata_of(
    image: Image.Image,
    file: Image.Image,
    mode: str | None,
    held: Held,
    turned: bool = False,
    size: tuple[int, int] | None = None,
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
    held : Held
        What else the file holds.
    turned : bool
        The image has been turned upright already, as Pillow does when it loads a TIFF.
    size : (int, int), optional
        Width and height of the upright image, if `image` only stands for it.

    Returns
    -------
    dict
        By Pillow's names for saving: icc_profile, dpi, exif (bytes, without the thumbnail), xmp
        (bytes), comment. Also ``comments``, those of a JPEG before the last; ``text``,
        ``chunks``, ``gamma`` and ``code_points``, chunks of a PNG; ``tags``, those that only a
        TIFF keeps; ``lost``, names of what no format keeps.
    list of str
        Notes on what was dropped.
    """
    notes = []
    kept = ("icc_profile", "dpi", "comment")
    metadata = {key: image.info[key] for key in kept if image.info.get(key)}
    stated = metadata.get("dpi", (1, 1))  # Pillow's value for a TIFF without a resolution
    invalid = set() if _is_resolution(stated) else RESOLUTION
    if stated == (1, 1) or invalid or _is_assumed(file):
        metadata.pop("dpi", None)
    lost = list(held.lost)
    profile = metadata.get("icc_profile")  # a tag of a TIFF may have any type
    if (held.has_profile or profile) and not _is_complete(profile):
        metadata.pop("icc_profile", None)
        lost.append("incomplete colour profile")
    elif mode and profile and not describes(profile, mode):
        del metadata["icc_profile"]
        notes.append("dropped its colour profile, which does not describe its pixels")
    if gamma := _gamma(file):
        metadata["gamma"] = gamma
    if file.format in ("JPEG", "MPO"):  # Pillow hands over the last
        metadata["comment"] = _comments(held)[-1] if _comments(held) else b""
    metadata |= _held(held)
    if shows_image(metadata.get("comment")):
        del metadata["comment"]
        lost.append("preview in a comment")
    is_upright = turned or _states_orientation(file)
    try:
        found, stale = _exif_and_tags(image, file, invalid, turned, size)
        metadata |= found
        lost += stale
    except Exception:  # Pillow reads values that it cannot write; its exceptions vary
        notes.append("dropped its EXIF data, which are damaged")
    packet = image.info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    if isinstance(packet, bytes) and packet:
        from convcli.image import xmp  # its patterns take half a millisecond to compile

        metadata["xmp"], stale = xmp.current(packet, size or image.size, is_upright)
        lost += stale
    elif packet:  # a tag of a TIFF may have any type
        lost.append("XMP data")
    if lost:
        metadata["lost"] = list(dict.fromkeys(lost))
    return {key: value for key, value in metadata.items() if value}, notes


def _exif_and_tags(
    image: Image.Image,
    file: Image.Image,
    invalid: set[int],
    turned: bool,
    size: tuple[int, int] | None,
) -> tuple[dict[str, Any], list[str]]:
    """Turn an image upright; return its EXIF data and tags, and names of what is not kept.

    `invalid` are tags of a resolution that is not valid; `turned` and `size` are those of
    `metadata_of`.
    """
    turned = turned or file.getexif().get(Tag.Orientation, 1) != 1
    ImageOps.exif_transpose(image, in_place=True)  # also removes the orientation
    exif = read_blocks(file)
    exif.bigtiff = False  # the layout that all formats know
    if exif.get(Tag.ResolutionUnit, 2) not in _UNITS:
        invalid = RESOLUTION | {Tag.ResolutionUnit}
    unfit = set(exif) - (_EXIF_KEPT - invalid)
    others = {code for code in unfit if not tags.says_nothing(code, exif)}
    in_tiff = tags.tags_of_tiff(file, others, turned)
    lost = tags.lost_names(others - set(in_tiff))
    for tag in unfit:
        del exif[tag]
    lost += tags.drop_stale(exif, size or image.size, turned)
    _keep_bytes(exif)
    encoded = exif.tobytes() if exif else b""
    return {"exif": encoded, "tags": in_tiff}, lost


def read_blocks(file: Image.Image) -> Image.Exif:
    """Read EXIF data with their blocks, which Pillow looks up in the file when they are asked for.

    Their positions depend on the layout, and Pillow closes some files once pixels are decoded.
    """
    exif = file.getexif()
    for block in BLOCKS & set(exif):
        if IFD.Interop in exif.get_ifd(block):
            exif.get_ifd(IFD.Interop)
    return exif


def read_tiff_tags(file: Image.Image) -> None:
    """Read what has to be read from an opened TIFF before it is decoded."""
    with suppress(Exception):  # `metadata_of` reads damaged data again, and notes them
        read_blocks(file)
    with suppress(Exception):
        tags.restore_iptc(file.tag_v2, file.fp)  # type: ignore[attr-defined]


def _held(held: Held) -> dict[str, Any]:
    """Return what a file holds besides what Pillow reads, as metadata."""
    return {
        "comments": _comments(held)[:-1],
        "text": held.texts,
        "chunks": held.chunks,
        "code_points": held.code_points,
    }


def _comments(held: Held) -> list[bytes]:
    """Return the comments that say anything."""
    return [comment for comment in held.comments if comment]


def _states_orientation(file: Image.Image) -> bool:
    """Return whether EXIF data, or XMP data that Pillow understands, state an orientation."""
    try:
        return Tag.Orientation in file.getexif()
    except Exception:  # damaged
        return False


def _is_assumed(file: Image.Image) -> bool:
    """Return whether a resolution is Pillow's own: 72 dpi for a JPEG whose EXIF data have none."""
    if file.format not in ("JPEG", "MPO") or file.info.get("jfif_unit") in (1, 2):
        return False
    try:
        return "exif" in file.info and Tag.XResolution not in file.getexif()
    except Exception:  # damaged
        return True


def _is_resolution(stated: Any) -> bool:
    """Return whether a resolution is valid: a TIFF may hold 0/0, which is not a number, or text."""
    return all(isinstance(value, Real) and _COARSEST <= float(value) <= _FINEST for value in stated)


def _keep_bytes(exif: Image.Exif) -> None:
    """Convert text back to its bytes: Pillow writes "?" for every character outside ASCII.

    The standard says ASCII and most programs write UTF-8; Pillow reads Latin-1.
    """
    blocks = [exif.get_ifd(tag) for tag in BLOCKS & set(exif)]
    for block in (exif, *blocks):
        for tag, value in list(block.items()):
            if isinstance(value, str) and not value.isascii():
                block[tag] = value.encode("latin-1", "replace")


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


def _is_complete(profile: Any) -> bool:
    """Return whether a profile has as many bytes as it begins by saying (ICC.1:2022, 7.2.2)."""
    return isinstance(profile, bytes) and 0 < len(profile) >= int.from_bytes(profile[:4], "big")


def describes(profile: bytes, mode: str) -> bool:
    """Return whether an ICC profile is one for images of this mode."""
    return profile[16:20] == _ICC_SPACES.get(mode.partition(";")[0])


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
    block = tags.get_ifd(IFD.Exif) if IFD.Exif in tags else {}
    if IFD.Interop in block:  # in a TIFF Pillow writes an offset as it was
        block[IFD.Interop] = tags.get_ifd(IFD.Interop)
    return tags


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


def listed_all(words: list[str]) -> str:
    """Join words in a sentence: "a, b and c"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
