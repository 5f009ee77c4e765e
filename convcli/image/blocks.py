"""What a file holds that Pillow does not hand over: chunks, segments, blocks and trailing bytes."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from convcli.image.content import opened
from convcli.image.held import Held, is_srgb, name_the_rest, printable, read_fields

# The most bytes of a chunk or segment that are kept or looked at. Larger ones are only named.
_MOST = 16 << 20


def held_by(source: Path | bytes, format_name: str) -> Held:
    """List what a file of a format (Pillow's name) holds besides what Pillow reads.

    Damaged files end the list; the decoder reports them.
    """
    held = Held()
    if look := _look_at(format_name):
        with opened(source) as file, suppress(struct.error, IndexError, EOFError):  # truncated
            look(file, held)
    return held


# --- GIF: GIF89a specification

# Application blocks of loops, and those with a meaning of their own.
_APPLICATIONS = {
    b"NETSCAPE2.0": "",
    b"ANIMEXTS1.0": "",
    b"ICCRGBG1012": "colour profile",
    b"XMP DataXMP": "XMP data",
    b"C2PA_GIF\x01\0\0": "C2PA signature",
}


def _gif(file: BinaryIO, held: Held) -> None:
    from convcli.image import gif_blocks

    blocks = gif_blocks.blocks_of(file)
    if blocks.aspect not in (0, 49):  # (49 + 15) / 64 is 1
        held.lose("pixel aspect ratio")
    for label, first, frames in blocks.extensions:
        if label == gif_blocks.APPLICATION:
            name = _APPLICATIONS.get(first, f"application data ({printable(first[:11])})")
            if name:
                held.lose(name)
        elif label == gif_blocks.PLAIN_TEXT:
            held.lose("plain text")
        elif label == gif_blocks.COMMENT:
            if frames:  # Pillow hands over those before the first frame
                held.lose("comments on later frames")
        elif label != gif_blocks.CONTROL:
            held.lose(f"extension 0x{label.hex().upper()}")
    name_the_rest(file, held)


# --- WebP: RFC 9649

_WEBP_CHUNKS = {
    *(b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "),
}


def _webp(file: BinaryIO, held: Held) -> None:
    (whole,) = read_fields(file, "<4xI4x")
    end = 8 + whole + whole % 2
    while file.tell() + 8 <= end:
        kind, size = read_fields(file, "<4sI")
        held.has_profile = held.has_profile or kind == b"ICCP"
        if kind not in _WEBP_CHUNKS:
            held.lose("C2PA signature" if kind == b"C2PA" else f"{printable(kind)} chunk")
        file.seek(size + size % 2, 1)
    file.seek(min(end, file.seek(0, io.SEEK_END)))
    name_the_rest(file, held)


# --- AVIF: boxes of ISO/IEC 14496-12

_BOXES = {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"pdin", b"moof", b"mfra", b"styp"}


def _avif(file: BinaryIO, held: Held) -> None:
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    while (start := file.tell()) + 8 <= length:
        size, kind = read_fields(file, ">I4s")
        if size == 1:
            (size,) = read_fields(file, ">Q")
        if kind == b"meta":
            _avif_properties(file.read(min(size, _MOST)), held, file)
        elif kind not in _BOXES:
            held.lose("C2PA signature" if kind in (b"uuid", b"jumb") else f"{printable(kind)} box")
        if size < 8:  # 0: up to the end
            return
        file.seek(min(start + size, length))  # a size may have 64 bits, more than files can


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


_LOOKS: dict[str, Callable[[BinaryIO, Held], None]] = {
    "GIF": _gif,
    "WEBP": _webp,
    "AVIF": _avif,
    "BMP": _bmp,
    "PPM": _ppm,
}


def _look_at(format_name: str) -> Callable[[BinaryIO, Held], None] | None:
    """Return what lists the content of a file; those of two formats have modules of their own."""
    if format_name == "PNG":
        from convcli.image import png_blocks

        return png_blocks.look
    if format_name in ("JPEG", "MPO"):
        from convcli.image import jpeg_blocks

        return jpeg_blocks.look if format_name == "JPEG" else jpeg_blocks.look_at_first
    return _LOOKS.get(format_name)
