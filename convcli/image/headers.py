"""What an opened file says besides its pixels: its format, compression and frame settings."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from PIL import Image, JpegImagePlugin
from PIL.ExifTags import Base as Tag

from convcli.image.jpeg import sampling_of

# libtiff's names of its compressions that are lossless and hold samples of any depth.
_LOSSLESS_TIFF = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma")


class Stated(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes
    ----------
    size : (int, int)
        Rows and columns.
    mode : str, optional
        The mode it will have, if that is known.
    may_turn : bool
        Its metadata may turn it by 90 degrees.
    """

    size: tuple[int, int]
    mode: str | None = None
    may_turn: bool = False


OnDecode = Callable[[int, Stated], None]
"""``on_decode(size, stated)``: called before an image is decoded, with the bytes that it takes."""


SPACE = b" \t\n\v\f\r"
"""What separates the words in the header of a PPM."""


def is_tiff(beginning: bytes) -> bool:
    """Return whether a file begins as a TIFF or a BigTIFF does."""
    return beginning[:2] in (b"II", b"MM") and beginning[2:4] in (b"*\0", b"\0*", b"+\0", b"\0+")


def is_npy(beginning: bytes) -> bool:
    """Return whether a file begins as an array of numpy does."""
    return beginning.startswith(b"\x93NUMPY")


def is_exr(beginning: bytes) -> bool:
    """Return whether a file begins as an OpenEXR image does."""
    return beginning.startswith(b"\x76\x2f\x31\x01")


def is_y4m(beginning: bytes) -> bool:
    """Return whether a file begins as a YUV4MPEG2 video does."""
    return beginning.startswith(b"YUV4MPEG2")


def is_raw_pnm(beginning: bytes) -> bool:
    """Return whether a file begins as a raw PGM or PPM, or a PAM, does."""
    third = beginning[2:3]
    return beginning[:2] in (b"P5", b"P6", b"P7") and (not third or third in SPACE + b"#")


def format_of_file(file: Image.Image) -> str:
    """Return Pillow's name of a file's format; an MPO counts as a JPEG."""
    # A phone's JPEG that contains a second image (depth, a larger crop) is an MPO. Every viewer
    # shows the first.
    return "JPEG" if file.format == "MPO" else file.format or "PNG"


def is_turned_when_loaded(file: Image.Image) -> bool:
    """Return whether a file that is not loaded yet is a TIFF, which Pillow then turns upright."""
    if file.format != "TIFF":
        return False
    return bool(file.tag_v2.get(Tag.Orientation, 1) != 1)  # type: ignore[attr-defined]


def has_luma(file: Image.Image) -> bool:
    """Return whether a file is a JPEG in YCbCr, whose Y is luma, by the rules of libjpeg.

    Edges from Y differ from those from the decoded colours by 0.1 to 0.2 levels in the mean of
    photographs at quality 75 to 97 (98 to 100 % by at most one level). The difference comes from
    rounding and clipping the colours: where saturated colours are subsampled, edges from Y are
    closer to the original's, by 0.7 levels in the mean instead of 9.4.
    """
    if not isinstance(file, JpegImagePlugin.JpegImageFile) or file.mode != "RGB":
        return False
    if "jfif" in file.info:
        return True
    if "adobe_transform" in file.info:
        return bool(file.info["adobe_transform"] != 0)
    return bytes(layer[0] for layer in file.layer) != b"RGB"


def encoding_of(file: Image.Image, lossless: bool) -> dict[str, Any]:
    """Return the settings with which an encoder of the same format loses as much as this file did.

    `lossless` tells whether a WebP is lossless, which Pillow does not report.
    """
    if isinstance(file, JpegImagePlugin.JpegImageFile):
        if not file.quantization:  # a lossless JPEG
            return {}
        return {"qtables": file.quantization} | sampling_of(file)
    if file.format == "WEBP":
        return {"lossless": True} if lossless else {}
    if file.format == "TIFF" and file.info.get("compression") in _LOSSLESS_TIFF:
        return {"compression": file.info["compression"]}
    return {}


def is_lossless(content: bytes) -> bool:
    """Return whether the first image in a WebP is lossless (RFC 9649, section 2)."""
    at = 12
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind in (b"VP8L", b"VP8 "):
            return bool(kind == b"VP8L")
        # The header of a frame is followed by chunks of the frame's own.
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return False


def frame_settings(file: Image.Image) -> dict[str, Any]:
    """Return the current frame's duration and disposal, and how often the file is played.

    WebP and APNG count plays. GIF counts repeats, which `convcli.image.gif_blocks` turns into
    plays. 0 stands for ever.
    """
    kept = ("duration", "disposal", "plays")
    found: dict[str, Any] = {key: file.info[key] for key in kept if key in file.info}
    if "loop" in file.info:
        found["plays"] = file.info["loop"]
    if file.format == "AVIF":
        found["plays"] = 0  # Pillow does not report it; encoders write "forever" by default
    if file.info.get("default_image"):
        found["default_image"] = True
    return found
