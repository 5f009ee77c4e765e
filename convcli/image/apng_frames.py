"""The frames of an animated PNG, composed by its specification (PNG, third edition, 11.3.2)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from convcli.image import deep, transparent_colour
from convcli.image.content import opened
from convcli.image.png_chunks import SIGNATURE, chunks
from convcli.image.refusals import refusals
from convcli.words import counted

# What happens to a frame before the next one is drawn, and how it is drawn.
_BACKGROUND, _PREVIOUS = 1, 2
_OVER = 1

# What Pillow keeps of a single frame, or applies to one.
_OF_FRAMES = ("transparency", "duration", "disposal", "blend", "bbox")

# Bits of a colour type: it has colour, or alpha.
_COLOUR, _ALPHA = 2, 4

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Frame:
    """A frame as it is stored; `data` has where its compressed rows start and end."""

    box: Box
    disposal: int
    blend: int
    duration: float | None
    is_default: bool = False
    data: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Chunks:
    """The header of a file, the chunks that all frames share, and the frames."""

    header: bytes
    shared: bytes
    frames: list[Frame]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the canvas."""
        width, height = struct.unpack_from(">II", self.header)
        return width, height

    @property
    def mode(self) -> str:
        """The mode of all frames: with alpha if any of them may need it."""
        kind = self.header[9]
        has_alpha = bool(kind & _ALPHA) or b"tRNS" in self.shared or not self._is_opaque()
        return ("RGB" if kind & _COLOUR else "L") + ("A" if has_alpha else "")

    def _is_opaque(self) -> bool:
        """Return whether opaque frames leave no part of the canvas transparent."""
        canvas = (0, 0, *self.size)
        is_opaque = False
        for frame in self.frames:
            if frame.is_default:
                continue
            before = is_opaque
            is_opaque = is_opaque or frame.box == canvas
            if not is_opaque:
                return False
            if frame.disposal == _BACKGROUND:
                is_opaque = False
            elif frame.disposal == _PREVIOUS:
                is_opaque = before
        return True


def composed(source: Path | bytes, numbers: range, info: dict[Any, Any]) -> Iterator[Image.Image]:
    """Yield what is shown after each frame.

    Pillow's own composition takes grey with a transparent colour for opaque, clears to black where
    there is no alpha, pastes partly transparent colours instead of blending them, and fails if
    the frames are interlaced.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.
    numbers : range
        The frames that are wanted, up to the last that the file states. A default image, which is
        not part of the animation, is number 0.
    info : dict
        What Pillow found in the file, which every frame gets, with its own duration.

    Raises
    ------
    ConvcliError
        If a frame is truncated or damaged.
    """
    with opened(source) as file:
        with refusals(source):
            chunks = _chunks_of(file)
        canvas = Image.new(chunks.mode, chunks.size)
        for number in range(numbers.stop):
            with refusals(source):
                if number >= len(chunks.frames):
                    raise EOFError(f"it has {counted(number, 'frame')} instead of {numbers.stop}")
                frame = chunks.frames[number]
                part = _decoded(file, chunks, frame)
            before = canvas.crop(frame.box) if frame.disposal == _PREVIOUS else None
            if not frame.is_default:
                _draw(canvas, part, frame)
            if number >= numbers.start:
                shown = part if frame.is_default else canvas.copy()
                shown.format = "PNG"
                shown.info = {key: value for key, value in info.items() if key not in _OF_FRAMES}
                if frame.duration is not None:
                    shown.info["duration"] = frame.duration
                yield shown
            if before is not None:
                canvas.paste(before, frame.box)
            elif frame.disposal == _BACKGROUND:
                canvas.paste(Image.new(chunks.mode, part.size), frame.box)


def _draw(canvas: Image.Image, part: Image.Image, frame: Frame) -> None:
    """Draw a frame over the canvas, or in place of a part of it."""
    if frame.blend == _OVER and canvas.mode.endswith("A"):
        under = canvas.crop(frame.box).convert("RGBA")
        under.alpha_composite(part.convert("RGBA"))
        part = under.convert(canvas.mode)
    canvas.paste(part, frame.box)


def _chunks_of(file: BinaryIO) -> Chunks:
    """Find the frames of a file, without decompressing any."""
    header, shared = b"", b""
    frames: list[Frame] = []
    for kind, start, end in chunks(file):
        if kind == b"IHDR":
            header = file.read(end - start)
        elif kind in (b"PLTE", b"tRNS"):
            shared += _chunk(kind, file.read(end - start))
        elif kind == b"fcTL":
            _, width, height, left, top, delay, parts, disposal, blend = struct.unpack(
                ">IIIIIHHBB", file.read(26)
            )
            box = (left, top, left + width, top + height)
            canvas = struct.unpack_from(">II", header)
            if box[2] > canvas[0] or box[3] > canvas[1]:
                raise ValueError("a frame extends beyond the image")
            frames.append(Frame(box, disposal, blend, 1000 * delay / (parts or 100)))
        elif kind == b"IDAT":
            if not frames:
                width, height = struct.unpack_from(">II", header)
                frames.append(Frame((0, 0, width, height), 0, 0, None, is_default=True))
            frames[-1].data.append((start, end))
        elif kind == b"fdAT" and frames:
            frames[-1].data.append((start + 4, end))  # after a number
    return Chunks(header, shared, [frame for frame in frames if frame.data])


def _decoded(file: BinaryIO, chunks: Chunks, frame: Frame) -> Image.Image:
    """Decode a frame in the mode of all: Pillow gets a PNG of this frame alone."""
    left, top, right, bottom = frame.box
    data = b""
    for start, end in frame.data:
        file.seek(start)
        data += file.read(end - start)
    header = struct.pack(">II", right - left, bottom - top) + chunks.header[8:]
    content = b"".join(
        (SIGNATURE, _chunk(b"IHDR", header), chunks.shared, _chunk(b"IDAT", data),
         _chunk(b"IEND", b""))
    )  # fmt: skip
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        transparent_colour.widen(image, content)
        is_deep = transparent_colour.is_deep(image)
        image.load()
    if is_deep:
        samples = deep.samples(content, image, "RGBA;16", 1)
        return Image.fromarray((samples >> 8).astype("uint8"))
    if image.mode.startswith("I;16"):
        return _in_8_bits(image).convert(chunks.mode)
    return image.convert(chunks.mode)


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Reduce 16-bit grey to 8 bits, after its transparent colour has become alpha."""
    import numpy as np

    samples = np.asarray(image)
    if "transparency" in image.info:
        samples = transparent_colour.with_alpha(samples, image.info["transparency"])
    return Image.fromarray((samples >> 8).astype("uint8"))


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check
