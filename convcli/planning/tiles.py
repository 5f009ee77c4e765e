"""How an image is cut into tiles and regions, by its size, the kernel's and the loop."""

from __future__ import annotations

import math

from convcli.loops.layout import ROWS, ceil_div

# A tile has 64 rows, or more where the image is narrow. numpy needs three arrays of a tile's
# size, which should fit the second-level cache: 64 rows of 1536 float32 samples are 400 kB.
# numba needs only pieces of rows, so its tiles are strips as wide as the image, and taller:
# 24 MP with 9 taps took 7.1 ms by 64 rows, 5.8 by 256.
_TILE_ROWS = 64
_STRIP_ROWS = 256
_TILE_SAMPLES = 1536
# Where there are too few rows for the cores, columns are cut; calls cost more in narrow pieces:
# numpy took 0.9 ms for 64 rows of 2048 samples and 9 taps by 512 columns, 1.1 by 256, 2.1 by 64.
_LEAST_COLUMNS = 256
# A strip's window takes as many rows as the kernel has: of one row of 89 million pixels and a
# kernel of 17 that were 3.4 GB.
_LONGEST_ROW = 1 << 20


def tile_size(
    loop: str, size: tuple[int, int, int], kernel: tuple[int, int], cores: int
) -> tuple[int, int]:
    """Choose the rows and columns that a loop filters at a time."""
    height, width, channels = size
    if loop == "overlap_add":
        rows, columns = tile_of_blocks(size, kernel, cores)
    else:
        # At least three times as long as the kernel; otherwise most of a window would be halo.
        longest = _TILE_SAMPLES if loop == "direct_numpy" else _LONGEST_ROW
        columns = min(max(longest // channels, kernel[1]), width)
        least = _STRIP_ROWS if loop == "direct_numba" else _TILE_ROWS
        rows = max(least, 3 * kernel[0], _TILE_ROWS * _TILE_SAMPLES // (columns * channels))
        # Every core gets a share of the rows or, where these are too few, of the columns.
        rows = min(rows, max(ceil_div(height, cores), min(height, _TILE_ROWS)))
        pieces = ceil_div(height, rows)
        if pieces < cores:
            columns = min(columns, max(ceil_div(width * pieces, cores), kernel[1], _LEAST_COLUMNS))
    rows, columns = (ceil_div(n, ROWS) * ROWS for n in (rows, columns))
    return min(rows, height), min(columns, width)


def tile_of_blocks(
    size: tuple[int, int, int], kernel: tuple[int, int], cores: int
) -> tuple[int, int]:
    """Cut an image for overlap-add into equal pieces, some for every core, with the least halo.

    Pieces of two megapixels keep several cores busy to the end, and memory low. Pieces of 16 times
    the kernel on each axis have a halo of an eighth, and may be twice as large for that; below
    twice the kernel (4 times its taps) the halo would be most of the work. Pieces are not cut
    below 128 x 128: with 15 x 15 weights, one such piece took 0.55 ms and two halves 0.69, on
    two cores.
    """
    height, width, _ = size
    pixels, taps = height * width, math.prod(kernel)
    area = max(2**21, min(256 * taps, 2**22), 4 * taps)
    pieces = cores * ceil_div(pixels, cores * area)
    pieces = max(1, min(pieces, pixels // max(128**2, 4 * taps)))
    cuts = [
        (ceil_div(height, rows), ceil_div(width, pieces // rows))
        for rows in range(1, pieces + 1)
        if pieces % rows == 0
    ]
    return min(cuts, key=lambda cut: (cut[0] + kernel[0] - 1) * (cut[1] + kernel[1] - 1))


def cut(size: tuple[int, int, int], kernel: tuple[int, int], pieces: int) -> tuple[int, int]:
    """Cut an image into pieces for processes, along the axis that wastes least.

    A piece is as long as the image over `pieces`, rounded up, plus its halo; the image is cut
    along the axis on which the largest such window is smaller.
    """
    height, width, _ = size
    tall = min(ceil_div(height, pieces * ROWS) * ROWS, height)
    wide = min(ceil_div(width, pieces * ROWS) * ROWS, width)
    by_rows = (tall + kernel[0] - 1) * (width + kernel[1] - 1)
    by_columns = (height + kernel[0] - 1) * (wide + kernel[1] - 1)
    return (tall, width) if by_rows <= by_columns else (height, wide)
