"""The frames of a GIF as browsers show them: each drawn over what the ones before it left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from convcli.image import gif_blocks
from convcli.image.content import opened
from convcli.image.gif_blocks import CLEAR, GREYS, RESTORE, Blocks, Frame
from convcli.image.refusals import refusals

# Rows that are coloured at a time: copies of the whole frame would need much memory.
_BAND_ROWS = 256

Box = tuple[int, int, int, int]


def mode_of(blocks: Blocks) -> str:
    """Return the mode of all frames: grey if all palettes are, with alpha if it may be needed."""
    is_grey = all(frame.palette == GREYS for frame in blocks.frames)
    return ("L" if is_grey else "RGB") + ("" if _is_opaque(blocks) else "A")


def composed(source: Path | bytes, blocks: Blocks, comment: Any = None) -> Iterator[Image.Image]:
    """Yield what is shown after each frame: always the same image, drawn further.

    The background is transparent, as in every browser, whatever background colour a file states.
    Indices beyond a palette are black.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.
    blocks : Blocks
        What it consists of.
    comment : bytes, optional
        The comment of the file, which Pillow found.

    Yields
    ------
    Image
        Its `info` has the disposal and the duration of the frame, how often the animation is
        played, and whether a part of the frame lies beyond the screen.

    Raises
    ------
    ConvcliError
        If a frame is truncated or damaged.
    """
    mode = mode_of(blocks)
    canvas = Image.new(mode, blocks.size)
    canvas.format = "GIF"
    with opened(source) as file:
        for frame in blocks.frames:
            box = _visible(frame, blocks.size)
            before = canvas.crop(box) if frame.disposal == RESTORE else None
            with refusals(source):
                _draw(canvas, box, file, frame)
            canvas.info = {"disposal": frame.disposal, "plays": blocks.plays, "comment": comment}
            if frame.duration is not None:
                canvas.info["duration"] = frame.duration
            if box != frame.box:
                canvas.info["cropped"] = True
            yield canvas
            if before is not None:
                canvas.paste(before, box)
            elif frame.disposal == CLEAR:
                canvas.paste(Image.new(mode, (box[2] - box[0], box[3] - box[1])), box)


def _draw(canvas: Image.Image, box: Box, file: BinaryIO, frame: Frame) -> None:
    """Draw the visible part of a frame, a band of rows at a time."""
    left, top, right, bottom = box
    if left == right or top == bottom:
        return
    indices = gif_blocks.indices_of(file, frame)
    for row in range(0, bottom - top, _BAND_ROWS):
        rows = min(_BAND_ROWS, bottom - top - row)
        band = indices.crop((0, row, right - left, row + rows))
        mask = None
        if frame.transparent is not None:
            mask = band.point([255 * (index != frame.transparent) for index in range(256)])
        if canvas.mode.startswith("RGB"):
            band.putpalette(frame.palette.ljust(768, b"\0"))
            band = band.convert("RGB")
        canvas.paste(band, (left, top + row), mask)


def _visible(frame: Frame, size: tuple[int, int]) -> Box:
    """Return the part of a frame's box that lies on the screen; it may be empty."""
    left, top, right, bottom = frame.box
    width, height = size
    return min(left, width), min(top, height), min(right, width), min(bottom, height)


def _is_opaque(blocks: Blocks) -> bool:
    """Return whether no frame can have a transparent pixel, as far as their headers tell."""
    screen = (0, 0, *blocks.size)
    is_opaque = False
    for frame in blocks.frames:
        box = _visible(frame, blocks.size)
        before = is_opaque
        is_opaque = is_opaque or (box == screen and frame.transparent is None)
        if not is_opaque:
            return False
        if frame.disposal == CLEAR and box[0] < box[2] and box[1] < box[3]:
            is_opaque = False
        elif frame.disposal == RESTORE:
            is_opaque = before
    return True
