"""Reading pictures: formats that are ever opened, limits, one frame after the other."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import FORMATS, check_frames
from convcli.image import deep
from convcli.image.decoding import Wanted, decoded, format_of, is_lossless, is_preview
from convcli.image.picture import Grey, Picture
from convcli.image.refusals import beginning, refusals

# Bytes to which a text or a profile in a PNG may unpack: 1 MB is Pillow's own limit, which the
# texts of picture generators exceed. All together it takes 64 MB.
_MOST_TEXT = 16 << 20

# How many times the limit on a picture all frames of an animation may have: 1.4 gigapixels, which
# are 700 frames of full HD.
_ANIMATION = 16


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
    *,
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
    if not beginning(source):
        raise ConvcliError("is empty")
    file: Path | BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    # Pillow imports every decoder it has, for 25 ms, to try one that is not imported yet.
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    likely_first = sorted(FORMATS, key=lambda name: suffix not in FORMATS[name].suffixes)
    if likely_first[0] == "PNG":
        from PIL import PngImagePlugin

        PngImagePlugin.MAX_TEXT_CHUNK = _MOST_TEXT
    with ExitStack() as opened:
        with refusals(source):
            image = opened.enter_context(Image.open(file, formats=likely_first))
            if is_preview(image, beginning(source)):
                raise ConvcliError(
                    "is camera raw, of which only the preview could be read; "
                    "develop it to TIFF first"
                )
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if 0 in image.size:
            raise ConvcliError("is empty: it has no pixels")
        own_format = format_of(image)
        final_format = target_format or own_format
        # What shows an APNG where it does not move is no part of the animation.
        first = 1 if image.info.get("default_image") and final_format != "PNG" else 0
        animated = frames > 1 and FORMATS[own_format].frames == "animation"
        check_frames(final_format, own_format, frames - first)
        if animated:
            _check_animation(image, frames)
        wanted = Wanted(
            source,
            final_format,
            grey,
            luma,
            alone=frames <= 1,
            size=image.size if animated else None,
            lossless=own_format == "WEBP" and is_lossless(_content(source)),
            bits=deep.avif_bits(_content(source)) if own_format == "AVIF" else 8,
        )
        size = _bytes_of(image, frames, final_format)
        if on_decode:
            on_decode(size)
        memory.check(size)
        if wanted.alone:
            return decoded(image, wanted)
        pictures = _frames(opened.pop_all(), image, range(first, frames), wanted)
        return replace(next(pictures), frames=frames - first, later=pictures)


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _frames(
    opened: ExitStack, image: Image.Image, numbers: range, wanted: Wanted
) -> Iterator[Picture]:
    """Read frames, each when it is asked for; the file stays open until the last."""
    with opened:
        for number in numbers:
            with refusals(wanted.source):
                image.seek(number)
            if wanted.size is None:  # a page may be larger than those before
                memory.check(_bytes_of(image, 1, wanted.format))
            yield decoded(image, wanted)


def _check_animation(image: Image.Image, frames: int) -> None:
    """Refuse an animation whose frames, of which few bytes may make many, never end."""
    each = image.width * image.height
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and frames * each > _ANIMATION * limit:
        raise ConvcliError(
            f"has {frames} frames of {each} pixels, more than {_ANIMATION * limit} in all; "
            f"--max-pixels raises the limit to {_ANIMATION} times its number"
        )


def _bytes_of(image: Image.Image, frames: int, target_format: str) -> int:
    """Return the least memory that a picture and its result take.

    GIF's frames and TIFF's pages are written as they come; of other animations all results are
    kept to the end, and by Pillow's APNG twice.
    """
    # Colour has four bytes a pixel in Pillow's memory, and so have integers and floats.
    channels = 1 if image.mode in ("1", "L") else 4
    pixels = image.width * image.height
    if deep.is_deep(image) and deep.mode_of(image, image.mode, target_format):
        return 5 * pixels * channels  # two bytes each, in and out, beside what Pillow decodes
    together = frames > 1 and target_format not in ("GIF", "TIFF")
    results = frames * (2 if target_format == "PNG" else 1) if together else 1
    return pixels * channels * (1 + results)
