"""The colour that the bitstream of an AVIF states: against libavif's writer, and by hand."""

from __future__ import annotations

import io
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest

from convcli import ConvcliError
from convcli.image import av1, light, read
from convcli.image.blocks import held_by
from convcli.pixels import transfer
from tests.image.test_metadata import again, chunks_of

try:
    imagecodecs.avif_encode(np.zeros((8, 8, 3), np.uint8), primaries=1)
except TypeError:
    pytest.skip("this imagecodecs writes no code points", allow_module_level=True)


def avif(primaries, transfer, channels=3, dtype=np.uint8, **options):
    """An AVIF without a box colr."""
    shape = (64, 48, channels) if channels > 1 else (64, 48)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    content = imagecodecs.avif_encode(
        pixels, level=90, primaries=primaries, transfer=transfer, **options
    )
    assert b"colrnclx" in content
    return content.replace(b"colrnclx", b"skipnclx")


KINDS = {
    "RGB": {},
    "RGBA": {"channels": 4},
    "grey": {"channels": 1},
    "4:2:0": {"pixelformat": "yuv420"},
    "10 bits": {"dtype": np.uint16, "bitspersample": 10},
    "12 bits": {"dtype": np.uint16, "bitspersample": 12},
    "12 bits, 4:2:0": {"dtype": np.uint16, "bitspersample": 12, "pixelformat": "yuv420"},
}


@pytest.mark.parametrize(
    ("kind", "points"),
    [*((kind, (9, 16)) for kind in KINDS), *(("RGB", p) for p in ((12, 13), (9, 18), (1, 8)))],
)
def test_the_sequence_header_states_the_colour(kind, points):
    content = avif(*points, **KINDS[kind])
    assert held_by(content, "AVIF").code_points == bytes([*points, 0, 1])


def test_it_is_kept_noted_and_refused_as_that_of_a_box_is():
    content = avif(9, 16)
    written, _ = again(content, "PNG")
    assert (b"cICP", bytes([9, 16, 0, 1])) in chunks_of(written)
    _, notes = again(content, "JPEG")
    assert "dropped its colour code points, which JPEG cannot store" in notes
    with pytest.raises(ConvcliError, match=r"transfer characteristics 16 .PQ."):
        light.stated(read(content).metadata)
    assert light.stated(read(avif(1, 8)).metadata)[0] == transfer.LINEAR


@pytest.mark.parametrize("points", [(1, 13), (2, 2)])
def test_srgb_has_nothing_to_lose(points):
    assert held_by(avif(*points), "AVIF").code_points == b""


def test_a_box_comes_before_the_bitstream():
    content = avif(9, 16).replace(b"skipnclx\0\x09\0\x10", b"colrnclx\0\x0c\0\x0d")
    assert held_by(content, "AVIF").code_points == bytes([12, 13, 0, 1])


def packed(*fields):
    """Pack (value, bits) pairs."""
    text = "".join(f"{value:0{bits}b}" for value, bits in fields)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


SIZE = [(7, 4), (8, 4), (63, 8), (255, 9)]
COLOUR = [(0, 3), (1, 1), (0, 1), (1, 1), (9, 8), (16, 8), (9, 8)]  # high_bitdepth ...
# Profile 0, as read by hand in the specification, section 5.5.1.
SEQUENCES = {
    "simple": [(0, 1), (0, 1), (0, 5), (0, 12), (4, 5), *SIZE, (0, 1), (0, 3), (0, 5), (1, 1),
               (1, 1), *COLOUR],
    "a high level, frame numbers, order hints": [
        (0, 1), (0, 1), (0, 5), (0, 12), (9, 5), (1, 1), *SIZE, (1, 1), (0, 7), (0, 3), (0, 4),
        (1, 1), (0, 2), (0, 1), (0, 1), (6, 3), *COLOUR],
    "timing, two operating points": [
        (1, 1), (1, 32), (30, 32), (1, 1), (0, 2), (1, 1), (3, 2), (1, 1), (9, 5), (1, 32),
        (2, 5), (3, 5), (1, 1), (1, 5), (0, 12), (4, 5), (1, 1), (0, 21), (1, 1), (5, 4), (1, 12),
        (4, 5), (0, 1), (0, 1), *SIZE, (0, 1), (0, 3), (0, 5), (0, 1), (1, 1), (0, 1), (1, 1),
        *COLOUR],
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_headers_of_sequences_are_read(name):
    header = packed((0, 3), (0, 1), (0, 1), *SEQUENCES[name])
    unit = b"\x12\0\x0a" + bytes([len(header)]) + header
    box = (12 + len(unit)).to_bytes(4, "big") + b"av1C\x81\0\0\0" + unit
    assert av1.colour_of(bytes(4) + box, io.BytesIO()) == (9, 16)


def test_a_box_that_claims_more_than_a_file_can_have_ends_the_boxes():
    after = b"\0\0\0\x01uuid" + b"\xff" * 8
    assert held_by(avif(9, 16) + after, "AVIF").lost == ["C2PA signature"]


def test_damage_has_no_other_error():
    rng = np.random.default_rng(0)
    whole = avif(9, 16)
    for _ in range(1000):
        changed = bytearray(whole[: rng.integers(8, 330)])
        for at in rng.integers(0, len(changed), 4):
            changed[at] = rng.integers(256)
        with suppress(ConvcliError):
            held_by(bytes(changed), "AVIF")
