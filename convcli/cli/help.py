"""The help of a command: its options in groups, a line each, and examples at the end.

Typer would draw its panels with rich. Importing that takes 2.5 times the time of the rest of
--help (130 against 52 ms), and its columns break most options into 2 to 8 lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from convcli.cli.screen.lines import has_colours
from convcli.cli.topics import topics

FILES = "Input and output"
PART = "Which part"
COLOUR = "Colour"
SPEED = "Speed"
REPORTING = "Reporting"

OWN = "Options"
"""The group of options that are declared without one: the command's own, and the border."""

_ORDER = ("Arguments", OWN, FILES, PART, COLOUR, SPEED, REPORTING)
# Fewer options than this are read without groups.
_FEW = 20
_EXAMPLES = "Examples:\n"


class Command(TyperCommand):
    """A command whose help is in groups."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words after the command's name; Typer puts required arguments in braces."""
        return [
            piece[1:-1] if piece.startswith("{") else piece
            for piece in super().collect_usage_pieces(ctx)
        ]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; Typer calls this."""
        _write(self, ctx, formatter, {})


class Group(TyperGroup):
    """The program, whose help lists the commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; Typer calls this."""
        rows = [(name, str(each.help).partition("\n")[0]) for name, each in self.commands.items()]
        _write(self, ctx, formatter, {"Commands": rows}, topics=topics())


def texts(declared: Any) -> tuple[str, list[str]]:
    """Return what a command does, and its examples, which stand at the end of its docstring."""
    text, _, examples = (declared.help or "").partition(_EXAMPLES)
    return text.strip(), [line.strip() for line in examples.splitlines()]


def groups(parameters: list[Any]) -> dict[str, list[Any]]:
    """Return the parameters that are shown by the titles of their groups, in order."""
    found: dict[str, list[Any]] = {}
    has_groups = len(parameters) > _FEW
    for each in parameters:
        if getattr(each, "hidden", False):
            continue
        title = "Arguments" if each.param_type_name == "argument" else OWN
        if has_groups and title == OWN:
            # Typer declares --help itself.
            title = REPORTING if each.name == "help" else each.rich_help_panel or OWN
        found.setdefault(title, []).append(each)
    return {title: found[title] for title in sorted(found, key=_ORDER.index)}


def names(parameter: Any) -> str:
    """Return the names of a parameter and that of its value: ``-s, --sigma S``."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    words = ", ".join(sorted(parameter.opts, key=len))
    if parameter.is_flag:
        return words
    return f"{words} {parameter.metavar or parameter.name[0].upper()}"


def meaning(parameter: Any) -> str:
    """Return what a parameter does, the words that it may be, and its default."""
    if parameter.name == "help":
        return "Show this help"
    text, default = parameter.help or "", parameter.default
    choices = [str(each) for each in getattr(parameter.type, "choices", ())]
    if choices:
        text, bracket, given = text.partition("  [")
        words = ", ".join(f"{each} (default)" if each == default else each for each in choices)
        return f"{text}: {words}{bracket}{given}"
    if isinstance(default, str | int | float) and not isinstance(default, bool):
        shown = f"{default:g}" if isinstance(default, float) else default
        return f"{text}  [default: {shown}]"
    return text


def _write(
    declared: Any, context: Any, formatter: Any, more: dict[str, Any], topics: Iterable[str] = ()
) -> None:
    declared.format_usage(context, formatter)
    text, examples = texts(declared)
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(text)
    parameters = declared.get_params(context)
    variables = [each for each in parameters if getattr(each, "envvar", None)]
    if variables:
        more = {**more, "Environment": [(v.envvar, f"Default of {v.opts[-1]}") for v in variables]}
    sections = {
        title: [(names(each), meaning(each)) for each in several]
        for title, several in groups(parameters).items()
    } | more
    width = max(len(first) for rows in sections.values() for first, _ in rows)
    for title, rows in sections.items():
        with formatter.section(_bold(title)):
            formatter.write_dl(list(_aligned(rows, width)))
    if topics:
        with formatter.section(_bold("Topics")):
            formatter.write_text(", ".join(topics))
    if examples:
        with formatter.section(_bold("Examples")):
            for line in examples:
                formatter.write(f"  {line}\n")


def _aligned(rows: list[tuple[str, str]], width: int) -> Iterator[tuple[str, str]]:
    """Yield the rows with first columns of one width, coloured on a terminal."""
    for first, second in rows:
        shown = typer.style(first, fg="cyan") if has_colours(sys.stdout) else first
        yield shown + " " * (width - len(first)), second


def _bold(text: str) -> str:
    return typer.style(text, bold=True) if has_colours(sys.stdout) else text
