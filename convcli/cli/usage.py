"""What is wrong with a command line, in the words of convcli's own messages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from convcli.cli.help import names
from convcli.errors import shown
from convcli.words import listed, nearest, suggested

_KINDS = {"int": "a whole number", "float": "a number"}

# The value comes first, quoted unless it is a number.
_VALUE = re.compile(r"(?s)(.*) is not (?:one of|a valid|in the range) ")
_NO_COMMAND = re.compile(r"No such command '(.*?)'\.")
_EXTRA = re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)$")


def sentence(error: Any, known: Iterable[str] | None = None) -> str:
    """Return a usage error of Typer as a sentence: what is wrong, then what to do.

    `known` are the options that it may suggest, without it all of the command. Typer's classes are
    private, but their names and attributes are those of Click.
    """
    message = str(error.format_message())
    kind = type(error).__name__
    if kind == "NoSuchOption":
        if known is None:
            known = _options(error.ctx) if error.ctx else error.possibilities or ()
        said = f"there is no option {error.option_name}"
        if error.option_name == "--version":  # the nearest would be --region
            return f"{said} here; write 'convcli --version'"
        if near := nearest(error.option_name, known):
            return f"{said}; did you mean {near}?"
        is_first = hasattr(getattr(error.ctx, "command", None), "commands")
        return f"{said} before the command; write it after the command" if is_first else said
    if kind == "MissingParameter" and error.param:
        name = _name(error.param)
        value = names(error.param).rpartition(" ")[2]
        if choices := getattr(error.param.type, "choices", ()):
            value = listed(tuple(map(str, choices)))
            return f"{name} is missing; add {value}"
        return f"{name} is missing" + (f"; add {name} {value}" if name != value else "")
    if kind == "BadParameter" and error.param and (given := _VALUE.match(error.message)):
        wanted, near = _wanted(error.param.type, given[1])
        name = _name(error.param)
        if (variable := getattr(error.param, "envvar", None)) and os.environ.get(variable):
            source = error.ctx.get_parameter_source(error.param.name)
            name = variable if source and source.name == "ENVIRONMENT" else name
        return f"{name} must be {wanted}, not {given[1]}{near}"
    if kind == "BadOptionUsage":
        if "not take a value" in message:
            return f"{error.option_name} takes no value; leave out '=' and what follows"
        return f"{error.option_name} needs a value; add it after the option"
    if command := _NO_COMMAND.match(message):
        near = suggested(command[1], [*error.ctx.command.commands, "help"])
        return (
            f"there is no command '{command[1]}'{near or '; the command comes first, such as blur'}"
        )
    if extra := _EXTRA.match(message):
        return (
            f"{shown(extra[1])} is one argument too many; leave it out, or quote an argument with "
            "spaces"
        )
    return message


def _wanted(declared: Any, value: str) -> tuple[str, str]:
    """Return what a value must be, and a suggestion if it is nearly that."""
    choices = tuple(map(str, getattr(declared, "choices", ())))
    if choices:
        return listed(choices), suggested(value.strip("'"), choices)
    low, high = (getattr(declared, end, None) for end in ("min", "max"))
    if low is not None and not value.startswith("'"):
        return f"from {low} to {high}" if high is not None else f"at least {low}", ""
    # "int" from Typer 0.28 on, "integer" before.
    return next((text for word, text in _KINDS.items() if declared.name.startswith(word)), ""), ""


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return names(parameter).strip("[].")
    return str(max(parameter.opts, key=len))


def _options(context: Any) -> list[str]:
    return [name for each in context.command.get_params(context) for name in each.opts]
