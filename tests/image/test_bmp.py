"""BMPs whose channels are masks: right, or refused by name."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from convcli import ConvcliError
from convcli.image import read


def bmp(bits, masks, words, header=124, bottom_up=True):
    """Return a BMP of words (H, W), of which masks take the channels."""
    height, width = words.shape
    compression = 6 if header == 40 and len(masks) == 4 else 3
    info = struct.pack("<IiiHHIIiiII", header, width, height if bottom_up else -height, 1, bits,
                       compression, 0, 2835, 2835, 0, 0)  # fmt: skip
    stated = struct.pack("<4I", *(*masks, 0)[:4])
    if header == 40:
        info += stated[: 4 * len(masks)]
    else:
        info = (info + stated).ljust(header, b"\0")[:header]
    rows = [row.astype(f"<u{bits // 8}").tobytes() for row in words]
    data = b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in rows[:: -bottom_up or 1])
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + data


def channels_of(words, masks):
    """Return what the masks take, widened to 8 bits."""
    found = []
    for mask in masks:
        shift = (mask & -mask).bit_length() - 1
        most = mask >> shift
        values = (words & mask) >> shift
        found.append((values.astype(int) * 510 + most) // (2 * most))
    return np.stack(found, -1)


RIGHT = {
    "5-6-5": (16, (0xF800, 0x7E0, 0x1F)),
    "5-5-5": (16, (0x7C00, 0x3E0, 0x1F)),
    "BGRA": (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "RGBA": (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    "ABGR": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "BGRX": (32, (0xFF0000, 0xFF00, 0xFF)),
}
REFUSED = {
    "5-5-5-1": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "4-4-4-4": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "4-4-4": (16, (0xF00, 0xF0, 0xF)),
    "3-3-2": (16, (0xE0, 0x1C, 0x3)),
    "5-6-5": (16, (0x1F, 0x7E0, 0xF800)),
    "10-10-10-2": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "10-10-10": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "8-8-8": (32, (0xFF, 0xFF00, 0xFF0000)),
}


def words_of(bits):
    return np.random.default_rng(bits).integers(0, 1 << bits, (5, 3), dtype=np.uint64)


@pytest.mark.parametrize("bottom_up", [True, False])
# Headers below 56 bytes have no mask for alpha.
@pytest.mark.parametrize(
    ("layout", "header"),
    [
        (layout, header)
        for layout, (_, masks) in RIGHT.items()
        for header in (40, 52, 56, 108, 124)
        if len(masks) == 3 or header >= 56
    ],
)
def test_channels_are_taken_by_their_masks(layout, header, bottom_up):
    bits, masks = RIGHT[layout]
    words = words_of(bits)
    picture = read(bmp(bits, masks, words, header, bottom_up), "PNG")
    assert picture.mode == ("RGBA" if len(masks) == 4 else "RGB")
    expected = channels_of(words, masks)
    assert np.abs(picture.pixels.astype(int) - expected).max() <= (bits == 16)
    widened = f"widened {layout} bits to 8 per channel"
    assert picture.notes == ((widened,) if bits == 16 else ())


@pytest.mark.parametrize("header", [40, 56, 108, 124])
@pytest.mark.parametrize("layout", REFUSED)
def test_other_layouts_are_refused_by_name(layout, header):
    bits, masks = REFUSED[layout]
    with pytest.raises(ConvcliError, match=f"a BMP with channels of {layout} bits, stored in"):
        read(bmp(bits, masks, words_of(bits), header))


@pytest.mark.parametrize("layout", RIGHT)
def test_a_bmp_that_is_cut_off_is_truncated(layout):
    bits, masks = RIGHT[layout]
    with pytest.raises(ConvcliError, match="truncated, damaged"):
        read(bmp(bits, masks, words_of(bits))[:-9], "PNG")


def test_a_bmp_of_16_bits_without_masks_has_5_bits_per_channel():
    content = bytearray(bmp(16, RIGHT["5-5-5"][1], words_of(16)))
    content[30:34] = bytes(4)  # BI_RGB
    picture = read(bytes(content))
    expected = channels_of(words_of(16), RIGHT["5-5-5"][1])
    assert np.abs(picture.pixels.astype(int) - expected).max() <= 1
    assert picture.notes == ("widened 5-5-5 bits to 8 per channel",)
