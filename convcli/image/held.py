"""What a file holds besides pixels, and besides what Pillow hands over."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

# Bytes that are searched at a time.
_PART = 1 << 20

# What trailing bytes are called, after their number.
AFTER = "bytes after its end"

# Padding that programs write after the end of an image.
_PADDING = b"\0\xff\r\n\t \x1a"

# ITU-T H.273: BT.709 primaries, the transfer function of sRGB, and "unspecified" in their place.
_SRGB_POINTS = ((1, 2), (13, 2))


def is_srgb(code_points: bytes) -> bool:
    """Return whether code points say no more than "sRGB", which is assumed without them."""
    return all(value in able for value, able in zip(code_points, _SRGB_POINTS, strict=False))


@dataclass
class Held:
    """What a file holds besides pixels and what Pillow reads.

    Attributes
    ----------
    texts : list of (bytes, bytes)
        The text chunks of a PNG, type and content, as they are stored.
    chunks : list of (bytes, bytes)
        Other chunks of a PNG that are still true of a filtered image. The background colour
        (bKGD) is in samples of 16 bits.
    comments : list of bytes
        The comments of a JPEG.
    code_points : bytes
        Colour primaries, transfer characteristics, matrix and range by ITU-T H.273, as in the
        chunk cICP of a PNG. Those of an AVIF (nclx) are of the decoded RGB; empty if they state
        sRGB, or if a colour profile says more.
    has_profile : bool
        The file has a colour profile; Pillow does not hand over one that is incomplete.
    lost : list of str
        Names of what is not kept.
    """

    texts: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    comments: list[bytes] = field(default_factory=list)
    code_points: bytes = b""
    has_profile: bool = False
    lost: list[str] = field(default_factory=list)

    def lose(self, name: str) -> None:
        """Add a name of what is not kept, once."""
        if name not in self.lost:
            self.lost.append(name)


def read_fields(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    """Read fields by a layout of `struct`."""
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def parts(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a file in parts."""
    while part := file.read(_PART):
        yield part


def name_the_rest(file: BinaryIO, held: Held) -> None:
    """Name the bytes after the end of an image, unless they are padding."""
    count = 0
    is_padding = True
    for part in parts(file):
        count += len(part)
        is_padding = is_padding and not part.strip(_PADDING)
    if not is_padding:
        held.lose(f"{count} {AFTER}")


def printable(name: bytes) -> str:
    """Return the name of a chunk or segment as text of harmless characters."""
    return re.sub(r"[^ -~]", "?", name.decode("latin-1"))
