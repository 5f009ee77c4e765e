"""A plot of a kernel by matplotlib: its weights, its factors and its frequency response."""

from __future__ import annotations

import math
import textwrap
import warnings
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convcli import plotting
from convcli.kernels.kernel import Kernel, Weights
from convcli.kernels.named import NAMED, default_words
from convcli.pixels.colour import luminance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

# Inches. A panel is a square of _PANEL; anything narrower than _THIN could not be seen.
_PANEL = 4.4
_THIN = 0.34
_MARGIN = 0.75
_GAP = 0.12

# Points: smaller numbers are not legible. A digit of DejaVu Sans is 0.64 of its size wide.
_LARGEST_TYPE, _SMALLEST_TYPE = 10.0, 5.0
_DIGIT = 0.64

# Frequencies along an axis: 0.002 cycles per pixel apart, finer than the dots of the panel.
_FREQUENCIES = 512

# A gain of -80 dB leaves less than 0.03 of an 8-bit level. The side lobes of a Gaussian that is
# cut at 4 sigma lie there.
_FLOOR_DB = 80.0


def draw_kernel(kernel: Kernel, file: BinaryIO, suffix: str, number_format: str) -> None:
    """Plot a kernel: a heat map, its two factors if it is separable, its frequency response.

    Parameters
    ----------
    kernel : Kernel
        A kernel of at most 2**24 weights.
    file : binary file
        The file to write to.
    suffix : str
        The format, one of `convcli.plotting.FORMATS`.
    number_format : str
        The format specification for weights.

    Raises
    ------
    ConvcliError
        If the kernel has more weights.
    """
    weights = kernel.weights
    with plotting.settings({}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name with characters that the font lacks
        plotting.save(_figure(kernel, weights, number_format), file, suffix, dpi=150)


# Kernels of the gallery beside each other, and inches of each.
_BESIDE = 6
_SMALL_PANEL = 1.6


def draw_all(file: BinaryIO, suffix: str) -> None:
    """Plot every kernel that has a name, with its usual numbers; see `draw_kernel`."""
    below = math.ceil(len(NAMED) / _BESIDE)
    with plotting.settings({}):
        figure = Figure(figsize=(_BESIDE * _SMALL_PANEL, below * 1.25 * _SMALL_PANEL))
        grid = figure.subplots(below, _BESIDE, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, (name, named) in zip(grid, NAMED.items(), strict=False):
            weights = named.make().weights
            axes.imshow(weights, cmap=_colours(weights), norm=_range(weights))
            axes.set_title(
                f"{default_words(name)}\n{weights.shape[1]} x {weights.shape[0]}", size=8
            )
        figure.tight_layout()
        plotting.save(figure, file, suffix, dpi=150)


def _figure(kernel: Kernel, weights: Weights, number_format: str) -> Figure:
    """Place the panels, in inches: cells are square unless the kernel is a thin line."""
    rows, columns = weights.shape
    cell = _PANEL / max(rows, columns)
    height, width = max(rows * cell, _THIN), max(columns * cell, _THIN)
    with_factors = kernel.is_separable and min(rows, columns) > 1
    strip = max(cell, _THIN) if with_factors else 0.0
    beside = strip + _GAP if with_factors else 0.0
    left = _MARGIN + beside
    response_left = left + width + 1.3 + _MARGIN
    size = response_left + _PANEL + 1.1, max(_PANEL, height + beside) + 2 * _MARGIN
    bottom = (size[1] - height - beside) / 2 + beside
    figure = Figure(figsize=size)

    def panel(x: float, y: float, wide: float, high: float) -> Axes:
        return figure.add_axes((x / size[0], y / size[1], wide / size[0], high / size[1]))

    axes = panel(left, bottom, width, height)
    image = _heat_map(axes, weights, number_format, (width / columns, height / rows))
    scale = panel(left + width + _GAP, bottom, 0.16, height)
    figure.colorbar(image, cax=scale)
    total = 0 if kernel.is_derivative else kernel.sum()
    name = textwrap.shorten(kernel.name, 40, placeholder=" ...")
    axes.set_title(f"{name}: {columns} x {rows}, sum {total:.6g}")
    if with_factors:
        column, row = kernel.factors[0]
        each = panel(_MARGIN, bottom, strip, height)
        _heat_map(each, column[:, np.newaxis], ".2g", (strip, height / rows))
        axes.set_yticks([])
        each.set_xticks([])
        each.set_title("column")
        below = panel(left, bottom - _GAP - strip, width, strip)
        _heat_map(below, row[np.newaxis, :], ".2g", (width / columns, strip))
        axes.set_xticks([])
        below.set_yticks([])
        below.set_xlabel("row; pixels from the centre")
    else:
        axes.set_xlabel("pixels from the centre")
    _response(panel(response_left, (size[1] - _PANEL) / 2, _PANEL, _PANEL), figure, weights)
    return figure


def _heat_map(
    axes: Axes, values: Weights, number_format: str, cell: tuple[float, float]
) -> AxesImage:
    """Draw weights as colours, and as numbers where they fit into cells of `cell` inches."""
    rows, columns = values.shape
    # Weight n // 2 of a kernel of length n is its centre.
    left, top = -(columns // 2) - 0.5, -(rows // 2) - 0.5
    image = axes.imshow(
        values,
        cmap=_colours(values),
        norm=_range(values),
        extent=(left, left + columns, top + rows, top),
        aspect="auto",
        interpolation="nearest",
    )
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.tick_params(length=0)
    if max(rows, columns) * _SMALLEST_TYPE > 72 * _PANEL:
        return image  # not even a single digit would fit
    texts = [[format(value, number_format) if value else "0" for value in row] for row in values]
    longest = max(len(text) for row in texts for text in row)
    type_size = min(_LARGEST_TYPE, 72 * 0.9 * cell[0] / (_DIGIT * longest), 72 * 0.6 * cell[1])
    if type_size < _SMALLEST_TYPE:
        return image
    is_light = luminance(np.asarray(image.cmap(image.norm(values))))[..., 0] > 0.5
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            axes.text(
                left + j + 0.5,
                top + i + 0.5,
                text,
                color="black" if is_light[i, j] else "white",
                size=type_size,
                ha="center",
                va="center",
            )
    return image


def _colours(values: Weights) -> str:
    return "RdBu_r" if values.min() < 0 else "viridis"


def _range(values: Weights) -> Normalize:
    """Return the range of the colours: symmetric if there are negative weights, so 0 is white."""
    largest = float(np.abs(values).max()) or 1.0
    return Normalize(-largest if values.min() < 0 else 0.0, largest)


def _response(axes: Axes, figure: Figure, weights: Weights) -> None:
    """Draw the magnitude of the frequency response in dB; a gain of 1 is 0 dB."""
    gain = np.abs(frequency_response(weights))
    peak = float(gain.max()) or 1.0
    decibels = 20 * np.log10(np.maximum(gain, peak * 10 ** (-_FLOOR_DB / 20)))
    top = 20 * math.log10(peak)
    half = 0.5 + 0.5 / _FREQUENCIES  # the outermost samples are at -0.5 and 0.5
    image = axes.imshow(
        decibels,
        cmap="magma",
        vmin=top - _FLOOR_DB,
        vmax=top,
        extent=(-half, half, half, -half),
        interpolation="nearest",
    )
    axes.set_xlim(-0.5, 0.5)
    axes.set_ylim(0.5, -0.5)
    axes.set_title(f"frequency response, at most {peak:.4g}")
    axes.set_xlabel("cycles per pixel along x")
    axes.set_ylabel("cycles per pixel along y")
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label="gain in dB")


def frequency_response(weights: Weights) -> Weights:
    """Return the Fourier transform at frequencies from -0.5 to 0.5 cycles per pixel.

    Parameters
    ----------
    weights : ndarray, (kh, kw)
        The weights of a kernel.

    Returns
    -------
    ndarray, (513, 513), complex
        Row and column 256 are frequency 0, where the value is the sum of the kernel.

    Notes
    -----
    A kernel that is longer than the transform is folded first: that samples its spectrum, so the
    values are exact for any size.
    """
    rows, columns = weights.shape
    folded = np.zeros((_FREQUENCIES, _FREQUENCIES))
    for top in range(0, rows, _FREQUENCIES):
        for left in range(0, columns, _FREQUENCIES):
            piece = weights[top : top + _FREQUENCIES, left : left + _FREQUENCIES]
            folded[: piece.shape[0], : piece.shape[1]] += piece
    spectrum = np.fft.fftshift(np.fft.fft2(folded))
    # -0.5 and 0.5 are the same frequency, which is drawn at both edges.
    return np.asarray(np.pad(spectrum, ((0, 1), (0, 1)), mode="wrap"))
