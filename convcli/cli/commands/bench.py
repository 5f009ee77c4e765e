"""``convcli bench``: time the methods, classical algorithms and other packages."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convcli.cli.options import Debug, Overwrite, only_one
from convcli.cli.screen import lines

if TYPE_CHECKING:
    from convcli.kernels.kernel import Kernel
    from convcli.racing.cases import Case
    from convcli.racing.race import OnChange
    from convcli.racing.results import Race, Result
    from convcli.types import Pixels

_REFRESH_SECONDS = 0.1
# Height to width of the generated image, as of most cameras.
_PROPORTIONS = (2, 3)
# `definition` takes a tenth of a second per pixel for it. Longer sides make direct packages so slow
# that they are timed on images far smaller than the kernel, where scipy.ndimage (1.17) is wrong: by
# 2 levels with 7 x 10 pixels and 255 x 255 weights.
_LONGEST_SIDE = 129
# Other suffixes are slips of the keyboard, which could replace an image.
_SUFFIXES = {"--csv": (".csv",), "--json": (".json",), "--report": (".html", ".htm")}
# Images with a shorter side have one size by default: a quarter would hardly exceed a kernel.
_LEAST_CUT = 256


def command(
    input: Annotated[  # noqa: A002 - the word of the help
        str | None,
        typer.Argument(
            metavar="[INPUT]",
            help="An image, or '-'  [default: a generated image]",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Contenders, such as numba,im2col  [default: all]",
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="S,S",
            help="Megapixels, or WIDTHxHEIGHT  [default: 0.25,1,4]",
        ),
    ] = None,
    kernels: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="Sides of Gaussian kernels  [default: 3,5,9,17,33]",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("-k", "--kernel", metavar="K", help="A single kernel, as for 'filter'"),
    ] = None,
    bank: Annotated[
        str | None,
        typer.Option(
            metavar="BANK",
            help="A bank or MAPS,CHANNELS,SIDE instead: gabor:8,3",
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Timed rounds; the best one counts")
    ] = 5,
    budget: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time limit",
        ),
    ] = 20.0,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a line for each result; '-' prints them"),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the same as JSON, with the machine")
    ] = None,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw the curves as .png, .svg or .pdf")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE.html", help="Write curves, tables and images on one page"),
    ] = None,
    overwrite: Overwrite = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Time the methods, classical algorithms and other packages.

    Every result is checked before its time is shown. 'convcli help racing' explains the
    options.

    Examples:
      convcli bench photo.jpg --kernels 3,9,17 --report race.html
      convcli bench --methods numba,fft --kernel disc:9
    """
    from convcli.checks import positive

    positive(budget, "--budget")
    kernel = only_one(only) if only else None
    outputs = {"--csv": csv, "--json": json, "--plot": plot, "--report": report}
    files = {option: name for option, name in outputs.items() if name is not None}
    _check_outputs(files, (input, kernel, bank), overwrite)

    from convcli.errors import ConvcliError
    from convcli.racing.contenders import FILTERS, chosen

    words = {"--kernel": kernel, "--kernels": kernels, "--bank": bank}
    both = [option for option, word in words.items() if word is not None]
    if len(both) > 1:
        raise ConvcliError(f"{both[0]} and {both[1]} cannot be used together; leave one out")
    field, notes = FILTERS, tuple[str, ...]()
    if bank is not None:
        from convcli.racing import banks

        field = banks.BANKS
    names = chosen([] if methods is None else methods.split(","), field.contenders)
    if bank is not None:
        picture, cases, mode, notes = _layers(input, sizes, bank)
    else:
        picture, cases, mode = _cases(input, sizes, _kernels(kernel, kernels))

    from convcli.racing.cases import middle_of
    from convcli.racing.race import race

    with _shown_live(cases) as on_change:
        result = race(picture, cases, names, rounds, budget, on_change, mode, field)
    result = replace(result, notes=notes)
    if "-" not in files.values():
        _print(result, middle_of(cases))
    failed = [name for option, name in files.items() if not _write(option, name, result, overwrite)]
    timed = any(each.seconds is not None for each in result.results)
    if not timed:
        _say(lines.error("no contender has a time: every one failed"))
    if failed or not timed:  # the other files are written all the same
        raise typer.Exit(1)


def _check_outputs(files: dict[str, str], inputs: tuple[str | None, ...], overwrite: bool) -> None:
    """Raise `ConvcliError` for files that cannot be written, before the race takes its time."""
    from convcli.cli.paths import check_new
    from convcli.errors import ConvcliError, shown
    from convcli.files.places import is_same
    from convcli.words import listed

    if list(files.values()).count("-") > 1:
        raise ConvcliError(
            "--csv and --json cannot both write to standard output; name a file for one of them"
        )
    if "-" in files.values() and not sys.stdout:
        raise ConvcliError("standard output is closed; write to a file instead")
    for option, name in files.items():
        path = Path(name)
        if name == "-":
            if option in ("--plot", "--report"):
                raise ConvcliError(f"{option} cannot write to standard output; name a file")
            continue
        others = [other for key, other in files.items() if key != option]
        if any(is_same(path, other) for other in (*others, *filter(None, inputs)) if other != "-"):
            raise ConvcliError(
                f"{shown(name)} is named twice; every input and output needs its own file"
            )
        if path.is_dir():
            raise ConvcliError(f"{option} {shown(name)} is a folder; name a file")
        if not path.parent.is_dir():
            raise ConvcliError(
                f"{option} {shown(name)}: there is no folder {shown(path.parent)}; create it first"
            )
        check_new(path, overwrite)
        if option in _SUFFIXES and path.suffix.lower() not in _SUFFIXES[option] and (
            path.is_file() or not path.exists()
        ):  # fmt: skip
            raise ConvcliError(
                f"{option} {shown(name)}: the file name must end in {listed(_SUFFIXES[option])}"
            )
        if option in ("--plot", "--report"):
            from convcli import plotting

            plotting.check(path if option == "--plot" else None)


def _kernels(kernel: str | None, sides: str | None) -> list[Kernel]:
    from convcli.errors import ConvcliError
    from convcli.kernels.files import read_kernel
    from convcli.kernels.gaussian import gaussian_kernel

    if kernel is not None:
        return [read_kernel(kernel)]
    kernels = {}
    for word in (sides or "3,5,9,17,33").split(","):
        side = int(word) if word.strip().isdecimal() else 0
        if side % 2 == 0 or side > _LONGEST_SIDE:
            raise ConvcliError(
                f"kernel side {word.strip()!r} is not an odd number from 1 to {_LONGEST_SIDE}; "
                "for other kernels use --kernel"
            )
        kernels[side] = gaussian_kernel(side / 6, radius=side // 2)
    return list(kernels.values())


def _cases(
    source: str | None, sizes: str | None, kernels: list[Kernel]
) -> tuple[Pixels, list[Case], str]:
    """Return an image as large as the largest size, the cases, and the mode of the image."""
    from convcli.racing.cases import cases_of
    from convcli.racing.pictures import check_memory, made, size_of, sized

    words = sizes.split(",") if sizes is not None else [] if source else ["0.25", "1", "4"]
    for word in words:  # before the image is read
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


def _layers(
    source: str | None, sizes: str | None, bank: str
) -> tuple[Pixels, list[Case], str, tuple[str, ...]]:
    """Return the same for a bank, with notes on the work of the case in the middle."""
    from convcli.racing.banks import generated, notes, usual_sizes, weights_of
    from convcli.racing.cases import cases_of, middle_of
    from convcli.racing.pictures import check_memory, size_of, sized

    weights = weights_of(bank)
    words = sizes.split(",") if sizes is not None else usual_sizes(weights)
    picture = None if source is None else _channels(source, weights.channels)
    shape = _PROPORTIONS if picture is None else (picture.shape[0], picture.shape[1])
    wanted = [size_of(word.strip(), shape) for word in words]
    height, width = (max(sides) for sides in zip(*wanted, strict=True))
    check_memory(height, width, weights.channels + len(weights.array))
    if picture is None:
        whole = generated(height, width, weights.channels)
    else:
        whole = sized(picture, height, width)
    cases = cases_of(wanted, [weights])
    return whole, cases, "", notes(weights, middle_of(cases).height, middle_of(cases).width)


def _channels(source: str, number: int) -> Pixels:
    """Return an image as float32 from 0 to 1: its luminance, or as many channels as it has."""
    import numpy as np

    from convcli.cli.paths import named
    from convcli.errors import ConvcliError
    from convcli.pixels.colour import full_scale, luminance

    pixels, mode = _read(source)
    pixels = pixels[..., :-1] if "A" in mode.split(";")[0] and mode != "LAB" else pixels
    floats = pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))
    if number == 1:
        return luminance(floats)
    if floats.shape[2] != number:
        raise ConvcliError(
            f"the bank needs {number} channels, and {named(source)} has {floats.shape[2]} (shape "
            f"{floats.shape}); leave the image out to race on noise"
        )
    return floats


def _read(source: str) -> tuple[Pixels, str]:
    """Return the first frame of an image as ``(H, W, C)``, and its mode; or report and exit."""
    from convcli import image
    from convcli.cli.paths import content_or_path, named
    from convcli.errors import ConvcliError, reason_of

    image.limit_pixels(None)
    name = named(source)
    try:
        picture = image.read(content_or_path(source))
    except (ConvcliError, OSError) as error:
        typer.echo(lines.error(f"{name}: {reason_of(error)}"), err=True)
        raise typer.Exit(1) from None
    if picture.frames > 1:
        typer.echo(
            lines.note(f"{name}: only the first of {picture.frames} frames is used"), err=True
        )
    pixels = picture.pixels
    return pixels if pixels.ndim == 3 else pixels[..., None], picture.mode


@contextmanager
def _shown_live(cases: Sequence[Case]) -> Iterator[OnChange | None]:
    """Show the standings on standard error during the race, if that is a terminal, and notices.

    Notices say that loops are compiled, which takes a while in the first run.
    """
    from convcli.cli.screen.notices import notices

    if not sys.stderr.isatty():
        with notices(_say):
            yield None
        return
    from rich.live import Live
    from rich.text import Text

    from convcli.cli.screen.progress import terminal
    from convcli.cli.screen.standings import standings

    console = terminal()
    drawn = 0.0
    # No thread of its own, like the progress bar: worker processes are forked.
    with Live(
        Text("warming up"), console=console, transient=True, auto_refresh=False,
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
            table.caption = f"case {number + 1} of {len(cases)}"
            live.update(table, refresh=True)

        def say(line: str) -> None:
            live.console.print(Text.from_ansi(line), soft_wrap=True)  # above the standings

        try:
            with notices(say):
                yield show
        except (KeyboardInterrupt, SystemExit):
            live.transient = False  # what was measured so far stays visible
            raise


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _print(race: Race, middle: Case) -> None:
    """Print the overviews, the table of the case in the middle, and the remarks."""
    from rich.console import Console

    from convcli.cli.screen.standings import case_title, overviews, remarks, standings, winner

    console = Console(highlight=False, markup=False, emoji=False)
    fancy = console.is_terminal and not console.options.ascii_only
    if not console.is_terminal:  # a pipe has no width at which to cut or wrap
        console.width = 10_000
    height, width, kernel = middle
    place = height, width, *kernel.shape
    for title, table in overviews(race.results, place, fancy):
        console.print(title, table, sep="\n")
    results = [r for r in race.results if r.case == place]
    console.print(case_title(results[0]), standings(results, console.width, fancy), sep="\n")
    for line in (*winner(results), *race.notes, *remarks(race.results)):
        console.print(line)


def _write(option: str, name: str, race: Race, overwrite: bool) -> bool:
    """Write one of the outputs, and return whether that succeeded."""
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
        typer.echo(lines.error(f"{shown(path)}: {reason_of(error)}"), err=True)
        return False
    _say(lines.plain(f"wrote {shown(path)}"))
    return True


def _content(option: str, race: Race) -> bytes:
    from convcli.racing.export import as_csv, as_json

    if option == "--report":  # which imports matplotlib
        from convcli.racing.report import page

        return page(race).encode()
    return as_csv(race) if option == "--csv" else as_json(race)
