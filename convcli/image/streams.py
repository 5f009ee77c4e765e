"""Several PPM or PAM images one after the other, in a file or a pipe, as ffmpeg writes them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from convcli.errors import ConvcliError
from convcli.files.formats import STREAMED, check_frames
from convcli.image import bombs, reading
from convcli.image.content import beginning
from convcli.image.headers import SPACE, is_raw_pnm, is_y4m
from convcli.image.picture import Picture

# Samples of a pixel by magic number, of extensions of Pillow's. P4 has a bit for each pixel, Pf a
# float. The formats are defined at netpbm.sourceforge.net/doc.
_CHANNELS = {b"P0CMYK": 4, b"PyP": 1, b"PyRGBA": 4, b"PyCMYK": 4}
_PLAIN = (b"P1", b"P2", b"P3")
_BITS, _FLOATS = b"P4", b"Pf"

_BEGIN = re.compile(rb"P(?:[0-9fFy]|$)")  # P7 is PAM

# Bytes that are read at a time: a header can promise far more than there is.
_PART = 1 << 20

_REST = "ignored data after its last image, which is not another image"


def read(
    source: Path | bytes | BinaryIO, target_format: str | None = None, **options: Any
) -> Picture:
    """Read an image; PPM images after the first become its `later`.

    Parameters
    ----------
    source : Path, bytes or binary file
        A file, its content, or a pipe. From a pipe, PPM images are read one by one, each when it
        is asked for, if the result is a PPM too; `Picture.frames` is then 1. Otherwise everything
        is read, and `Picture.frames` is the number of images.
    target_format : str, optional
        The format of the result.
    **options
        As for `convcli.image.reading.read`, whose exceptions are raised.
    """
    results = options.get("grey"), options.get("depth")
    if not isinstance(source, (Path, bytes)):
        file = _with_peek(source)
        if file.peek(1)[:1] == b"Y":
            from convcli.image import y4m

            return y4m.read(nullcontext(file), target_format, results, options.get("on_decode"))
        begin, is_ppm = _image(file)
        if is_ppm and target_format in (None, *STREAMED):
            picture = reading.read(begin, target_format, **options)
            return replace(
                picture,
                later=_later(lambda: nullcontext(file), target_format or picture.format, options),
            )
        source = begin + file.read()
    if is_y4m(beginning(source)):
        from convcli.image import y4m

        return y4m.read(_opened(source), target_format, results, options.get("on_decode"))
    with _opened(source) as file:
        images, end, is_rest = _counted(file)
        if images > 1:
            check_frames(target_format or "PPM", "PPM", images)
            bombs.check_stream(source, images)
            file.seek(0)
        first = file.read(end) if images > 1 else source  # a decoder of text reads on
    picture = reading.read(first, target_format, **options)
    if picture.format not in STREAMED:
        return picture
    if is_rest:
        picture = replace(picture, notes=(*picture.notes, _REST))
    if images <= 1:
        return picture
    later = _later(partial(_opened, source, end), target_format or picture.format, options)
    return replace(picture, frames=images, later=later)


def _later(
    opened: Callable[[], AbstractContextManager[io.BufferedReader]],
    target_format: str,
    options: dict[str, Any],
) -> Generator[Picture, None, tuple[str, ...]]:
    """Read the images that follow, and return a note if something else follows them."""
    options = options | {"on_decode": None}
    with opened() as file:
        while follows := _follows(file):
            # Without a name, the image that was yielded last is not held here.
            yield reading.read(_image(file)[0], target_format, **options)
    return (_REST,) if follows is None else ()


def _opened(source: Path | bytes, at: int = 0) -> io.BufferedReader:
    file = source.open("rb") if isinstance(source, Path) else _with_peek(io.BytesIO(source))
    file.seek(at)
    return file


def _with_peek(file: BinaryIO) -> io.BufferedReader:
    return file if hasattr(file, "peek") else io.BufferedReader(file)  # type: ignore[arg-type,return-value]


def _counted(file: io.BufferedReader) -> tuple[int, int, bool]:
    """Count the images of a file, by their headers.

    Returns
    -------
    images : int
        An image that cannot be read is counted, and is the last.
    end : int
        Where the first image ends.
    is_rest : bool
        Whether something else follows the last image.
    """
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    ends: list[int] = []
    images = 0
    follows: bool | None = True
    while follows:
        images += 1
        _, size = _header(file)
        if size is None:
            return images, ends[0] if ends else length, False
        if size < 0:
            _plain_raster(file)
        else:
            file.seek(size, io.SEEK_CUR)
        ends[1:] = [file.tell()]
        if ends[-1] >= length:
            break
        follows = _follows(file)
    return images, ends[0], follows is None


def _follows(file: io.BufferedReader) -> bool | None:
    """Return whether an image follows, or None if something else does."""
    while ahead := file.peek():
        rest = ahead.lstrip(SPACE)
        file.read(len(ahead) - len(rest))
        if rest:
            return True if _BEGIN.match(rest) else None
    return False


def _image(file: io.BufferedReader) -> tuple[bytes, bool]:
    """Read an image up to its last byte; return it, and whether it is a PPM of known size.

    Of anything else only the beginning is read: enough to be refused by name.
    """
    head, size = _header(file)
    if size is None:
        return head, False
    if size < 0:
        return head + _plain_raster(file), True
    parts = [head]
    while size and (part := file.read(min(size, _PART))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts), True


def _header(file: io.BufferedReader) -> tuple[bytes, int | None]:
    """Read a header as Pillow does; return it, and the bytes of the raster.

    These are -1 for a plain raster, which is text, and None for what is not a PPM or is larger
    than the limit of pixels; reading it then raises the reason.
    """
    head = bytearray(file.read(1))
    if head != b"P":
        return bytes(head), None
    from convcli.image import pnm

    head += file.read(1)
    if is_raw_pnm(bytes(head) + file.peek(1)[:1]):
        try:
            size = pnm.header_of(file, head).raster  # which adds to the head
            return bytes(head), size
        except ConvcliError:
            return bytes(head), None
    magic = b"P" + pnm.token(file, head, bytes(head[1:]).strip())
    try:
        width, height = int(pnm.token(file, head)), int(pnm.token(file, head))
        most = pnm.token(file, head) if magic not in (b"P1", _BITS) else b"1"
        if magic in _PLAIN:
            size = -1
        elif magic == _BITS:
            size = (width + 7) // 8 * height
        elif magic == _FLOATS:
            size = 4 * width * height
        else:
            size = _CHANNELS[magic] * (1 + (int(most) > 255)) * width * height
    except (KeyError, ValueError):
        return bytes(head), None
    limit = Image.MAX_IMAGE_PIXELS
    if min(width, height) < 0 or (limit is not None and width * height > limit):
        return bytes(head), None
    return bytes(head), size


def _plain_raster(file: io.BufferedReader) -> bytes:
    """Read numbers in text, up to the next image or the end."""
    content = bytearray()
    in_comment = False
    while ahead := file.peek():
        for mark in re.finditer(rb"[#P\r\n]", ahead):
            if in_comment:
                in_comment = mark[0] in b"#P"
            elif mark[0] == b"P":
                return bytes(content + file.read(mark.start()))
            else:
                in_comment = mark[0] == b"#"
        content += file.read(len(ahead))
    return bytes(content)
