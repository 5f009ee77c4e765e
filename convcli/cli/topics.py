"""The pages of docs/ in the terminal: ``convcli help borders``.

A wheel brings them in `convcli/docs`; in a copy of the repository they are read from there.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import wrap
from typing import ClassVar

from convcli.errors import ConvcliError, shown
from convcli.words import suggested

# Pages about convcli's own making, about Python, or of links and figures alone.
_NOT_TOPICS = ("api", "architecture", "examples", "index", "maintaining")

_INDENT = "  "  # of code

# Longer lines are hard to read; narrower terminals get what they have.
_WIDEST = 88

_FIGURE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\((\w+)\.md(?:#[\w-]+)?\)")
_LINK_WITHIN = re.compile(r"\[([^\]]+)\]\(#[\w-]+\)")
# Of a shell command: its comment, and what stays on one line: a word with its quoted parts, and an
# option with its value.
_WORD = r"""(?:"[^"]*"|'[^']*'|\\ |\S)++"""
_COMMENT = re.compile(rf"( *(?!#){_WORD}(?: +(?!#){_WORD})*+) +(# .*)")
_TOGETHER = re.compile(rf"-[^\s\"'=]+ (?!-|\\$){_WORD}|{_WORD}")


def topics() -> list[str]:
    """Return the names of the pages, in order."""
    return sorted(set(_pages()) - set(_NOT_TOPICS))


def asked(words: list[str], commands: list[str]) -> list[str] | None:
    """Answer ``convcli help WORDS``: print the page of a topic.

    Returns
    -------
    list of str or None
        For a command or for nothing, the words that print its help; None if a page was printed.
    """
    first = words[0] if words else "--help"
    if len(words) > 1:
        raise ConvcliError(f"help takes one command or topic; leave out {shown(words[1])}")
    if first in commands:
        return [first, "--help"]
    if first in ("--help", "-h"):
        return ["--help"]
    if first not in topics():
        near = suggested(first, [*commands, *topics()])
        raise ConvcliError(
            f"there is no command or topic {shown(first)}{near} ('convcli --help' lists all)"
        )
    _show(_pages()[first].read_text(encoding="utf-8"))
    return None


def _pages() -> dict[str, Path]:
    package = Path(__file__).parents[1]
    for folder in (package / "docs", package.parent / "docs"):
        if folder.is_dir():
            return {path.stem: path for path in folder.glob("*.md")}
    return {}


def _show(page: str) -> None:
    text = _for_terminals(page)
    try:
        from rich.console import Console, ConsoleOptions, RenderResult
        from rich.markdown import CodeBlock, Markdown, TableElement
        from rich.text import Text
    except ImportError:  # a container has no pygments, which rich needs for it
        print(text)
        return

    class Table(TableElement):
        """A table that breaks words which are wider than their column; rich cuts them off."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for table in super().__rich_console__(console, options):
                # rich's types say no more than that it is something to be shown.
                for column in table.columns:  # type: ignore[union-attr]
                    column.overflow = "fold"
                yield table

    class Code(CodeBlock):
        """Code in which a broken command can be pasted; rich would break it anywhere."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            lines = str(self.text).rstrip().split("\n")
            if self.lexer_name in ("sh", "bash"):
                lines = broken(lines, max(1, options.max_width - len(_INDENT)))
            yield Text("\n".join(f"{_INDENT}{line}".rstrip() for line in lines))

    class Page(Markdown):
        elements: ClassVar = {**Markdown.elements, "table_open": Table, "fence": Code}

    console = Console()
    console.width = min(console.width, _WIDEST)
    console.print(Page(text))


def broken(commands: list[str], columns: int) -> list[str]:
    r"""Break shell commands into lines: comments go before them, and words behind backslashes.

    >>> broken(["convcli edge photo.jpg -o edges.png  # the suffix picks the format"], 30)
    ['# the suffix picks the format', 'convcli edge photo.jpg \\', '    -o edges.png']
    """
    if all(len(command) <= columns for command in commands):
        return commands
    lines = []
    for command in commands:
        if found := _COMMENT.fullmatch(command):
            lines += wrap(found[2], columns, subsequent_indent="# ")
            command = found[1]
        line, *words = [command] if command.startswith("#") else _TOGETHER.findall(command) or [""]
        line = " " * (len(command) - len(command.lstrip())) + line
        for word in words:
            if len(f"{line} {word} \\") > columns:
                lines.append(f"{line} \\")
                line = f"    {word}"
            else:
                line += f" {word}"
        lines.append(line)
    return lines


def _for_terminals(page: str) -> str:
    """Return a page whose links name the commands that show them, with the captions of figures."""

    def command(link: re.Match[str]) -> str:
        text, name = link.groups()
        if name not in known:
            return text
        shown_by = f"`convcli help {name}`"
        return shown_by if text == "more" else f"{text} ({shown_by})"

    known = topics()
    page = _LINK.sub(command, _FIGURE.sub(r"*Figure: \1*", page))
    return _LINK_WITHIN.sub(r"\1", page)
