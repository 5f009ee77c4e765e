"""Writing images: to a file or a stream, each format by its own writer."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from convcli.errors import ConvcliError, reason_of
from convcli.files.formats import STREAMED, check_frames
from convcli.files.writing import new_file
from convcli.image import jpeg, jpeg_encoding
from convcli.image.encoder import Encoder
from convcli.image.metadata_settings import not_by_pillow
from convcli.image.picture import Picture


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
    within: str | None = None,
) -> tuple[str, ...]:
    """Write an image with all its frames; a file is written atomically.

    Parameters
    ----------
    picture : Picture
        What to write; its later frames are read as they are needed.
    target : Path or binary file
        Where to write; a file appears under its name only when it is complete.
    format_name : str
        A key of `convcli.files.formats.FORMATS`.
    quality : int, optional
        For JPEG, WebP and AVIF. Without it an image from a JPEG keeps the quality of that file.
    png_level : int, optional
        For PNG, as for `convcli.image.png.image_data`.
    workers : int
        Threads for encoding, in formats that can use them: PNG.
    strip : bool
        Drop all metadata.
    overwrite : bool
        Replace a file that exists.
    within : str, optional
        The folder that the file has to be in; see `convcli.files.writing.new_file`.

    Returns
    -------
    tuple of str
        Notes on what the format could not store.

    Raises
    ------
    ConvcliError
        If the format cannot hold the image.
    OSError
        If the file system reports an error.
    """
    check_frames(format_name, picture.format, picture.frames)
    encoder = Encoder(format_name, quality, png_level, workers, strip)
    try:
        if isinstance(target, Path):
            with new_file(target, overwrite, within=within, note=encoder.note) as file:
                _encode(encoder, picture, file)
            return tuple(encoder.notes)
        # Pillow seeks in the file, which a pipe does not support. Of several images one after
        # the other each is sent when it is there: they may come from a camera.
        is_stream = format_name in STREAMED
        for part in picture.all_frames() if is_stream else (picture,):
            encoded = io.BytesIO()
            _encode(encoder, replace(part, frames=1, later=()) if is_stream else part, encoded)
            _send(encoded, target)
    except (ConvcliError, OSError, MemoryError):
        raise
    except Exception as error:  # encoders fail on metadata that decoders accept
        # Later frames are read and filtered meanwhile: the error may be theirs.
        if strip or not picture.metadata or picture.frames > 1 or picture.format in STREAMED:
            raise
        reason = (
            reason_of(ConvcliError(error)) or "the encoder failed"
        )  # without the exception's name
        raise ConvcliError(
            f"{reason}; this may be due to its metadata, which --strip drops"
        ) from error
    return tuple(encoder.notes)


def _send(encoded: io.BytesIO, target: BinaryIO) -> None:
    rest = memoryview(encoded.getvalue())
    while rest:  # with PYTHONUNBUFFERED a pipe or a full disk takes a part at a time
        rest = rest[target.write(rest) :]
    target.flush()


def _encode(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Choose the writer for a format, and import it only if it is needed."""
    if encoder.format == "AVIF":
        from convcli.image import avif

        avif.choose_threads()
    if encoder.format == "TIFF":
        from convcli.image import tiff

        tiff.write(encoder, picture, file)
    elif encoder.format == "GIF":
        from convcli.image import gif

        gif.write(encoder, picture, file)
    elif encoder.format == "NPY":
        from convcli.image import npy

        npy.write(encoder, picture, file)
    elif encoder.format == "EXR":
        from convcli.image import exr

        exr.write(encoder, picture, file)
    elif encoder.format in STREAMED:
        from convcli.image import pnm, y4m

        write_frame = y4m.write if encoder.format == "Y4M" else pnm.write
        for image in picture.all_frames():
            write_frame(encoder, image, file)
    elif picture.frames > 1:
        from convcli.image import animation

        animation.write(encoder, picture, file)
    elif encoder.format == "PNG":
        _write_png(encoder, picture, file)
    elif encoder.format == "JPEG":
        _write_jpeg(encoder, picture, file)
    else:
        settings = encoder.settings_for(picture)
        encoder.image_of(picture).save(file, encoder.format, **settings)


def _write_jpeg(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write a JPEG: with colours sampled as Pillow can, by Pillow as it is."""
    settings = encoder.settings_for(picture)
    if "components" in settings:
        jpeg.write(picture.pixels, file, settings)
    else:
        jpeg_encoding.write(encoder, picture, settings, file)


def _write_png(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write the chunks that Pillow makes for one pixel, with the size and rows of this image."""
    # Only PNG needs these.
    from PIL import PngImagePlugin

    from convcli.image import png
    from convcli.image.png_chunks import SIGNATURE

    settings = encoder.settings_for(picture)
    height, width = picture.pixels.shape[:2]
    pixel = Image.new("L" if picture.pixels.ndim == 2 else picture.mode.removesuffix(";16"), (1, 1))
    depth = 8 * picture.pixels.itemsize
    own = not_by_pillow(settings.get("pnginfo"))
    file.write(SIGNATURE)
    for kind, content, _ in PngImagePlugin.getchunks(pixel, **settings):
        if kind == b"IDAT":
            for chunk in own:
                PngImagePlugin.putchunk(file, *chunk)
            for data in png.image_data(picture.pixels, encoder.png_level, encoder.workers):
                PngImagePlugin.putchunk(file, kind, data)
        elif kind == b"IHDR":
            header = struct.pack(">IIB", width, height, depth)
            PngImagePlugin.putchunk(file, kind, header, content[9:])
        else:
            PngImagePlugin.putchunk(file, kind, content)
