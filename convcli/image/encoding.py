"""Writing pictures: each format's settings, single pictures, animations and pages."""

from __future__ import annotations

import io
import math
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError, reason_of
from convcli.files.formats import LOSSY, check_frames, check_size, mode_for
from convcli.files.writing import new_file
from convcli.image import deep
from convcli.image.buffers import image_over, signed_lab
from convcli.image.metadata import BLOCKS, exif_of, settings_for, with_tag
from convcli.image.picture import WITH_ALPHA, Picture

# Formats whose encoders take four bytes a pixel for RGB and leave the fourth out.
_ENCODED_PADDED = ("JPEG", "WEBP")

# Quality for pictures that come from another format; a JPEG keeps its own tables. 90 is where
# most eyes stop seeing a difference, and cameras write about that.
_QUALITY = 90

# The longest a frame can be shown, in milliseconds: GIF counts hundredths of a second in 16
# bits, WebP milliseconds in 24, APNG divides two numbers of 16 bits.
_LONGEST = {"GIF": 655_350, "WEBP": 2**24 - 1, "PNG": 65_535_000}

# The marker that ends a JPEG (ITU-T T.81, table B.1), and the bytes that are copied at a time.
_JPEG_END = b"\xff\xd9"
_PART = 1 << 20

# TIFF 6.0 section 14: dictionary coders are given the differences along a row. A blurred
# photograph is packed by LZW to 43 % of its size then, and without it to 90 %.
_PREDICTED = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "zstd", "lzma")
_DIFFERENCES = 2


def write(
    picture: Picture,
    target: Path | BinaryIO,
    format_name: str,
    *,
    quality: int | None = None,
    png_level: int | None = None,
    workers: int = 1,
    strip: bool = False,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write a picture with all its frames, to a file atomically.

    Parameters
    ----------
    picture : Picture
        What to write; its later frames are taken as they come.
    target : Path or binary file
        Where; a file appears under its name only when it is whole.
    format_name : str
        A key of `convcli.files.formats.FORMATS`.
    quality : int, optional
        For JPEG, WebP and AVIF; a picture that came from a JPEG keeps its own without it.
    png_level : int, optional
        For PNG, as for `convcli.image.png.image_data`.
    workers : int
        Threads for encoding, where the format can use them: PNG.
    strip : bool
        Leave all metadata out.
    overwrite : bool
        Whether an older file may be replaced.

    Returns
    -------
    tuple of str
        Notes: what the format had no place for.

    Raises
    ------
    ConvcliError
        If the format cannot hold the picture.
    OSError
        If the file system refuses.
    """
    check_frames(format_name, picture.format, picture.frames)
    notes: dict[str, None] = {}  # in order, each once
    encode = partial(_encode, quality=quality, png_level=png_level, workers=workers, strip=strip)
    try:
        if isinstance(target, Path):
            with new_file(target, overwrite) as file:
                encode(picture, format_name, file, notes)
            return tuple(notes)
        # Pillow seeks in what it writes to, which a pipe does not allow.
        encoded = io.BytesIO()
        encode(picture, format_name, encoded, notes)
    except (ConvcliError, OSError, MemoryError):
        raise
    except Exception as error:  # encoders stumble over metadata that decoders took
        if strip or not picture.metadata or picture.frames > 1:  # which are filtered meanwhile
            raise
        raise ConvcliError(
            f"{reason_of(error)}; --strip, which leaves its metadata out, may help"
        ) from error
    rest = memoryview(encoded.getvalue())
    while rest:  # under PYTHONUNBUFFERED a pipe or a full disk takes a part at a time
        rest = rest[target.write(rest) :]
    target.flush()
    return tuple(notes)


def _encode(
    picture: Picture,
    format_name: str,
    file: BinaryIO,
    notes: dict[str, None],
    *,
    quality: int | None,
    png_level: int | None,
    workers: int,
    strip: bool,
) -> None:
    """Choose an encoder and let it write."""

    def settings_of(frame: Picture) -> dict[str, Any]:
        """Return the settings for a frame, and take note of what it loses."""
        mode = mode_for(format_name, frame.mode)
        check_size(format_name, frame.pixels.shape[1], frame.pixels.shape[0])
        found, left_out = (
            ({}, []) if strip else settings_for(frame.metadata, format_name, mode, frame.mode)
        )
        if format_name == "GIF" and mode != "L":
            left_out.append("GIF holds 256 colours, to which the result was reduced")
        if format_name == "GIF" and mode in WITH_ALPHA and _is_partly_clear(frame):
            left_out.append("GIF's pixels are opaque or not: alpha was cut at a half")
        if frame.frame.get("duration", 0) > _LONGEST.get(format_name, math.inf):
            left_out.append(f"a frame is shown for {_LONGEST[format_name] / 1000:g} s, no longer")
        notes.update(dict.fromkeys((*frame.notes, *left_out)))
        settings = found | _settings(frame, format_name, quality)
        if "compression" in settings and BLOCKS & set(exif_of(settings.get("exif", b""))):
            del settings["compression"]  # libtiff does not write both
            notes["its compression, for the sake of its EXIF block, left out"] = None
        if settings.get("compression") in _PREDICTED and frame.pixels.dtype.kind == "u":
            settings["exif"] = with_tag(settings.get("exif", b""), Tag.Predictor, _DIFFERENCES)
        return settings

    if picture.frames > 1 and format_name == "TIFF":
        _write_pages(picture, file, settings_of, notes)
    elif picture.frames > 1 and format_name == "GIF":
        _write_gif(picture, file, settings_of, notes)
    elif picture.frames > 1:
        _write_animation(picture, format_name, file, settings_of, notes, png_level)
    elif format_name == "PNG":
        _write_png(picture, file, settings_of(picture), png_level, workers)
    elif deep.holds(picture):
        file.write(_deep_page(picture, settings_of(picture), notes))
    else:
        image = _image(picture, mode_for(format_name, picture.mode), format_name)
        settings = settings_of(picture)
        if format_name == "GIF":
            from convcli.image import gif

            image = gif.indexed(image)
        if format_name == "JPEG":
            _write_jpeg(image, file, settings)
        else:
            image.save(file, format_name, **settings)


def _write_jpeg(image: Image.Image, file: BinaryIO, settings: dict[str, Any]) -> None:
    """Encode by way of a file in memory, whose number lets Pillow leave the interpreter free.

    Two threads encode 8 pictures of 2 MP in 17 ms then, and in 33 like one thread otherwise. The
    number of a file on a disk it cannot have: it takes a short write for a whole one.
    """
    with _memory_file() as memory:
        with suppress(OSError):
            image.save(memory, "JPEG", **settings)
        memory.seek(max(memory.seek(0, os.SEEK_END) - len(_JPEG_END), 0))
        if memory.read() != _JPEG_END:  # `ulimit -f` counts memory, too; the disk says why
            image.save(file, "JPEG", **settings)
            return
        memory.seek(0)
        shutil.copyfileobj(memory, file, _PART)


def _memory_file() -> BinaryIO:
    try:
        return os.fdopen(os.memfd_create("convcli"), "w+b")
    except (AttributeError, OSError):  # not Linux, or no numbers left
        return io.BytesIO()


def _is_partly_clear(picture: Picture) -> bool:
    """Say whether a pixel is neither opaque nor transparent."""
    alpha = picture.pixels[..., -1]
    return bool(((alpha > 0) & (alpha < 255)).any())


def _settings(picture: Picture, format_name: str, quality: int | None) -> dict[str, Any]:
    """Choose the encoder's settings."""
    if format_name == picture.format and quality is None and picture.encoding:
        settings = dict(picture.encoding)
        if picture.mode == "L":
            settings.pop("subsampling", None)  # of one channel there is nothing to subsample
        return settings
    if format_name in LOSSY:
        return {"quality": _QUALITY if quality is None else quality}
    return {}


def _write_png(
    picture: Picture, file: BinaryIO, settings: dict[str, Any], level: int | None, workers: int
) -> None:
    """Write the chunks that Pillow makes for one pixel, with this picture's size and rows."""
    # Nothing but PNG needs these.
    from PIL import PngImagePlugin

    from convcli.image import png

    height, width = picture.pixels.shape[:2]
    pixel = Image.new("L" if picture.pixels.ndim == 2 else picture.mode.removesuffix(";16"), (1, 1))
    depth = 8 * picture.pixels.itemsize
    file.write(b"\x89PNG\r\n\x1a\n")
    for kind, content, _ in PngImagePlugin.getchunks(pixel, **settings):
        if kind == b"IDAT":
            for data in png.image_data(picture.pixels, level, workers):
                PngImagePlugin.putchunk(file, kind, data)
        elif kind == b"IHDR":
            header = struct.pack(">IIB", width, height, depth)
            PngImagePlugin.putchunk(file, kind, header, content[9:])
        else:
            PngImagePlugin.putchunk(file, kind, content)


def _deep_page(picture: Picture, settings: dict[str, Any], notes: dict[str, None]) -> bytes:
    """Encode 16-bit colour as a TIFF, in which not all metadata have a place."""
    content, complete = deep.tiff(picture, settings)
    if not complete:
        notes["its EXIF block, which TIFFs of 16-bit colour are written without, left out"] = None
    return content


def _write_pages(
    picture: Picture,
    file: BinaryIO,
    settings_of: Callable[[Picture], dict[str, Any]],
    notes: dict[str, None],
) -> None:
    """Write a TIFF of several pages, each as soon as it is there."""
    from PIL import TiffImagePlugin

    class Pages(TiffImagePlugin.AppendingTiffWriter):
        """Begins to look for the end at the last page: 4000 small ones took 11 s."""

        last: int | None = None

        def skipIFDs(self) -> None:  # noqa: N802 - Pillow's
            if self.last is not None:
                self.f.seek(self.last)
            super().skipIFDs()
            self.last = self.whereToWriteNewIFDOffset

    with Pages(file) as pages:
        for number, page in enumerate(_all_frames(picture)):
            settings = settings_of(page)
            tags = exif_of(settings.get("exif", b""))
            if number and BLOCKS & set(tags):
                # Pillow adds pages without moving what these blocks point to.
                for block in BLOCKS & set(tags):
                    del tags[block]
                settings["exif"] = tags
                notes["the EXIF blocks of pages after the first, left out"] = None
            if deep.holds(page):
                pages.write(_deep_page(page, settings, notes))
            else:
                image = _image(page, mode_for("TIFF", page.mode), "TIFF")
                image.save(pages, "TIFF", **settings)
            pages.newFrame()
    if "duration" in picture.frame:
        notes["TIFF has no place for its durations, left out"] = None


def _all_frames(picture: Picture) -> Iterator[Picture]:
    yield picture
    yield from picture.later


def _write_animation(
    picture: Picture,
    format_name: str,
    file: BinaryIO,
    settings_of: Callable[[Picture], dict[str, Any]],
    notes: dict[str, None],
    png_level: int | None,
) -> None:
    """Write an animation: whole frames, of which Pillow stores what has changed."""
    images = []
    frames: list[dict[str, Any]] = []
    settings: dict[str, Any] = {}
    for frame in _all_frames(picture):
        own = settings_of(frame)
        settings = settings or own  # those of the first are the file's
        images.append(_image(frame, mode_for(format_name, frame.mode), format_name))
        frames.append(frame.frame)
    modes = {image.mode for image in images}
    if len(modes) > 1:
        common = "RGBA" if modes & {"LA", "RGBA"} else "RGB"
        images = [image.convert(common) for image in images]
    durations = [_duration(frame, format_name) for frame in frames]
    # AVIF's encoder takes whole numbers only; the others round the moment, or write fractions.
    settings["duration"] = list(map(round, durations)) if format_name == "AVIF" else durations
    settings["loop"] = picture.frame.get("loop", 1)  # a GIF that does not say is shown once
    if format_name == "AVIF" and settings["loop"] != 0:
        notes["AVIF has no place for its loops: it is shown for ever"] = None
    if format_name == "PNG":
        settings["blend"] = 0  # a frame replaces what it covers
        settings["disposal"] = _png_disposals(images)
        if picture.frame.get("default_image"):  # Pillow counts the frames that follow
            settings["default_image"] = True
            del settings["duration"][0], settings["disposal"][0]
        if png_level is not None:
            settings["compress_level"] = png_level
    images[0].save(file, format_name, save_all=True, append_images=images[1:], **settings)


def _duration(frame: dict[str, Any], format_name: str) -> float:
    """Return how long a frame is shown, in milliseconds, as far as a format can say."""
    wanted: float = frame.get("duration", 0)
    return min(wanted, _LONGEST.get(format_name, math.inf))


def _png_disposals(images: list[Image.Image]) -> list[int]:
    """Return what becomes of each frame, such that Pillow writes every one and writes it right.

    Frames are whole, so that what becomes of them is of no account. But Pillow makes one of two
    that are alike and disposed of alike; and after a frame that is cleared it stores, but for
    RGBA, too little of the next.
    """
    disposals = [0] * len(images)
    for number in range(1, len(images)):
        if images[number].tobytes() == images[number - 1].tobytes():
            disposals[number] = 2 - disposals[number - 1]
    return disposals


def _write_gif(
    picture: Picture,
    file: BinaryIO,
    settings_of: Callable[[Picture], dict[str, Any]],
    notes: dict[str, None],
) -> None:
    """Write an animated GIF, each frame as soon as it is there."""
    from convcli.image import gif

    def frames() -> Iterator[tuple[Image.Image, int, int]]:
        late = 0.0  # what earlier frames were shown too short
        for number, frame in enumerate(_all_frames(picture)):
            if number:
                settings_of(frame)  # for its notes
            wanted = _duration(frame.frame, "GIF") + late
            duration = min(10 * round(wanted / 10), _LONGEST["GIF"])
            late = wanted - duration
            if frame.frame.get("duration", 0) % 10:
                notes["GIF counts hundredths of a second: durations were rounded"] = None
            own = picture.format == "GIF"
            disposal = frame.frame.get("disposal", gif.KEEP) if own else gif.KEEP
            image = _image(frame, mode_for("GIF", frame.mode), "GIF")
            yield image, disposal, duration

    header = {key: picture.frame[key] for key in ("loop",) if key in picture.frame}
    gif.write_frames(frames(), settings_of(picture) | header, file)


def _image(picture: Picture, mode: str, format_name: str) -> Image.Image:
    """Make a Pillow image of the pixels, in a mode that the format holds."""
    import numpy as np

    from convcli.pixels.padded import Padded

    pixels = picture.pixels
    size = (pixels.shape[1], pixels.shape[0])
    if isinstance(picture.samples, Padded):
        image = image_over(picture.samples.buffer, "RGB", size)
        if format_name in _ENCODED_PADDED and picture.frames == 1:
            return image
    else:
        if picture.mode == "I":
            limits = np.iinfo(np.int32)
            pixels = np.clip(np.rint(pixels), limits.min, limits.max).astype(np.int32)
        if picture.mode == "I;16" and sys.byteorder == "big":  # Pillow's I;16 is little-endian
            pixels = pixels.byteswap()
        if picture.mode == "LAB":
            pixels = signed_lab(pixels)
        image = Image.frombuffer(picture.mode, size, np.ascontiguousarray(pixels))
    return image if image.mode == mode else image.convert(mode)
