"""``convcli sharpen``: an unsharp mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Shared, with_shared_options

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
            help="Sigma of the blur in pixels, or X,Y",
        ),
    ] = "1",
    amount: Annotated[float, typer.Option(metavar="A", help="Add A times (image - blurred)")] = 1.0,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="T",
            help="Ignore differences of at most T levels",
        ),
    ] = 0.0,
) -> None:
    """Sharpen with an unsharp mask.

    The result is image + amount * (image - blurred). With --linear the threshold counts levels of
    light. 'convcli help sigma' says how to choose a sigma.

    Examples:
      convcli sharpen photo.jpg --sigma 1.5 --amount 0.8
      convcli sharpen photos/ -r -o crisp/ --threshold 2
    """
    from convcli.cli.run import run

    run(shared, "sharpen", define(sigma, amount, threshold))


def define(sigma: str, amount: float, threshold: float) -> Callable[[Shares], Stage]:
    """Check the command's own options; what is returned makes the filter of them."""
    from convcli.checks import at_least_0
    from convcli.cli.pipeline import in_plane
    from convcli.cli.run import sigma_of

    both = sigma_of(sigma)
    at_least_0(**{"--amount": amount, "--threshold": threshold})

    def make(shared_by: Shares) -> Stage:
        from convcli.filtering.stages import stage

        return stage("sharpen", in_plane(both, shared_by), amount, threshold)

    return make
