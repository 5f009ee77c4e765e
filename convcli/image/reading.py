"""Reading images: which formats are opened, limits, one frame after the other."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import BY_PILLOW, FORMATS, check_frames, row_of
from convcli.image import bombs, deep, transparent_colour
from convcli.image.blocks import held_by
from convcli.image.content import beginning, opened, whole
from convcli.image.costs import DEEPER, memory_of
from convcli.image.decoding import Wanted, check_mode, decoded
from convcli.image.headers import (
    OnDecode,
    Stated,
    format_of_file,
    is_exr,
    is_lossless,
    is_npy,
    is_raw_pnm,
    is_tiff,
)
from convcli.image.held import Held
from convcli.image.picture import Grey, Picture
from convcli.image.png_chunks import SIGNATURE
from convcli.image.refusals import refusals
from convcli.words import Depth

# What only some formats need is imported where they are read: each module takes 0.2 to 1 ms.
if TYPE_CHECKING:
    from convcli.image.gif_blocks import Blocks

Asked = tuple[str | None, Grey | None, bool, Depth | None]
"""What is asked for: target_format, grey, luma and depth of `read`."""

# Bytes that a text or a profile in a PNG may have after decompression. Pillow's own limit is
# 1 MB, which the texts of image generators exceed; its limit for all texts is 64 MB.
_MOST_TEXT = 16 << 20

# Limit on the pixels of an animation, in multiples of the limit on an image: 1.4 gigapixels, or
# 700 frames of full HD.
_ANIMATION = 16


def limit_pixels(most: int | None) -> None:
    """Refuse images of more pixels than this by their header; None keeps Pillow's limit.

    Between one and two times the limit Pillow only warns; here the warning is an error.
    """
    if most is not None:
        Image.MAX_IMAGE_PIXELS = most
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def read(
    source: Path | bytes,
    target_format: str | None = None,
    *,
    grey: Grey | None = None,
    luma: bool = False,
    depth: Depth | None = None,
    on_decode: OnDecode | None = None,
) -> Picture:
    """Read an image, or the first of its frames or pages.

    Parameters
    ----------
    source : Path or bytes
        A file, or its content.
    target_format : str, optional
        The format of the result. An image that it cannot hold is refused before any pixel is
        decoded.
    grey : {"L", "LA"}, optional
        What the filter turns colour into, if it gives grey: one channel, or one and the alpha.
    luma : bool
        Only the luma (BT.601) of the colours is needed. A JPEG stores it separately, and nothing
        else is decoded.
    depth : {"8", "16", "float32"}, optional
        What the filter makes of the samples, if that is asked for.
    on_decode : callable, optional
        Called before the pixels are decoded, with the bytes that they and the result will take,
        and with what is known of the image. It may wait until that memory is free.

    Returns
    -------
    Picture
        Its `later` reads the frames or pages after the first.

    Raises
    ------
    ConvcliError
        If the file is empty, not an image, truncated, damaged or too large, or if the target
        format cannot hold the image. The message is a predicate: the caller puts the name of the
        file in front. Iterating over `Picture.later` may raise it as well.
    """
    if target_format:
        row_of(target_format)
    start = beginning(source)
    if not start:
        raise ConvcliError("is empty")
    if is_tiff(start):
        from convcli.image import tiff_reading

        return tiff_reading.read(source, start, target_format or "TIFF", (grey, depth), on_decode)
    if is_npy(start):
        from convcli.image import npy

        return npy.read(source, target_format or "NPY", (grey, depth), on_decode)
    if is_exr(start):
        from convcli.image import exr

        return exr.read(source, target_format or "EXR", (grey, depth), on_decode)
    if is_raw_pnm(start):
        from convcli.image import pnm

        return pnm.read(source, target_format, (grey, depth), on_decode)
    asked = target_format, grey, luma, depth
    if not start.startswith(SIGNATURE):
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return _read(source, start, file, asked, on_decode)
    from convcli.image import png_inflated, png_texts

    given = png_texts.without_properties(source)
    on_decode = _once(on_decode)
    with ExitStack() as files:
        if inflated := png_inflated.opened(given, files):
            # What is damaged is what Pillow finds damaged: it need not read the sum of the rows.
            with suppress(ConvcliError):
                return _read(source, start, inflated, asked, on_decode)
    file = io.BytesIO(given) if isinstance(given, bytes) else given
    return _read(source, start, file, asked, on_decode)


def _once(on_decode: OnDecode | None) -> OnDecode | None:
    """Return what takes the memory of an image once, although the image is read twice."""
    is_taken = False

    def take(size: int, stated: Stated) -> None:
        nonlocal is_taken
        if on_decode and not is_taken:
            on_decode(size, stated)
            is_taken = True

    return on_decode and take


def _read(
    source: Path | bytes, start: bytes, file: Path | BinaryIO, asked: Asked,
    on_decode: OnDecode | None,
) -> Picture:  # fmt: skip
    """Read an image as Pillow opens it, from a file that may differ from its source."""
    target_format, grey, luma, depth = asked
    # Pillow imports all its decoders, in 25 ms, before it tries one that is not imported yet.
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    likely_first = sorted(BY_PILLOW, key=lambda name: suffix not in FORMATS[name].suffixes)
    if likely_first[0] == "PNG":
        from PIL import PngImagePlugin

        PngImagePlugin.MAX_TEXT_CHUNK = _MOST_TEXT
    elif likely_first[0] == "AVIF":
        from convcli.image import avif

        avif.choose_threads()
    with ExitStack() as files:
        with refusals(source):
            image = files.enter_context(Image.open(file, formats=likely_first))
            if image.format == "BMP":
                from convcli.image import bmp

                bmp.check_alpha(image, start)
            blocks = _gif_blocks(source) if image.format == "GIF" else None
            if blocks and blocks.size != image.size:  # limits are checked with that of Pillow
                raise ConvcliError(
                    f"is damaged: it has {blocks.size[0]} x {blocks.size[1]} pixels by its blocks, "
                    f"and {image.size[0]} x {image.size[1]} as Pillow reads them"
                )
            if blocks:
                frames = len(blocks.frames)
            else:
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        transparent_colour.check(image)
        transparent_colour.widen(image, source)
        if 0 in image.size:
            raise ConvcliError("is empty: it has no pixels")
        own_format = format_of_file(image)
        final_format = target_format or own_format
        # The default image of an APNG, shown where animations are not, is not one of its frames.
        first = 1 if image.info.get("default_image") and final_format != "PNG" else 0
        animated = frames > 1 and FORMATS[own_format].frames == "animation"
        check_frames(final_format, own_format, frames - first)
        if animated:
            _check_animation(image, frames)
        bombs.check(image, source, frames)
        wanted = Wanted(
            source,
            final_format,
            grey,
            luma,
            alone=frames <= 1,
            canvas=image.size if animated else None,
            lossless=own_format == "WEBP" and is_lossless(whole(source)),
            bits=deep.avif_bits(whole(source)) if own_format == "AVIF" else 8,
            held=held_by(source, image.format or own_format),
            depth=depth,
        )
        size = _bytes_of(image, frames, final_format) * (DEEPER if depth else 1)
        if on_decode:
            on_decode(size, _stated(image, alone=frames <= 1 and not grey))
        memory.check(size)
        if blocks:
            from convcli.image import gif_frames

            shown = gif_frames.composed(source, blocks, image.info.get("comment"))
            check_mode(gif_frames.mode_of(blocks), wanted)
        elif animated and own_format == "PNG":
            from convcli.image import apng_frames

            shown = apng_frames.composed(source, range(first, frames), image.info)
        else:
            shown = _shown(image, range(first, frames), wanted)
        if wanted.alone:
            return decoded(next(shown), wanted)
        pictures = _frames(files.pop_all(), image, shown, wanted)
        return replace(next(pictures), frames=frames - first, later=pictures)


# Modes of Pillow that stay what they are.
_OWN_MODES = ("L", "LA", "RGB", "RGBA", "CMYK")


def _stated(image: Image.Image, alone: bool) -> Stated:
    """Return what is known of an opened image. Its EXIF data may come after its pixels."""
    stays = alone and image.mode in _OWN_MODES and "transparency" not in image.info
    stays = stays and not deep.is_deep(image)
    return Stated((image.height, image.width), image.mode if stays else None, may_turn=True)


def _gif_blocks(source: Path | bytes) -> Blocks:
    from convcli.image.gif_blocks import blocks_of

    with opened(source) as file:
        return blocks_of(file)


def _shown(image: Image.Image, numbers: range, wanted: Wanted) -> Iterator[Image.Image]:
    """Yield an opened file at each of its frames."""
    for number in numbers:
        with refusals(wanted.source):
            if number:
                image.seek(number)
        yield image


def _frames(
    files: ExitStack, image: Image.Image, shown: Iterator[Image.Image], wanted: Wanted
) -> Iterator[Picture]:
    """Read frames as they are asked for; the file stays open until the last."""
    with files:
        for number, frame in enumerate(shown):
            # The opened PNG has the metadata of the animation, which its first frame keeps.
            if number == 0 and frame.format == "PNG":
                yield decoded(image, wanted, frame)
            else:
                yield decoded(frame, wanted)
            wanted = wanted._replace(held=Held())


def _check_animation(image: Image.Image, frames: int) -> None:
    """Refuse an animation of too many frames: a few bytes can encode a very large number."""
    each = image.width * image.height
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and frames * each > _ANIMATION * limit:
        raise ConvcliError(
            f"has {frames} frames of {each} pixels, more than {_ANIMATION * limit} in total; "
            f"--max-pixels raises the limit, which is {_ANIMATION} times its value"
        )


def _bytes_of(image: Image.Image, frames: int, target_format: str) -> int:
    """Predict the memory that an image, its result and its codecs take, in bytes."""
    # In Pillow's memory colours, 32-bit integers and floats have four bytes per pixel.
    channels = 1 if image.mode in ("1", "L") else 4
    pixels = image.width * image.height
    formats = (format_of_file(image), target_format)
    size = memory_of(formats, channels, pixels, frames)
    if deep.is_deep(image):
        # Two bytes for each sample that comes in or goes out, and what Pillow decodes.
        return max(size, 5 * pixels * channels)
    return size
