"""Write the manual page from the declared commands.

python packaging/man.py > packaging/convcli.1

convcli has to be importable. The page is in the wheel, as share/man/man1/convcli.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from typer.main import get_command

from convcli.cli.app import app_for
from convcli.cli.help import OWN, groups, meaning, names, texts
from convcli.cli.topics import topics

STATUS = (
    ("0", "Everything was done."),
    ("1", "At least one image failed or was not tried; the rest was done."),
    ("2", "Wrong usage; nothing was touched."),
    ("129, 130, 143", "Ended by SIGHUP, SIGINT or SIGTERM; finished images are kept."),
    ("141", "The reader of the pipe went away."),
)


def page() -> str:
    """Return the page in the macros of man(7)."""
    program: Any = get_command(app_for(["--help"]))
    commands: dict[str, Any] = program.commands
    shared = groups(commands["blur"].params)
    own = {each.name for each in shared[OWN]} - {"border", "border_value"}
    common = {_row(each) for each in commands["blur"].params if each.name not in own}
    text, examples = texts(program)
    summary, _, rest = text.partition("\n")
    return "\n".join(
        [
            '.TH CONVCLI 1 "" convcli "User Commands"',
            ".nh",  # a command or an option that is hyphenated cannot be pasted
            ".ad l",
            ".SH NAME",
            f"convcli \\- {_text(summary[0].lower() + summary[1:].rstrip('.'))}",
            ".SH SYNOPSIS",
            ".B convcli",
            ".I COMMAND",
            _text("[OPTIONS] [INPUT]..."),
            ".SH DESCRIPTION",
            *_paragraphs(rest),
            ".SH TOPICS",
            *_lines(", ".join(topics())),
            ".SH COMMANDS",
            *(line for name, each in commands.items() for line in _command(name, each, common)),
            ".SH OPTIONS OF ALL FILTERS",
            *_section("Border", [each for each in shared[OWN] if each.name not in own]),
            *(
                line
                for title, several in shared.items()
                if title not in (OWN, "Arguments")
                for line in _section(title, several)
            ),
            ".SH ENVIRONMENT",
            *(
                line
                for each in commands["blur"].params
                if getattr(each, "envvar", None)
                for line in _item(each.envvar, f"Default of {each.opts[-1]}.")
            ),
            *_item("NO_COLOR", "No colours, if it is set."),
            ".SH EXIT STATUS",
            *(line for code, what in STATUS for line in _item(code, what)),
            ".SH EXAMPLES",
            *_examples(examples),
            "",
        ]
    )


def _command(name: str, declared: Any, common: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the section of a command: what it does, what it alone has, and examples."""
    text, examples = texts(declared)
    is_filter = any(each.name == "files_from" for each in declared.params)
    yield f".SS {_text(name)}"
    yield from _paragraphs(text)
    for each in declared.params:
        row = _row(each)
        if not getattr(each, "hidden", False) and not (is_filter and row in common):
            yield from _item(*row)
    yield ".PP"
    yield from _examples(examples)


def _row(parameter: Any) -> tuple[str, str]:
    return names(parameter), meaning(parameter)


def _section(title: str, parameters: list[Any]) -> Iterator[str]:
    yield f".SS {title}"
    for each in parameters:
        yield from _item(*_row(each))


def _item(first: str, second: str) -> Iterator[str]:
    yield from (".TP", f".B {_text(first)}", *_lines(second))


def _paragraphs(text: str) -> Iterator[str]:
    several = [part for part in text.strip().split("\n\n") if part]
    for number, paragraph in enumerate(several):
        if number:
            yield ".PP"
        yield from _lines(paragraph)


def _examples(lines: list[str]) -> Iterator[str]:
    if lines:
        yield from (".nf", *(f".RS 4\n{_text(line)}\n.RE" for line in lines), ".fi")


def _lines(text: str) -> list[str]:
    # mandoc's style: at most 80 bytes, escapes included.
    return [_text(line) for line in wrap(text, 64, break_long_words=False, break_on_hyphens=False)]


def _text(text: str) -> str:
    """Escape what roff reads as its own."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    print(page(), end="")
