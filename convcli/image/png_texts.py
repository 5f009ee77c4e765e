"""Text chunks of a PNG that Pillow would take for properties of the image."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from convcli.image.content import opened, whole

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")

# Pillow keeps texts by their keywords among its own properties: `gamma`, `bbox`, `default_image`.
# Those have names of this form, and keywords may have any (PNG specification, section 11.3.3.1).
_PROPERTY = re.compile(rb"[a-z][a-z0-9_]*(?:\0|$)")
_LONGEST = 80  # bytes of a keyword and the zero after it


def without_properties(source: Path | bytes) -> Path | bytes:
    """Return a PNG without the texts that Pillow would take for properties.

    `convcli.image.blocks` reads the texts from the file itself. Damaged and other files, and
    those without such a text, are returned as they are.
    """
    hidden = _hidden(source)
    if not hidden:
        return source
    content = whole(source)
    starts = [0, *(end for _, end in hidden)]
    ends = [*(start for start, _ in hidden), len(content)]
    return b"".join(content[start:end] for start, end in zip(starts, ends, strict=True))


def _hidden(source: Path | bytes) -> list[tuple[int, int]]:
    """Return where the chunks of such texts start and end."""
    found = []
    with opened(source) as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return []
        while len(header := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", header)
            at = file.tell()
            if kind in _TEXTS and _PROPERTY.match(file.read(min(length, _LONGEST))):
                found.append((at - 8, at + length + 4))
            if kind == b"IEND":
                break
            file.seek(at + length + 4)
    return found
