"""Reading pictures: which formats and modes, what is refused, one frame after the other."""

from __future__ import annotations

import errno
import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from convcli import memory
from convcli.errors import ConvcliError
from convcli.formats import FORMATS, check_frames, mode_for
from convcli.image import deep
from convcli.image.buffers import copy_of, image_over, memory_for, view_of
from convcli.image.metadata import metadata_of
from convcli.image.picture import MODES, WITH_ALPHA, Grey, Picture

# Modes that have no samples to filter, or that nothing can write, and what they are read as.
_READ_AS = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB",
            "YCbCr": "RGB", "HSV": "RGB"}  # fmt: skip

# Bytes that a decoder is given at a time: all of most photographs. Between two blocks, of
# 64 kB unless it is told, it waits its turn for the interpreter.
_BLOCK = 1 << 24

# How many times the limit on a picture all frames of an animation may have: 1.4 gigapixels, which
# are 700 frames of full HD.
_ANIMATION = 16

_UNREADABLE = "is truncated, damaged or of a kind that cannot be read"

# What libtiff calls its compressions that lose nothing and hold samples of any depth.
_LOSSLESS_TIFF = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma")


@dataclass(frozen=True)
class _Wanted:
    """What is to become of every frame; see `read`. Pages may differ in size, and have none."""

    source: Path | bytes
    format: str
    grey: Grey | None
    luma: bool
    alone: bool
    size: tuple[int, int] | None


def limit_pixels(most: int | None) -> None:
    """Refuse pictures of more pixels than this from their header; None keeps Pillow's limit.

    Pillow only warns between one and two times its limit; here the warning is the refusal.
    """
    if most is not None:
        Image.MAX_IMAGE_PIXELS = most
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def read(
    source: Path | bytes,
    target_format: str | None = None,
    grey: Grey | None = None,
    luma: bool = False,
    on_decode: Callable[[int], None] | None = None,
) -> Picture:
    """Read a picture, or the first of its frames or pages.

    Parameters
    ----------
    source : Path or bytes
        A file, or its content.
    target_format : str, optional
        The format that the result will be written in; what it cannot hold is refused before
        any pixel is decoded.
    grey : {"L", "LA"}, optional
        What the filter makes of colour, if it makes grey of it: one channel, or one and the
        alpha that was there.
    luma : bool
        Nothing of the colours is wanted but their luma by BT.601. A JPEG keeps that apart, and
        no more of it is decoded.
    on_decode : callable, optional
        Called when the pixels are about to be decoded, with the bytes that they and the
        result will take. It may wait until they are free.

    Raises
    ------
    ConvcliError
        If it is empty, not a picture, truncated, damaged, too large, or cannot be held by
        the target format. The message does not name the file; the caller knows how to. The
        same comes out of `Picture.later`.
    """
    if not _beginning(source):
        raise ConvcliError("is empty")
    file: Path | BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    # Pillow imports every decoder it has, for 25 ms, to try one that is not imported yet.
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    likely_first = sorted(FORMATS, key=lambda name: suffix not in FORMATS[name].suffixes)
    with _refusals(source), ExitStack() as opened:
        image = opened.enter_context(Image.open(file, formats=likely_first))
        if 0 in image.size:
            raise ConvcliError("is empty: it has no pixels")
        own_format = _format_of(image)
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        wanted = _Wanted(
            source,
            target_format or own_format,
            grey,
            luma,
            alone=frames <= 1,
            size=image.size if FORMATS[own_format].frames == "animation" else None,
        )
        check_frames(wanted.format, own_format, frames)
        if frames > 1 and FORMATS[own_format].frames == "animation":
            _check_animation(image, frames)
        size = _bytes_of(image, frames)
        if on_decode:
            on_decode(size)
        memory.check(size)
        if wanted.alone:
            return _decoded(image, wanted)
        # What shows an APNG where it does not move is no part of the animation.
        first = 1 if image.info.get("default_image") and wanted.format != "PNG" else 0
        pictures = _frames(opened.pop_all(), image, range(first, frames), wanted)
        return replace(next(pictures), frames=frames - first, later=pictures)


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _begins_as(source: Path | bytes, format_name: str) -> bool:
    """Say whether a file's first bytes are those of a format."""
    accept = Image.OPEN[format_name][1] if format_name in Image.OPEN else None
    return accept is not None and accept(_beginning(source)) is True


def _beginning(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:16]
    with source.open("rb") as file:
        return file.read(16)


@contextmanager
def _refusals(source: Path | bytes) -> Iterator[None]:
    """Turn what decoders raise into refusals in one sentence."""
    try:
        yield
    except ConvcliError:
        raise
    except UnidentifiedImageError:
        looks_like = next((name for name in FORMATS if _begins_as(source, name)), None)
        if looks_like:
            raise ConvcliError(f"looks like {looks_like}, but {_UNREADABLE}") from None
        known = ", ".join(FORMATS)
        raise ConvcliError(f"is not a picture in a known format ({known})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ConvcliError(
            f"has more than {Image.MAX_IMAGE_PIXELS} pixels; --max-pixels raises the limit"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        # The disk's fault, not the picture's; but a file cannot be asked for less than nothing.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        given = error.args[0] if error.args else ""
        said = given.decode(errors="replace") if isinstance(given, bytes) else str(error)
        raise ConvcliError(f"{_UNREADABLE}{said and ': '}{said}") from error


def _frames(
    opened: ExitStack, image: Image.Image, numbers: range, wanted: _Wanted
) -> Iterator[Picture]:
    """Read frames, each when it is asked for; the file stays open until the last."""
    with opened:
        for number in numbers:
            with _refusals(wanted.source):
                image.seek(number)
                picture = _decoded(image, wanted)
            yield picture


def _check_animation(image: Image.Image, frames: int) -> None:
    """Refuse an animation whose frames, of which few bytes may make many, never end."""
    each = image.width * image.height
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and frames * each > _ANIMATION * limit:
        raise ConvcliError(
            f"has {frames} frames of {each} pixels, more than {_ANIMATION * limit} in all; "
            f"--max-pixels raises the limit to {_ANIMATION} times its number"
        )


def _format_of(image: Image.Image) -> str:
    # A phone's JPEG with a second picture in it (depth, a larger crop) is MPO; the first one
    # is what every viewer shows.
    return "JPEG" if image.format == "MPO" else image.format or "PNG"


def _bytes_of(image: Image.Image, frames: int) -> int:
    """Return the least memory that a picture and its result take.

    Pages are written as they come; of an animation all results are kept until the end.
    """
    # Colour has four bytes a pixel in Pillow's memory, and so have integers and floats.
    a_frame = image.width * image.height * (1 if image.mode in ("1", "L", "P") else 4)
    return a_frame * (2 if image.format == "TIFF" else 1 + frames)


def _decoded(image: Image.Image, wanted: _Wanted) -> Picture:
    """Decode the frame at which an opened file stands, and take what it carries along."""
    if wanted.luma and wanted.alone and _keeps_luma(image):
        image.draft("L", None)  # without a size nothing is scaled
    mode = _read_mode(image)
    whole = wanted.alone or image.format == "TIFF"  # an animation's frames are put together
    keep_deep = deep.mode_of(image, mode, wanted.format) if whole and deep.is_deep(image) else None
    notes = _depth_notes(image, keep_deep, wanted.source)
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
    image.load()  # first, and once: Pillow forgets the damage when asked a second time
    file, frame = image, {}
    if not wanted.alone:
        image = file.copy()  # the file's own is needed for the frames that follow
        if wanted.size and image.size != wanted.size:
            # Pillow lets a frame of a GIF stick out of the picture; viewers do not.
            image = image.crop((0, 0, *wanted.size))
            notes.append("a frame that sticks out of the picture was cut")
        frame = _frame_settings(file)
        mode = converted = _read_mode(image)  # a GIF's changes when it is decoded
    encoding = _encoding_of(file, wanted.source)
    pixels = deep.samples(wanted.source, file, keep_deep) if keep_deep else None
    metadata, left_out = metadata_of(image, file)
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
            image = image.getchannel(0) if image.mode == "LAB" else image.convert(converted)
            mode = converted
        if shared is not None and image.im is ours:  # it was neither turned nor converted
            pixels = view_of(shared, image.im.mode, image.size)
        else:
            del shared, ours  # what was turned is as large
            pixels = copy_of(image)
    return Picture(pixels, mode, _format_of(file), metadata, encoding, tuple(notes), frame)


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


def _depth_notes(image: Image.Image, keep_deep: str | None, source: Path | bytes) -> list[str]:
    """Say where samples are read with fewer bits than they have."""
    if deep.is_deep(image) and not keep_deep:
        hint = "" if deep.installed() else "; the extra 'deep' keeps them in PNG and TIFF"
        return [f"its 16 bits a channel were read as 8{hint}"]
    if image.format == "AVIF" and (bits := deep.avif_bits(_content(source))) > 8:
        return [f"its {bits} bits a channel were read as 8"]
    return []


def _frame_settings(file: Image.Image) -> dict[str, Any]:
    """Return how long a frame is shown, what becomes of it then, and how often all are."""
    kept = ("duration", "disposal", "loop")
    found: dict[str, Any] = {key: file.info[key] for key in kept if key in file.info}
    if file.format == "GIF":
        found["disposal"] = file.disposal_method  # type: ignore[attr-defined]
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


def _encoding_of(image: Image.Image, source: Path | bytes) -> dict[str, Any]:
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
        return {"lossless": True} if _is_lossless(_content(source)) else {}
    if image.format == "TIFF" and image.info.get("compression") in _LOSSLESS_TIFF:
        return {"compression": image.info["compression"]}
    return {}


def _is_lossless(content: bytes) -> bool:
    """Say whether the first picture in a WebP is of its lossless kind (RFC 9649, section 2)."""
    at = 12
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind in (b"VP8L", b"VP8 "):
            return bool(kind == b"VP8L")
        # A frame's header is followed by chunks of its own.
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return False
