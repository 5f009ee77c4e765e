"""Text chunks of a PNG that Pillow would take for properties of the image."""

from __future__ import annotations

import re
from pathlib import Path

from convcli.image.content import opened, whole
from convcli.image.png_chunks import TEXTS, chunks

# Pillow keeps texts by their keywords among its own properties: `gamma`, `bbox`, `default_image`.
# Those have names of this form, and keywords may have any (PNG specification, section 11.3.3.1).
_PROPERTY = re.compile(rb"[a-z][a-z0-9_]*(?:\0|$)")
_LONGEST = 80  # bytes of a keyword and the zero after it


def without_properties(source: Path | bytes) -> Path | bytes:
    """Return a PNG without the texts that Pillow would take for properties.

    `convcli.image.blocks` reads the texts from the file itself. Damaged files, and those without
    such a text, are returned as they are.
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
    with opened(source) as file:
        return [
            (start - 8, end + 4)  # with its type and size, and with its checksum
            for kind, start, end in chunks(file)
            if kind in TEXTS and _PROPERTY.match(file.read(min(end - start, _LONGEST)))
        ]
