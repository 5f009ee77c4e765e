"""Contact sheets: many small images with their names, as one image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from convcli.types import Pixels

# Pixels: the widest sheet, the space around each image, and the height of letters: a twentieth of
# an image's width, within limits.
_WIDEST = 3200
_SPACE = 8
_LEAST, _MOST = 12, 28

# Grey levels; 0 and 128 are values of maps.
_GROUND, _INK = 32, 235

# Width by height of a sheet, where nothing else decides: a screen's.
_ASPECT = 1.6


def contact_sheet(images: list[Pixels], names: tuple[str, ...], row: int = 0) -> Pixels:
    """Arrange 8-bit grey images of one size in rows, each with its name above it.

    They are made smaller if the sheet would be wider than 3,200 pixels.

    Parameters
    ----------
    images : list of ndarray, (H, W)
        uint8.
    names : tuple of str
        One for each.
    row : int
        How many images that follow each other belong in a row; one row, or several equal ones.

    Returns
    -------
    ndarray, (rows, columns)
        uint8.
    """
    import numpy as np

    height, width = images[0].shape
    columns = _columns(len(images), row, height / width)
    room = max((_WIDEST - _SPACE) // columns - _SPACE, 1)
    letters = min(max(_LEAST, min(width, room) // 20), _MOST)
    font = ImageFont.load_default(letters)
    lengths = [math.ceil(font.getlength(name)) for name in names]
    line = math.ceil(1.5 * letters)
    scale = min(1.0, room / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    cell = max(size[0], min(max(lengths), room))
    rows = math.ceil(len(images) / columns)
    sheet = Image.new(
        "L",
        (_SPACE + columns * (cell + _SPACE), _SPACE + rows * (line + size[1] + _SPACE)),
        _GROUND,
    )
    draw = ImageDraw.Draw(sheet)
    for number, (pixels, name) in enumerate(zip(images, names, strict=True)):
        row, column = divmod(number, columns)
        left = _SPACE + column * (cell + _SPACE)
        top = _SPACE + row * (line + size[1] + _SPACE)
        draw.text((left, top + line // 8), _fitting(name, font, cell), _INK, font)
        tile = Image.fromarray(pixels)
        if tile.size != size:
            tile = tile.resize(size, Image.Resampling.BOX)
        sheet.paste(tile, (left, top + line))
    return np.asarray(sheet)


def _columns(number: int, row: int, aspect: float) -> int:
    """Return how many images stand in a row, for a good shape with few empty places.

    `aspect` is an image's height by its width.
    """
    wanted = math.sqrt(number * aspect * _ASPECT)

    def badness(columns: int) -> float:
        return -number % columns / number + abs(math.log(columns / wanted))

    choices = [n for n in range(1, number + 1) if not row or row % n == 0]
    return min(choices, key=badness)


def _fitting(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return a name, or as much of its end as fits: names begin alike."""
    shown = name
    while font.getlength(shown) > width and len(shown) > 1:
        shown = "..." + shown.removeprefix("...")[1:] if len(shown) > 4 else shown[1:]
    return shown
