"""``convcli edge``: edge detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError
from convcli.words import Operator, Show

if TYPE_CHECKING:
    from convcli.filtering.options import Options
    from convcli.types import Pixels


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
    from convcli.cli.run import Shares, Verb, run

    if stretch and show == "angle":
        raise ConvcliError(
            "--stretch and --show angle cannot be used together; an angle has its own scale"
        )
    if stretch and canny is not None:
        raise ConvcliError(
            "--stretch and --canny cannot be used together; thin edges are white already"
        )
    both = None if canny is None else _numbers(canny)
    spread = stretch or show == "angle" or both is not None

    def verb(_shared_by: Shares) -> Verb:
        import numpy as np

        from convcli.filtering.canny import thresholds
        from convcli.filtering.edges import kernels_for
        from convcli.filtering.filters import edge

        # Raise the errors of the arguments before any work.
        kernels_for(operator, show, sigma, both is not None)
        if both is not None:
            thresholds(both)

        def edged(pixels: Pixels, **options: Unpack[Options]) -> Pixels:
            # 32-bit integers are read as float64, where white is 1 and a full turn 2 pi: such
            # results would be rounded to 0 in the integers.
            if spread and pixels.dtype == np.float64 and "out_dtype" not in options:
                options["out_dtype"] = "float32"
            return edge(pixels, operator, show, sigma=sigma, canny=both, stretch=stretch, **options)

        return edged

    run(shared, "edge", verb, "LA" if shared.alpha == "keep" else "L", spread)


def _numbers(canny: str) -> tuple[float, float]:
    """Parse --canny: two numbers, separated by a comma."""
    try:
        low, high = (float(word) for word in canny.split(","))
    except ValueError:
        raise ConvcliError(
            f"--canny must be two numbers separated by a comma, LOW,HIGH, not {canny!r}"
        ) from None
    return low, high
