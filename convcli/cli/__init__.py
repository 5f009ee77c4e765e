"""The command line: Typer and rich live in this package and nowhere else."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from convcli import __version__
from convcli.cli import blur, edge, filter, kernel, sharpen  # noqa: A004 - a command's name
from convcli.errors import ConvcliError, inert

app = typer.Typer(
    name="convcli",
    help="Filter images by convolution: exact, fast, and it says what it did.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help: rich's would add 45 ms to every --help, and tracebacks are ours to show.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
app.command("blur")(blur.command)
app.command("edge")(edge.command)
app.command("sharpen")(sharpen.command)
app.command("filter")(filter.command)
app.command("kernel")(kernel.command)

# Typer keeps the base class of its usage errors private; it is the parent of this public one.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"convcli {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program; every failure that a user can cause ends in one line."""
    # numpy's linear algebra would start a thread a core, which nothing here uses: 35 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        status = app(standalone_mode=False)
    except ConvcliError as error:
        status = _refused(inert(str(error)))
    except _UsageError as error:
        status = _refused(error.format_message())
    if status == 130:
        # Die of the signal, so that a shell's loop around this stops too.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit(status or 0)


def _refused(message: str) -> int:
    """Print why nothing was touched; a list of commands, for no arguments, is printed as it is."""
    if message.startswith("Usage:"):
        typer.echo(message, err=True)
    else:
        one_line = " ".join(inert(line.strip()) for line in message.splitlines())
        typer.echo(f"convcli: {one_line}", err=True)
    return 2
