"""JPEG of every sampling of colour: kept, and read by decoders that nobody here wrote."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from convcli.image import read, write

SAMPLINGS = ("444", "422", "420", "440", "411")


def written(picture):
    content = io.BytesIO()
    notes = write(picture, content, "JPEG")
    return content.getvalue(), notes


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def steps(image):
    """Steps in pixels between the samples of each component."""
    widest = max(layer[1] for layer in image.layer)
    tallest = max(layer[2] for layer in image.layer)
    return [(widest / layer[1], tallest / layer[2]) for layer in image.layer]


def resampled(content, factors):
    """The same file with other factors in the header of its frame: its pixels are nonsense."""
    at = content.index(b"\xff\xc0") + 11
    changed = bytearray(content)
    changed[at : at + 9 : 3] = bytes(h << 4 | v for h, v in factors)
    return bytes(changed)


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (1, 1), (48, 64)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_sampling_of_a_jpeg_is_kept(photo, sampling, size):
    pixels = np.ascontiguousarray(photo[100 : 100 + size[0], 200 : 200 + size[1]])
    before = imagecodecs.jpeg8_encode(pixels, level=92, subsampling=sampling)
    after, notes = written(read(before))
    assert notes == ()
    assert steps(opened(after)) == steps(opened(before))
    assert opened(after).quantization == opened(before).quantization
    shown = np.asarray(opened(before)).astype(float)
    for decoded in (
        np.asarray(opened(after)),
        imagecodecs.jpeg8_decode(after),
    ):
        assert decoded.shape == shown.shape
        assert np.abs(decoded - shown).mean() < 1.5


@pytest.mark.parametrize("sampling", ["440", "411"])
def test_it_is_as_good_as_another_encoders(photo, sampling):
    """Against libjpeg-turbo, from the same pixels with the same tables."""
    before = imagecodecs.jpeg8_encode(photo, level=85, subsampling=sampling)
    after, _ = written(read(before).with_pixels(photo))
    errors = [
        np.abs(np.asarray(opened(each)).astype(float) - photo).mean() for each in (before, after)
    ]
    assert errors[1] < errors[0] + 0.05
    assert len(after) < 1.02 * len(before)


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        (((1, 2), (1, 2), (1, 2)), [(1, 1)] * 3),
        (((3, 1), (3, 1), (3, 1)), [(1, 1)] * 3),
        (((2, 2), (1, 2), (1, 2)), [(1, 1), (2, 1), (2, 1)]),
        (((2, 4), (1, 1), (1, 1)), [(1, 1), (2, 4), (2, 4)]),
        (((4, 2), (1, 1), (1, 1)), [(1, 1), (4, 2), (4, 2)]),
        (((2, 2), (2, 1), (1, 2)), [(1, 1), (1, 2), (2, 1)]),
        (((1, 1), (2, 1), (2, 1)), [(2, 1), (1, 1), (1, 1)]),
        (((3, 1), (1, 1), (1, 1)), [(1, 1), (3, 1), (3, 1)]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_unusual_factors_are_kept_as_steps(photo, factors, expected):
    content = io.BytesIO()
    Image.fromarray(photo[:64, :64]).save(content, "JPEG", subsampling=0, quality=90)
    picture = read(resampled(content.getvalue(), factors)).with_pixels(photo[:64, :64])
    after, notes = written(picture)
    assert notes == ()
    assert steps(opened(after)) == expected
    assert np.abs(np.asarray(opened(after)).astype(float) - photo[:64, :64]).mean() < 12


def test_it_has_its_metadata_once(photo):
    content = imagecodecs.jpeg8_encode(np.ascontiguousarray(photo[:64, :64]), subsampling="440")
    picture = read(content)
    picture.metadata.update(comment=b"once", dpi=(300, 300), xmp=b"<x/>")
    after, _ = written(picture)
    assert after.count(b"once") == after.count(b"<x/>") == 1
    assert opened(after).info["dpi"] == (300, 300)


def test_tables_of_16_bits_are_kept(photo):
    content = io.BytesIO()
    table = [300 + number for number in range(64)]
    Image.fromarray(photo[:32, :32]).save(content, "JPEG", qtables=[table, table], subsampling=1)
    changed = content.getvalue().replace(b"\x03\x01\x21\x00", b"\x03\x01\x12\x00")
    after, _ = written(read(changed).with_pixels(photo[:32, :32]))
    assert steps(opened(after))[1] == (1, 2)
    assert opened(after).quantization == {0: table, 1: table}


def test_edges_in_grey_have_no_sampling_to_keep(photo):
    content = imagecodecs.jpeg8_encode(np.ascontiguousarray(photo[:64, :64]), subsampling="440")
    picture = read(content)
    after, _ = written(picture.with_pixels(picture.pixels[..., 0].copy()))
    assert opened(after).mode == "L"


def cmyk(photo, factors):
    """A CMYK JPEG with the factors of its components."""
    content = io.BytesIO()
    Image.fromarray(photo[:64, :64]).convert("CMYK").save(content, "JPEG")
    whole = bytearray(content.getvalue())
    at = whole.index(b"\xff\xc0") + 11
    whole[at : at + 12 : 3] = bytes(factors)
    return bytes(whole)


@pytest.mark.parametrize(
    ("factors", "is_noted"),
    [
        ((0x22, 0x11, 0x11, 0x22), True),
        ((0x21, 0x11, 0x11, 0x21), True),
        ((0x12, 0x11, 0x11, 0x12), True),
        ((0x22, 0x11, 0x11, 0x11), True),
        ((0x11, 0x11, 0x11, 0x11), False),
        ((0x12, 0x12, 0x12, 0x12), False),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_cmyk_is_written_in_full_resolution_with_a_note(photo, factors, is_noted):
    """Other samples than those of the factors: its pixels are nonsense."""
    picture = read(cmyk(photo, factors))
    after, notes = written(picture)
    assert steps(opened(after)) == [(1, 1)] * 4
    full = "wrote its colours in full resolution; CMYK in JPEG is not subsampled"
    assert notes == ((full,) if is_noted else ())
    assert written(picture.with_pixels(picture.pixels[..., 0].copy()))[1] == ()
    assert write(picture, io.BytesIO(), "TIFF") == ()
