"""``convcli sharpen``: an unsharp mask."""

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
            "-s",
            "--sigma",
            metavar="S",
            help="Standard deviation of the blur in pixels; X,Y sets it along x and along y.",
        ),
    ] = "1",
    amount: Annotated[
        float, typer.Option(metavar="A", help="Add A times the difference from the blurred image.")
    ] = 1.0,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="T",
            help="Ignore differences of at most T levels (levels of light with --linear).",
        ),
    ] = 0.0,
) -> None:
    """Sharpen with an unsharp mask: image + amount * (image - blurred).

    Example: convcli sharpen photo.jpg --sigma 1.5 --amount 0.8
    """
    from convcli.checks import at_least_0
    from convcli.cli.run import Shares, Verb, in_plane, run, sigma_of

    both = sigma_of(sigma)
    at_least_0(**{"--amount": amount, "--threshold": threshold})

    def verb(shared_by: Shares) -> Verb:
        from convcli.filtering.filters import sharpen
        from convcli.kernels.named import gaussian_kernel

        gaussian_kernel(both)  # raises the error of an invalid kernel
        return partial(sharpen, sigma=in_plane(both, shared_by), amount=amount, threshold=threshold)

    run(shared, "sharpen", verb, keeps_level=True)
