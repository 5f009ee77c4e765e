"""Images in a terminal: two pixels per character, the upper and the lower half of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convcli.pixels.colour import luminance

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Colours = NDArray[np.uint8]
"""A small image, (H, W, 3), in sRGB."""

_UPPER_HALF = "\N{UPPER HALF BLOCK}"

# From dark to light, for terminals without colours or blocks.
_SHADES = " .:-=+*#%@"


def has_blocks(console: Console) -> bool:
    """Whether a console shows colours and half blocks; NO_COLOR is respected."""
    colours = console.color_system is not None and not console.no_color
    return colours and not console.options.ascii_only


def text_of(colours: Colours, console: Console) -> Text:
    """Return an image as text: one character for each column and two rows.

    Parameters
    ----------
    colours : (H, W, 3) uint8
        The image; if H is odd, the last row is drawn as upper halves.
    console : Console
        The console of the text. Without colours, characters show the luminance.

    Returns
    -------
    Text
        ``ceil(H / 2)`` lines of W characters.
    """
    from rich.text import Text

    if not has_blocks(console):
        return Text("\n".join(_shades(colours)), no_wrap=True)
    text = Text(no_wrap=True, end="")
    for top in range(0, len(colours), 2):
        upper, lower = colours[top], colours[top + 1 : top + 2]
        for column, colour in enumerate(upper.tolist()):
            style = _rgb(colour)
            if len(lower):
                style += f" on {_rgb(lower[0, column].tolist())}"
            text.append(_UPPER_HALF, style)
        if top + 2 < len(colours):
            text.append("\n")
    return text


def _rgb(colour: list[int]) -> str:
    return f"rgb({colour[0]},{colour[1]},{colour[2]})"


def _shades(colours: Colours) -> list[str]:
    """Return lines of characters; the lighter the pixel, the more of its cell is filled."""
    grey = luminance(colours.astype(np.float64))[..., 0]
    lines = []
    for top in range(0, len(grey), 2):
        levels = grey[top : top + 2].mean(axis=0) / 256 * len(_SHADES)
        lines.append("".join(_SHADES[int(level)] for level in levels))
    return lines


def reduced(
    samples: NDArray[Any], rows: int, columns: int, opaque: float | None = None
) -> NDArray[np.float64]:
    """Reduce an image to at most this many rows and columns; each pixel is the mean of a box.

    Parameters
    ----------
    samples : (H, W, C)
        The image, of any dtype.
    rows, columns : int
        The maximum size, 1 or more; a smaller image is not enlarged.
    opaque : float, optional
        The value of full alpha, if the last channel is one: colours are weighted by it.

    Returns
    -------
    ndarray, (h, w, C)
    """
    height, width = samples.shape[:2]
    # One factor for both axes, of at least 1.
    factor = max(height / rows, width / columns, 1.0)
    ends_y, ends_x = (_ends(length, factor) for length in (height, width))
    # One row of the result at a time: a whole photograph in floats could fill the memory.
    result = np.empty((ends_y.size - 1, ends_x.size - 1, samples.shape[2]))
    for y in range(result.shape[0]):
        rows_of_it = samples[ends_y[y] : ends_y[y + 1]]
        if opaque is not None:
            rows_of_it = rows_of_it.astype(np.float64)
            rows_of_it[..., :-1] *= rows_of_it[..., -1:] / opaque
        band = rows_of_it.mean(axis=0, dtype=np.float64)
        result[y] = np.add.reduceat(band, ends_x[:-1], axis=0) / np.diff(ends_x)[:, np.newaxis]
    return result


def _ends(length: int, factor: float) -> NDArray[np.intp]:
    """Divide an axis into equal parts, none of them empty."""
    parts = max(1, round(length / factor))
    return np.arange(parts + 1) * length // parts
