"""``convcli kernel``: show a kernel's weights, sum, rank and factors; save it or plot it."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Overwrite

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from convcli.kernels.kernel import Kernel, Weights

# Rows and columns of the largest table that is printed.
_MOST_SHOWN = 25
# Significant digits of the largest weight.
_DIGITS = 4

# Rows and columns of the drawing in a terminal: 12 of its 24 lines, so numbers have room.
_PICTURE = 24
# Weights (32 MB); a larger kernel is not expanded only for the drawing.
_MOST_PICTURED = 2**22

# Colours of weights at equal distances: viridis, or ColorBrewer's RdBu if some are negative.
_VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_BLUE_RED = ((5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31))


def command(
    kernel: Annotated[
        str,
        typer.Argument(
            metavar="K",
            help="A name: gaussian:SIGMA or gaussian:X,Y, its derivatives gaussian-x:SIGMA, "
            "gaussian-y, gaussian-xx, gaussian-xy and gaussian-yy, log:SIGMA, dog:SIGMA,SIGMA, "
            "gabor:WAVELENGTH,ANGLE,SIGMA and gabor-odd, box:SIZE or box:WIDTH,HEIGHT, "
            "disc:RADIUS, motion:LENGTH,ANGLE, sobel, sobel-y, scharr, scharr-y, prewitt, "
            "prewitt-y, laplacian, emboss, identity. Or a file (.npy, .csv, .txt, .json). Or rows "
            "of numbers: '1 0 -1; 2 0 -2; 1 0 -1'.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="Save the weights as .npy, .csv, .txt or .json."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Plot weights, factors and frequency response as .png, .svg or .pdf.",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show a kernel: its weights, sum, rank and factors.

    Example: convcli kernel sobel
    """
    from functools import partial

    from convcli import plotting
    from convcli.cli.paths import check_new
    from convcli.kernels.files import read_kernel, save_kernel

    if plot is not None:
        plotting.check(plot)
    for path in filter(None, (output, plot)):
        check_new(path, overwrite)
    chosen = read_kernel(kernel)
    if output is not None:
        _to_file(output, partial(save_kernel, chosen, output, overwrite))
    if plot is not None:
        _to_file(plot, partial(_draw, chosen, plot, overwrite))
    if output is None and plot is None:
        _show(chosen)


def _to_file(path: Path, write: Callable[[], None]) -> None:
    from convcli.errors import reason_of, shown

    try:
        write()
    except OSError as error:
        typer.echo(f"convcli: {shown(path)}: {reason_of(error)}", err=True)
        raise typer.Exit(1) from None


def _draw(kernel: Kernel, path: Path, overwrite: bool) -> None:
    from convcli.files.writing import new_file
    from convcli.kernels.drawing import draw_kernel

    with new_file(path, overwrite) as file:
        draw_kernel(kernel, file, path.suffix.lower(), _number_format(kernel.weights))


def _show(kernel: Kernel) -> None:
    from rich.console import Console

    from convcli.kernels.files import MOST_WRITTEN
    from convcli.kernels.kernel import MOST_WEIGHTS

    # Wider than any line: rich would wrap the factors, which a terminal does by itself.
    console = Console(width=10_000, highlight=False, markup=False, emoji=False)
    height, width = kernel.shape
    total = 0 if kernel.is_derivative else kernel.sum()
    # A kernel of zeros has rank 0, although it is applied as one term. Finding the rank of a
    # kernel without cheap factors could take many seconds.
    factors = kernel.cheap_factors if kernel.l1_norm else ()
    rank = "" if factors is None else f", rank {len(factors)}"
    console.print(f"{kernel.name}: {height} x {width}, sum {total:.6g}{rank}")
    _print_picture(console, kernel)
    if max(height, width) <= _MOST_SHOWN:
        _print_table(console, kernel.weights)
    elif height * width > MOST_WEIGHTS:
        console.print(
            f"too large to show, and its {height * width} weights are too many to save "
            f"(at most {MOST_WEIGHTS})"
        )
    else:
        hint = "-o NAME.npy" if height * width > MOST_WRITTEN else "-o"
        console.print(f"too large to show; save it with {hint} to see all {height * width} weights")
    if not factors or min(height, width) == 1:
        return
    if len(factors) == 1:
        column, row = factors[0]
        console.print("separable: the column", _line(column), "times the row", _line(row))
    elif len(factors) * (height + width) < kernel.taps:
        console.print(f"the sum of {len(factors)} separable terms")
        for column, row in factors:
            console.print(" ", _line(column), "times", _line(row))


def _print_picture(console: Console, kernel: Kernel) -> None:
    """Draw the weights as colours, if standard output is a terminal with colours."""
    from convcli.cli.screen.blocks import has_blocks, reduced, text_of

    is_seen = sys.stdout and sys.stdout.isatty() and has_blocks(console)
    if not is_seen or math.prod(kernel.shape) > _MOST_PICTURED:
        return
    import numpy as np

    side = min(_PICTURE, shutil.get_terminal_size().columns)
    weights = reduced(kernel.weights[..., np.newaxis], side, side)[..., 0]
    signed = bool(kernel.weights.min() < 0)
    largest = float(np.abs(weights).max()) or 1.0
    anchors = np.array(_BLUE_RED if signed else _VIRIDIS)
    at = (weights / largest + signed) / (1 + signed) * (len(anchors) - 1)
    steps = np.arange(len(anchors))
    colours = np.stack([np.interp(at, steps, anchors[:, c]) for c in range(3)], axis=2)
    enlarged = max(1, side // max(weights.shape))
    colours = colours.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    console.print(text_of(np.rint(colours).astype(np.uint8), console))


def _print_table(console: Console, weights: Weights) -> None:
    """Print the weights, with fewer digits on a narrow terminal and not at all on a narrower one.

    All digits are printed to a pipe.
    """
    for digits in (_DIGITS, _DIGITS - 1, _DIGITS - 2):
        table = _table(weights, _number_format(weights, digits), console.is_terminal)
        room = shutil.get_terminal_size().columns if console.is_terminal else console.width
        if console.measure(table).maximum <= room:
            console.print(table)
            return
    console.print("too wide for this terminal; save it with -o, plot it with --plot, or use a pipe")


def _table(weights: Weights, spec: str, is_terminal: bool) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(show_header=False, box=box.ROUNDED if is_terminal else box.ASCII)
    for _ in range(weights.shape[1]):
        table.add_column(justify="right", no_wrap=True)
    for row in weights.tolist():
        table.add_row(*(format(value, spec) if value else "0" for value in row))
    return table


def _number_format(weights: Weights, digits: int = _DIGITS) -> str:
    """Return one format for all weights: `digits` of the largest, fewer if none is lost."""
    import numpy as np

    largest = float(np.abs(weights).max())
    if largest > 0 and not 1e-4 <= largest < 1e6:
        return f".{digits - 1}e"
    decimals = max(0, digits - 1 - math.floor(math.log10(largest or 1)))
    while decimals > 0 and np.allclose(weights.round(decimals - 1), weights, rtol=1e-9, atol=0):
        decimals -= 1
    return f"z.{decimals}f"


def _line(values: Weights) -> str:
    shown = [f"{value:.4g}" for value in values]
    if len(shown) > _MOST_SHOWN:
        shown = [*shown[:6], "...", *shown[-6:]]
    return f"[{' '.join(shown)}]"
