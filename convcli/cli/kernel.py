"""``convcli kernel``: show a kernel's weights, sum, rank and factors, or save it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from convcli.kernel import Kernel, Weights

# A larger table is not read.
_MOST_SHOWN = 25


def command(
    kernel: Annotated[
        str,
        typer.Argument(
            metavar="K",
            help="A name: gaussian:SIGMA, log:SIGMA, box:SIZE, disc:RADIUS, "
            "motion:LENGTH,ANGLE, sobel, scharr, prewitt (and sobel-y...), laplacian, emboss, "
            "identity. Or a file (.npy, .csv, .txt, .json), or rows: '1 0 -1; 2 0 -2; 1 0 -1'.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="Save it as .npy, .csv, .txt or .json."
        ),
    ] = None,
) -> None:
    """Show a kernel: its weights, sum, rank and factors.

    convcli kernel sobel
    """
    from convcli.errors import ConvcliError, reason_of, shown
    from convcli.kernel_files import read_kernel, save_kernel

    chosen = read_kernel(kernel)
    if output is None:
        _show(chosen)
        return
    try:
        save_kernel(chosen, output)
    except FileExistsError:
        raise ConvcliError(f"{shown(output)} exists; name another file") from None
    except OSError as error:
        typer.echo(f"convcli: {shown(output)}: {reason_of(error)}", err=True)
        raise typer.Exit(1) from None


def _show(kernel: Kernel) -> None:
    from rich.console import Console

    # Wider than any table: rich would cut cells and break lines to fit the terminal; better
    # that the terminal wraps them.
    console = Console(width=10_000, highlight=False, markup=False, emoji=False)
    height, width = kernel.shape
    total = 0 if kernel.is_derivative else kernel.sum()
    # To find the rank of a larger kernel would take many seconds.
    rank = f", rank {kernel.rank}" if kernel.cheap_factors else ""
    console.print(f"{kernel.name}: {height} x {width}, sum {total:.6g}{rank}")
    if max(height, width) <= _MOST_SHOWN:
        _print_table(console, kernel.weights)
    else:
        console.print(f"too large to show; save it with -o to see all {height * width} weights")
    if not rank or min(height, width) == 1:
        return
    if kernel.rank == 1:
        column, row = kernel.factors[0]
        console.print("separable: the column", _line(column), "times the row", _line(row))
    elif kernel.rank * (height + width) < kernel.taps:
        console.print(f"the sum of {kernel.rank} separable terms")
        for column, row in kernel.factors:
            console.print(" ", _line(column), "times", _line(row))


def _print_table(console: Console, weights: Weights) -> None:
    from rich import box
    from rich.table import Table

    table = Table(show_header=False, box=box.ROUNDED if console.is_terminal else box.ASCII)
    for _ in range(weights.shape[1]):
        table.add_column(justify="right", no_wrap=True)
    spec = _number_format(weights)
    for row in weights.tolist():
        table.add_row(*(format(value, spec) if value else "0" for value in row))
    console.print(table)


def _number_format(weights: Weights) -> str:
    """Choose one format for all: 4 digits of the largest weight, fewer where none is lost."""
    import numpy as np

    largest = float(np.abs(weights).max())
    if largest > 0 and not 1e-4 <= largest < 1e6:
        return ".3e"
    decimals = max(0, 3 - math.floor(math.log10(largest or 1)))
    while decimals > 0 and np.allclose(weights.round(decimals - 1), weights, rtol=1e-9, atol=0):
        decimals -= 1
    return f"z.{decimals}f"


def _line(values: Weights) -> str:
    shown = [f"{value:.4g}" for value in values]
    if len(shown) > _MOST_SHOWN:
        shown = [*shown[:6], "...", *shown[-6:]]
    return f"[{' '.join(shown)}]"
