"""Encoding a JPEG by Pillow: into memory, and a large one in strips that several threads encode.

Behind a restart marker the entropy coder begins anew (ITU-T T.81, section E.1.4). So strips between
two of them can be encoded as images of their own: with the same tables every block is what it is in
the whole image. Each marker takes two bytes.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, BinaryIO, cast

from PIL import Image

from convcli.image.encoder import Encoder
from convcli.image.jpeg import EOI, SOF0, SOF1, SOI, parts_of, segment
from convcli.image.picture import Picture
from convcli.pools import Pool

# Pixels of a strip. 24 megapixels keep two threads busy to the end, and the 0.3 ms of Python for a
# strip are a twentieth of its time. It must not depend on the number of workers, or the same image
# would give different files; and a marker comes after at most 65,535 blocks of 64 pixels.
_STRIP = 1 << 21

# Rows of the tallest unit that Pillow writes: two blocks, where colour is halved along columns.
_UNIT = 16

# How samples are coded; all other settings are metadata, which are written once.
_CODING = ("quality", "qtables", "subsampling")

# Markers of ITU-T T.81, table B.1: the restart interval, and eight restarts in turn.
_DRI, _RST0, _RESTARTS = 0xDD, 0xD0, 8

_NAME = "convcli.jpg"

# The bytes that are copied at a time.
_PART = 1 << 20


def write(encoder: Encoder, picture: Picture, settings: dict[str, Any], file: BinaryIO) -> None:
    """Write an image; `settings` are Pillow's."""
    height, width = picture.pixels.shape[:2]
    rows = max(_STRIP // width // _UNIT, 1) * _UNIT
    if rows < height:
        strips = _strips(encoder, picture, settings, rows)
        if all(strips):
            for part in _joined(strips, (height, width), rows):
                file.write(part)
            return
    image = encoder.image_of(picture)
    with _memory_file() as memory:
        if _is_encoded(image, settings, memory):
            memory.seek(0)
            shutil.copyfileobj(memory, file, _PART)
        else:  # `ulimit -f` limits memory files, too; the disk knows why
            image.save(file, "JPEG", **settings)


def _strips(encoder: Encoder, picture: Picture, settings: dict[str, Any], rows: int) -> list[bytes]:
    """Encode strips of so many rows; one for which there is no memory is empty."""
    alone = {key: value for key, value in settings.items() if key in _CODING}

    def encoded(top: int) -> bytes:
        image = encoder.image_of(replace(picture, samples=picture.samples[top : top + rows]))
        with _memory_file() as memory:
            if not _is_encoded(image, alone if top else settings, memory):
                return b""
            memory.seek(0)
            return memory.read()

    with Pool(encoder.workers) as pool:
        try:
            return list(pool.map(encoded, range(0, len(picture.pixels), rows)))
        finally:
            pool.shutdown(wait=False, cancel=True)  # after an error, start no more


def _is_encoded(image: Image.Image, settings: dict[str, Any], memory: BinaryIO) -> bool:
    """Encode into a file in memory: its file descriptor lets Pillow release the interpreter.

    So two threads encode 8 images of 2 MP in 17 ms, otherwise in 33 like one thread. Pillow must
    not have the descriptor of a file on a disk: it takes a short write for a complete one.
    """
    with suppress(OSError):
        image.save(memory, **settings)
    memory.seek(max(memory.seek(0, os.SEEK_END) - len(EOI), 0))
    return memory.read() == EOI


def _joined(strips: list[bytes], size: tuple[int, int], rows: int) -> Iterator[bytes | memoryview]:
    """Yield a JPEG of this height and width whose strips have so many rows each."""
    segments, data = parts_of(memoryview(strips[0]))
    yield SOI
    for mark, content in segments:
        if mark in (SOF0, SOF1):
            height, width = size
            # The factors of the first component, in halves of a byte. Only several components
            # make units of several blocks (A.2.2).
            across, down = divmod(content[7], 16) if content[5] > 1 else (1, 1)
            units = rows // (8 * down) * -(-width // (8 * across))
            yield segment(_DRI, struct.pack(">H", units))
            content = content[:1] + struct.pack(">H", height) + content[3:]
        yield segment(mark, content)
    yield data
    for number, strip in enumerate(strips[1:]):
        yield bytes([0xFF, _RST0 + number % _RESTARTS])
        yield parts_of(memoryview(strip))[1]
    yield EOI


def _memory_file() -> BinaryIO:
    """Open a file in memory that Pillow knows for a JPEG by its name.

    For a format by its own name Pillow imports the decoders of PNG, GIF, BMP and PPM as well, which
    takes 4 ms.
    """
    file: Any
    try:
        file = os.fdopen(os.memfd_create("convcli"), "w+b")
        file.raw.name = _NAME
    except (AttributeError, OSError):  # not Linux, or no file descriptors left
        file = io.BytesIO()
        file.name = _NAME
    return cast(BinaryIO, file)
