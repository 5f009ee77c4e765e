"""One frame of an opened file: its mode, its pixels, upright, and what it carries along."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, JpegImagePlugin
from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError
from convcli.files.formats import mode_for
from convcli.image import deep
from convcli.image.buffers import copy_of, image_over, memory_for, view_of
from convcli.image.metadata import metadata_of
from convcli.image.picture import MODES, WITH_ALPHA, Grey, Picture
from convcli.image.refusals import refusals

# Modes that have no samples to filter, or that nothing can write, and what they are read as.
_READ_AS = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB",
            "YCbCr": "RGB", "HSV": "RGB"}  # fmt: skip

# Bytes that a decoder is given at a time: all of most photographs. Between two blocks, of
# 64 kB unless it is told, it waits its turn for the interpreter.
_BLOCK = 1 << 24

# What libtiff calls its compressions that lose nothing and hold samples of any depth.
_LOSSLESS_TIFF = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma")

# TIFF 6.0: a PhotometricInterpretation and a SampleFormat.
_WHITE_IS_ZERO, _SIGNED = 0, 2

# Camera raw as DNG, NEF and ARW have it (TIFF/EP, ISO 12234-2): the first page is marked as a
# smaller version of the picture, which stands in a page below that page.
_SMALLER = 1

# How a CR2 begins: a TIFF whose first page is described at byte 16, and between the two Canon's
# mark and version. (Any other TIFF may have samples there.)
_CANON = b"II*\0\x10\0\0\0CR\2\0"


@dataclass(frozen=True)
class Wanted:
    """What is to become of every frame of a file.

    Attributes
    ----------
    source, format, grey, luma
        As for `convcli.image.read`; the format is known.
    alone : bool
        It is the only frame.
    size : (int, int) or None
        Of all frames; pages may differ, and have none.
    lossless : bool
        Of a WebP, whether its first frame was compressed without loss.
    bits : int
        Of an AVIF, of each channel.
    """

    source: Path | bytes
    format: str
    grey: Grey | None
    luma: bool
    alone: bool
    size: tuple[int, int] | None
    lossless: bool
    bits: int


def format_of(image: Image.Image) -> str:
    """Return Pillow's name of a format; one of ours for what is nearly the same."""
    # A phone's JPEG with a second picture in it (depth, a larger crop) is MPO; the first one
    # is what every viewer shows.
    return "JPEG" if image.format == "MPO" else image.format or "PNG"


def is_preview(image: Image.Image, begins: bytes) -> bool:
    """Say whether this is camera raw, of which there is but a preview that can be read.

    `begins` are the first bytes of the file, of which Canon's are always the same.
    """
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # type: ignore[attr-defined]
    kind = tags.get(Tag.NewSubfileType)
    is_smaller = isinstance(kind, int) and bool(kind & _SMALLER)
    return begins.startswith(_CANON) or (is_smaller and Tag.SubIFDs in tags)


def decoded(image: Image.Image, wanted: Wanted) -> Picture:
    """Decode the frame at which an opened file stands, and take what it carries along."""
    if wanted.luma and wanted.alone and _keeps_luma(image):
        image.draft("L", None)  # without a size nothing is scaled
    mode = _read_mode(image)
    whole = wanted.alone or image.format == "TIFF"  # an animation's frames are put together
    keep_deep = deep.mode_of(image, mode, wanted.format) if whole and deep.is_deep(image) else None
    notes = _depth_notes(image, keep_deep, wanted.bits)
    mode_for(wanted.format, _result_mode(keep_deep or mode, wanted.grey))
    # Luminance is defined for RGB; LAB has its own.
    converted = {"CMYK": "RGB", "LAB": "L"}.get(mode, mode) if wanted.grey else mode
    # Without a tile there is nothing to decode, which Pillow says only of its own memory.
    in_place = wanted.alone and image.mode == converted and getattr(image, "tile", [])
    shared = memory_for(image) if in_place else None
    ours = None if shared is None else image_over(shared, image.mode, image.size).im
    if ours is not None:
        image.im = ours
    if isinstance(image, ImageFile.ImageFile):
        image.decodermaxblock = _BLOCK
    with refusals(wanted.source):
        orientation = image.getexif().get(Tag.Orientation, 1) if keep_deep else 1
        image.load()  # first, and once: Pillow forgets the damage when asked a second time
        pixels: Any = (
            deep.samples(wanted.source, image, keep_deep, orientation) if keep_deep else None
        )
    file, frame = image, {}
    if not wanted.alone:
        image = file.copy()  # the file's own is needed for the frames that follow
        if wanted.size and image.size != wanted.size:
            # Pillow lets a frame of a GIF stick out of the picture; viewers do not.
            image = image.crop((0, 0, *wanted.size))
            notes.append("a frame that sticks out of the picture was cut")
        frame = _frame_settings(file)
        mode = converted = _read_mode(image)  # a GIF's changes when it is decoded
    metadata, left_out = metadata_of(image, file, None if wanted.grey else keep_deep or mode)
    notes += left_out
    # A GIF has nothing but palettes, which is said where one is made again.
    if (image.mode == "P" and file.format != "GIF") or image.mode in _READ_AS:
        notes.append(f"mode {image.mode} was read as {mode}")
    if "transparency" in image.info and mode not in WITH_ALPHA:
        notes.append("its transparent colour was left out")
    if file.format == "MPO" and getattr(file, "n_frames", 1) > 1:
        notes.append("only the first of its pictures was read, the others were left out")
    if pixels is not None:
        mode = keep_deep or mode
    else:
        if image.mode != converted and not mode.startswith("I"):
            with refusals(wanted.source):
                image = image.getchannel(0) if image.mode == "LAB" else image.convert(converted)
            mode = converted
        if shared is not None and image.im is ours:  # it was neither turned nor converted
            pixels = view_of(shared, image.im.mode, image.size)
        else:
            del shared, ours  # what was turned is as large
            pixels = copy_of(image)
    if mode == "I;16" and not whole:
        mode, pixels = "L", (pixels // 256).astype("uint8")  # as all other colours are read
    notes += _correct_tiff(file, mode, pixels)
    encoding = _encoding_of(file, wanted.lossless)
    return Picture(pixels, mode, format_of(file), metadata, encoding, tuple(notes), frame)


def _result_mode(mode: str, grey: Grey | None) -> str:
    """Say which mode the filter leaves a picture in."""
    if grey is None or mode in ("I;16", "I", "F"):
        return mode
    with_alpha = grey == "LA" and mode in WITH_ALPHA
    if mode.endswith(";16"):
        return "LA;16" if with_alpha else "I;16"
    return "LA" if with_alpha else "L"


def _read_mode(image: Image.Image) -> str:
    """Say which mode a picture is filtered in."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    if "transparency" in image.info and image.mode in ("1", "L", "RGB"):
        return "RGBA" if image.mode == "RGB" else "LA"  # a colour that means transparent
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return "I;16"
    mode = _READ_AS.get(image.mode, image.mode)
    if mode not in MODES:
        raise ConvcliError(
            f"has mode {image.mode}, which cannot be filtered; convert it to grey, RGB, CMYK, "
            "16-bit grey or float grey first"
        )
    return mode


def _depth_notes(image: Image.Image, keep_deep: str | None, bits: int) -> list[str]:
    """Say where samples are read with fewer bits than they have, or written with more."""
    if deep.is_deep(image) and not keep_deep:
        if deep.is_misread(image):
            raise ConvcliError(
                "has its 16 bits a channel in planes, which are read with the extra 'deep', "
                "and written to PNG and TIFF"
            )
        hint = "" if deep.installed() else "; the extra 'deep' keeps them in PNG and TIFF"
        return [f"its 16 bits a channel were read as 8{hint}"]
    if bits > 8:
        return [f"its {bits} bits a channel were read as 8"]
    if image.mode.startswith("I;16") and image.format == "TIFF":
        own = image.tag_v2.get(Tag.BitsPerSample, (16,))[0]  # type: ignore[attr-defined]
        if own < 16:
            return [f"its {own} bits are kept in 16, up to {2**own - 1}"]
    return []


def _correct_tiff(file: Image.Image, mode: str, pixels: Any) -> list[str]:
    """Do to a TIFF's samples what Pillow leaves undone: turn negatives, refuse what it misreads."""
    if file.format != "TIFF":
        return []
    tags = file.tag_v2  # type: ignore[attr-defined]
    bits = tags.get(Tag.BitsPerSample, (1,))[0]
    signed = tags.get(Tag.SampleFormat, (1,))[0] == _SIGNED
    if bits == 8 and signed:
        raise ConvcliError("has samples of 8 bits with a sign, which cannot be filtered")
    if mode == "I" and bits == 32 and not signed and pixels.min() < 0:
        raise ConvcliError("has whole numbers above 2147483647, which cannot be filtered")
    if mode == "I;16" and tags.get(Tag.PhotometricInterpretation) == _WHITE_IS_ZERO:
        pixels ^= 0xFFFF
    notes = []
    if mode == "I" and bits == 16:
        notes.append("its 16 bits with a sign are kept in 32")
    more = tags.get(Tag.SamplesPerPixel, 1) - MODES[mode][0]
    if more > 0 and file.mode != "P" and mode not in ("L", "I;16"):
        notes.append(f"{more} more samples of each pixel were left out")
    return notes


def _frame_settings(file: Image.Image) -> dict[str, Any]:
    """Return how long a frame is shown, what becomes of it then, and how often all are."""
    kept = ("duration", "disposal", "loop")
    found: dict[str, Any] = {key: file.info[key] for key in kept if key in file.info}
    if file.format == "GIF":
        found["disposal"] = file.disposal_method  # type: ignore[attr-defined]
    if file.format == "AVIF":
        found["loop"] = 0  # Pillow does not say; encoders write "for ever" unless they are told
    if file.info.get("default_image"):
        found["default_image"] = True
    return found


def _keeps_luma(image: Image.Image) -> bool:
    """Say whether this is a JPEG in YCbCr, whose Y is luma; the rules are libjpeg's own.

    Edges from Y differ from those from the decoded colours by 0.1 to 0.2 levels in the mean of
    photographs at quality 75 to 97 (98 to 100 % by at most one level). The difference is the
    rounding and clipping of the colours: where subsampled colours are saturated, edges from Y
    are nearer to the original's, by 0.7 levels in the mean instead of 9.4.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode != "RGB":
        return False
    if "jfif" in image.info:
        return True
    if "adobe_transform" in image.info:
        return bool(image.info["adobe_transform"] != 0)
    return bytes(layer[0] for layer in image.layer) != b"RGB"


def _encoding_of(image: Image.Image, lossless: bool) -> dict[str, Any]:
    """Return what makes an encoder of the same format lose as much as this file's did."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        if not image.quantization:  # a lossless one
            return {}
        settings: dict[str, Any] = {"qtables": image.quantization}
        subsampling = JpegImagePlugin.get_sampling(image)
        if subsampling >= 0 and image.mode == "RGB":
            settings["subsampling"] = subsampling
        return settings
    if image.format == "WEBP":
        return {"lossless": True} if lossless else {}
    if image.format == "TIFF" and image.info.get("compression") in _LOSSLESS_TIFF:
        return {"compression": image.info["compression"]}
    return {}


def is_lossless(content: bytes) -> bool:
    """Say whether the first picture in a WebP is of its lossless kind (RFC 9649, section 2)."""
    at = 12
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind in (b"VP8L", b"VP8 "):
            return bool(kind == b"VP8L")
        # A frame's header is followed by chunks of its own.
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return False
