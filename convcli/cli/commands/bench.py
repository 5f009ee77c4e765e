"""``convcli bench``: race the methods, the classical loops and other packages."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Debug, Overwrite

if TYPE_CHECKING:
    from convcli.kernels.kernel import Kernel
    from convcli.racing.race import Case, OnChange
    from convcli.racing.results import Race, Result
    from convcli.types import Pixels

_REFRESH_SECONDS = 0.1
# Of the picture that is made: those of most cameras.
_PROPORTIONS = (2, 3)
# `definition` takes a tenth of a second for one pixel of it. Beyond, the direct peers are so slow
# that their pictures become far smaller than the kernel, where scipy.ndimage (1.17) is wrong: by
# 2 levels at 7 x 10 pixels and 255 x 255 weights.
_LONGEST_SIDE = 129
# What is written, by which a slip of the keyboard is told from a file: a picture would be replaced.
_SUFFIXES = {"--csv": (".csv",), "--json": (".json",), "--report": (".html", ".htm")}
# Shorter pictures are raced whole alone: a quarter of them is hardly larger than a kernel.
_LEAST_CUT = 256


def command(
    input: Annotated[  # noqa: A002 - the word of the help
        str | None,
        typer.Argument(
            metavar="[INPUT]",
            help="A picture; '-' is standard input. Without one a picture is made.",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Who takes part, such as numba,numba-dense,im2col,scipy.ndimage. An unknown name "
            "lists all.  [default: everybody]",
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="S,S",
            help="Pictures, in megapixels or as WIDTHxHEIGHT: cut out of INPUT, or mirrored on."
            "  [default: 0.25,1,4, or a sixteenth, a quarter and all of INPUT]",
        ),
    ] = None,
    kernels: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="Sides of Gaussian kernels, of three sigma to each side.  [default: 3,5,9,17,33]",
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option("-k", "--kernel", metavar="K", help="One kernel instead, as in 'filter'."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="The best of so many rounds counts.")
    ] = 5,
    budget: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time for the race; who is too slow for it is measured on a smaller picture.",
        ),
    ] = 20.0,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Every result as a line; '-' to print them.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="The same as JSON, and the machine.")
    ] = None,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="The curves, as .png, .svg or .pdf.")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE.html", help="Curves, tables and pictures on one page."),
    ] = None,
    overwrite: Overwrite = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Race the methods, the classical ways and other packages.

    Every result is checked before its time is shown. All sizes are raced with the kernel in the
    middle of the list, and all kernels on the size in the middle.

    convcli bench photo.jpg --kernels 3,9,17 --report race.html
    """
    from convcli.checks import positive

    positive(budget, "--budget")
    outputs = {"--csv": csv, "--json": json, "--plot": plot, "--report": report}
    files = {option: name for option, name in outputs.items() if name is not None}
    _check_outputs(files, (input, kernel), overwrite)

    from convcli.errors import ConvcliError
    from convcli.racing.contenders import chosen

    names = chosen([] if methods is None else methods.split(","))
    if kernel is not None and kernels is not None:
        raise ConvcliError("--kernel and --kernels exclude each other")
    given = _kernels(kernel, kernels)
    picture, cases, mode = _cases(input, sizes, given)

    from convcli.cli.screen.notices import notices
    from convcli.racing.race import middle_of, race

    # That loops are compiled, which on the first run takes longer than the race.
    with notices(_say), _shown_live(cases) as on_change:
        result = race(picture, cases, names, rounds, budget, on_change, mode)
    if "-" not in files.values():
        _print(result, middle_of(cases))
    failed = [name for option, name in files.items() if not _write(option, name, result, overwrite)]
    if failed:  # the others are there all the same
        raise typer.Exit(1)


def _check_outputs(files: dict[str, str], inputs: tuple[str | None, ...], overwrite: bool) -> None:
    """Refuse what cannot be written before the race, which takes a while."""
    from convcli.cli.paths import check_new
    from convcli.errors import ConvcliError, shown
    from convcli.files.places import is_same
    from convcli.words import listed

    if list(files.values()).count("-") > 1:
        raise ConvcliError("--csv and --json cannot both go to standard output")
    if "-" in files.values() and not sys.stdout:
        raise ConvcliError("standard output is closed; name a file")
    for option, name in files.items():
        path = Path(name)
        if name == "-":
            if option in ("--plot", "--report"):
                raise ConvcliError(f"{option} needs a file, not '-'")
            continue
        others = [other for key, other in files.items() if key != option]
        if any(is_same(path, other) for other in (*others, *filter(None, inputs)) if other != "-"):
            raise ConvcliError(f"{shown(name)} is named twice")
        if path.is_dir() or not path.parent.is_dir():
            raise ConvcliError(f"{shown(name)} cannot be written: no such folder, or it is one")
        check_new(path, overwrite)
        if option in _SUFFIXES and path.suffix.lower() not in _SUFFIXES[option] and (
            path.is_file() or not path.exists()
        ):  # fmt: skip
            raise ConvcliError(
                f"{option} {shown(name)}: the file's name must end in {listed(_SUFFIXES[option])}"
            )
        if option in ("--plot", "--report"):
            from convcli import plotting

            plotting.check(path if option == "--plot" else None)


def _kernels(kernel: str | None, sides: str | None) -> list[Kernel]:
    from convcli.errors import ConvcliError
    from convcli.kernels.files import read_kernel
    from convcli.kernels.named import gaussian_kernel

    if kernel is not None:
        return [read_kernel(kernel)]
    kernels = {}
    for word in (sides or "3,5,9,17,33").split(","):
        side = int(word) if word.strip().isdecimal() else 0
        if side % 2 == 0 or side > _LONGEST_SIDE:
            raise ConvcliError(
                f"kernel side {word.strip()!r}: it must be odd, 1 to {_LONGEST_SIDE}; "
                "--kernel takes any kernel"
            )
        kernels[side] = gaussian_kernel(side / 6, radius=side // 2)
    return list(kernels.values())


def _cases(
    source: str | None, sizes: str | None, kernels: list[Kernel]
) -> tuple[Pixels, list[Case], str]:
    """Read or make the picture, as large as the largest size, and cross sizes with kernels."""
    from convcli.racing.pictures import check_memory, made, size_of, sized
    from convcli.racing.race import cases_of

    words = sizes.split(",") if sizes is not None else [] if source else ["0.25", "1", "4"]
    for word in words:  # before a picture is read
        size_of(word.strip(), _PROPORTIONS)
    picture, mode = (None, "") if source is None else _read(source)
    shape = _PROPORTIONS if picture is None else (picture.shape[0], picture.shape[1])
    parts = (4, 2, 1) if min(shape) >= _LEAST_CUT else (1,)
    own = [(shape[0] // part, shape[1] // part) for part in parts]
    wanted = [size_of(word.strip(), shape) for word in words] or own
    height, width = (max(sides) for sides in zip(*wanted, strict=True))
    check_memory(height, width, 1 if picture is None else picture.shape[2])
    whole = made(height, width) if picture is None else sized(picture, height, width)
    return whole, cases_of(wanted, kernels), mode


def _read(source: str) -> tuple[Pixels, str]:
    """Read a picture's first frame as ``(H, W, C)``, and its mode; or say why not, and leave."""
    from convcli import image
    from convcli.cli.paths import content_or_path, named
    from convcli.errors import ConvcliError, reason_of

    image.limit_pixels(None)
    name = named(source)
    try:
        picture = image.read(content_or_path(source))
    except (ConvcliError, OSError) as error:
        typer.echo(f"convcli: {name}: {reason_of(error)}", err=True)
        raise typer.Exit(1) from None
    if picture.frames > 1:
        typer.echo(f"convcli: {name}: the first of {picture.frames} frames races", err=True)
    pixels = picture.pixels
    return pixels if pixels.ndim == 3 else pixels[..., None], picture.mode


@contextmanager
def _shown_live(cases: Sequence[Case]) -> Iterator[OnChange | None]:
    """Show where everybody stands on standard error while it goes on, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.live import Live
    from rich.text import Text

    from convcli.cli.screen.progress import terminal
    from convcli.cli.screen.standings import standings

    console = terminal()
    drawn = 0.0
    # Without a thread of its own, as the bar is: worker processes are forked.
    with Live(
        Text("everybody gets ready"), console=console, transient=True, auto_refresh=False,
        redirect_stdout=False, redirect_stderr=False,
    ) as live:  # fmt: skip
        live.refresh()

        def show(number: int, results: tuple[Result, ...]) -> None:
            nonlocal drawn
            now = time.monotonic()
            if now - drawn < _REFRESH_SECONDS:
                return
            drawn = now
            table = standings(results, console.width, not console.options.ascii_only)
            table.caption = f"{number + 1} of {len(cases)}"
            live.update(table, refresh=True)

        try:
            yield show
        except (KeyboardInterrupt, SystemExit):
            live.transient = False  # what was measured so far stays in sight
            raise


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _print(race: Race, middle: Case) -> None:
    """Print the overviews, and the table of the case in the middle."""
    from rich.console import Console

    from convcli.cli.screen.standings import case_title, overviews, remarks, standings

    console = Console(highlight=False, markup=False, emoji=False)
    fancy = console.is_terminal and not console.options.ascii_only
    if not console.is_terminal:  # nothing is cut or wrapped where there is no width
        console.width = 10_000
    height, width, kernel = middle
    place = height, width, *kernel.shape
    for title, table in overviews(race.results, place, fancy):
        console.print(title, table, sep="\n")
    results = [r for r in race.results if r.case == place]
    console.print(case_title(results[0]), standings(results, console.width, fancy), sep="\n")
    for line in remarks(race.results):
        console.print(line)


def _write(option: str, name: str, race: Race, overwrite: bool) -> bool:
    """Write one of the outputs, and say whether that went well."""
    from convcli.errors import reason_of, shown
    from convcli.files.writing import new_file

    if name == "-":
        typer.echo(_content(option, race).decode(), nl=False)
        return True
    path = Path(name)
    try:
        with new_file(path, overwrite) as file:
            if option == "--plot":
                from convcli.racing.drawing import draw

                draw(race, file, path.suffix.lower())
            else:
                file.write(_content(option, race))
    except OSError as error:
        typer.echo(f"convcli: {shown(path)}: {reason_of(error)}", err=True)
        return False
    return True


def _content(option: str, race: Race) -> bytes:
    from convcli.racing.export import as_csv, as_json

    if option == "--report":  # which imports matplotlib
        from convcli.racing.report import page

        return page(race).encode()
    return as_csv(race) if option == "--csv" else as_json(race)
