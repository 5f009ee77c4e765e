"""``convcli blur``: a Gaussian blur."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError


@with_shared_options
def command(
    shared: Shared,
    sigma: Annotated[
        str,
        typer.Option(
            "-s",
            "--sigma",
            metavar="S",
            help="Standard deviation in pixels; X,Y sets it along x and along y.",
        ),
    ] = "3",
    truncate: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="Cut the kernel at int(T * sigma + 0.5) pixels from its centre.  [default: 4]",
        ),
    ] = None,
    radius: Annotated[
        int | None,
        typer.Option(metavar="R", help="Cut the kernel at R pixels from its centre instead."),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Sum in float64, without the coarser grid: exact to rounding error.",
        ),
    ] = False,
) -> None:
    """Blur with a Gaussian.

    8-bit images with a sigma of 6.4 or more are blurred on a coarser grid: within 0.01 of a level
    of the true Gaussian, at the same cost for any sigma. With --exact, --truncate or --radius the
    sampled kernel itself is applied.

    Example: convcli blur photo.jpg --sigma 3
    """
    from convcli.checks import count, positive
    from convcli.cli.run import Shares, Verb, in_plane, run, sigma_of

    if radius is not None and truncate is not None:
        raise ConvcliError("--radius and --truncate cannot be used together; leave one out")
    both = sigma_of(sigma)
    if truncate is not None:
        positive(truncate, "--truncate")
    if radius is not None:
        count(radius, "--radius", least=0)

    def verb(shared_by: Shares) -> Verb:
        from convcli.filtering.filters import blur
        from convcli.kernels.named import gaussian_kernel

        # Raises the error of an invalid kernel before any work.
        gaussian_kernel(both, 4.0 if truncate is None else truncate, radius)
        cut = None if radius is None else -(-radius // min(shared_by or (1, 1)))
        wide = in_plane(both, shared_by)
        return partial(blur, sigma=wide, truncate=truncate, radius=cut, exact=exact)

    run(shared, "blur", verb, keeps_level=True)
