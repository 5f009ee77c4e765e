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
    from convcli.cli.run import Shares, Verb, run

    if stretch and show == "angle":
        raise ConvcliError(
            "--stretch and --show angle cannot be used together; an angle has its own scale"
        )

    spread = stretch or show == "angle"

    def verb(_shared_by: Shares) -> Verb:
        import numpy as np

        from convcli.filtering.filters import edge

        def edged(pixels: Pixels, **options: Unpack[Options]) -> Pixels:
            # 32-bit integers are read as float64, where white is 1 and a full turn 2 pi: such
            # results would be rounded to 0 in the integers.
            if spread and pixels.dtype == np.float64 and "out_dtype" not in options:
                options["out_dtype"] = "float32"
            return edge(pixels, operator, show, stretch=stretch, **options)

        return edged

    run(shared, "edge", verb, "LA" if shared.alpha == "keep" else "L", spread)
