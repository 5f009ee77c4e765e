"""``convcli blur``: a Gaussian blur."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError

if TYPE_CHECKING:
    from convcli.cli.run import Shares
    from convcli.filtering.stages import Stage


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
    from convcli.cli.run import run

    run(shared, "blur", define(sigma, truncate, radius, exact))


def define(
    sigma: str, truncate: float | None, radius: int | None, exact: bool
) -> Callable[[Shares], Stage]:
    """Check the command's own options; what is returned makes the filter of them."""
    from convcli.checks import count, positive
    from convcli.cli.run import in_plane, sigma_of

    if radius is not None and truncate is not None:
        raise ConvcliError("--radius and --truncate cannot be used together; leave one out")
    both = sigma_of(sigma)
    if truncate is not None:
        positive(truncate, "--truncate")
    if radius is not None:
        count(radius, "--radius", least=0)

    def make(shared_by: Shares) -> Stage:
        from convcli.filtering.stages import stage

        cut = None if radius is None else -(-radius // min(shared_by or (1, 1)))
        wide = in_plane(both, shared_by)
        return stage("blur", wide, truncate=truncate, radius=cut, exact=exact)

    return make
