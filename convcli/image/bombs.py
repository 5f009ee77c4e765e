"""Small files that take long to decode: refused by what their segments and frames count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from convcli.errors import ConvcliError
from convcli.image.content import size_of, whole

# Every scan of a progressive JPEG goes over all of its coefficients, and may take 30 bytes of the
# file: 3000 scans of 16 megapixels took half a minute. libjpeg-turbo's djpeg has -maxscans for
# that, and libvips refuses more than 100 scans. Encoders write about 10 (libjpeg's script; up to 14
# by mozjpeg). A scan takes 2 ms a megapixel here, so that large images may have fewer: those of
# 2000 megapixels, in 4 s, but never fewer than 30.
_MOST_SCANS = 100
_LEAST_SCANS = 30
_SCANNED = 2_000_000_000

# A frame takes 0.3 to 1 ms to read, filter and write, however small it is, and 16 bytes of a GIF.
# A file of more bytes a frame than this is as large as it looks.
_MOST_FRAMES = 20_000
_BYTES_A_FRAME = 1024

# A frame of which little changes is filtered as a whole: 50 s for 300 frames of 4 megapixels, of
# which a GIF stores a pixel each in 7 kB. Drawn animations have 10 to 500 pixels a byte. Those of
# fewer pixels in all than this take less than 10 s.
_MOST_DRAWN = 200_000_000
_PIXELS_A_BYTE = 10_000

# ITU-T T.81, table B.1: markers without a length (TEM, RST0 to RST7, SOI), EOI, and SOS. A byte of
# 255 that is no marker is followed by 0, and any number of them may stand before a marker.
_MARKER = re.compile(rb"\xff+([^\0\xff])")
_ALONE = {0x01, *range(0xD0, 0xD9)}
_SOS, _EOI = 0xDA, 0xD9
_SEQUENTIAL = (0xC0, 0xC1)  # frames that are coded by Huffman's method
_SCAN = b"\xff\xda"


def check(image: Image.Image, source: Path | bytes, frames: int) -> None:
    """Raise `ConvcliError` if an opened image would take far longer than its size says."""
    if image.format in ("JPEG", "MPO"):
        _check_scans(whole(source), image.width * image.height)
    _check_frames(source, frames, "frames")
    pixels = frames * image.width * image.height
    if frames > 1 and pixels > max(_MOST_DRAWN, _PIXELS_A_BYTE * size_of(source)):
        raise ConvcliError(
            f"has {frames} frames of {image.width} x {image.height} pixels, far more than a file "
            "of its size draws; split it first"
        )


def check_stream(source: Path | bytes, images: int) -> None:
    """Raise `ConvcliError` for a file of too many images one after the other."""
    _check_frames(source, images, "images")


def check_tiff(source: Path | bytes, pages: int, jpegs: Sequence[tuple[int, int]]) -> None:
    """Raise `ConvcliError` for a TIFF of too many pages, or of too many scans in one of its JPEGs.

    These are given by their offsets and sizes: a colour profile may hold the same bytes as a scan.
    """
    content = whole(source) if jpegs else b""
    if any(content.count(_SCAN, at, at + size) > _LEAST_SCANS for at, size in jpegs):
        raise ConvcliError(
            f"holds JPEGs of more than {_LEAST_SCANS} scans, each of which is decoded over the "
            "whole strip or tile; convert it to another compression first"
        )
    _check_frames(source, pages, "pages")


def _check_frames(source: Path | bytes, frames: int, what: str) -> None:
    most = max(_MOST_FRAMES, size_of(source) // _BYTES_A_FRAME)
    if frames > most:
        raise ConvcliError(
            f"has {frames} {what}, more than the {most} that are read from a file of its size; "
            "split it first"
        )


def _check_scans(content: bytes, pixels: int) -> None:
    most = max(_LEAST_SCANS, min(_MOST_SCANS, _SCANNED // max(pixels, 1)))
    # Counting takes 6 ms for 5 MB. Metadata, thumbnails and further images are counted as well, so
    # this is an upper limit.
    if _has_one_scan(content) or content.count(_SCAN) <= most:
        return
    scans = scans_of(content)
    if scans > most:
        raise ConvcliError(
            f"is a JPEG of {scans} scans, more than the limit of {most} for its size; "
            "each is decoded over the whole image. Convert it to a baseline JPEG first"
        )


def _has_one_scan(content: bytes) -> bool:
    """Return whether the first scan of a JPEG holds all components; libjpeg decodes no other then.

    That is so for nearly all that are not progressive.
    """
    at, components = 2, 0
    while found := _MARKER.search(content, at):
        marker, at = found[1][0], found.end()
        if marker in _SEQUENTIAL:
            components = int.from_bytes(content[at + 7 : at + 8], "big")
        if marker in (_SOS, _EOI):
            return marker == _SOS and content[at + 2 : at + 3] == bytes([components])
        if marker not in _ALONE:
            at += int.from_bytes(content[at : at + 2], "big")
    return False


def scans_of(content: bytes) -> int:
    """Count the scans of the first image in a JPEG, by its markers."""
    scans = 0
    at = 2
    while found := _MARKER.search(content, at):
        marker, at = found[1][0], found.end()
        if marker == _EOI:
            break
        scans += marker == _SOS
        if marker not in _ALONE:
            at += int.from_bytes(content[at : at + 2], "big")
    return scans
