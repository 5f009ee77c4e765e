"""Images in metadata: a preview or thumbnail shows the image as it was before filtering."""

from __future__ import annotations

import re
from typing import Any

# The start of a JPEG or a PNG. The second byte of a JPEG's second marker is C0 to FE. Some maker
# notes change the first byte of a JPEG: then its first segment has to be a short one.
_BINARY = re.compile(
    rb"\xff\xd8\xff[\xc0-\xfe]|\xd8\xff[\xc0-\xc4\xdb\xdd\xe0-\xef\xfe][\0-\x0f]|\x89PNG\r\n",
    re.DOTALL,
)

# The same as text: in Base64 (RFC 4648, also its alphabet for addresses, with "/" as "%2F"), at
# each of three positions in its groups of four characters; in hexadecimal; as decimal numbers.
_SLASH = rb"(?:/|_|%2F)"
_JPEG_64 = (
    _SLASH + rb"9j" + _SLASH + rb"[0-9w-z+/_%-]",
    rb"(?:[Pfv/_]|%2F)" + _SLASH + b"Y" + _SLASH + rb"[89+/_%-]",
    rb"(?:[DHLPTXbfjnrvz37/_]|%2F)" + _SLASH + b"2P" + _SLASH + rb"[A-Za-z0-9+/_%-]",
)
_PNG_64 = (rb"iVBORw0KGg[o-r]", rb"lQTkcNChoK", rb"JUE5HDQoaC")
_TEXT = [re.compile(each) for each in (*_JPEG_64, *_PNG_64, rb"(?<!\d)255,216,255,(?:19[2-9]|2)")]
_HEXADECIMAL = re.compile(rb"ffd8ff[c-f]|89504e470d0a")

# What may stand between the characters: line ends, escapes of JSON, zeros of UTF-16.
_BETWEEN = b"\0\t\n\r :\\"


def shows_image(content: Any) -> bool:
    """Return whether bytes or a text contain a JPEG or a PNG, also in Base64 or hexadecimal."""
    if isinstance(content, str):
        content = content.encode("latin-1", "replace")  # as Pillow decodes tags
    if not isinstance(content, bytes):
        return False
    if _BINARY.search(content):
        return True
    text = content.translate(None, _BETWEEN)
    return any(each.search(text) for each in _TEXT) or bool(_HEXADECIMAL.search(text.lower()))
