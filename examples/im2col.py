"""im2col: every patch of an image becomes a column, and convolution becomes one product."""

import matplotlib.pyplot as plt
import numpy as np
from drawing import COLOURS, scene, show, write
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from convcli.kernels.named import edge_kernels
from convcli.types import Floats

PLACE, SIZE, PATCH = (339, 811), 8, 19  # a corner of a window; which patch is marked


def columns_of(image: Floats, side: int) -> Floats:
    """Lay out each side x side patch of (H, W) as a column: (side**2, patches)."""
    patches = np.lib.stride_tricks.sliding_window_view(image, (side, side))
    return patches.reshape(-1, side * side).T.copy()


def mark(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    """Draw a frame around some cells."""
    corner = x - 0.5, y - 0.5
    axes.add_patch(Rectangle(corner, width, height, fill=False, color=COLOURS[1], linewidth=2.5))


def main() -> None:
    """Multiply a kernel by the matrix of a piece of the scene, then print and draw it all."""
    whole, (top, left) = scene("L").astype(np.float32), PLACE
    piece = whole[top : top + SIZE, left : left + SIZE]
    kernel = edge_kernels("sobel")[0]
    weights = kernel.flipped.weights  # convolution flips the kernel
    matrix = columns_of(piece, 3)
    result = weights.reshape(1, 9) @ matrix
    print(f"{SIZE} x {SIZE} pixels: (1 x 9) @ (9 x {matrix.shape[1]}) = 1 x {result.size} results")
    for side in (3, 5, 9):
        grown = columns_of(whole[:100, :100], side).nbytes / whole[:100, :100].nbytes
        print(f"kernel {side} x {side}: the matrix takes {grown:.1f} times the image's memory")

    figure = plt.figure(figsize=(9, 5.6))
    grid = figure.add_gridspec(2, 3, height_ratios=(3, 2.4))
    first, second, third = (figure.add_subplot(grid[0, i]) for i in range(3))
    below = figure.add_subplot(grid[1, :])
    show(first, piece, "the image, one patch marked")
    show(below, matrix, f"the matrix: 9 x {matrix.shape[1]}, a column for each patch")
    show(second, np.zeros((3, 3)), "the kernel, flipped")
    second.imshow(weights, cmap="RdBu", vmin=-1, vmax=1)
    show(third, 128 + result.reshape(SIZE - 2, SIZE - 2), "the product, as an image (0 is grey)")
    for (row, column), weight in np.ndenumerate(weights):
        second.text(column, row, f"{weight:g}", ha="center", va="center")
    y, x = divmod(PATCH, SIZE - 2)
    mark(first, x, y, 3, 3)
    mark(below, PATCH, 0, 1, 9)
    mark(third, x, y, 1, 1)
    write(figure, "im2col.png")


if __name__ == "__main__":
    main()
