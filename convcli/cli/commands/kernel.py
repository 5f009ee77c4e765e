"""``convcli kernel``: show a kernel's weights, sum, rank and factors; save it or plot it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Overwrite
from convcli.cli.screen import lines

if TYPE_CHECKING:
    from convcli.kernels.kernel import Kernel


def command(
    kernel: Annotated[
        str | None,
        typer.Argument(
            metavar="[K]",
            show_default=False,
            help="A name: gaussian:SIGMA or gaussian:X,Y, its derivatives gaussian-x:SIGMA, "
            "gaussian-y, gaussian-xx, gaussian-xy and gaussian-yy, log:SIGMA, dog:SIGMA,SIGMA, "
            "gabor:WAVELENGTH,ANGLE,SIGMA and gabor-odd, box:SIZE or box:WIDTH,HEIGHT, "
            "disc:RADIUS, motion:LENGTH,ANGLE, sobel, sobel-y, scharr, scharr-y, prewitt, "
            "prewitt-y, laplacian, emboss, identity. Or a file (.npy, .csv, .txt, .json). Or rows "
            "of numbers: '1 0 -1; 2 0 -2; 1 0 -1'. Without it all names are shown.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="Save the weights as .npy, .csv, .txt or .json"
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Plot weights and response as .png, .svg or .pdf",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show a kernel: its weights, sum, rank and factors.

    Without K it shows all kernels that have names ('convcli help kernels').

    Examples:
      convcli kernel sobel
      convcli kernel disc:3 -o disc.csv --plot disc.png
    """
    from functools import partial

    from convcli import plotting
    from convcli.cli.paths import check_new
    from convcli.errors import ConvcliError
    from convcli.kernels.files import read_kernel, save_kernel

    if plot is not None:
        plotting.check(plot)
    for path in filter(None, (output, plot)):
        check_new(path, overwrite)
    chosen = None if kernel is None else read_kernel(kernel)
    if output is not None:
        if chosen is None:
            raise ConvcliError(
                "-o saves one kernel; name it, such as: convcli kernel disc:3 -o k.npy"
            )
        _to_file(output, partial(save_kernel, chosen, output, overwrite))
    if plot is not None:
        _to_file(plot, partial(_draw, chosen, plot, overwrite))
    if output is None and plot is None:
        from convcli.cli.screen.kernels import show, show_all

        show(chosen) if chosen else show_all()


def _to_file(path: Path, write: Callable[[], None]) -> None:
    from convcli.errors import reason_of, shown

    try:
        write()
        typer.echo(f"wrote {shown(path)}", err=True)
    except OSError as error:
        typer.echo(lines.error(f"{shown(path)}: {reason_of(error)}"), err=True)
        raise typer.Exit(1) from None


def _draw(kernel: Kernel | None, path: Path, overwrite: bool) -> None:
    from convcli.cli.screen.kernels import number_format
    from convcli.files.writing import new_file
    from convcli.kernels.drawing import draw_all, draw_kernel

    with new_file(path, overwrite) as file:
        if kernel:
            draw_kernel(kernel, file, path.suffix.lower(), number_format(kernel.weights))
        else:
            draw_all(file, path.suffix.lower())
