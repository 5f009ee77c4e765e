"""File names on Windows: refused ones, devices, and patterns, which no shell expands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import PureWindowsPath

from convcli.errors import shown
from convcli.files.urls import is_url

# "Naming Files, Paths, and Namespaces" (Microsoft): with a suffix, too. A colon would begin the
# name of a hidden stream of the file before it.
_DEVICE = r"(?i:(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]) *(\.|$))"
_FORBIDDEN = r'[<>:"|?*\x00-\x1f]'


def problem_of_name(path: str, system: str | None = None) -> str:
    r"""Return why a file of this name cannot be made on this system, or nothing.

    >>> problem_of_name(r"C:\photos\aux.png", "win32")
    "'aux.png' is a device on Windows; choose another name"
    >>> problem_of_name("aux.png", "linux")
    ''
    """
    if (system or sys.platform) != "win32":
        return ""
    whole = PureWindowsPath(path)
    for part in whole.parts[bool(whole.anchor) :]:
        if re.match(_DEVICE, part):
            return f"{shown(part)} is a device on Windows; choose another name"
        if re.search(_FORBIDDEN, part):
            return f'{shown(part)} contains one of < > : " | ? *; choose another name'
        if part.endswith((".", " ")) and part.strip("."):
            return f"{shown(part)} ends in {shown(part[-1])}, which Windows drops; rename it"
    return ""


def expanded(names: Iterable[str], system: str | None = None) -> list[str]:
    """Return the names of inputs, on Windows those that fit where one is a pattern (``*.jpg``).

    Other systems have shells that do it. What fits no file stays, for the message.
    """
    if (system or sys.platform) != "win32":
        return [*names]
    from glob import glob

    found: list[str] = []
    for name in names:
        # Unlike these two, a bracket can be in a name.
        is_pattern = ("*" in name or "?" in name) and not is_url(name)
        found += (is_pattern and sorted(glob(name.replace("[", "[[]")))) or [name]
    return found
