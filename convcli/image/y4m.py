"""YUV4MPEG2 (.y4m): video in planes of Y, Cb and Cr, frame by frame.

The format is a line of parameters and, for each frame, a line and its planes
(wiki.multimedia.cx/index.php/YUV4MPEG2); no package that convcli uses reads it.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from PIL import Image

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import mode_for
from convcli.image.decoding import result_mode
from convcli.image.headers import OnDecode, Stated
from convcli.image.picture import Grey, Picture, named
from convcli.words import Depth

if TYPE_CHECKING:
    from convcli.image.encoder import Encoder
    from convcli.types import Pixels

# A line of parameters is not longer.
_LONGEST_LINE = 1 << 12

# Columns and rows that share their chroma. After 420 the siting is named, which filters keep.
_SAMPLING = {
    "420": (2, 2),
    "422": (2, 1),
    "444": (1, 1),
    "411": (4, 1),
    "440": (1, 2),
    "mono": (0, 0),
}
_COLOUR = re.compile(r"(420|422|444|411|440|mono)(?:jpeg|mpeg2|paldv)?(?:p?(9|10|12|14|16))?")

_INTERLACED = "filtered its interlaced frames whole, across their two fields"


class Video(NamedTuple):
    """What the parameters say about the planes of every frame.

    `shared` is how many columns and rows share a sample of chroma, (0, 0) without any; `black` is
    the code value of black in Y, and `grey` that of no colour in Cb and Cr.
    """

    width: int
    height: int
    bits: int
    shared: tuple[int, int]
    black: int
    is_interlaced: bool

    @property
    def grey(self) -> int:
        """The sample of chroma that has no colour."""
        return 1 << (self.bits - 1)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The shapes of the planes."""
        across, down = self.shared
        if not across:
            return [(self.height, self.width)]
        chroma = -(-self.height // down), -(-self.width // across)
        return [(self.height, self.width), chroma, chroma]


def read(
    opened: AbstractContextManager[BinaryIO],
    target_format: str | None,
    results: tuple[Grey | None, Depth | None],
    on_decode: OnDecode | None,
) -> Picture:
    """Read the first frame; the others are read from the file when they are asked for.

    Parameters
    ----------
    opened : context manager of a binary file
        The file; it is entered here, and left after the last frame.
    target_format, results, on_decode
        As for `convcli.image.tiff_reading.read`.
    """
    frames = _frames(opened, target_format or "Y4M", results, on_decode)
    first = next(frames)
    return replace(first, later=frames)


def _frames(
    opened: AbstractContextManager[BinaryIO],
    target_format: str,
    results: tuple[Grey | None, Depth | None],
    on_decode: OnDecode | None,
) -> Generator[Picture, None, tuple[str, ...]]:
    with opened as file:
        header = file.readline(_LONGEST_LINE)
        video = _video(header)
        mode = named("Y", ";16" if video.bits > 8 else ";8")
        if results[1]:
            raise ConvcliError("is a y4m video, whose depth --depth cannot change; leave it out")
        mode_for(target_format, result_mode(mode, results[0]))
        size = sum(rows * columns for rows, columns in video.shapes) * (1 + (video.bits > 8))
        if on_decode:
            on_decode(6 * size, Stated(video.shapes[0], mode))
        memory.check(6 * size)
        notes = (_INTERLACED,) if video.is_interlaced else ()
        start: dict[str, bytes] = {"header": header}
        while line := file.readline(_LONGEST_LINE):
            if not line.startswith(b"FRAME") or not line.endswith(b"\n"):
                raise ConvcliError("is damaged: where a frame should begin there is something else")
            content = file.read(size)
            if len(content) < size:
                raise ConvcliError("is truncated: not all of its samples are there")
            luma, *chroma = _planes(content, video)
            frame = {"line": line, "chroma": chroma, **start}
            yield Picture(luma, mode, "Y4M", {}, {"video": video}, notes, frame)
            start = {}
            del content, luma, chroma, frame  # which are not held while the next is waited for
        if start:
            raise ConvcliError("is truncated: it has no frames")
        return ()


def _video(header: bytes) -> Video:
    """Read the first line."""
    words = header.decode("latin-1").split()
    if not header.endswith(b"\n") or words[:1] != ["YUV4MPEG2"]:
        raise ConvcliError("is truncated or damaged: its header is not one of y4m")
    given: dict[str, str] = {}
    for word in words[1:]:
        key, _, value = word.partition("=")
        given[key if value else word[0]] = value or word[1:]
    try:
        width, height = int(given["W"]), int(given["H"])
    except (KeyError, ValueError):
        raise ConvcliError("is damaged: its header does not say width and height") from None
    if min(width, height) < 1:
        raise ConvcliError("is empty: it has no pixels")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ConvcliError(f"has more than {limit} pixels; --max-pixels raises the limit")
    name = given.get("C", "420")
    colour = _COLOUR.fullmatch(name)
    if not colour:
        raise ConvcliError(
            f"is a y4m video of the kind C{name}, which convcli cannot read; convert it to 4:2:0, "
            "4:2:2, 4:4:4 or mono"
        )
    bits = int(colour[2] or 8)
    # Limited is the default; "jpeg" names a siting alone, also as ffmpeg writes it.
    is_full = given.get("XCOLORRANGE") == "FULL"
    black = 0 if is_full else 16 << (bits - 8)
    is_interlaced = given.get("I", "p") in ("t", "b", "m")
    return Video(width, height, bits, _SAMPLING[colour[1]], black, is_interlaced)


def _planes(content: bytes, video: Video) -> list[Pixels]:
    import numpy as np

    samples = np.frombuffer(content, "<u2" if video.bits > 8 else "u1")
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    planes, at = [], 0
    for rows, columns in video.shapes:
        planes.append(samples[at : at + rows * columns].reshape(rows, columns))
        at += rows * columns
    return planes


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write a frame; the first has the header with it."""
    import numpy as np

    encoder.settings_for(picture)
    video: Video = picture.encoding["video"]
    if picture.pixels.shape != video.shapes[0]:
        raise ConvcliError("is a y4m video, whose frames keep their size; leave --stride out")
    file.write(picture.frame.get("header", b"") + picture.frame["line"])
    for plane in (picture.pixels, *picture.frame["chroma"]):
        file.write(np.ascontiguousarray(plane, "<u2" if video.bits > 8 else "u1").data)
