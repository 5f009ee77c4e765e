"""``convcli edge``: edge detection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError
from convcli.words import Operator, Show

if TYPE_CHECKING:
    from convcli.filtering.stages import Stage


@with_shared_options
def command(
    shared: Shared,
    operator: Annotated[
        Operator,
        typer.Option(help="Choose the operator; each smooths differently across the derivative."),
    ] = "sobel",
    show: Annotated[
        Show,
        typer.Option(help="Show the gradient's magnitude, its x or y component, or its direction."),
    ] = "magnitude",
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch",
            help="Stretch the result to black and white (x and y about mid-grey), each frame "
            "separately.",
        ),
    ] = False,
) -> None:
    """Detect edges in the luminance. A step from black to white gives 255.

    Only the stored luminance of a JPEG is decoded, unless --linear needs the colours.

    Example: convcli edge photo.jpg -o edges.png
    """
    from convcli.cli.run import grey_of, run

    run(shared, "edge", define(operator, show, stretch), grey=grey_of(shared))


def define(operator: Operator, show: Show, stretch: bool) -> Callable[[], Stage]:
    """Check the command's own options; what is returned makes the filter of them."""
    if stretch and show == "angle":
        raise ConvcliError(
            "--stretch and --show angle cannot be used together; an angle has its own scale"
        )

    def make() -> Stage:
        from convcli.filtering.stages import stage

        return stage("edge", operator, show, stretch=stretch)

    return make
