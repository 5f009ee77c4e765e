"""GIF: 256 colours, pixels that are opaque or not, and frames of what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any, BinaryIO

from PIL import GifImagePlugin, Image, ImageChops

# GIF89a: what becomes of a frame before the next one is drawn. What is cleared is transparent
# for viewers if the frame has a transparent colour.
KEEP, CLEAR, RESTORE = 1, 2, 3

# Pixels from which colours are chosen: all of 256 x 256, else those of every fourth row and
# column. To choose from all takes 0.3 s a megapixel, and is better by 0.3 levels in 5.
_CHOSEN_FROM = 1 << 16

# The colour that is transparent, where there is one.
_TRANSPARENT = 255


def indexed(image: Image.Image, with_transparent: bool = False) -> Image.Image:
    """Reduce colours to 256, or to 255 and a transparent one where that is needed or wanted."""
    hidden = _hidden(image)
    if hidden is None and not with_transparent:
        return image if image.mode == "L" else _reduced(image.convert("RGB"), 256)
    reduced = _reduced(image.convert("RGB"), _TRANSPARENT)
    if hidden is not None:
        reduced.paste(_TRANSPARENT, mask=hidden)
    reduced.info["transparency"] = _TRANSPARENT
    return reduced


def write_frames(
    frames: Iterator[tuple[Image.Image, int, int]], settings: dict[str, Any], file: BinaryIO
) -> None:
    """Write an animation, of every frame what differs from the one before.

    Pillow's own way would make one of frames that are alike, and lose count of disposals.

    Parameters
    ----------
    frames : iterator of (Image, int, int)
        Each frame whole, its disposal, and its duration in milliseconds.
    settings : dict
        What Pillow's header takes: loop, comment.
    file : binary file
        Where.
    """
    canvas: Image.Image | None = None  # what a frame is drawn over, if anything is there
    begun = False
    for current, following in pairwise(chain(frames, [None])):
        assert current is not None
        image, disposal, duration = current
        if disposal == RESTORE:
            disposal = KEEP  # the next one is whole here, and looks the same over any other
        if following is not None and _uncovers(image, following[0]):
            disposal = CLEAR
        reduced = indexed(image, with_transparent=disposal == CLEAR).convert("P")
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


def _hidden(image: Image.Image) -> Image.Image | None:
    """Return a mask of the pixels whose alpha is below a half, or None if there are none."""
    if image.mode != "RGBA":
        return None
    mask = image.getchannel("A").point([255 * (alpha < 128) for alpha in range(256)])
    return mask if mask.getbbox() else None


def _uncovers(before: Image.Image, after: Image.Image) -> bool:
    """Say whether something is transparent that was not before: nothing drawn can make it so."""
    hidden, now = _hidden(before), _hidden(after)
    if now is None or hidden is None:
        return now is not None
    return ImageChops.subtract(now, hidden).getbbox() is not None


def _reduced(image: Image.Image, colours: int) -> Image.Image:
    """Choose colours, by median cut, and take the nearest for every pixel."""
    if image.width * image.height <= _CHOSEN_FROM or image.getcolors(colours):
        return image.quantize(colours)
    size = (max(1, image.width // 4), max(1, image.height // 4))
    sample = image.resize(size, Image.Resampling.NEAREST)
    return image.quantize(palette=sample.quantize(colours), dither=Image.Dither.NONE)
