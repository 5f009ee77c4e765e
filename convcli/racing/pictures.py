"""The images of a race: generated, or taken from the input, in the sizes asked for."""

from __future__ import annotations

import math

import numpy as np

from convcli import memory
from convcli.errors import ConvcliError
from convcli.pixels import borders
from convcli.types import Pixels

# Longer sides are a slip of the keyboard; some other packages also stop at 2**31 bytes.
_LONGEST = 50_000
# A race holds the image, the oracle in float64 and a few outputs at a time.
_BYTES_A_SAMPLE = 24


def made(height: int, width: int) -> Pixels:
    """Generate a grey image ``(height, width, 1)``, the same each time.

    It is a zone plate, which has every frequency up to half the sampling limit somewhere, on a
    slope, with noise as of a sensor: no two rows are equal, and no part is flat.
    """
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1, 1, width, dtype=np.float32)[np.newaxis, :]
    rings = np.cos(np.float32(math.pi / 8 * min(height, width)) * (x**2 + y**2))
    noise = np.random.default_rng(0).integers(-12, 13, (height, width), dtype=np.int8)
    levels = 128 + 20 * (x + y) + 70 * rings + noise
    picture: Pixels = np.clip(levels, 0, 255).astype(np.uint8)
    return picture[:, :, np.newaxis]


def sized(picture: Pixels, height: int, width: int) -> Pixels:
    """Crop an image to a size, from its upper left, or extend it by mirroring."""
    rows = borders.INDEX_OF["reflect"](np.arange(height), picture.shape[0])
    columns = borders.INDEX_OF["reflect"](np.arange(width), picture.shape[1])
    return np.ascontiguousarray(picture[rows][:, columns])


def middle_part(picture: Pixels, height: int, width: int) -> Pixels:
    """Crop an image to a size that it has at least, from its middle."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def size_of(word: str, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of a size, written as megapixels or WIDTHxHEIGHT.

    Megapixels take the proportions of `shape`, (height, width).

    Raises
    ------
    ConvcliError
        If it is neither, or too large.
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
            f"{word!r} is not an image size; write megapixels above 0, such as 0.25, or "
            f"WIDTHxHEIGHT, with sides of up to {_LONGEST} pixels"
        )
    return height, width


def check_memory(height: int, width: int, channels: int) -> None:
    """Raise `ConvcliError` if the memory is too small for a race with an image of this size."""
    needed, free = height * width * channels * _BYTES_A_SAMPLE, memory.available()
    if free is not None and needed > free:
        raise ConvcliError(
            f"a race with {width} x {height} pixels needs about {needed / 1e6:,.0f} MB of memory, "
            f"and {free / 1e6:,.0f} MB are free; choose smaller --sizes"
        )
