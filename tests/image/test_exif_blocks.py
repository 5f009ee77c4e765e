"""EXIF blocks, which a file holds by their position: kept from any layout to any other."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base, Interop

from convcli.image import read
from tests.image.test_metadata import again, written

tifffile = pytest.importorskip("tifffile")

FORMATS = ["JPEG", "TIFF", "PNG", "WEBP"]


def photograph():
    exif = Image.Exif()
    exif[Base.Make] = "Leitz"
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] = "N"
    exif.get_ifd(IFD.Interop)[Interop.InteropIndex] = "R98"  # as every camera writes
    block = exif.get_ifd(IFD.Exif)
    block[Base.ISOSpeedRatings] = 400
    block[IFD.Interop] = exif.get_ifd(IFD.Interop)
    content = io.BytesIO()
    Image.new("RGB", (8, 6)).save(content, "JPEG", exif=exif)
    return content.getvalue()


def tags_of(content):
    with Image.open(io.BytesIO(content)) as image:
        exif = image.getexif()
        found = [exif.get_ifd(block) for block in (IFD.Exif, IFD.GPSInfo, IFD.Interop)]
    return exif.get(Base.Make), *(
        block.get(tag)
        for block, tag in zip(
            found, (Base.ISOSpeedRatings, GPS.GPSLatitudeRef, Interop.InteropIndex), strict=True
        )
    )


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_block_goes_along(source, target):
    content, notes = again(photograph(), source)
    assert notes == ()
    content, notes = again(content, target)
    assert notes == ()
    assert tags_of(content) == ("Leitz", 400, "N", "R98")


def block(order, is_big, *entries):
    """A directory of 16-bit numbers and of texts of up to 3 characters."""
    count, rows = ("Q", "HHQ8s") if is_big else ("H", "HHI4s")
    packed = [
        struct.pack(order + rows, code, 3, 1, struct.pack(f"{order}H", value))
        if isinstance(value, int)
        else struct.pack(order + rows, code, 2, len(value) + 1, value.encode())
        for code, value in entries
    ]
    return struct.pack(order + count, len(entries)) + b"".join(packed) + bytes(8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize(("order", "is_big"), [("<", True), (">", True), (">", False)])
def test_tiffs_of_every_layout_keep_their_metadata(order, is_big, target, dtype):
    def tiff(at):
        content = io.BytesIO()
        pointers = [(IFD.Exif, at), (IFD.GPSInfo, at + 100)]
        # tifffile does not write these codes, but the ones before them
        tags = [(code - 1, 13, 1, place, True) for code, place in pointers]
        tags += [(271, 2, 0, "Leitz", True), (274, 3, 1, 1, True), (34377, 7, 4, b"8BIM", True)]
        tifffile.imwrite(content, np.zeros((6, 8, 3), dtype), photometric="rgb", metadata=None,
                         byteorder=order, bigtiff=is_big, extratags=tags, software=False,
                         resolution=(300, 300), resolutionunit=2)  # fmt: skip
        written = content.getvalue()
        for code, _ in pointers:
            before, after = (struct.pack(f"{order}HH", each, 13) for each in (code - 1, code))
            assert written.count(before) == 1
            written = written.replace(before, after)
        return written

    at = len(tiff(0))
    inner = block(order, is_big, (1, "R98"))
    blocks = [
        block(order, is_big, (0x8827, 400), (0xA005, at + 200)),
        block(order, is_big, (1, "N")),
    ]
    source = tiff(at) + blocks[0].ljust(100, b"\0") + blocks[1].ljust(100, b"\0") + inner
    content, notes = written(read(source, target), target)
    assert any("Photoshop data" in note for note in notes)
    if not (target == "TIFF" and dtype == np.uint16):  # which has no blocks, with a note
        assert tags_of(content) == ("Leitz", 400, "N", "R98")
        assert not any("EXIF" in note for note in notes)
    with Image.open(io.BytesIO(content)) as image:
        assert image.info.get("dpi", (300, 300)) == pytest.approx((300, 300), abs=0.1)
