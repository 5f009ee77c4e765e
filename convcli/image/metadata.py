"""The metadata that an image was read with: colour profile, resolution, EXIF, XMP, text."""

from __future__ import annotations

import struct
from contextlib import suppress
from numbers import Real
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from convcli.image import tags
from convcli.image.held import Held
from convcli.image.previews import shows_image

if TYPE_CHECKING:
    pass

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

# In dots per inch. PNG and BMP count dots per metre, from 1 to 2**32 - 1; TIFF holds more.
_COARSEST, _FINEST = 0.0254, 0.0254 * (2**32 - 1)


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
    if image.getexif().get(Tag.Orientation, 1) != 1:
        from PIL import ImageOps  # takes 1.3 ms

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
