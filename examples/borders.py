"""What lies beyond the edge: five borders, and the corner of a blur with each."""

import matplotlib.pyplot as plt
import numpy as np
from drawing import COLOURS, scene, show, write
from matplotlib.patches import Rectangle

import convcli
from convcli.pixels import borders
from convcli.pixels.source import ArraySource
from convcli.types import Pixels
from convcli.words import BORDERS, Border

HALO, SIGMA, CORNER = 70, 9.0, 70
ROW = "abcd"


def extended(image: Pixels, border: Border) -> Pixels:
    """Return the whole image with a halo, as every loop sees it."""
    height, width = image.shape[:2]
    return borders.window(ArraySource(image), (0, height), (0, width), (HALO,) * 4, border, 128)


def pattern(border: Border) -> str:
    """Return the row a b c d, continued beyond both ends."""
    row = ArraySource(np.arange(len(ROW))[None, :, None])
    around = borders.window(row, (0, 1), (0, 4), (0, 0, 3, 3), border, -1).ravel()
    letters = "".join("k" if i < 0 else ROW[i] for i in around.astype(int).tolist())
    return f"{letters[:3]} | {letters[3:7]} | {letters[7:]}"


def main() -> None:
    """Print the patterns, draw the extended images and the blurred corners."""
    image = np.ascontiguousarray(scene()[100:310, 600:810])
    side = len(image)
    figure, rows = plt.subplots(2, len(BORDERS), figsize=(11, 4.7))
    for (above, below), border in zip(rows.T, BORDERS, strict=True):
        blurred = convcli.blur(image, SIGMA, border=border, border_value=128.0)
        print(f"{border:9} {pattern(border)}   corner {blurred[-1, -1]}")
        show(above, extended(image, border), border)
        corner = HALO - 0.5, HALO - 0.5
        above.add_patch(Rectangle(corner, side, side, fill=False, color="white", linewidth=1.5))
        show(below, blurred[-CORNER:, -CORNER:])
        below.set_title(pattern(border), fontsize=9, family="monospace", color=COLOURS[0], y=-0.16)
    write(figure, "borders.png")


if __name__ == "__main__":
    main()
