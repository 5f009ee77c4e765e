"""What lies beyond the edge: five borders, drawn, and the corner of a blur that each makes."""

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


def extended(picture: Pixels, border: Border) -> Pixels:
    """Cut the whole picture out with a halo, as every loop gets to see it."""
    height, width = picture.shape[:2]
    return borders.window(ArraySource(picture), (0, height), (0, width), (HALO,) * 4, border, 128)


def pattern(border: Border) -> str:
    """Write the row a b c d as it goes on beyond both ends."""
    row = ArraySource(np.arange(len(ROW))[None, :, None])
    around = borders.window(row, (0, 1), (0, 4), (0, 0, 3, 3), border, -1).ravel()
    letters = "".join("k" if i < 0 else ROW[i] for i in around.astype(int).tolist())
    return f"{letters[:3]} | {letters[3:7]} | {letters[7:]}"


def main() -> None:
    """Print the patterns, draw the extended pictures and the blurred corners."""
    picture = np.ascontiguousarray(scene()[100:310, 600:810])
    side = len(picture)
    figure, rows = plt.subplots(2, len(BORDERS), figsize=(11, 4.7))
    for (above, below), border in zip(rows.T, BORDERS, strict=True):
        blurred = convcli.blur(picture, SIGMA, border=border, border_value=128.0)
        print(f"{border:9} {pattern(border)}   corner {blurred[-1, -1]}")
        show(above, extended(picture, border), border)
        corner = HALO - 0.5, HALO - 0.5
        above.add_patch(Rectangle(corner, side, side, fill=False, color="white", linewidth=1.5))
        show(below, blurred[-CORNER:, -CORNER:])
        below.set_title(pattern(border), fontsize=9, family="monospace", color=COLOURS[0], y=-0.16)
    write(figure, "borders.png")


if __name__ == "__main__":
    main()
