"""``convcli edge``: edge detection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError
from convcli.words import Operator, Show

if TYPE_CHECKING:
    from convcli.cli.run import Shares
    from convcli.filtering.stages import Stage


@with_shared_options
def command(
    shared: Shared,
    operator: Annotated[
        Operator | None,
        typer.Option(
            help="Choose the operator; each smooths differently across the derivative.  "
            "[default: sobel]",
        ),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Take the derivatives of a Gaussian instead, with this standard deviation in "
            "pixels: g(y) g'(x) and g(x) g'(y), scaled so that a step of height h gives h.",
        ),
    ] = None,
    show: Annotated[
        Show,
        typer.Option(
            help="Show the gradient's magnitude, its x or y component or its direction, or the "
            "Laplacian: h on the dark side of a step, -h on the other.",
        ),
    ] = "magnitude",
    canny: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="Draw thin white edges instead: maxima of the magnitude of at least HIGH, and "
            "those of at least LOW that are connected to them, in the image's units. With --sigma "
            "a Gaussian smooths first, and Sobel's kernels follow.",
        ),
    ] = None,
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch",
            help="Stretch the result to black and white (x, y and laplacian about mid-grey), each "
            "frame separately.",
        ),
    ] = False,
) -> None:
    """Detect edges in the luminance. A step from black to white gives 255.

    Only the stored luminance of a JPEG is decoded, unless --linear needs the colours.

    Example: convcli edge photo.jpg -o edges.png
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
