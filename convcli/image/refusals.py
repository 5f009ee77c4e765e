"""Turning the exceptions of decoders into errors of one sentence."""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import FORMATS, spelt
from convcli.image.content import beginning

# Free bytes below which a decoder that fails is assumed to have run out of memory.
_SCARCE = 50_000_000

# Errors whose texts speak of Python and not of the file.
_OF_PYTHON = (
    *(TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, UnicodeError),
    struct.error,
)

# The same of other errors, such as those of int() and float() for text that is not a number: they
# name a function, a type or a module. Compiled, in 0.3 ms, when there is an error.
_PYTHON_WORDS = (
    r"\w\(|\b(?:int|integer|float|complex|str|string|substring|byte must|bytes-like|bytearray|dict"
    r"|dictionary|memoryview|buffer|tuple|list|slice|object|literal|NoneType|argument|attribute"
    r"|iterable|unpack|reshape|broadcast|ndarray|numpy|embedded null|shift count|read length"
    r"|negative (?:count|seek|size))\b"
)

# The start of bytes as Python prints them.
_BYTES_PREFIX = r"\bb(?=['\"])"

_UNREADABLE = "is truncated, damaged or of a kind that cannot be read"

# The first bytes of common formats that are never opened, from their specifications. The brands
# of HEIC are those in ISO/IEC 23008-12 that AVIF does not use.
_NOT_READ = {
    "HEIC": rb"....ftyp(?:....){0,12}?(?:hei[cxms]|hev[cx])",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "camera raw": rb"....ftypcrx |FUJIFILMCCD-RAW",
    "PSD": rb"8BPS",
    "SVG": rb"\s*(?:<[?!].*)?<svg",
    "PostScript": rb"%!PS|\xc5\xd0\xd3\xc6",
    "PDF": rb"%PDF",
}


@contextmanager
def refusals(source: Path | bytes) -> Iterator[None]:
    """Turn the exceptions of decoders into a `ConvcliError` of one sentence.

    Errors of the disk and of memory are raised unchanged.
    """
    try:
        yield
    except ConvcliError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(map(spelt, FORMATS))
        for name, begins in _NOT_READ.items():
            if re.match(begins, beginning(source), re.DOTALL):
                raise ConvcliError(
                    f"is {name}, which convcli cannot read; convert it to one of {known} first"
                ) from None
        looks_like = next((name for name in FORMATS if _begins_as(source, name)), None)
        if looks_like:
            raise ConvcliError(f"looks like {spelt(looks_like)}, but {_UNREADABLE}") from None
        raise ConvcliError(f"is not an image in a known format ({known})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ConvcliError(
            f"has more than {Image.MAX_IMAGE_PIXELS} pixels; --max-pixels raises the limit"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise any kind
        # An error of the disk, unless damage made a decoder seek before the start (EINVAL).
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        if (memory.available() or _SCARCE) < _SCARCE:
            raise MemoryError from error  # decoders in C report it as something else
        if str(error).startswith("Unsupported BMP"):
            from convcli.image import bmp

            bmp.refuse(beginning(source))
        given = error.args[0] if error.args else ""
        reason = given.decode(errors="replace") if isinstance(given, bytes) else str(error)
        reason = re.sub(_BYTES_PREFIX, "", reason)
        speaks_of_python = isinstance(error, ValueError) and re.search(_PYTHON_WORDS, reason)
        if isinstance(error, _OF_PYTHON) or speaks_of_python:  # unexpected by a decoder
            reason = ""
        raise ConvcliError(f"{_UNREADABLE}{reason and ': '}{reason}") from error


def _begins_as(source: Path | bytes, format_name: str) -> bool:
    """Return whether a file begins as a format does."""
    accept = Image.OPEN[format_name][1] if format_name in Image.OPEN else None
    return accept is not None and accept(beginning(source)) is True
