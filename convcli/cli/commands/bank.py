"""``convcli bank``: many kernels at once, an image for each map."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.help import FILES, SPEED
from convcli.cli.options import Shared, with_shared_options
from convcli.errors import ConvcliError
from convcli.words import BankMethod, MapDepth

if TYPE_CHECKING:
    from convcli.batch.pipeline import Pipeline
    from convcli.cli.pipeline import Maker


@partial(
    with_shared_options,
    first=("bank",),
    without=(
        *("method", "border_value", "alpha", "linear", "nan", "nodata"),
        *("in_place", "preview", "depth", "memory", "region", "mask", "channels"),
    ),
)
def command(
    shared: Shared,
    bank: Annotated[
        str,
        typer.Argument(
            metavar="BANK",
            help="gabor:ANGLES,SCALES, steerable:SIGMA, laws, haar, starlet:LEVELS, "
            "unsharp:LEVELS, or a file of weights (.npy, .npz, .safetensors)",
            show_default=False,
        ),
    ],
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Use this array of a weights file"),
    ] = None,
    angle: Annotated[
        float | None,
        typer.Option(metavar="A", help="Angle of steerable in degrees, counter-clockwise"),
    ] = None,
    mosaic: Annotated[
        bool,
        typer.Option("--mosaic", help="Write one contact sheet of all maps"),
    ] = False,
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Keep every N-th result  [default: 1, or 2 for haar]",
        ),
    ] = None,
    dilation: Annotated[
        int, typer.Option(metavar="N", min=1, help="Space the weights N pixels apart")
    ] = 1,
    groups: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Groups of channels; 3 keeps colours apart",
        ),
    ] = 1,
    relu: Annotated[bool, typer.Option("--relu", help="Replace negative results by 0")] = False,
    pool: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Keep the largest of each N x N results"),
    ] = 1,
    energy: Annotated[
        bool,
        typer.Option(
            "--energy",
            help="Magnitude of each pair of even and odd maps (gabor)",
        ),
    ] = False,
    depth: Annotated[
        MapDepth,
        typer.Option(metavar="D", help="Samples of the maps", rich_help_panel=FILES),
    ] = "8",
    method: Annotated[
        BankMethod,
        typer.Option(
            "-m",
            "--method",
            metavar="M",
            help="Method",
            rich_help_panel=SPEED,
        ),
    ] = "auto",
) -> None:
    """Apply a bank of kernels, and write an image for each map.

    Each map of photo.jpg becomes photo.NAME.png in the folder -o, or without -o photo.bank.NAME.png
    beside the image.

    The kernels are not flipped, as in the layers of a network. A bank of one channel is applied to
    the luminance, and one of 3 channels to red, green and blue ('convcli help banks').

    Examples:
      convcli bank gabor:8,3 photo.jpg -o maps/
      convcli bank laws photo.jpg --mosaic -o sheet.png
    """
    from convcli.banks.maps import Wish, bank_from, maps_for
    from convcli.batch import maps as batch
    from convcli.cli.pipeline import writer
    from convcli.cli.run import carry_out

    shared = _with_output(shared, mosaic, depth)
    wish = Wish(stride, dilation, groups, relu, pool, energy, shared.border, method)
    maps = maps_for(bank_from(bank, layer, angle), wish)
    read = partial(batch.read, maps=maps)

    def pipeline(_preview: object) -> Pipeline:
        from convcli.batch.pipeline import Pipeline
        from convcli.filtering.options import Options
        from convcli.planning.methods import worker_count

        worker_count(shared.workers)
        write = writer(shared)
        if not mosaic:
            write = partial(batch.write, names=maps.names, keeps=shared.skip_existing, write=write)
        return Pipeline(
            verb=partial(batch.made, maps=maps, mosaic=mosaic, depth=depth),
            # "weight" says which images have an alpha; a bank leaves out no samples.
            options=Options(alpha="weight", nan="keep"),
            read=read,
            write=write,
        )

    carry_out(shared, "bank", read, pipeline, () if mosaic else maps.names)


def define(
    bank: str,
    layer: str | None,
    angle: float | None,
    mosaic: bool,
    stride: int | None,
    dilation: int,
    groups: int,
    relu: bool,
    pool: int,
    energy: bool,
) -> Maker:
    """Check the command's own options for a stage of a chain, and make the filter of them."""
    from convcli.filtering.stages import stage

    if mosaic:
        raise ConvcliError(
            "--mosaic makes a sheet of many maps, and a stage one image; leave it out"
        )
    if pool > 1:
        raise ConvcliError("--pool is not for stages; leave it out, or use --stride")
    made = stage(
        "bank", bank, layer=layer, angle=angle, stride=stride, dilation=dilation, groups=groups,
        relu=relu, energy=energy,
    )  # fmt: skip
    return lambda shared_by: None if shared_by else made


def _with_output(shared: Shared, mosaic: bool, depth: MapDepth) -> Shared:
    """Complete -o and --format: any name without an image's suffix is a folder; PNG, or TIFF."""
    from pathlib import Path

    from convcli.files.formats import format_named, is_picture, mode_for

    output, is_file = shared.output, False
    if output and output != "-":
        is_file = is_picture(Path(output)) and not output.endswith("/")
        output = output if is_file else f"{output.rstrip('/')}/"
    if depth == "float32":
        if mosaic:
            raise ConvcliError(
                "--mosaic and --depth float32 cannot be used together: a contact sheet has 8 bits; "
                "leave one out"
            )
        chosen = format_named(shared.format or "tiff")
        mode_for(chosen, "F")
        return replace(shared, output=output, format=chosen)
    usual = None if mosaic and is_file else "png"
    return replace(shared, output=output, format=shared.format or usual)
