"""The chunks of a PNG that Pillow does not hand over: those kept, and the names of the others."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from convcli.image.held import Held, name_the_rest, printable
from convcli.image.png_chunks import TEXTS, chunks
from convcli.image.previews import shows_image

# The most bytes of a chunk that are kept or looked at. Larger ones are only named.
_MOST = 16 << 20

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


def look(file: BinaryIO, held: Held) -> None:
    """List what a PNG holds."""
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
            held.lose(_CHUNKS.get(kind, f"{printable(kind)} chunk"))
    if kind == b"IEND":  # otherwise it is truncated
        name_the_rest(file, held)


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
        held.lose(f"raw profile ({printable(keyword[17:])})")
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


_NAMES = {
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
    return _NAMES.get(kind, f"{printable(kind)} chunk")
