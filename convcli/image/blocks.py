"""What a file holds that Pillow does not hand over: chunks, segments, blocks and trailing bytes."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from convcli.image.content import opened
from convcli.image.png_chunks import TEXTS, chunks
from convcli.image.previews import shows_image

# Bytes of a trailing part that are searched at a time.
_PART = 1 << 20

# The most bytes of a chunk or segment that are kept or looked at. Larger ones are only named.
_MOST = 16 << 20

# What trailing bytes are called, after their number.
_AFTER = "bytes after its end"

# Padding that programs write after the end of an image.
_PADDING = b"\0\xff\r\n\t \x1a"


@dataclass
class Held:
    """What a file holds besides pixels and what Pillow reads.

    Attributes
    ----------
    texts : list of (bytes, bytes)
        The text chunks of a PNG, type and content, as they are stored.
    chunks : list of (bytes, bytes)
        Other chunks of a PNG that are still true of a filtered image. The background colour
        (bKGD) is in samples of 16 bits.
    comments : list of bytes
        The comments of a JPEG.
    code_points : bytes
        Colour primaries, transfer characteristics, matrix and range by ITU-T H.273, as in the
        chunk cICP of a PNG. Those of an AVIF (nclx) are of the decoded RGB; empty if they state
        sRGB, or if a colour profile says more.
    has_profile : bool
        The file has a colour profile; Pillow does not hand over one that is incomplete.
    lost : list of str
        Names of what is not kept.
    """

    texts: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    comments: list[bytes] = field(default_factory=list)
    code_points: bytes = b""
    has_profile: bool = False
    lost: list[str] = field(default_factory=list)

    def lose(self, name: str) -> None:
        """Add a name of what is not kept, once."""
        if name not in self.lost:
            self.lost.append(name)


def held_by(source: Path | bytes, format_name: str) -> Held:
    """List what a file of a format (Pillow's name) holds besides what Pillow reads.

    Damaged files end the list; the decoder reports them.
    """
    held = Held()
    if look := _LOOKS.get(format_name):
        with opened(source) as file, suppress(struct.error, IndexError):  # truncated
            look(file, held)
    return held


def _read(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    """Read fields by a layout of `struct`."""
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _after(file: BinaryIO, held: Held) -> None:
    """Name the bytes after the end of an image, unless they are padding."""
    count = 0
    is_padding = True
    while part := file.read(_PART):
        count += len(part)
        is_padding = is_padding and not part.strip(_PADDING)
    if not is_padding:
        held.lose(f"{count} {_AFTER}")


def _printable(name: bytes) -> str:
    """Return the name of a chunk or segment as text of harmless characters."""
    return re.sub(r"[^ -~]", "?", name.decode("latin-1"))


# --- PNG: W3C Portable Network Graphics, third edition

_PALETTE = 3

# Chunks that Pillow hands over, or that say how samples and frames are stored (iDOT: where half of
# the rows begin, in every screenshot of macOS), or when the image was last changed (tIME).
_STORED = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"eXIf"),
    *(b"acTL", b"fcTL", b"fdAT", b"CgBI", b"iDOT", b"tIME"),
}

# Chunks that are still true after filtering, though they are not marked as safe to copy.
_STILL_TRUE = {b"cICP", b"mDCV", b"mDCv", b"cLLI", b"cLLi", b"sCAL", b"sTER"}

_CHUNKS = {
    b"sBIT": "significant bits",
    b"hIST": "histogram",
    b"sPLT": "suggested palette",
    b"pCAL": "calibration of sample values",
    b"dSIG": "digital signature",
    b"caBX": "C2PA signature",
}

# Unit 0 of pHYs: the numbers are only an aspect ratio, which Pillow does not write.
_NO_UNIT = b"\0"
_SQUARE = struct.pack(">II", 1, 1)

# ITU-T H.273: BT.709 primaries, the transfer function of sRGB, and "unspecified" in their place.
_SRGB_POINTS = ((1, 2), (13, 2))


def is_srgb(code_points: bytes) -> bool:
    """Return whether code points say no more than "sRGB", which is assumed without them."""
    return all(value in able for value, able in zip(code_points, _SRGB_POINTS, strict=False))


def _png(file: BinaryIO, held: Held) -> None:
    depth, colour_type = 8, 2
    palette = kind = b""
    for kind, start, end in chunks(file):
        content = file.read(end - start) if kind not in _STORED and end - start <= _MOST else b""
        if kind == b"IHDR":
            header = file.read(end - start)
            depth, colour_type = header[8], header[9]
        elif kind == b"PLTE":
            palette = file.read(min(end - start, 768))
        held.has_profile = held.has_profile or kind == b"iCCP"
        if kind in _STORED:
            continue
        if kind in TEXTS:
            _png_text(kind, content, held)
        elif kind == b"cICP" and len(content) == 4:
            held.code_points = content
        elif kind == b"pHYs":
            if content[8:] == _NO_UNIT and content[:8] != _SQUARE:
                held.chunks.append((kind, content))
        elif kind == b"sBIT" and _all_significant(content, colour_type, depth):
            continue
        elif kind == b"bKGD":
            if colour := _background(content, colour_type, depth, palette):
                held.chunks.append((kind, colour))
        elif _stays_true(kind, content):
            held.chunks.append((kind, content))
        else:
            held.lose(_CHUNKS.get(kind, f"{_printable(kind)} chunk"))
    if kind == b"IEND":  # otherwise it is truncated
        _after(file, held)


def _all_significant(content: bytes, colour_type: int, depth: int) -> bool:
    """Return whether sBIT says that all bits are significant; colours of a palette have eight."""
    return not content.strip(bytes([8 if colour_type == _PALETTE else depth]))


def _background(content: bytes, colour_type: int, depth: int, palette: bytes) -> bytes:
    """Return a background colour in samples of 16 bits, without a palette; empty if it has none."""
    if colour_type == _PALETTE:
        samples = tuple(palette[3 * content[0] : 3 * content[0] + 3]) if content else ()
        if len(samples) != 3:
            return b""
        depth = 8
    elif len(content) % 2:
        return content  # which fits no samples
    else:
        samples = struct.unpack(f">{len(content) // 2}H", content)
    most = (1 << depth) - 1
    return struct.pack(f">{len(samples)}H", *((each & most) * 65535 // most for each in samples))


def in_8_bits(background: bytes) -> bytes:
    """Return a background colour of a PNG of 8 bits; it still takes two bytes per sample."""
    return b"".join(bytes([0, high]) for high in background[::2])


def _stays_true(kind: bytes, content: bytes) -> bool:
    """Return whether a chunk is kept: known to be still true, or marked as safe to copy."""
    is_safe = kind not in _CHUNKS and kind[3:].islower()
    return bool(content) and (kind in _STILL_TRUE or is_safe) and not shows_image(content)


def _png_text(kind: bytes, content: bytes, held: Held) -> None:
    """Keep a text chunk; a raw profile in it may hold a thumbnail."""
    keyword = content.partition(b"\0")[0]
    if keyword in (b"XML:com.adobe.xmp", b"Raw profile type exif"):
        return  # Pillow reads them
    if keyword.startswith(b"Raw profile type"):  # of ImageMagick: old EXIF, Photoshop, IPTC
        held.lose(f"raw profile ({_printable(keyword[17:])})")
        return
    if shows_image(_text_of(kind, content)):
        held.lose("previews in text")
    else:
        held.texts.append((kind, content))


def _text_of(kind: bytes, content: bytes) -> bytes:
    """Return what a text chunk holds after its keyword, decompressed up to a limit."""
    rest = content.partition(b"\0")[2]
    is_compressed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] == b"\1")
    if not is_compressed:
        return rest
    packed = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    try:
        return zlib.decompressobj().decompress(packed, _MOST)
    except zlib.error:
        return b""


# --- JPEG: ITU-T T.81, table B.1

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


def _jpeg(file: BinaryIO, held: Held) -> None:
    file.seek(2)
    while True:
        (mark,) = _read(file, "B")
        if mark != 0xFF:
            return
        while mark == 0xFF:  # fill bytes
            (mark,) = _read(file, "B")
        (size,) = _read(file, ">H")
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


def _mpo(file: BinaryIO, held: Held) -> None:
    """Look at the first image of several, whose loss has a note of its own."""
    _jpeg(file, held)
    held.lost = [name for name in held.lost if "MPF" not in name and _AFTER not in name]


def _segment_name(number: int, content: bytes) -> str:
    """Return the name of an application segment, or "" if nothing is lost with it."""
    for begins, name in _SEGMENTS.items():
        if content.startswith(begins):
            return name
    if number == 11 and content.startswith(b"JP"):  # JUMBF, ISO/IEC 19566-5
        return "C2PA signature" if b"c2pa" in content else "JUMBF data"
    stated = re.match(rb"[\w .:/-]{2,24}", content)
    return f"{_printable(stated[0])} data (APP{number})" if stated else f"APP{number} data"


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
    while part := file.read(_PART):
        at = (kept + part).find(_END)
        if at >= 0:
            file.seek(at + len(_END) - len(kept) - len(part), 1)
            _after(file, held)
            return
        kept = part[-1:]


# --- GIF: GIF89a specification

_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL, _GIF_COMMENT, _PLAIN_TEXT, _APPLICATION = 0xF9, 0xFE, 0x01, 0xFF

# Application blocks of loops, and those with a meaning of their own.
_APPLICATIONS = {
    b"NETSCAPE2.0": "",
    b"ANIMEXTS1.0": "",
    b"ICCRGBG1012": "colour profile",
    b"XMP DataXMP": "XMP data",
    b"C2PA_GIF\x01\0\0": "C2PA signature",
}


def _gif(file: BinaryIO, held: Held) -> None:
    file.seek(10)
    flags, _, aspect = _read(file, "BBB")
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)
    if aspect not in (0, 49):  # (49 + 15) / 64 is 1
        held.lose("pixel aspect ratio")
    images = 0
    while True:
        (mark,) = _read(file, "B")
        if mark == _EXTENSION:
            (label,) = _read(file, "B")
            first = _sub_blocks(file)
            if label == _APPLICATION:
                name = _APPLICATIONS.get(first, f"application data ({_printable(first[:11])})")
                if name:
                    held.lose(name)
            elif label == _PLAIN_TEXT:
                held.lose("plain text")
            elif label == _GIF_COMMENT:
                if images:  # Pillow hands over those before the first frame
                    held.lose("comments on later frames")
            elif label != _CONTROL:
                held.lose(f"extension 0x{label:02X}")
        elif mark == _IMAGE:
            images += 1
            (flags,) = _read(file, "8xB")
            file.seek((3 << (flags & 7) + 1 if flags & 0x80 else 0) + 1, 1)
            _sub_blocks(file)
        else:
            break
    _after(file, held)


def _sub_blocks(file: BinaryIO) -> bytes:
    """Skip blocks up to the empty one; return the first."""
    first = file.read(_byte(file))
    size = len(first)
    while size:
        size = _byte(file)
        file.seek(size, 1)
    return first


def _byte(file: BinaryIO) -> int:
    return file.read(1)[0]


# --- WebP: RFC 9649

_WEBP_CHUNKS = {
    *(b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "),
}


def _webp(file: BinaryIO, held: Held) -> None:
    (whole,) = _read(file, "<4xI4x")
    end = 8 + whole + whole % 2
    while file.tell() + 8 <= end:
        kind, size = _read(file, "<4sI")
        held.has_profile = held.has_profile or kind == b"ICCP"
        if kind not in _WEBP_CHUNKS:
            held.lose("C2PA signature" if kind == b"C2PA" else f"{_printable(kind)} chunk")
        file.seek(size + size % 2, 1)
    file.seek(min(end, file.seek(0, io.SEEK_END)))
    _after(file, held)


# --- AVIF: boxes of ISO/IEC 14496-12

_BOXES = {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"pdin", b"moof", b"mfra", b"styp"}


def _avif(file: BinaryIO, held: Held) -> None:
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    while (start := file.tell()) + 8 <= length:
        size, kind = _read(file, ">I4s")
        if size == 1:
            (size,) = _read(file, ">Q")
        if kind == b"meta":
            _avif_properties(file.read(min(size, _MOST)), held, file)
        elif kind not in _BOXES:
            held.lose("C2PA signature" if kind in (b"uuid", b"jumb") else f"{_printable(kind)} box")
        if size < 8:  # 0: up to the end
            return
        file.seek(start + size)


def _avif_properties(content: bytes, held: Held, file: BinaryIO) -> None:
    """Find the code points of the colour, and what has no place in a filtered image."""
    held.has_profile = b"colrprof" in content or b"colrrICC" in content
    at = content.find(b"colrnclx")
    stated = struct.unpack_from(">HH", content, at + 8) if at >= 0 else None
    if stated is None and not held.has_profile:  # as libavif does
        from convcli.image import av1

        stated = av1.colour_of(content, file)
    if stated and not held.has_profile:
        primaries, transfer = stated
        points = bytes([primaries & 255, transfer & 255, 0, 1])
        held.code_points = b"" if is_srgb(points) else points
    names = {b"clli": "light levels", b"mdcv": "mastering display", b"tmap": "gain map"}
    for box, name in names.items():
        if box in content:
            held.lose(name)


# --- BMP and PPM

# BITMAPV5HEADER: a profile is embedded or linked; or the levels are described.
_PROFILES = (b"DEBM", b"KNIL")
_CALIBRATED = bytes(4)


def _bmp(file: BinaryIO, held: Held) -> None:
    header = file.read(14 + 124)
    (size,) = struct.unpack_from("<I", header, 14)
    if size < 108:
        return
    space = header[70:74]
    if size >= 124 and space in _PROFILES:
        held.lose("colour profile")
    elif space == _CALIBRATED and any(header[74:122]):
        held.lose("gamma")


def _ppm(file: BinaryIO, held: Held) -> None:
    start = file.read(4096)
    numbers = b"{2}" if start[1:2] in b"14" else b"{3}"
    header = re.match(rb"P[1-6](?:(?:\s|#[^\n\r]*[\n\r])+\d+)" + numbers, start)
    comments = re.findall(rb"#[^\n\r]*", header[0]) if header else []
    if comments:
        held.lose("comment" if len(comments) == 1 else f"{len(comments)} comments")


NAMES_OF_CHUNKS = {
    b"mDCV": "mastering display",
    b"cLLI": "light levels",
    b"bKGD": "background colour",
    b"oFFs": "position",
    b"sCAL": "scale",
    b"sTER": "stereo layout",
    b"pHYs": "resolution without unit",
}
"""Of chunks that a PNG keeps; see `name_of_chunk`."""


def name_of_chunk(kind: bytes) -> str:
    """Return the name of a chunk that only a PNG keeps."""
    return NAMES_OF_CHUNKS.get(kind, f"{_printable(kind)} chunk")


_LOOKS: dict[str, Callable[[BinaryIO, Held], None]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "MPO": _mpo,
    "GIF": _gif,
    "WEBP": _webp,
    "AVIF": _avif,
    "BMP": _bmp,
    "PPM": _ppm,
}
