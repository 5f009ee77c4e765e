"""One sigma in seven tools: where each cuts its Gaussian, and the sigma that remains."""

from collections.abc import Callable
from itertools import count
from math import ceil, log, sqrt

import matplotlib.pyplot as plt
import numpy as np
from drawing import COLOURS, GREY, write

from convcli.types import Floats

SIGMAS, SHOWN = (0.5, 1, 2, 3, 5, 10, 20, 50), 10


def cut(sigma: float, radius: int, twentieths: bool = False) -> Floats:
    """Sample a Gaussian up to a radius; libvips rounds to twentieths of the peak."""
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = np.rint(20 * weights) if twentieths else weights
    return np.asarray(weights / weights.sum())


def until_dark(sigma: float, levels: int) -> Floats:
    """ImageMagick: the outermost weight is at least one level."""
    dark = next(radius for radius in count(2) if cut(sigma, radius)[0] < 1 / levels)
    return cut(sigma, dark - 1)


def boxes(sigma: float) -> Floats:
    """Pillow: three boxes, whose end weights are set to give the variance."""
    third, n = sigma**2 / 3, int((sqrt(4 * sigma**2 + 1) - 1) / 2)
    end = (2 * n + 1) * (third - n * (n + 1) / 3) / (2 * ((n + 1) ** 2 - third))
    box = np.array([end, *[1.0] * (2 * n + 1), end]) / (2 * n + 1 + 2 * end)
    return np.convolve(np.convolve(box, box), box)


TOOLS: dict[str, Callable[[float], Floats]] = {
    "convcli, scipy, scikit-image": lambda s: cut(s, int(4 * s + 0.5)),
    "OpenCV, 8-bit": lambda s: cut(s, (round(6 * s + 1) | 1) // 2),
    "OpenCV, other depths": lambda s: cut(s, (round(8 * s + 1) | 1) // 2),
    "ImageMagick -blur, Q16": lambda s: until_dark(s, 65535),
    "ImageMagick -blur, Q8": lambda s: until_dark(s, 255),
    "libvips gaussblur": lambda s: cut(s, int(s * sqrt(-2 * log(0.2))), twentieths=True),
    "Pillow GaussianBlur": boxes,
    "OpenImageIO --blur": lambda s: cut(s, ceil(2 * s) - 1),
}

if __name__ == "__main__":
    figure, panels = plt.subplots(2, 4, figsize=(11.5, 4.8), sharex=True, sharey=True)
    for axes, (name, kernel) in zip(panels.flat, TOOLS.items(), strict=True):
        print(f"{name:29} radii", *(f"{kernel(sigma).size // 2:4}" for sigma in SIGMAS))
        weights = kernel(SHOWN)
        x = np.arange(weights.size) - weights.size // 2
        left = np.sqrt((weights * x**2).sum())  # the standard deviation
        axes.fill_between(x, weights, step="mid", color=COLOURS[int(left < 0.95 * SHOWN)])
        axes.plot(range(-42, 43), cut(SHOWN, 42), color=GREY, linestyle=":")
        axes.text(0, 0.002, f"{left:.2f}", ha="center", color="white", weight="bold")
        axes.set(title=name, yticks=[], xticks=(-40, -20, 0, 20, 40))
    write(figure, "sigma_rules.png")
