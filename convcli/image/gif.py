"""Writing GIF files: opaque or transparent pixels, frames of what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convcli.image import gif_blocks
from convcli.image.encoder import Encoder
from convcli.image.gif_blocks import CLEAR, KEEP, RESTORE
from convcli.image.gif_colours import Indexed, bands, hidden, indexed
from convcli.image.picture import WITH_ALPHA, Picture

Box = tuple[int, int, int, int]


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write a GIF, each frame of an animation as soon as it is there.

    Every frame of an animation is what differs from the one before. (Pillow's own writer would
    merge equal frames and then assign disposals to the wrong ones.)
    """
    shared = b""  # the palette of the first frame, for all that have the same
    before: Indexed | None = None  # what the next frame is drawn over, if anything
    for current, following in pairwise(chain(_timed_frames(encoder, picture), [None])):
        assert current is not None
        frame, disposal, duration = current
        if following is not None and _uncovers(frame, following[0]):
            disposal = CLEAR
        # Some viewers clear to the background colour where a frame has no transparent index, and
        # Pillow shows an animation as opaque where the first frame has none.
        is_first_of_several = not shared and picture.frames > 1 and frame.mode in WITH_ALPHA
        shown = indexed(frame.pixels, frame.mode, disposal == CLEAR or is_first_of_several)
        if not shown.is_exact:
            encoder.note("reduced to 256 colours, the most that GIF can store")
        height, width = shown.indices.shape
        if not shared:
            shared = shown.palette
            file.write(gif_blocks.screen((width, height), shared))
            file.write(_extensions(encoder, picture))
        box = (0, 0, width, height)
        if before is not None and disposal != CLEAR:
            box = _changed(before, shown)
        before = None if disposal == CLEAR else shown
        if picture.frames > 1 or shown.transparent is not None:
            file.write(gif_blocks.control(disposal, duration, shown.transparent))
        own = b"" if shown.palette == shared else shown.palette
        file.write(gif_blocks.descriptor(box, own))
        left, top, right, bottom = box
        part = np.ascontiguousarray(shown.indices[top:bottom, left:right])
        file.write(gif_blocks.compressed(Image.fromarray(part)))
    file.write(gif_blocks.END)


def _extensions(encoder: Encoder, picture: Picture) -> bytes:
    """Return how often an animation is played, and a comment."""
    settings = encoder.settings_for(picture)
    looping = gif_blocks.repeats(encoder.plays_of(picture)) if picture.frames > 1 else b""
    comment = settings.get("comment", b"")
    if isinstance(comment, str):
        comment = comment.encode()
    return looping + (gif_blocks.comment(comment) if comment else b"")


def _timed_frames(encoder: Encoder, picture: Picture) -> Iterator[tuple[Picture, int, int]]:
    """Yield each frame, its disposal, and its duration in milliseconds."""
    late = 0.0  # the time by which earlier frames were shown too short
    for frame in picture.all_frames():
        encoder.settings_for(frame)  # for its notes, and to refuse what GIF cannot hold
        wanted = encoder.duration_of(frame) + late
        duration = int(min(10 * round(wanted / 10), encoder.longest))
        late = wanted - duration
        if frame.frame.get("duration", 0) % 10:
            encoder.note("rounded durations to hundredths of a second, the unit of GIF")
        disposal = frame.frame.get("disposal", KEEP) if picture.format == "GIF" else KEEP
        if disposal == RESTORE:
            disposal = KEEP  # the next frame is whole, and looks the same over any other
        yield frame, disposal, duration


def _changed(before: Indexed, after: Indexed) -> Box:
    """Return the box of the pixels that differ; of one pixel if none does."""
    colours, others = before.shown(), after.shown()
    height, width = after.indices.shape
    rows, columns = np.zeros(height, np.bool_), np.zeros(width, np.bool_)
    for band in bands(after.indices):
        differs = colours[before.indices[band]] != others[after.indices[band]]
        rows[band] = differs.any(axis=1)
        columns |= differs.any(axis=0)
    if not rows.any():
        return 0, 0, 1, 1
    (top, bottom), (left, right) = _span(rows), _span(columns)
    return left, top, right, bottom


def _span(marked: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first of the marked places, and the one after the last."""
    places = np.flatnonzero(marked)
    return int(places[0]), int(places[-1]) + 1


def _uncovers(before: Picture, after: Picture) -> bool:
    """Return whether a pixel becomes transparent, which drawing over it cannot do."""
    if after.mode not in WITH_ALPHA:
        return False
    for band in bands(after.pixels):
        now = hidden(after.pixels[band])
        if before.mode in WITH_ALPHA:
            now &= ~hidden(before.pixels[band])
        if now.any():
            return True
    return False
