"""The options of every filter command, declared once.

Annotations are no strings here: compiling those of 40 options took 5 ms of every start.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, partial, wraps
from typing import Annotated, Any

import typer

from convcli.cli import streams
from convcli.cli.help import COLOUR, FILES, PART, REPORTING, SPEED
from convcli.errors import ConvcliError
from convcli.words import Alpha, Border, Depth, Method, Nan

_files, _part, _colour, _speed, _reporting = (
    partial(typer.Option, rich_help_panel=title)
    for title in (FILES, PART, COLOUR, SPEED, REPORTING)
)

MaxPixels = Annotated[
    int | None,
    _files(metavar="N", min=1, help="Refuse larger images unread  [default: 89478485 pixels]"),
]

Overwrite = Annotated[bool, _files("-f", "--overwrite", help="Replace existing outputs")]


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
    _reporting(
        "--debug",
        help="Print tracebacks and messages of C libraries",
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
            help="Images; folders with -r; '-' or none: standard input",
            show_default=False,
        ),
    ] = None
    border: Annotated[Border, typer.Option(metavar="B", help="Edge")] = "reflect"
    border_value: Annotated[
        float, typer.Option(metavar="V", help="What lies beyond the edge, for constant")
    ] = 0.0
    output: Annotated[
        str | None,
        _files(
            "-o",
            "--output",
            metavar="PATH",
            help="File, folder or '-'  [default: beside the input]",
        ),
    ] = None
    overwrite: Overwrite = False
    in_place: Annotated[
        bool, _files("--in-place", help="Replace the inputs with their results")
    ] = False
    skip_existing: Annotated[
        bool, _files("--skip-existing", help="Skip existing outputs; resumes a run")
    ] = False
    newer: Annotated[
        bool, _files("--newer", help="Skip outputs that are newer than their input")
    ] = False
    recursive: Annotated[
        bool, _files("-r", "--recursive", help="Filter all images in folders and subfolders")
    ] = False
    files_from: Annotated[
        str | None,
        _files(metavar="FILE", help="Read names of inputs from FILE, one a line, or '-'"),
    ] = None
    null: Annotated[
        bool, _files("-0", "--null", help="Names in --files-from end in NUL: find -print0")
    ] = False
    exclude: Annotated[
        list[str] | None,
        _files(
            metavar="GLOB",
            help="Leave out files or folders: '*.tmp.png' (repeatable)",
            show_default=False,
        ),
    ] = None
    flat: Annotated[bool, _files("--flat", help="Make no folders below the output folder")] = False
    base: Annotated[
        str | None, _files(metavar="DIR", help="Name outputs by their paths below DIR")
    ] = None
    suffix: Annotated[
        str | None,
        _files(metavar="S", help="Add S to names: photo_soft.jpg  [default: .COMMAND]"),
    ] = None
    shard: Annotated[
        str | None,
        _files(metavar="I/N", help="Filter the I-th of N equal parts of the inputs: 1/4"),
    ] = None
    format: Annotated[
        str | None,
        _files(metavar="F", help="png, jpeg, tiff, npy, ...  [default: output's suffix]"),
    ] = None
    depth: Annotated[
        Depth | None,
        _files(metavar="D", help="Samples  [default: the input's]"),
    ] = None
    quality: Annotated[
        int | None,
        _files(
            metavar="Q",
            min=1,
            max=100,
            help="1 to 100, for JPEG, WebP, AVIF  [default: input's or 90]",
        ),
    ] = None
    png_level: Annotated[
        int | None,
        _files(
            metavar="N", min=0, max=9, help="Compression of PNG, 0 to 9: 9 is smallest and slowest"
        ),
    ] = None
    strip: Annotated[
        bool, _files("--strip", help="Drop metadata: profile, resolution, EXIF, XMP, text")
    ] = False
    max_pixels: MaxPixels = None
    region: Annotated[
        list[str] | None,
        _part(
            metavar="WxH+X+Y",
            help="Filter only this rectangle of pixels (repeatable)",
            show_default=False,
        ),
    ] = None
    mask: Annotated[
        str | None, _part(metavar="FILE", help="Filter where this grey image is white")
    ] = None
    channels: Annotated[
        str | None, _part(metavar="C", help="Filter only luma, or r,g,b,a  [default: all]")
    ] = None
    nan: Annotated[
        Nan | None, _part(metavar="W", help="Missing samples (NaN)  [default: keep]")
    ] = None
    nodata: Annotated[
        float | None,
        _part(metavar="V", help="Treat samples of V as missing  [default: the TIFF's own]"),
    ] = None
    alpha: Annotated[Alpha, _colour(metavar="A", help="Transparency")] = "weight"
    linear: Annotated[
        bool, _colour("--linear", help="Filter linear light instead of sRGB code values")
    ] = False
    method: Annotated[
        Method, _speed("-m", "--method", metavar="M", help="Method", envvar="CONVCLI_METHOD")
    ] = "auto"
    workers: Annotated[
        int | None,
        _speed(
            "-w",
            "--workers",
            metavar="N",
            help="Threads or processes in total  [default: every core]",
            envvar="CONVCLI_WORKERS",
        ),
    ] = None
    memory: Annotated[
        str | None,
        _speed(metavar="SIZE", help="Memory to use at most: 2G  [default: half the free]"),
    ] = None
    cluster: Annotated[
        str | None,
        _speed(metavar="WHERE", help="Dask cluster: tcp://HOST:PORT, a file, or local:N"),
    ] = None
    dry_run: Annotated[
        bool, _reporting("-n", "--dry-run", help="Print what would be done; write nothing")
    ] = False
    preview: Annotated[
        bool, _reporting("--preview", help="Show before and after in the terminal")
    ] = False
    explain: Annotated[
        bool, _reporting("--explain", help="Print the plan, why, and predicted and measured times")
    ] = False
    json: Annotated[bool, _reporting("--json", help="Print a JSON object for each image")] = False
    quiet: Annotated[bool, _reporting("-q", "--quiet", help="Print errors only")] = False
    verbose: Annotated[bool, _reporting("-v", "--verbose", help="Print a line for each image")] = (
        False
    )
    debug: Debug = False

    @property
    def replaces(self) -> bool:
        """Whether outputs that exist are replaced."""
        return self.overwrite or self.in_place or self.newer

    @property
    def writes(self) -> bool:
        """Whether results are written: not for a preview without -o."""
        return not self.preview or self.output is not None


@cache
def _shared_parameters() -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.type,
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
