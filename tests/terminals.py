"""What a program shows on a terminal."""

from __future__ import annotations

import os
import re


def seen(ours: int) -> bytes:
    """Read a terminal until no process has it open for writing, and close it."""
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's error after the other side was closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return shown


def visible(text: str) -> list[str]:
    """Return the lines that a terminal shows after all erasing."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token == "\x1b[2K":
            lines[row] = ""
        elif re.fullmatch(r"\x1b\[\d*A", token):
            row -= int(token[2:-1] or 1)
        elif token[0] not in "\x1b\r":
            lines[row] = token if lines[row] == "" else lines[row] + token
    return [line for line in lines if line.strip()]


_BAR = re.compile(r"filtering [^\r\n]*[\r\n]+(?:\x1b\[1A|\x1b\[2K|\r)*")


def without_bar(shown: str) -> str:
    """Return what is left when a progress bar is gone; on a busy machine every run has one."""
    return _BAR.sub("", shown)
