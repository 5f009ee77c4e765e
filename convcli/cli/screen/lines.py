"""How messages look: ``convcli: ...`` on one line, and on a terminal a coloured word in front.

Scripts rely on that line. In a terminal, the coloured word shows at once what failed.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

# Columns; a terminal of fewer breaks lines itself.
_NARROWEST = 20


def has_colours(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal with colours; NO_COLOR (no-color.org) is respected."""
    if not is_terminal(stream):
        return False
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal."""
    return bool(stream and stream.isatty())


def error(text: str) -> str:
    """Return the line of an error."""
    return _begun("error", text, fg="red", bold=True) or f"convcli: {text}"


def note(text: str, about: str = "") -> str:
    """Return the line of a note, perhaps about an image."""
    if about:
        line = f"convcli: {about}: note: {text}"
        return _begun("note", f"{about}: {text}", dim=True) or line
    return _begun("note", text, dim=True) or f"convcli: {text}"


def plain(text: str) -> str:
    """Return a line about success; a terminal gets it broken between words."""
    return _filled(text) if is_terminal(sys.stderr) else text


def _begun(word: str, text: str, **style: str | bool) -> str:
    """Return a message for a terminal, broken between words; nothing if there is none."""
    if not is_terminal(sys.stderr):
        return ""
    lines = _filled(f"{word}: {text}")
    if has_colours(sys.stderr):
        import typer  # what needs no Typer is not to wait for it

        # typer.style declares each of its keywords, and a dictionary has one type for all.
        lines = typer.style(f"{word}:", **style) + lines[len(word) + 1 :]  # type: ignore[arg-type]
    return lines


def _filled(text: str) -> str:
    """Break a text between words, unless a terminal has hardly room for one."""
    columns = shutil.get_terminal_size().columns
    if columns < _NARROWEST:
        return text
    from textwrap import fill

    return fill(
        text, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
