"""The pictures of a race: made, or cut out of one's own, in the sizes that are asked for."""

from __future__ import annotations

import math

import numpy as np

from convcli import memory
from convcli.errors import ConvcliError
from convcli.pixels import borders
from convcli.types import Pixels

# A side beyond this is no picture's; 2**31 bytes are a limit of some peers as well.
_LONGEST = 50_000
# A race holds the picture, the oracle in float64 and a few results at a time.
_BYTES_A_SAMPLE = 24


def made(height: int, width: int) -> Pixels:
    """Make a grey picture ``(height, width, 1)``, the same each time.

    A zone plate, which has every frequency up to the sampling limit somewhere, on a slope, with a
    sensor's noise: no two of its rows are alike, and nothing in it is flat.
    """
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1, 1, width, dtype=np.float32)[np.newaxis, :]
    rings = np.cos(np.float32(math.pi / 8 * min(height, width)) * (x**2 + y**2))
    noise = np.random.default_rng(0).integers(-12, 13, (height, width), dtype=np.int8)
    levels = 128 + 20 * (x + y) + 70 * rings + noise
    picture: Pixels = np.clip(levels, 0, 255).astype(np.uint8)
    return picture[:, :, np.newaxis]


def sized(picture: Pixels, height: int, width: int) -> Pixels:
    """Cut a picture to a size, from its upper left; where it is too small it is mirrored on."""
    rows = borders.INDEX_OF["reflect"](np.arange(height), picture.shape[0])
    columns = borders.INDEX_OF["reflect"](np.arange(width), picture.shape[1])
    return np.ascontiguousarray(picture[rows][:, columns])


def size_of(word: str, shape: tuple[int, int]) -> tuple[int, int]:
    """Read a size, megapixels or WIDTHxHEIGHT, and return height and width.

    Megapixels get the proportions of `shape`, (height, width).
    """
    try:
        if "x" in word:
            width, height = (int(side) for side in word.split("x"))
        else:
            pixels = float(word) * 1e6
            height = max(1, round(math.sqrt(pixels * shape[0] / shape[1]))) if pixels > 0 else 0
            width = max(1, round(pixels / height)) if height else 0
    except (ValueError, OverflowError):
        height = width = 0
    if not (0 < height <= _LONGEST and 0 < width <= _LONGEST):
        raise ConvcliError(
            f"size {word!r}: write megapixels above 0, such as 0.25, or WIDTHxHEIGHT, at most "
            f"{_LONGEST} pixels a side"
        )
    return height, width


def check_memory(height: int, width: int, channels: int) -> None:
    """Raise `ConvcliError` where there is no memory for a picture of this size."""
    try:
        memory.check(height * width * channels * _BYTES_A_SAMPLE)
    except ConvcliError as error:
        raise ConvcliError(f"a race on {width} x {height} pixels {error}") from None
