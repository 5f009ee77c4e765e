"""BMPs whose channels have other widths than 8 bits: named, and refused where Pillow is wrong."""

from __future__ import annotations

import struct

from PIL import Image

from convcli.errors import ConvcliError

# The header that masks follow or belong to, and the two compressions that have masks (wingdi.h):
# BI_BITFIELDS and BI_ALPHABITFIELDS.
_SHORT_HEADER = 40
_MASKED = (3, 6)

# What Pillow calls pixels of 16 bits.
_LAYOUTS = {"BGR;15": "5-5-5", "BGR;16": "5-6-5"}


def layout_of(beginning: bytes) -> str:
    """Return the bits of each channel, such as "5-6-5", of a BMP that states masks, or "".

    `beginning` holds the first bytes of the file.
    """
    if not beginning.startswith(b"BM") or len(beginning) < 70:
        return ""
    (size, compression) = struct.unpack_from("<I12xI", beginning, 14)
    if size < _SHORT_HEADER or compression not in _MASKED:
        return ""
    has_alpha = size >= 56 or (size == _SHORT_HEADER and compression == _MASKED[1])
    masks = struct.unpack_from("<4I", beginning, 54)[: 4 if has_alpha else 3]
    widths = [mask.bit_count() for mask in masks]
    return "-".join(map(str, widths if widths[-1] else widths[:3]))


def refuse(beginning: bytes) -> None:
    """Raise `ConvcliError` for a BMP with masks, by its layout."""
    if layout := layout_of(beginning):
        raise ConvcliError(
            f"is a BMP with channels of {layout} bits, stored in a way that convcli cannot read; "
            "convert it to PNG first"
        )


def check_alpha(file: Image.Image, beginning: bytes) -> None:
    """Refuse an opened BMP of 16 bits per pixel with alpha, which Pillow would drop."""
    if file.format == "BMP" and file.mode == "RGB" and layout_of(beginning).count("-") == 3:
        refuse(beginning)


def notes(file: Image.Image) -> list[str]:
    """Note channels of less than 8 bits."""
    tiles = getattr(file, "tile", []) if file.format == "BMP" else []
    found = {_LAYOUTS[tile[3][0]] for tile in tiles if tile[3][0] in _LAYOUTS}
    return [f"widened {layout} bits to 8 per channel" for layout in found]
