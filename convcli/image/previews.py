"""Images in metadata: a preview or thumbnail shows the image as it was before filtering."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from functools import partial
from typing import Any

# The start of a JPEG or a PNG. The second byte of a JPEG's second marker is C0 to FE. Some maker
# notes change the first byte of a JPEG: then its first segment has to be a short one.
_BINARY = re.compile(
    rb"\xff\xd8\xff[\xc0-\xfe]|\xd8\xff[\xc0-\xc4\xdb\xdd\xe0-\xef\xfe][\0-\x0f]|\x89PNG\r\n",
    re.DOTALL,
)

# The same as text. In Base64 (RFC 4648) a JPEG begins with one of the three bytes of a group: what
# follows the slash that is its first or second character. In hexadecimal; as decimal numbers.
_JPEG_64 = [re.compile(each) for each in (rb"/9j(?=/)", rb"/Y(?=[89+/])", rb"/2P(?=/)")]
_JPEG_16 = re.compile(rb"ffd8ff(?=[c-f])")
_TEXT = [
    re.compile(each)
    for each in (
        *(rb"iVBORw0KGg[o-r]", rb"lQTkcNChoK", rb"JUE5HDQoaC"),  # PNG in Base64
        rb"(?<!\d)255,216,255,(?:19[2-9]|2)",
    )
]
_PNG_16 = b"89504e470d0a"
_AFTER_64, _AFTER_16 = re.compile(rb"[^A-Za-z0-9+/]"), re.compile(rb"[^0-9a-f]")

# Where a text looks as if a JPEG began: a random one of 64 MB has 1,000 such places, each of which
# takes some microseconds to look at.
_MOST_PLACES = 20_000

# What may stand between the characters: line ends, escapes of JSON, zeros of UTF-16. Base64 has
# an alphabet for addresses, too; there a slash may be written as a number.
_BETWEEN = b"\0\t\n\r :\\"
_OF_ADDRESSES = bytes.maketrans(b"-_", b"+/")


def shows_image(content: Any) -> bool:
    """Return whether bytes or a text contain a JPEG or a PNG, also in Base64 or hexadecimal."""
    if isinstance(content, str):
        content = content.encode("latin-1", "replace")  # as Pillow decodes tags
    if not isinstance(content, bytes):
        return False
    if _BINARY.search(content):
        return True
    text = content.translate(None, _BETWEEN).replace(b"%2F", b"/").replace(b"%2B", b"+")
    if any(each.search(text) for each in _TEXT) or _is_in_64(text.translate(_OF_ADDRESSES)):
        return True
    return _is_in_16(text.lower())


def _is_in_64(text: bytes) -> bool:
    """Return whether a text contains the start of a JPEG in Base64."""
    for before, pattern in enumerate(_JPEG_64):
        end = 0
        for number, found in enumerate(pattern.finditer(text)):
            start = found.start() - (before > 0)  # the first character with bits of the JPEG
            if start < 0:
                continue
            if start >= end:  # not in the run of the last one
                end = _end_of_run(_AFTER_64, text, found.start())
            part = partial(_part_of_64, text, (start, end), before)
            if number == _MOST_PLACES or _begins_jpeg(part):
                return True
    return False


def _part_of_64(text: bytes, run: tuple[int, int], before: int, first: int) -> bytes:
    """Decode some bytes from number `first` on; `before` bytes of the first group are others."""
    group, skipped = divmod(first + before, 3)
    place = run[0] - before + 4 * group
    digits = b"A" * (run[0] - place) + text[max(place, run[0]) : min(place + 12, run[1])]
    return binascii.a2b_base64(digits[: len(digits) // 4 * 4])[skipped:]


def _is_in_16(text: bytes) -> bool:
    """Return whether a text contains the start of an image in hexadecimal."""
    end = 0
    for number, found in enumerate(_JPEG_16.finditer(text)):
        if found.start() >= end:
            end = _end_of_run(_AFTER_16, text, found.start())
        part = partial(_part_of_16, text, (found.start(), end))
        if number == _MOST_PLACES or _begins_jpeg(part):
            return True
    return _PNG_16 in text


def _part_of_16(text: bytes, run: tuple[int, int], first: int) -> bytes:
    place = run[0] + 2 * first
    digits = text[place : min(place + 12, run[1])]
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def _end_of_run(after: re.Pattern[bytes], text: bytes, start: int) -> int:
    found = after.search(text, start)
    return found.start() if found else len(text)


# The codes of markers that may come first (ITU-T T.81, table B.1): frames, tables, APP0 to APP15,
# a comment.
_FIRST = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE}

# What JFIF and encoders write first is shorter than this.
_SHORT = 256


def _begins_jpeg(part: Callable[[int], bytes]) -> bool:
    """Return whether a JPEG begins: its marker and a short segment, or one before the next marker.

    `part(n)` returns some bytes from number n on, fewer where they end. One in 50 random texts of
    200 kB has the first three bytes of a JPEG somewhere.
    """
    beginning = part(0)
    if beginning[:3] != b"\xff\xd8\xff" or len(beginning) < 4 or beginning[3] not in _FIRST:
        return False
    length = int.from_bytes(beginning[4:6], "big")
    if length < _SHORT:
        return True
    return part(4 + length)[:1] in (b"", b"\xff")  # empty if the JPEG is cut off before
