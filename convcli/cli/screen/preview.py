"""The output of ``--preview``: an image before and after, side by side in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convcli.cli.screen.blocks import Colours, reduced, text_of
from convcli.image.picture import WITH_ALPHA, Picture
from convcli.pixels.colour import full_scale

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# The most lines of an image; at least _OTHER_LINES are left for the caption and the prompt.
_MOST_LINES = 24
_OTHER_LINES = 3
_GAP = 2

# Squares of the checkerboard under transparent pixels, and its usual two greys.
_SQUARE = 4
_GREYS = (102.0, 153.0)


class Preview:
    """Small copies of an image before and after, and their drawing."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console: Console = Console(highlight=False, markup=False, emoji=False)
        self._drawn: list[tuple[str, Text]] = []
        self._range: tuple[float, float] | None = None

    def look(self, picture: Picture) -> None:
        """Draw a small copy now, because a filter may overwrite the image."""
        if self._range is None:
            self._range = _range_of(picture)
        rows, columns = self._room()
        colours = thumbnail(picture, 2 * rows, columns, self._range)
        caption = "after" if self._drawn else "before"
        if picture.frames > 1:
            caption += f", first of {picture.frames}"
        self._drawn.append((caption, text_of(colours, self._console)))

    def draw(self) -> None:
        """Print both images, if the filter finished."""
        from rich.table import Table

        if len(self._drawn) < 2:
            return
        table = Table.grid(padding=(0, _GAP, 0, 0))
        for _ in self._drawn:
            table.add_column(no_wrap=True, overflow="crop")
        captions, pictures = zip(*self._drawn, strict=True)
        table.add_row(*captions)
        table.add_row(*pictures)
        self._console.print(table)

    def _room(self) -> tuple[int, int]:
        """Return the most lines and columns that one image may take."""
        columns, lines = self._console.size
        most = min(_MOST_LINES, lines - _OTHER_LINES)
        return max(1, most), max(1, (columns - 2 * _GAP) // 2)


@np.errstate(all="ignore")  # samples may be infinite or NaN
def thumbnail(picture: Picture, rows: int, columns: int, span: tuple[float, float]) -> Colours:
    """Reduce an image to colours that a terminal can show.

    Parameters
    ----------
    picture : Picture
        An image of any mode; transparent pixels are drawn over a checkerboard.
    rows, columns : int
        The maximum size of the result.
    span : (float, float)
        The values of samples that become black and white.

    Returns
    -------
    ndarray, (h, w, 3) uint8
    """
    pixels = picture.pixels if picture.pixels.ndim == 3 else picture.pixels[..., np.newaxis]
    has_alpha = picture.mode in WITH_ALPHA
    full = full_scale(pixels.dtype)
    small = reduced(pixels, rows, columns, full if has_alpha else None)
    low, high = span
    colours = small[..., :-1] if has_alpha else small
    values = (np.nan_to_num(colours) - low) / ((high - low) or 1.0)
    if picture.mode == "CMYK":
        values = (1 - values[..., :3]) * (1 - values[..., 3:])
    elif values.shape[2] != 3 or picture.mode == "LAB":  # of LAB only L is shown, as grey
        values = values[..., :1].repeat(3, axis=2)
    values = 255 * values
    if has_alpha:
        y, x = np.indices(values.shape[:2]) // _SQUARE
        board = np.array(_GREYS)[(y + x) % 2]
        values += ((1 - small[..., -1] / full) * board)[..., np.newaxis]
    return np.asarray(np.rint(values.clip(0, 255)), np.uint8)


def _range_of(picture: Picture) -> tuple[float, float]:
    """Return the values that are shown as black and white; floats have their own range."""
    pixels = picture.pixels
    if pixels.dtype.kind == "u":
        return 0.0, full_scale(pixels.dtype)
    known = pixels[np.isfinite(pixels)]
    if known.size == 0 or (known.min() >= 0 and known.max() <= 1):
        return 0.0, 1.0
    return float(known.min()), float(known.max())
