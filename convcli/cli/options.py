"""The options of every filter command, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, wraps
from typing import Annotated, Any, get_type_hints

import typer

from convcli.cli import streams
from convcli.errors import ConvcliError
from convcli.words import Alpha, Border, Depth, Method, Nan

MaxPixels = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Refuse images of more than N pixels before decoding.  [default: 89478485]",
    ),
]

Overwrite = Annotated[bool, typer.Option("-f", "--overwrite", help="Replace existing outputs.")]


def only_one(kernels: list[str]) -> str:
    """Return the only --kernel, or raise `ConvcliError`: the last alone would count otherwise."""
    if len(kernels) > 1:
        raise ConvcliError(
            f"--kernel was given {len(kernels)} times, but one kernel is used; "
            "run the command once for each"
        )
    return kernels[0]


def _set_debug(context: typer.Context, debug: bool) -> bool:
    """Show what C libraries print, and let `convcli.cli.program` show tracebacks."""
    context.ensure_object(dict)["debug"] = debug
    if debug:
        streams.join_again()
    return debug


Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Print tracebacks and messages from C libraries.",
        callback=_set_debug,
        is_eager=True,
    ),
]


@dataclass(frozen=True)
class Shared:
    """The arguments and options of every filter command, one field each."""

    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help="Images, or folders with -r; '-' or no input means standard input.",
            show_default=False,
        ),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write to this file or folder; '-' is standard output.  [default: photo.jpg "
            "becomes photo.COMMAND.jpg beside it; standard input goes to standard output]",
        ),
    ] = None
    method: Annotated[
        Method,
        typer.Option(
            "-m",
            "--method",
            help="How to compute it; every method gives the same image. auto: the one predicted "
            "to be fastest; numpy: shifted slices; numba: compiled loops; fft: overlap-add; "
            "tiled: worker processes.",
        ),
    ] = "auto"
    workers: Annotated[
        int | None,
        typer.Option(
            "-w",
            "--workers",
            metavar="N",
            help="Use N threads or processes in total, at most 16 per core.  [default: every core]",
        ),
    ] = None
    border: Annotated[
        Border,
        typer.Option(
            help="What lies beyond the edges of a row abcd: reflect dcba|abcd|dcba, mirror "
            "dcb|abcd|cba, nearest aaa|abcd|ddd, wrap abcd|abcd|abcd, constant kkk|abcd|kkk."
        ),
    ] = "reflect"
    border_value: Annotated[
        float,
        typer.Option(
            metavar="V",
            help="Set the value k beyond the edge for --border constant, in the image's units.",
        ),
    ] = 0.0
    alpha: Annotated[
        Alpha,
        typer.Option(
            help="How to filter transparent images. weight: colours weighted by alpha; straight: "
            "every channel alike; keep: colours only, alpha unchanged."
        ),
    ] = "weight"
    linear: Annotated[
        bool, typer.Option("--linear", help="Filter linear light instead of sRGB code values.")
    ] = False
    nan: Annotated[
        Nan | None,
        typer.Option(
            help="What NaN does in images of floats. keep: it spreads as far as the kernel "
            "reaches; skip: it is left out of every sum, which is divided by the weights that "
            "remain.  [default: keep, or skip with a no-data value]",
        ),
    ] = None
    nodata: Annotated[
        float | None,
        typer.Option(
            metavar="V",
            help="Leave out samples of the value V as well.  [default: a TIFF's own no-data value]",
        ),
    ] = None
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WxH+X+Y",
            help="Filter only this rectangle, in pixels from the top left corner; repeat it for "
            "more. Every other pixel keeps its value.  [default: the whole image]",
            show_default=False,
        ),
    ] = None
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Filter where this grey image of the same size is white, keep where it is black, "
            "and mix where it is grey.",
        ),
    ] = None
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="Filter the luminance alone (luma), or only the channels named, such as r,g or a; "
            "the others keep their values.  [default: all]",
        ),
    ] = None
    recursive: Annotated[
        bool,
        typer.Option(
            "-r", "--recursive", help="Filter all images in folders and their subfolders."
        ),
    ] = False
    files_from: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Read input names from FILE, one per line; '-' is standard input."
        ),
    ] = None
    null: Annotated[
        bool,
        typer.Option(
            "-0", "--null", help="Separate the names in --files-from by NUL, as find -print0 does."
        ),
    ] = False
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Filter only the I-th of N equal parts of the inputs, such as 1/4."
        ),
    ] = None
    overwrite: Overwrite = False
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the inputs with their results.")
    ] = False
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Skip inputs whose output exists; this resumes an interrupted run.",
        ),
    ] = False
    format: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="Write png, jpeg, tiff, webp, avif, bmp, ppm, pam, y4m, exr, npy or gif.  "
            "[default: by the suffix of the output, or the format of the input]",
        ),
    ] = None
    depth: Annotated[
        Depth | None,
        typer.Option(
            help="Samples of the result. 8 or 16: scaled so that white stays white (257 times from "
            "8 to 16 bits), rounded once; float32: in the image's units, with sign and range, in "
            "TIFF, npy or exr.  [default: the input's]",
        ),
    ] = None
    quality: Annotated[
        int | None,
        typer.Option(
            metavar="Q",
            min=1,
            max=100,
            help="Set the quality of JPEG, WebP and AVIF.  [default: a JPEG input's, else 90]",
        ),
    ] = None
    png_level: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=9,
            help="Set the zlib level of PNG; 9 is the smallest and slowest.  [default: 1, or only "
            "runs of bytes where that is about as small]",
        ),
    ] = None
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", help="Drop metadata: colour profile, resolution, EXIF, XMP and text."
        ),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Print what would be done, and write nothing.")
    ] = False
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help="Show one image before and after in the terminal; write it only with -o.",
        ),
    ] = False
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Print the plan, why it was chosen, and predicted and measured times."
        ),
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per image on standard output.")
    ] = False
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Hold at most SIZE, such as 2G: a TIFF, .npy or zarr that takes more is filtered "
            "in parts.  [default: half of what is free]",
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Spread the images over a Dask cluster with a shared disk: tcp://host:8786, a "
            "scheduler file, or local:N for N workers here.",
        ),
    ] = None
    max_pixels: MaxPixels = None
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print a line for every image.")
    ] = False
    debug: Debug = False

    @property
    def writes(self) -> bool:
        """Whether results are written: not for a preview without -o."""
        return not self.preview or self.output is not None


@cache
def _shared_parameters() -> list[inspect.Parameter]:
    hints = get_type_hints(Shared, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(Shared)
    ]


def with_shared_options(
    function: Callable[..., None],
    *,
    first: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> Callable[..., None]:
    """Give a command the shared options: one for each field of its parameter `shared`.

    Typer reads the options of a command from its signature, which is therefore replaced. `first`
    names arguments of the command that stand before the inputs, and `without` shared options that
    it does not have.
    """
    signature = inspect.signature(function, eval_str=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in signature.parameters.values()
        if parameter.name != "shared"
    ]

    # First the inputs, then the options of the command, then the shared ones.
    inputs, *others = [each for each in _shared_parameters() if each.name not in without]
    names = {each.name for each in (inputs, *others)}
    before = [each for each in own if each.name in first]
    own = [each for each in own if each.name not in first]

    @wraps(function)
    def command(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in [*arguments] if name in names}
        shared = Shared(**given)
        function(shared=shared, **arguments)

    parameters = [*before, inputs, *own, *others]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    del command.__wrapped__
    return command
