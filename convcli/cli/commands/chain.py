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
            help="Commands with their own options, separated by '|': \"blur --sigma 2 | edge\". "
            "Or @FILE, a file with one stage a line, in which # begins a comment.",
            show_default=False,
        ),
    ],
) -> None:
    """Apply several filters in one pass; nothing is rounded or clipped between them.

    A stage is blur, edge, sharpen, filter or bank with its own options, and --border and
    --border-value if they differ from those of the chain. All other options are given once,
    after STAGES. Values are quoted as in a shell: "filter --kernel '1 0 -1' | blur --sigma 2".
    The maps of a bank must be an image, as in "bank gabor:1,1 --energy | blur --sigma 2".

    Light is decoded and colours are weighted by alpha once, before the first stage, and back
    after the last. edge, and a bank of one channel, give one channel to the stages after it.

    Example: convcli chain "blur --sigma 2 | sharpen --amount 0.8" photos/ -r -o out/
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
