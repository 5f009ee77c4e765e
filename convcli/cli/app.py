"""The command line as a Typer app: its commands, and --version."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer

from convcli import __version__
from convcli.cli.help import Command, Group

COMMANDS: dict[str, dict[str, Any]] = {
    "blur": {},
    "edge": {},
    "sharpen": {},
    "filter": {},
    "chain": {},
    "bank": {},
    "compare": {},
    # A kernel such as "-1 0 1" begins with a minus sign.
    "kernel": {"context_settings": {"ignore_unknown_options": True}},
    "bench": {},
    "warmup": {},
    "completion": {},
}
"""The commands in the order of the help, each in its module of `commands/`, and their settings."""


_HELP = """Filter images by convolution, exactly and fast.

'convcli help COMMAND' shows the options of a command, and 'convcli help TOPIC' the page of a topic.

Examples:
  convcli blur photo.jpg
  convcli edge photos/ -r -o edges/
  cat photo.jpg | convcli sharpen > crisp.jpg
"""


def app_for(words: Iterable[str]) -> typer.Typer:
    """Return the app for a command line: with the command that it names, or with all for help.

    Declaring the options of the other commands would add 10 ms to every start.
    """
    app = typer.Typer(
        name="convcli",
        cls=Group,
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        # convcli writes its help and shows tracebacks itself: importing rich would take 45 ms.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    )
    app.callback()(_options)
    first = next(iter(words), "")
    needed = {"--version": (), "-V": (), **{name: (name,) for name in COMMANDS}}
    for name in needed.get(first, COMMANDS):
        command = import_module(f"convcli.cli.commands.{name}").command
        app.command(name, cls=Command, **COMMANDS[name])(command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"convcli {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Print the version", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass
