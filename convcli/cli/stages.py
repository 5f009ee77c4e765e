"""The stages of ``convcli chain``: each is parsed by the declarations of its command."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from convcli.cli.options import Shared
from convcli.cli.usage import sentence
from convcli.errors import ConvcliError, inert, reason_of, shown
from convcli.words import listed, suggested, text_in

if TYPE_CHECKING:
    from convcli.cli.pipeline import Maker, Shares
    from convcli.filtering.stages import Stage

COMMANDS = ("blur", "edge", "sharpen", "filter", "bank")
"""The commands that may be stages, each in its module of `commands/`."""

# What a stage may have of the options of a chain.
_OF_A_STAGE = ("border", "border_value")

# A text of this length has thousands of stages; anything larger is another file.
_LARGEST_FILE = 1 << 20


class Parsed(NamedTuple):
    """A stage: what makes the filter of its options, and whether that is of the luminance."""

    make: Maker
    is_grey: bool


class _Piece(NamedTuple):
    """The text of a stage, and where it is, for messages."""

    text: str
    place: str

    def error(self, reason: str) -> ConvcliError:
        """Return the error that names the stage and what is wrong in it."""
        return ConvcliError(f"{self.place}, {shown(self.text)}: {reason}")


def parsed(text: str, shared: Shared) -> list[Parsed]:
    """Parse the stages of a chain.

    Parameters
    ----------
    text : str
        Stages separated by ``|``, or ``@`` and the name of a file.
    shared : Shared
        The options of the chain.

    Raises
    ------
    ConvcliError
        Names the stage, and what is wrong in it.
    """
    pieces = _lines(text[1:]) if text.startswith("@") else _split(text)
    return [_parsed(piece, shared) for piece in pieces]


def _split(text: str) -> list[_Piece]:
    """Split stages at each ``|`` that is not quoted."""
    pieces = [
        _Piece(piece.strip(), f"stage {number}") for number, piece in enumerate(_unquoted(text), 1)
    ]
    for piece in pieces:
        if not piece.text:
            raise ConvcliError(
                f"{piece.place} of {shown(text)} is empty; write a filter between the '|'"
            )
    return pieces


def _lines(name: str) -> list[_Piece]:
    """Read stages from a file, one a line."""
    try:
        with Path(name).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        text = text_in(content)
    except UnicodeDecodeError:
        text = "\0"
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        raise ConvcliError(f"cannot read the stages in {shown(name)}: {reason_of(error)}") from None
    if "\0" in text or len(text) > _LARGEST_FILE:
        raise ConvcliError(
            f"{shown(name)} is not a file of stages; write one stage on each line, as text"
        )
    pieces = [
        _Piece(line.strip(), f"{shown(name)}, line {number}")
        for number, line in enumerate(map(_uncommented, text.splitlines()), 1)
    ]
    found = [piece for piece in pieces if piece.text]
    if not found:
        raise ConvcliError(f"{shown(name)} has no stages; write one a line")
    for piece in found:
        if len(list(_unquoted(piece.text))) > 1:
            raise piece.error("a line has one stage; write the one after '|' on a line of its own")
    return found


def _marks(text: str) -> Iterator[tuple[int, str]]:
    """Yield the characters that are not quoted, and where they are, as a shell sees them."""
    quote, escaped = "", False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            yield at, character


def _unquoted(text: str) -> Iterator[str]:
    start = 0
    for at, character in _marks(text):
        if character == "|":
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _uncommented(line: str) -> str:
    for at, character in _marks(line):
        if character == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at]
    return line


def _parsed(piece: _Piece, shared: Shared) -> Parsed:
    try:
        name, *words = shlex.split(piece.text)
    except ValueError as error:
        reason = "a quote is not closed" if "quotation" in str(error) else "it ends in a backslash"
        raise piece.error(f"{reason}; add what is missing, or quote it") from None
    if name not in COMMANDS:
        rest = suggested(name, COMMANDS) or f"; a stage is {listed(COMMANDS)}"
        raise piece.error(f"unknown filter {shown(name)}{rest}")
    given = _given(piece, name, words)
    border, value = given.pop("border", None), given.pop("border_value", None)
    if value is not None and (border or shared.border) != "constant":
        raise piece.error("--border-value works only with --border constant; add that")
    own = {key: given[key] for key in given if key not in _shared_names()}
    try:
        make = _module(name).define(**own)
    except ConvcliError as error:
        raise piece.error(str(error)) from None
    is_grey = name == "edge" or (name == "bank" and _is_of_luminance(make))
    return Parsed(partial(_made, piece, make, border, value), is_grey)


def _is_of_luminance(make: Maker) -> bool:
    """Whether a filter is of the luminance: a bank is read at once, because it may be refused."""
    made = make(None)
    return made is not None and made.filter.use.channels == "luminance"


def _made(
    piece: _Piece, make: Maker, border: Any, value: float | None, shared_by: Shares
) -> Stage | None:
    """Make a stage, with its border and its text."""
    from convcli.pixels.borders import checked_value

    try:
        if value is not None:
            value = checked_value(value)
        made = make(shared_by)
    except ConvcliError as error:
        raise piece.error(str(error)) from None
    if made is None:
        return None
    if shared_by and value is not None:  # beyond the edge there is no colour
        value = 0.0
    return dataclasses.replace(made, words=inert(piece.text), border=border, border_value=value)


def _given(piece: _Piece, name: str, words: list[str]) -> dict[str, Any]:
    """Return the arguments of a stage's command; of the chain's options those that are given."""
    command = _command(name)
    try:
        context = command.make_context(name, words)
    except Exception as error:
        # Typer's usage errors share a public class from 0.28 on only.
        if not hasattr(error, "format_message"):
            raise
        # Those of the chain would be refused in a stage.
        own = [p for p in command.params if p.name not in _shared_names() - {*_OF_A_STAGE}]
        known = [name for each in own for name in each.opts]
        raise piece.error(f"{sentence(error, known)} (see 'convcli {name} --help')") from None
    found = dict(context.params)
    for parameter in command.params:
        key = parameter.name
        if key not in _shared_names():
            continue
        is_given = context.get_parameter_source(key).name == "COMMANDLINE"
        if key == "inputs":
            if not found.pop(key):  # Typer 0.26 says of no inputs, too, that they were given
                continue
            raise piece.error(
                f"{shown(context.params[key][0])} is an input; name inputs after the stages"
            )
        if is_given and key not in _OF_A_STAGE:
            option = max(parameter.opts, key=len)
            raise piece.error(f"{option} is an option of the chain; give it after the stages")
        if not is_given:
            del found[key]
    return found


def _message(error: Any, command: Any) -> str:
    """Return what is wrong; of similar options it names those alone that a stage may have."""
    if possible := getattr(error, "possibilities", None):
        found = [
            each for each in command.params if each.name not in _shared_names() - {*_OF_A_STAGE}
        ]
        own = {name for each in found for name in each.opts}
        error.possibilities = [each for each in possible if each in own]
    return str(error.format_message())


def _module(name: str) -> Any:
    """Import the module of a command: others would cost the start 3 ms each."""
    return import_module(f"convcli.cli.commands.{name}")


@cache
def _shared_names() -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(Shared))


@cache
def _command(name: str) -> Any:
    """Return a command as Typer makes it of its function; it has no --help here."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(_module(name).command)
    command = typer.main.get_command(app)
    command.add_help_option = False
    return command
