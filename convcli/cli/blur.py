"""``convcli blur``: a Gaussian blur."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from convcli.cli.options import Shared, with_shared_options


@with_shared_options
def command(
    shared: Shared,
    sigma: Annotated[
        str,
        typer.Option(
            metavar="S",
            help="Standard deviation in pixels: one number, or X,Y for along x and along y.",
        ),
    ],
    truncate: Annotated[
        float,
        typer.Option(metavar="T", help="Cut the kernel at int(T * sigma + 0.5) pixels."),
    ] = 4.0,
    radius: Annotated[
        int | None, typer.Option(metavar="R", help="Cut the kernel at R pixels instead.")
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="The stated kernel to rounding error: sums in float64."),
    ] = False,
) -> None:
    """Blur with a Gaussian.

    convcli blur photo.jpg --sigma 3
    """
    from convcli.cli.run import numbers, run
    from convcli.filters import blur
    from convcli.kernels import gaussian_kernel

    values = numbers("--sigma", sigma, most=2)
    both = (values[0], values[-1])
    kernel = gaussian_kernel(both, truncate, radius)
    verb = partial(blur, sigma=both, truncate=truncate, radius=radius, exact=exact)
    run(shared, "blur", verb, (kernel,))
