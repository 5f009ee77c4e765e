"""What the examples share: the scene, the output folder, and the style of the figures."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from PIL import Image

from convcli.types import Pixels

INK, GREY = "#1f2440", "#9aa0b5"
COLOURS = ("#2f4b9c", "#e8743b", "#199c7a", "#945ecf", "#c9a227")

mpl.use("Agg")  # draws into files and needs no screen
mpl.rcParams.update({
    "font.size": 10, "axes.titlesize": 11, "figure.dpi": 150, "figure.constrained_layout.use": True,
    "axes.prop_cycle": cycler(color=COLOURS), "axes.edgecolor": GREY, "axes.labelcolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#e6e8f0", "text.color": INK, "legend.frameon": False,
    "xtick.color": INK, "ytick.color": INK, "lines.linewidth": 2, "image.interpolation": "nearest",
})  # fmt: skip


def scene(mode: str = "RGB") -> Pixels:
    """Read the image that render_scene.py draws, ``(640, 960, 3)`` uint8, or "L": grey."""
    with Image.open(Path(__file__).parent / "scene.png") as image:
        return np.asarray(image.convert(mode))


def show(axes: Axes, pixels: Pixels, title: str = "") -> None:
    """Show an image from 0 to 255, without axes."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title)
    axes.set_axis_off()


def write(figure: Figure, name: str) -> None:
    """Write a figure into the folder given on the command line, or into out/."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name)
    plt.close(figure)
    print(f"wrote {folder / name}")


def curves(axes: Axes, sides: Sequence[int], along: str, up: str) -> None:
    """Make both axes logarithmic, with plain numbers and labels."""
    axes.set(xscale="log", yscale="log", xlabel=along, ylabel=up)
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend()


def milliseconds(work: Callable[[], object], clock: Callable[[], float] = process_time) -> float:
    """Return the best time of up to five rounds, after a warm-up round.

    By default it is processor time, which other work on the machine changes little.
    """
    work()
    times: list[float] = []
    while len(times) < 5 and sum(times) < 0.1:
        start = clock()
        work()
        times.append(clock() - start)
    return 1e3 * min(times)
