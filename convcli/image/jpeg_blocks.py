"""The segments of a JPEG that Pillow does not hand over (ITU-T T.81, table B.1)."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from convcli.image.held import AFTER, Held, name_the_rest, parts, printable, read_fields
from convcli.image.previews import shows_image

_COMMENT, _SCAN, _FIRST_APP, _LAST_APP = 0xFE, 0xDA, 0xE0, 0xEF
_END = b"\xff\xd9"

# By the start of a segment; names that are empty say how samples are stored, or Pillow reads
# them. Identifiers are those that ExifTool documents under "JPEG tags".
_SEGMENTS = {
    b"JFIF\0": "",
    b"JFXX\0": "",  # a thumbnail
    b"Exif\0": "",
    b"http://ns.adobe.com/xap/1.0/\0": "",
    b"http://ns.adobe.com/xmp/extension/\0": "extended XMP data",
    b"ICC_PROFILE\0": "",
    b"MPF\0": "index of further images (MPF)",
    b"FPXR\0": "FlashPix data",
    b"urn:iso:std:iso:ts:21496": "gain map",
    b"Ducky": "",  # the quality in Photoshop's "save for web"
    b"Photoshop 3.0\0": "",
    b"Adobe": "",
}

# Image resources by Adobe's Photoshop file format specification.
_IPTC = 0x0404
_STALE_RESOURCES = {0x03ED, 0x0409, 0x040C, 0x0425}  # resolution, thumbnails, a digest of IPTC


def look(file: BinaryIO, held: Held) -> None:
    """List what a JPEG holds."""
    file.seek(2)
    while True:
        (mark,) = read_fields(file, "B")
        if mark != 0xFF:
            return
        while mark == 0xFF:  # fill bytes
            (mark,) = read_fields(file, "B")
        (size,) = read_fields(file, ">H")
        if mark == _SCAN:
            break
        if mark != _COMMENT and not _FIRST_APP <= mark <= _LAST_APP:
            file.seek(size - 2, 1)
            continue
        content = file.read(size - 2)
        if mark == _COMMENT:
            if shows_image(content):
                held.lose("preview in a comment")
            else:
                held.comments.append(content)
            continue
        held.has_profile = held.has_profile or content.startswith(b"ICC_PROFILE\0")
        if content.startswith(b"JFIF\0") and _has_no_unit(content):
            held.lose("resolution without unit")
        name = _segment_name(mark - _FIRST_APP, content)
        if content.startswith(b"Photoshop 3.0\0"):
            for each in photoshop_names(content[14:]):
                held.lose(each)
        elif name:
            held.lose(name)
    _after_jpeg(file, held)


def _has_no_unit(jfif: bytes) -> bool:
    """Return whether the densities in a JFIF segment are a ratio other than 1:1 (T.871)."""
    unit, x, y = struct.unpack_from(">BHH", jfif, 7)
    return unit == 0 and (x, y) not in ((0, 0), (1, 1))


def look_at_first(file: BinaryIO, held: Held) -> None:
    """Look at the first image of several, whose loss has a note of its own."""
    look(file, held)
    held.lost = [name for name in held.lost if "MPF" not in name and AFTER not in name]


def _segment_name(number: int, content: bytes) -> str:
    """Return the name of an application segment, or "" if nothing is lost with it."""
    for begins, name in _SEGMENTS.items():
        if content.startswith(begins):
            return name
    if number == 11 and content.startswith(b"JP"):  # JUMBF, ISO/IEC 19566-5
        return "C2PA signature" if b"c2pa" in content else "JUMBF data"
    stated = re.match(rb"[\w .:/-]{2,24}", content)
    return f"{printable(stated[0])} data (APP{number})" if stated else f"APP{number} data"


def photoshop_names(content: bytes) -> list[str]:
    """Return the names of what Photoshop's image resources hold."""
    names = []
    at = 0
    while content[at : at + 4] == b"8BIM" and at + 12 <= len(content):
        number, length = struct.unpack_from(">HB", content, at + 4)
        at += 6 + (1 + length) + (1 + length) % 2
        size = int.from_bytes(content[at : at + 4], "big")
        at += 4 + size + size % 2
        if number not in _STALE_RESOURCES:
            names.append("IPTC data" if number == _IPTC else "Photoshop data")
    return list(dict.fromkeys(names))


def _after_jpeg(file: BinaryIO, held: Held) -> None:
    """Name the bytes after the end: in entropy-coded data the marker of the end cannot occur."""
    kept = b""
    for part in parts(file):
        at = (kept + part).find(_END)
        if at >= 0:
            file.seek(at + len(_END) - len(kept) - len(part), 1)
            name_the_rest(file, held)
            return
        kept = part[-1:]
