"""Linear light beside sRGB: a lens out of focus mixes light, and code values are not light."""

import matplotlib.pyplot as plt
import numpy as np
from drawing import scene, show, write

import convcli
from convcli.kernels.named import box_kernel, disc_kernel
from convcli.types import Pixels

PIECE = np.s_[300:452, 440:740]  # the lamps on the jetty and the foot of the lighthouse
RADIUS = 9


def both(image: Pixels, radius: float) -> tuple[Pixels, Pixels]:
    """Defocus an image: in code values, and in light."""
    kernel = disc_kernel(radius)
    return convcli.convolve(image, kernel), convcli.convolve(image, kernel, linear=True)


def half_and_half(linear: bool) -> int:
    """Return the grey that a fine checkerboard of black and white becomes."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    mixed = convcli.convolve(board.astype(np.uint8), box_kernel(2), linear=linear)
    return int(mixed[32, 32])


def main() -> None:
    """Print how bright mixtures become, and draw both images."""
    image = scene()
    code, light = both(image, RADIUS)
    grey, bright = half_and_half(linear=False), half_and_half(linear=True)
    print(f"black and white, half and half: {grey} from code values, {bright} from light")
    lamp = image[391, 564], code[391, 564], light[391, 564]
    print("a lamp: {} sharp, {} from code values, {} from light".format(*lamp))
    board = np.where(np.indices((160, 160)).sum(axis=0) % 2, 255, 0).astype(np.uint8)
    patches = board.copy()
    patches[40:120, 20:75], patches[40:120, 85:140] = grey, bright

    figure = plt.figure(figsize=(9, 6.2))
    grid = figure.add_gridspec(2, 2, width_ratios=(2, 1))
    show(figure.add_subplot(grid[0, 0]), code[PIECE], f"disc:{RADIUS}, code values: lamps are dull")
    show(figure.add_subplot(grid[1, 0]), light[PIECE], f"disc:{RADIUS} --linear: lamps shine")
    show(figure.add_subplot(grid[0, 1]), image[PIECE], "the scene")
    show(figure.add_subplot(grid[1, 1]), patches, f"which grey is half white?\n{grey}, {bright}")
    write(figure, "linear_light.png")


if __name__ == "__main__":
    main()
