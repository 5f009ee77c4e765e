"""Reducing an image to the 256 colours of a GIF, a band of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convcli.image.gif_blocks import GREYS
from convcli.image.picture import WITH_ALPHA

if TYPE_CHECKING:
    from convcli.types import Pixels

MOST = 256
"""The most colours that a palette holds, one of which may stand for "transparent"."""

# Pixels from which colours are chosen: all of 256 x 256, and of larger images every 17th (a prime
# number: other columns in every row). Choosing from all takes 0.3 s per megapixel and is better
# by 0.3 levels in 5.
_CHOSEN_FROM = 1 << 16
_STEP = 17

# Pixels that are packed into integers at a time, which takes some 12 bytes each.
_BAND = 1 << 18

Packed = NDArray[np.uint32]


@dataclass(frozen=True)
class Indexed:
    """An image as indices into a palette.

    Attributes
    ----------
    indices : ndarray (H, W), uint8
        They are all inside the palette.
    palette : bytes
        Three bytes per colour.
    transparent : int or None
        The index of transparent pixels, in the palette like any other.
    is_exact : bool
        No colour was changed.
    """

    indices: Pixels
    palette: bytes
    transparent: int | None
    is_exact: bool

    def shown(self) -> Packed:
        """Return the colour of every index as an integer, 0 for transparent."""
        colours = np.frombuffer(self.palette, np.uint8).reshape(-1, 3)
        shown = np.zeros(MOST, np.uint32)
        shown[: len(colours)] = _packed(colours[None])[0] + 1
        if self.transparent is not None:
            shown[self.transparent] = 0
        return shown


def indexed(pixels: Pixels, mode: str, with_transparent: bool = False) -> Indexed:
    """Reduce an image to 256 colours, or to 255 and a transparent one if that is needed.

    Parameters
    ----------
    pixels : ndarray (H, W) or (H, W, C), uint8
        In `mode`, which is L, LA, RGB or RGBA.
    with_transparent : bool
        Have a transparent index even if no pixel needs it, unless the image has 256 colours.
    """
    if mode == "L" and not with_transparent:
        return Indexed(pixels, GREYS, None, True)
    has_alpha = mode in WITH_ALPHA
    has_hidden = has_alpha and any(hidden(pixels[rows]).any() for rows in bands(pixels))
    colours = _few_colours(pixels, has_hidden, MOST - has_hidden)
    if colours is None:
        palette, indices = _reduced(pixels, has_hidden, MOST - (has_hidden or with_transparent))
    else:
        palette, indices = _looked_up(pixels, colours)
        with_transparent = with_transparent and len(colours) < MOST
    if not has_hidden and not with_transparent:
        return Indexed(indices, palette, None, colours is not None)
    transparent = len(palette) // 3
    for rows in bands(pixels) if has_hidden else ():
        indices[rows][hidden(pixels[rows])] = transparent
    return Indexed(indices, palette + bytes(3), transparent, colours is not None)


def bands(pixels: Pixels) -> Iterator[slice]:
    """Yield slices of rows that cover an image, of about `_BAND` pixels each."""
    rows = max(1, _BAND // pixels.shape[1])
    for top in range(0, pixels.shape[0], rows):
        yield slice(top, top + rows)


def hidden(pixels: Pixels) -> NDArray[np.bool_]:
    """Return which pixels have an alpha below one half: a GIF stores them as transparent."""
    return pixels[..., -1] < 128


def _packed(pixels: Pixels) -> Packed:
    """Return the colours of pixels as integers."""
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        return grey * np.uint32(0x010101)
    packed = pixels[..., 0].astype(np.uint32)
    packed |= pixels[..., 1].astype(np.uint32) << 8
    packed |= pixels[..., 2].astype(np.uint32) << 16
    return packed


def _few_colours(pixels: Pixels, has_hidden: bool, most: int) -> Packed | None:
    """Return the colours of the visible pixels, or None if there are more than `most`."""
    found = np.empty(0, np.uint32)
    for rows in bands(pixels):
        packed = _packed(pixels[rows])
        if has_hidden:
            packed = packed[~hidden(pixels[rows])]
        found = np.union1d(found, np.unique(packed))
        if len(found) > most:
            return None
    return found


def _looked_up(pixels: Pixels, colours: Packed) -> tuple[bytes, Pixels]:
    """Return colours as a palette, and the index of every pixel; of hidden pixels any number."""
    index_of = np.empty(1 << 24, np.uint8)  # of which only the pages that are used take memory
    index_of[colours] = np.arange(len(colours))
    indices = np.empty(pixels.shape[:2], np.uint8)
    for rows in bands(pixels):
        index_of.take(_packed(pixels[rows]), out=indices[rows], mode="wrap")
    return _bytes_of(colours), indices


def _bytes_of(colours: Packed) -> bytes:
    """Return packed colours as three bytes each."""
    return colours.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _rgb(packed: Packed) -> Image.Image:
    """Return packed colours (H, W) as a Pillow image."""
    height, width = packed.shape
    samples = np.frombuffer(_bytes_of(packed), np.uint8)
    return Image.fromarray(samples.reshape(height, width, 3))


def _reduced(pixels: Pixels, has_hidden: bool, most: int) -> tuple[bytes, Pixels]:
    """Choose colours by median cut, and replace every pixel by the nearest one."""
    height, width = pixels.shape[:2]
    is_small = height * width <= _CHOSEN_FROM
    sample = []
    for rows in bands(pixels):
        packed = _packed(pixels[rows])
        packed = packed[~hidden(pixels[rows])] if has_hidden else packed.ravel()
        sample.append(packed[:: 1 if is_small else _STEP])
    chosen = _rgb(np.concatenate(sample)[None]).quantize(most)
    palette = bytes(chosen.getpalette() or ())
    indices = np.zeros((height, width), np.uint8)
    if is_small:
        visible = ~hidden(pixels) if has_hidden else np.ones((height, width), np.bool_)
        indices[visible] = np.asarray(chosen)[0]
        return palette, indices
    for rows in bands(pixels):
        band = _rgb(_packed(pixels[rows])).quantize(palette=chosen, dither=Image.Dither.NONE)
        indices[rows] = np.asarray(band)
    return palette, indices
