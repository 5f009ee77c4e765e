"""``convcli edge``: edge detection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError
from convcli.words import Operator, Show

if TYPE_CHECKING:
    from convcli.cli.pipeline import Shares
    from convcli.filtering.stages import Stage


@with_shared_options
def command(
    shared: Shared,
    operator: Annotated[
        Operator | None,
        typer.Option(metavar="O", help="Kernels  [default: sobel]"),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Derivatives of a Gaussian of this sigma instead",
        ),
    ] = None,
    show: Annotated[
        Show,
        typer.Option(metavar="W", help="Show"),
    ] = "magnitude",
    canny: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="Draw thin white edges between these magnitudes",
        ),
    ] = None,
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch",
            help="Stretch the result to black and white",
        ),
    ] = False,
) -> None:
    """Detect edges in the luminance.

    A step from black to white gives 255. 'convcli help edges' explains what is shown, and
    Canny's thresholds.

    Examples:
      convcli edge photo.jpg -o edges.png
      convcli edge photo.jpg --stretch -o bright.png
      convcli edge photo.jpg --sigma 1.4 --canny 20,50 -o thin.png
    """
    from convcli.cli.run import grey_of, run

    run(shared, "edge", define(operator, sigma, show, canny, stretch), grey=grey_of(shared))


def define(
    operator: Operator | None,
    sigma: float | None,
    show: Show,
    canny: str | None,
    stretch: bool,
) -> Callable[[Shares], Stage]:
    """Check the command's own options; what is returned makes the filter of them."""
    if stretch and show == "angle":
        raise ConvcliError(
            "--stretch and --show angle cannot be used together; an angle has its own scale"
        )
    if stretch and canny is not None:
        raise ConvcliError(
            "--stretch and --canny cannot be used together; thin edges are white already"
        )
    both = None if canny is None else _numbers(canny)

    def make(_shared_by: Shares) -> Stage:
        from convcli.filtering.stages import stage

        return stage("edge", operator, show, sigma=sigma, canny=both, stretch=stretch)

    return make


def _numbers(canny: str) -> tuple[float, float]:
    """Parse --canny: two numbers, separated by a comma."""
    try:
        low, high = (float(word) for word in canny.split(","))
    except ValueError:
        raise ConvcliError(
            f"--canny must be two numbers separated by a comma, LOW,HIGH, not {canny!r}"
        ) from None
    return low, high
