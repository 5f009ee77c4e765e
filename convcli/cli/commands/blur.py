"""``convcli blur``: a Gaussian blur."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError

if TYPE_CHECKING:
    from convcli.cli.pipeline import Shares
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
            help="Standard deviation in pixels, or X,Y",
        ),
    ] = "3",
    truncate: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="Cut the kernel at T * sigma pixels  [default: 4]",
        ),
    ] = None,
    radius: Annotated[
        int | None,
        typer.Option(metavar="R", help="Cut it at R pixels from its centre instead"),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Sum in float64, and do not approximate wide blurs",
        ),
    ] = False,
) -> None:
    """Blur with a Gaussian.

    Wide blurs of 8-bit images, from sigma 6.4 on, are within 0.01 of a level of the true Gaussian
    ('convcli help speed'). 'convcli help sigma' says how to choose a sigma, and 'convcli help
    borders' shows the borders.

    Examples:
      convcli blur photo.jpg --sigma 3
      convcli blur photos/ -r -o soft/ -s 1.5
    """
    from convcli.cli.run import run

    run(shared, "blur", define(sigma, truncate, radius, exact))


def define(
    sigma: str, truncate: float | None, radius: int | None, exact: bool
) -> Callable[[Shares], Stage]:
    """Check the command's own options; what is returned makes the filter of them."""
    from convcli.checks import count, positive
    from convcli.cli.pipeline import in_plane
    from convcli.cli.run import sigma_of

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
