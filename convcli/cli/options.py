"""The options that every filter has, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, wraps
from typing import Annotated, Any, get_type_hints

import typer

from convcli.cli import streams
from convcli.words import Alpha, Border, Method

MaxPixels = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Refuse larger pictures before they are decoded.  [default: 89478485]",
    ),
]

Overwrite = Annotated[bool, typer.Option("-f", "--overwrite", help="Replace outputs that exist.")]


def _set_debug(context: typer.Context, debug: bool) -> bool:
    """Show what C libraries print, and let `convcli.cli.program` show tracebacks."""
    context.ensure_object(dict)["debug"] = debug
    if debug:
        streams.join_again()
    return debug


Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks.", callback=_set_debug, is_eager=True),
]


@dataclass(frozen=True)
class Shared:
    """What can be said to every filter; each field is one option of the command line."""

    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help="Pictures, or folders with -r; '-' or nothing is standard input.",
            show_default=False,
        ),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="File, folder, or '-' for standard output. Without it photo.jpg becomes "
            "photo.COMMAND.jpg beside it; standard input goes to standard output.",
        ),
    ] = None
    method: Annotated[
        Method,
        typer.Option(
            "-m",
            "--method",
            help="Who convolves; all give the same picture. numpy: shifted slices. numba: "
            "compiled loops. fft: overlap-add. tiled: processes. auto: the fastest.",
        ),
    ] = "auto"
    workers: Annotated[
        int | None,
        typer.Option(
            "-w",
            "--workers",
            metavar="N",
            help="Cores to use in all, at most 16 times as many as there are.  "
            "[default: every core]",
        ),
    ] = None
    border: Annotated[
        Border,
        typer.Option(
            help="Beyond the edge of a row abcd: reflect dcba|abcd|dcba, mirror dcb|abcd|cba, "
            "nearest aaa|abcd|ddd, wrap abcd|abcd|abcd, constant kkk|abcd|kkk."
        ),
    ] = "reflect"
    border_value: Annotated[
        float,
        typer.Option(metavar="V", help="The k of --border constant, in the picture's units."),
    ] = 0.0
    alpha: Annotated[
        Alpha,
        typer.Option(
            help="Colours weighted by their alpha; every channel alike; colours filtered and "
            "alpha left as it is."
        ),
    ] = "weight"
    linear: Annotated[
        bool, typer.Option("--linear", help="Filter light, not sRGB code values.")
    ] = False
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Walk folders.")] = False
    files_from: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Read the inputs from a list, one a line; '-' is standard input."
        ),
    ] = None
    null: Annotated[
        bool, typer.Option("-0", "--null", help="NUL between the names of that list.")
    ] = False
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Do the I-th of N equal parts of the inputs."),
    ] = None
    overwrite: Overwrite = False
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the inputs by the results.")
    ] = False
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave outputs that exist, do the rest.")
    ] = False
    format: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="Output format: png, jpeg, tiff, webp, avif, bmp, ppm or gif.  "
            "[default: by the suffix, or the input's own]",
        ),
    ] = None
    quality: Annotated[
        int | None,
        typer.Option(
            metavar="Q",
            min=1,
            max=100,
            help="JPEG, WebP and AVIF quality, 1 to 100.  [default: a JPEG's own, else 90]",
        ),
    ] = None
    png_level: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=9,
            help="zlib level for PNG, 0 to 9 (smallest, slow).  [default: 1, or only runs of "
            "bytes where they are about as small]",
        ),
    ] = None
    strip: Annotated[
        bool,
        typer.Option("--strip", help="Drop metadata: profile, resolution, EXIF, XMP, text."),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would be done; write nothing.")
    ] = False
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help="Show one picture before and after, in the terminal; without -o write nothing.",
        ),
    ] = False
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Say which plan runs and why, its predicted and its measured time."
        ),
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a file on standard output.")
    ] = False
    max_pixels: MaxPixels = None
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print a line for every picture.")
    ] = False
    debug: Debug = False

    @property
    def writes(self) -> bool:
        """Whether results are written: a preview alone is only looked at."""
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


def with_shared_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options: its parameter `shared` becomes one option a field.

    Typer reads a command's options from its signature, so the signature is what is changed.
    """
    signature = inspect.signature(function, eval_str=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in signature.parameters.values()
        if parameter.name != "shared"
    ]

    @wraps(function)
    def command(**arguments: Any) -> None:
        shared = Shared(**{field.name: arguments.pop(field.name) for field in fields(Shared)})
        function(shared=shared, **arguments)

    # The inputs first, then what is the command's own, then what all have.
    inputs, *others = _shared_parameters()
    parameters = [inputs, *own, *others]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    del command.__wrapped__
    return command
