"""Arrays as images that are stored in tiles."""

from __future__ import annotations

from functools import partial

from convcli.sources.contract import Stored


def image_in(image, tile):
    """Return an array as an image that is stored in tiles, which other processes can open."""

    def decode(row, column):
        top, left = row * tile[0], column * tile[1]
        return image[top : top + tile[0], left : left + tile[1]].copy()

    return Stored(image.shape, image.dtype, tile, decode, partial(image_in, image, tile))
