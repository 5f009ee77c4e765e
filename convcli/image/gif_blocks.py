"""The blocks of a GIF, by its specification (GIF89a): where each frame is, and how it is drawn."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

KEEP, CLEAR, RESTORE = 1, 2, 3
"""Disposals, what happens to a frame before the next one is drawn: it stays, its rectangle
becomes transparent, or what was there before it is restored."""

# Browsers take 4 for "restore" (some old texts count from there) and 0 and 5 to 7 for "keep".
_DISPOSALS = {CLEAR: CLEAR, RESTORE: RESTORE, 4: RESTORE}

# The first byte of a block.
_EXTENSION, _FRAME, _END = b"!", b",", b";"

CONTROL, COMMENT, PLAIN_TEXT, APPLICATION = b"\xf9", b"\xfe", b"\x01", b"\xff"
"""Labels of extensions, their second bytes."""

# Applications whose extension counts repeats; the second is an older name of the first.
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")

# Flags of a screen or a frame: it has a palette, of 2 to the power of the lowest bits + 1 colours.
_HAS_PALETTE, _INTERLACED, _PALETTE_BITS = 0x80, 0x40, 0x07

# A palette in which every colour is the grey of its index.
GREYS = bytes(index for index in range(256) for _ in range(3))


@dataclass(frozen=True)
class Frame:
    """A frame as it is stored.

    Attributes
    ----------
    box : (int, int, int, int)
        Left, top, right and bottom on the screen, beyond which it may extend.
    is_interlaced : bool
        Its rows are stored in four passes.
    palette : bytes
        Three bytes per colour: its own palette, or that of the file, or none.
    start, end : int
        Where the compressed indices are in the file.
    disposal : int
        KEEP, CLEAR or RESTORE.
    transparent : int or None
        The index that leaves what was there before.
    duration : int or None
        Milliseconds, if the file states them.
    """

    box: tuple[int, int, int, int]
    is_interlaced: bool
    palette: bytes
    start: int
    end: int
    disposal: int = KEEP
    transparent: int | None = None
    duration: int | None = None


@dataclass(frozen=True)
class Blocks:
    """What a GIF consists of.

    Attributes
    ----------
    size : (int, int)
        Width and height of the screen. As in browsers, a first frame that extends beyond it
        enlarges it.
    frames : list of Frame
        The frames in order.
    plays : int
        How often the frames are shown; 0 stands for ever.
    aspect : int
        Width of a pixel to its height, as the file states it.
    extensions : list of (bytes, bytes, int)
        The label of each extension, its first sub-block, and how many frames stand before it.
    """

    size: tuple[int, int]
    frames: list[Frame]
    plays: int
    aspect: int
    extensions: list[tuple[bytes, bytes, int]]


def blocks_of(file: BinaryIO) -> Blocks:
    """Read the blocks of a GIF, without decompressing any.

    Bytes between blocks are skipped. A file may end without its last byte; a frame that is cut
    off is listed, and fails when it is decoded.

    Raises
    ------
    EOFError
        If the file ends in a header, or has no frame.
    """
    width, height, flags, aspect = struct.unpack_from("<HHBxB", _read(file, 13), 6)
    shared = _palette(file, flags)
    frames: list[Frame] = []
    extensions: list[tuple[bytes, bytes, int]] = []
    plays = 1
    control = b""
    while (kind := file.read(1)) not in (b"", _END):
        if kind == _EXTENSION:
            label, first = file.read(1), _sub_block(file)
            extensions.append((label, first, len(frames)))
            if label == CONTROL:
                control = first
            elif label == APPLICATION and first.startswith(_LOOPING):
                looping = _sub_block(file)
                if len(looping) >= 3 and looping[0] == 1:
                    count = int.from_bytes(looping[1:3], "little")
                    plays = count + 1 if count else 0
            _skip_sub_blocks(file)
        elif kind == _FRAME:
            frames.append(_frame(file, shared, control))
            control = b""
    if not frames:
        raise EOFError("it has no frame")
    _, _, right, bottom = frames[0].box
    return Blocks((max(width, right), max(height, bottom)), frames, plays, aspect, extensions)


def indices_of(file: BinaryIO, frame: Frame) -> Image.Image:
    """Decompress a frame into its indices, a grey image: Pillow gets a GIF of this frame alone."""
    left, top, right, bottom = frame.box
    header = screen((right - left, bottom - top), GREYS) + descriptor(
        (0, 0, right - left, bottom - top), b"", frame.is_interlaced
    )
    file.seek(frame.start)
    content = io.BytesIO(header + file.read(frame.end - frame.start))
    with Image.open(content, formats=["GIF"]) as image:
        image.load()
        return image


def compressed(indices: Image.Image) -> memoryview:
    """Compress indices, a grey image: Pillow writes a GIF of one frame, which has them."""
    content = io.BytesIO()
    indices.save(content, "GIF", optimize=False, interlace=False)
    content.seek(0)
    (frame,) = blocks_of(content).frames
    return content.getbuffer()[frame.start : frame.end]


def screen(size: tuple[int, int], palette: bytes) -> bytes:
    """Return the beginning of a GIF, with a palette for all frames."""
    bits = _bits(palette)
    flags = _HAS_PALETTE | bits << 4 | bits  # also how many bits the original colours had
    return b"GIF89a" + struct.pack("<HHBBB", *size, flags, 0, 0) + _filled(palette)


def repeats(plays: int) -> bytes:
    """Return the extension that counts repeats, which an animation shown once does not have."""
    if plays == 1:
        return b""
    count = max(plays - 1, 0)  # 0 stands for ever
    return b"!\xff\x0b" + _LOOPING[0] + struct.pack("<BBHB", 3, 1, count, 0)


def comment(text: bytes) -> bytes:
    """Return a comment extension."""
    parts = (text[start : start + 255] for start in range(0, len(text), 255))
    return b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def control(disposal: int, duration: int, transparent: int | None) -> bytes:
    """Return the extension that says how the next frame is drawn."""
    flags = disposal << 2 | (transparent is not None)
    return b"!\xf9\x04" + struct.pack("<BHBB", flags, duration // 10, transparent or 0, 0)


def descriptor(
    box: tuple[int, int, int, int], palette: bytes, is_interlaced: bool = False
) -> bytes:
    """Return the header of a frame, whose own palette may be empty."""
    left, top, right, bottom = box
    flags = _INTERLACED if is_interlaced else 0
    if palette:
        flags |= _HAS_PALETTE | _bits(palette)
    return struct.pack("<cHHHHB", _FRAME, left, top, right - left, bottom - top, flags) + (
        _filled(palette) if palette else b""
    )


END = _END
"""The last byte of a GIF."""


def _frame(file: BinaryIO, shared: bytes, control: bytes) -> Frame:
    left, top, width, height, flags = struct.unpack("<HHHHB", _read(file, 9))
    palette = _palette(file, flags) or shared
    start = file.tell()
    file.seek(1, io.SEEK_CUR)  # the size of a code
    _skip_sub_blocks(file)
    disposal, transparent, duration = KEEP, None, None
    if len(control) >= 4:
        drawn, hundredths, index = struct.unpack_from("<BHB", control)
        disposal = _DISPOSALS.get(drawn >> 2 & 7, KEEP)
        transparent = index if drawn & 1 else None
        duration = 10 * hundredths
    box = (left, top, left + width, top + height)
    is_interlaced = bool(flags & _INTERLACED)
    return Frame(box, is_interlaced, palette, start, file.tell(), disposal, transparent, duration)


def _palette(file: BinaryIO, flags: int) -> bytes:
    return _read(file, 3 << (flags & _PALETTE_BITS) + 1) if flags & _HAS_PALETTE else b""


def _bits(palette: bytes) -> int:
    """Return the flags for the size of a palette, which is a power of 2 from 2 to 256."""
    return max(len(palette) // 3 - 1, 1).bit_length() - 1


def _filled(palette: bytes) -> bytes:
    return palette.ljust(3 << _bits(palette) + 1, b"\0")


def _sub_block(file: BinaryIO) -> bytes:
    """Read one sub-block; empty at their end, after which nothing may be skipped."""
    length = file.read(1)
    if not length or not length[0]:
        file.seek(-len(length), io.SEEK_CUR)
        return b""
    return file.read(length[0])


def _skip_sub_blocks(file: BinaryIO) -> None:
    while (length := file.read(1)) and length[0]:
        file.seek(length[0], io.SEEK_CUR)


def _read(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError("it ends in a header")
    return content
