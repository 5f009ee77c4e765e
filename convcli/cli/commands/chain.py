"""``convcli chain``: several filters in one pass."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from convcli.cli.options import Shared, with_shared_options


@partial(with_shared_options, first=("stages",))
def command(
    shared: Shared,
    stages: Annotated[
        str,
        typer.Argument(
            metavar="STAGES",
            help="Filters separated by '|', or @FILE with one on a line",
            show_default=False,
        ),
    ],
) -> None:
    """Apply several filters in one pass.

    Nothing is rounded or clipped between them. A stage is blur, edge, sharpen, filter or bank with
    its own options, and --border if it differs. All other options are given once, after STAGES
    ('convcli help chains').

    Examples:
      convcli chain "blur --sigma 2 | sharpen --amount 0.8" photos/ -r -o out/
      convcli chain "filter --kernel '1 0 -1' | blur --sigma 2" photo.jpg
      convcli chain @soft.chain photo.jpg -o soft.jpg
    """
    from convcli.cli.run import grey_of, run
    from convcli.cli.stages import parsed

    several = parsed(stages, shared)
    first, *later = several
    run(
        shared,
        "chain",
        *(each.make for each in several),
        grey=grey_of(shared) if first.is_grey else None,
        has_later_grey=not first.is_grey and any(each.is_grey for each in later),
    )
