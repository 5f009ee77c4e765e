"""``convcli edge``: where brightness changes."""

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
        Operator, typer.Option(help="Whose smoothing across the derivative.")
    ] = "sobel",
    show: Annotated[
        Show,
        typer.Option(help="Strength, the derivative along x or along y, or the direction."),
    ] = "magnitude",
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch",
            help="Spread the result over black to white (x and y about mid-grey), each frame for "
            "itself.",
        ),
    ] = False,
) -> None:
    """Show edges: colour by its luminance, a full step gives 255.

    Of a JPEG only the luminance that is stored in it is decoded, unless --linear needs its
    colours.

    convcli edge photo.jpg -o edges.png
    """
    from convcli.cli.run import Verb, run

    if stretch and show == "angle":
        raise ConvcliError("--stretch is for strengths, and --show angle shows directions")

    def verb() -> Verb:
        import numpy as np

        from convcli.filtering.filters import edge

        spread = stretch or show == "angle"

        def edged(pixels: Pixels, **options: Unpack[Options]) -> Pixels:
            # Whole numbers of 32 bits come as float64, in which white is 1 and a turn 2 pi: they
            # would be rounded to nothing.
            if spread and pixels.dtype == np.float64:
                options["out_dtype"] = "float32"
            return edge(pixels, operator, show, stretch=stretch, **options)

        return edged

    run(shared, "edge", verb, grey="LA" if shared.alpha == "keep" else "L")
