"""The command line as a Typer app: its commands, and --version."""

from __future__ import annotations

from typing import Annotated

import typer

from convcli import __version__
from convcli.cli.commands import (
    bank,
    bench,
    blur,
    chain,
    compare,
    edge,
    filter,  # noqa: A004 - the name of the command
    kernel,
    sharpen,
)

app = typer.Typer(
    name="convcli",
    help="Filter images by convolution, exactly and fast.",
    no_args_is_help=True,
    add_completion=False,
    # Formatting help with rich would add 45 ms to every --help. convcli shows tracebacks itself.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
app.command("blur")(blur.command)
app.command("edge")(edge.command)
app.command("sharpen")(sharpen.command)
app.command("filter")(filter.command)
app.command("chain")(chain.command)
app.command("bank")(bank.command)
app.command("compare")(compare.command)
# A kernel such as "-1 0 1" begins with a minus sign.
app.command("kernel", context_settings={"ignore_unknown_options": True})(kernel.command)
app.command("bench")(bench.command)


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
