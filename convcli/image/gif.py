"""Writing GIF files: 256 colours, opaque or transparent pixels, frames of what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any, BinaryIO

from PIL import GifImagePlugin, Image, ImageChops

from convcli.image.encoder import Encoder
from convcli.image.picture import Picture

# GIF89a, what happens to a frame before the next one is drawn: it stays, is cleared, or the frame
# before it is restored. Viewers clear to transparent if the frame has a transparent colour.
KEEP, CLEAR, RESTORE = 1, 2, 3

# Pixels from which colours are chosen: all of 256 x 256, and of larger images every fourth row
# and column. Choosing from all takes 0.3 s per megapixel and is better by 0.3 levels in 5.
_CHOSEN_FROM = 1 << 16

# The index of the transparent colour, if there is one.
_TRANSPARENT = 255


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write a GIF, each frame of an animation as soon as it is there."""
    settings = encoder.settings_for(picture)
    if picture.frames == 1:
        _indexed(encoder.image_of(picture)).save(file, "GIF", **settings)
        return
    if "loop" in picture.frame:
        settings["loop"] = picture.frame["loop"]
    _write_frames(_timed_frames(encoder, picture), settings, file)


def _timed_frames(encoder: Encoder, picture: Picture) -> Iterator[tuple[Image.Image, int, int]]:
    """Yield each frame whole, its disposal, and its duration in milliseconds."""
    late = 0.0  # the time by which earlier frames were shown too short
    for frame in picture.all_frames():
        if frame is not picture:
            encoder.settings_for(frame)  # for its notes
        wanted = encoder.duration_of(frame) + late
        duration = int(min(10 * round(wanted / 10), encoder.longest))
        late = wanted - duration
        if frame.frame.get("duration", 0) % 10:
            encoder.note("rounded durations to hundredths of a second, the unit of GIF")
        disposal = frame.frame.get("disposal", KEEP) if picture.format == "GIF" else KEEP
        yield encoder.image_of(frame), disposal, duration


def _write_frames(
    frames: Iterator[tuple[Image.Image, int, int]], settings: dict[str, Any], file: BinaryIO
) -> None:
    """Write an animation, of every frame what differs from the one before.

    Pillow's own writer would merge equal frames and then assign disposals to the wrong ones.

    Parameters
    ----------
    frames : iterator of (Image, int, int)
        Each frame whole, its disposal, and its duration in milliseconds.
    settings : dict
        What Pillow's header takes: loop, comment.
    file : binary file
        Where to write.
    """
    canvas: Image.Image | None = None  # what the next frame is drawn over, if anything
    begun = False
    for current, following in pairwise(chain(frames, [None])):
        assert current is not None
        image, disposal, duration = current
        if disposal == RESTORE:
            disposal = KEEP  # the next frame is whole, and looks the same over any other
        if following is not None and _uncovers(image, following[0]):
            disposal = CLEAR
        reduced = _indexed(image, with_transparent=disposal == CLEAR).convert("P")
        if not begun:
            file.writelines(GifImagePlugin.getheader(reduced, info=settings)[0])
            begun = True
        shown = reduced.convert("RGBA")
        box = (0, 0, *image.size)
        if canvas is not None and disposal != CLEAR:
            box = ImageChops.difference(canvas, shown).getbbox(alpha_only=False) or (0, 0, 1, 1)
        canvas = None if disposal == CLEAR else shown
        how = {"disposal": disposal, "duration": duration}
        if "transparency" in reduced.info:
            how["transparency"] = reduced.info["transparency"]
        part = reduced.crop(box)
        file.writelines(GifImagePlugin.getdata(part, box[:2], include_color_table=True, **how))
    file.write(b";")


def _indexed(image: Image.Image, with_transparent: bool = False) -> Image.Image:
    """Reduce colours to 256, or to 255 and a transparent one if that is needed or asked for."""
    hidden = _hidden(image)
    if hidden is None and not with_transparent:
        return image if image.mode == "L" else _reduced(image.convert("RGB"), 256)
    reduced = _reduced(image.convert("RGB"), _TRANSPARENT)
    if hidden is not None:
        reduced.paste(_TRANSPARENT, mask=hidden)
    reduced.info["transparency"] = _TRANSPARENT
    return reduced


def _hidden(image: Image.Image) -> Image.Image | None:
    """Return a mask of the pixels whose alpha is below one half, or None if there are none."""
    if image.mode != "RGBA":
        return None
    mask = image.getchannel("A").point([255 * (alpha < 128) for alpha in range(256)])
    return mask if mask.getbbox() else None


def _uncovers(before: Image.Image, after: Image.Image) -> bool:
    """Return whether a pixel becomes transparent, which drawing over it cannot do."""
    hidden, now = _hidden(before), _hidden(after)
    if now is None or hidden is None:
        return now is not None
    return ImageChops.subtract(now, hidden).getbbox() is not None


def _reduced(image: Image.Image, colours: int) -> Image.Image:
    """Choose colours by median cut, and replace every pixel by the nearest one."""
    if image.width * image.height <= _CHOSEN_FROM or image.getcolors(colours):
        return image.quantize(colours)
    size = (max(1, image.width // 4), max(1, image.height // 4))
    sample = image.resize(size, Image.Resampling.NEAREST)
    return image.quantize(palette=sample.quantize(colours), dither=Image.Dither.NONE)
