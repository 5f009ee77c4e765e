"""Damaged images are written, or refused with a message; no other error is raised."""

from __future__ import annotations

import io
import random
import struct
from functools import partial

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from convcli.files.formats import FORMATS
from tests.whole import fuzz_pictures

SEEDS = fuzz_pictures.seeds()


def lasting(milliseconds):
    """An animation whose first frame has the given duration."""
    content = bytearray(SEEDS["WEBP-frames"])
    at = content.index(b"ANMF") + 20
    content[at : at + 3] = milliseconds.to_bytes(3, "little")
    return bytes(content)


def resolved_by(stated):
    """A TIFF with the given resolution in dots per inch."""
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "TIFF", dpi=(stated, stated))
    return content.getvalue()


def with_unit(unit):
    """A TIFF of 16-bit colour whose resolution has the given unit; three units exist."""
    said = partial(struct.pack, "<HHIHH", 296, 3, 1)  # tag, SHORT, one
    return SEEDS["TIFF-deep"].replace(said(1, 0), said(unit, 0))


# Found by fuzzing, named by the bug of that time.
FOUND = {
    "longer than a GIF can show it": bytes([1 + [*FORMATS].index("GIF")]) + lasting(700_000),
    "an unknown unit of resolution": bytes([3]) + with_unit(65533),
    **{
        f"a resolution of 0/0 for {name}": bytes([1 + number]) + resolved_by(IFDRational(0, 0))
        for number, name in enumerate(FORMATS)
    },
}


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    fuzz_pictures.prepare()  # pytest restores the warnings' filters


@pytest.mark.parametrize("seed", SEEDS)
def test_whole_pictures_are_written(seed):
    assert fuzz_pictures.one_input(b"\0" + SEEDS[seed]) == "written"


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_pictures_are_written_or_refused(seed):
    """Any other exception is a bug."""
    rng = random.Random(seed)
    for _ in range(20):
        content = bytearray(SEEDS[seed])
        for _ in range(rng.choice((1, 2, 8))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.3:
            del content[rng.randrange(len(content)) :]
        fuzz_pictures.one_input(bytes([rng.randrange(256)]) + content)


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_stays_mended(name):
    fuzz_pictures.one_input(FOUND[name])


def test_a_bug_is_not_taken_for_a_refusal(monkeypatch):
    monkeypatch.setattr(fuzz_pictures, "FILTERS", (lambda pixels: pixels[:0],) * 4)
    with pytest.raises((ValueError, KeyError, SystemError, IndexError)):
        fuzz_pictures.one_input(b"\0" + SEEDS["PNG-RGB"])
