"""The transparent colour of a PNG (tRNS), which is compared with samples as they are stored."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from convcli.errors import ConvcliError
from convcli.image import deep
from convcli.image.content import opened
from convcli.image.png_chunks import chunks

if TYPE_CHECKING:
    from convcli.types import Pixels

# Bits per sample of grey that Pillow widens to 8, by its names.
_BITS = {"L;2": 2, "L;4": 4}

_MOST = 65535


def widen(file: Image.Image, source: Path | bytes) -> None:
    """Widen the transparent colour of a file that Pillow opened as Pillow widens its samples.

    Bits above those of a sample are ignored, as libpng does. (In a palette "transparent" is an
    index or a table, and of 16-bit samples Pillow has the colour in full.)
    """
    colour = file.info.get("transparency")
    if colour is None or file.format != "PNG":
        return
    if file.mode == "1":  # Pillow hands over whether any of the 16 bits is set
        file.info["transparency"] = 255 * (_stored(source) & 1)
    elif file.mode == "L":
        layouts = {given for tile in getattr(file, "tile", []) for given in [tile[3]]}
        bits = next((_BITS[name] for name in layouts if name in _BITS), 8)
        most = (1 << bits) - 1
        file.info["transparency"] = (colour & most) * 255 // most
    elif file.mode == "RGB" and not deep.is_deep(file):
        file.info["transparency"] = tuple(sample & 255 for sample in colour)


def _stored(source: Path | bytes) -> int:
    """Return the transparent colour of a grey PNG that has one, as it is stored."""
    colour = 0
    with opened(source) as file:
        for kind, _, _ in chunks(file):
            if kind == b"IDAT":
                break
            if kind == b"tRNS":
                (colour,) = struct.unpack(">H", file.read(2))
    return colour


def check(file: Image.Image) -> None:
    """Raise `ConvcliError` for a transparent colour that cannot be compared."""
    if is_deep(file) and not deep.installed():
        raise ConvcliError(
            "has a transparent colour of 16 bits per channel; to read it, install the extra 'deep'"
        )


def is_deep(file: Image.Image) -> bool:
    """Return whether a transparent colour of 16-bit channels is compared, which Pillow cannot."""
    return file.format == "PNG" and "transparency" in file.info and deep.is_deep(file)


def with_alpha(grey: Pixels, colour: int) -> Pixels:
    """Return 16-bit grey with an alpha that is 0 where it has the transparent colour."""
    import numpy as np

    alpha = np.where(grey == np.uint16(colour & _MOST), np.uint16(0), np.uint16(_MOST))
    return np.stack([grey, alpha], axis=-1)
