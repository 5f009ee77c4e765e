"""``convcli filter``: convolution with any kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Shared, only_one, with_shared_options
from convcli.errors import ConvcliError

if TYPE_CHECKING:
    from convcli.cli.pipeline import Shares
    from convcli.filtering.stages import Stage


@with_shared_options
def command(
    shared: Shared,
    kernels: Annotated[
        list[str],
        typer.Option(
            "-k",
            "--kernel",
            metavar="K",
            help="A name such as box:5, a file, or rows: '1 0 -1; 2 0 -2'",
        ),
    ],
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Divide the kernel by its sum")
    ] = False,
    scale: Annotated[float, typer.Option(metavar="X", help="Multiply the kernel by X")] = 1.0,
    bias: Annotated[
        float, typer.Option(metavar="B", help="Add B to the result, such as 128")
    ] = 0.0,
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch",
            help="Stretch the result to black and white",
        ),
    ] = False,
    correlate: Annotated[bool, typer.Option("--correlate", help="Do not flip the kernel")] = False,
    stride: Annotated[
        int, typer.Option(metavar="N", min=1, help="Keep every N-th pixel along each axis")
    ] = 1,
    dilation: Annotated[
        int, typer.Option(metavar="N", min=1, help="Space the weights N pixels apart")
    ] = 1,
) -> None:
    """Convolve with any kernel.

    'convcli kernel' shows all kernels that have names. Files are .npy, .csv, .txt or .json
    ('convcli help kernels'). A kernel that sums to 0 gives dark results: --stretch or --bias 128
    helps.

    Examples:
      convcli filter photo.jpg --kernel motion:15,30
      convcli filter photo.jpg --kernel "0 -1 0; -1 5 -1; 0 -1 0"
      convcli filter photo.jpg -k laplacian --stretch -o laplacian.png
    """
    from convcli.cli.run import run

    run(
        shared,
        "filter",
        define(kernels, normalize, scale, bias, stretch, correlate, stride, dilation),
    )


def define(
    kernels: list[str],
    normalize: bool,
    scale: float,
    bias: float,
    stretch: bool,
    correlate: bool,
    stride: int,
    dilation: int,
) -> Callable[[Shares], Stage | None]:
    """Check the command's own options; what is returned makes the filter of them."""
    from convcli.checks import finite

    kernel = only_one(kernels)
    finite(**{"--scale": scale, "--bias": bias})
    if stretch and bias:
        raise ConvcliError(
            "--stretch and --bias cannot be used together; a stretch has its own black and white"
        )

    def make(shared_by: Shares) -> Stage | None:
        from convcli.filtering.stages import stage
        from convcli.kernels.files import read_kernel

        chosen = read_kernel(kernel)
        if normalize:
            chosen = chosen.normalized()
        if scale != 1:
            chosen = chosen.scaled(scale)
        if dilation > 1:
            chosen = chosen.dilated(dilation)
        if shared_by and (stretch or shared_by != (1, 1)):
            return None
        # What is added to red, green and blue is added to the luma, and to no chroma.
        added = 0.0 if shared_by else bias
        return stage(
            "filter", chosen, correlate=correlate, bias=added, stride=stride, stretch=stretch
        )

    return make
