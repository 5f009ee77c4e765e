"""PNG with a transparent colour (tRNS), at every depth and colour type."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from convcli import ConvcliError
from convcli.files.formats import spelt
from convcli.image import deep, read, write
from tests.pngs import GREY, PALETTE, RGB, chunk, data_of, header, png

KINDS = [(GREY, 1), (GREY, 2), (GREY, 4), (GREY, 8), (GREY, 16), (RGB, 8), (RGB, 16)]


def sampled(colour_type, depth, size=(7, 9)):
    """Return samples of few values, of which some are near the first."""
    rng = np.random.default_rng(depth)
    channels = 3 if colour_type == RGB else 1
    values = rng.integers(0, 1 << depth, (6, channels))
    values[1] = values[0] ^ 1  # the lowest bit differs
    if depth == 16:
        values[2] = values[0] ^ 0x0100
        values[3] = values[0] & 0xFF00  # the high bytes are equal
        values[4] = values[0] >> 8  # the high byte as the low one
    return values[rng.integers(0, len(values), size)].astype(np.uint16), values


def expected_of(samples, depth, key):
    """Return alpha as 0 and 1, and the samples at 8 or 16 bits."""
    alpha = (samples != np.asarray(key)).any(axis=-1).astype(np.uint16)
    most = (1 << depth) - 1
    return alpha, samples if depth == 16 else samples.astype(int) * 255 // most


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour_type", "depth"), KINDS)
@pytest.mark.parametrize("which", range(5))
def test_pixels_of_the_transparent_colour_are_transparent(colour_type, depth, which, interlaced):
    samples, values = sampled(colour_type, depth)
    key = values[which]
    content = png(samples, depth, colour_type, chunk(b"tRNS", key.astype(">u2").tobytes()),
                  interlaced=interlaced)  # fmt: skip
    alpha, colours = expected_of(samples, depth, key)
    picture = read(content)
    most = 65535 if depth == 16 else 255
    assert picture.mode == ("LA" if colour_type == GREY else "RGBA") + ";16" * (depth == 16)
    np.testing.assert_array_equal(picture.pixels[..., -1], alpha * most)
    np.testing.assert_array_equal(picture.pixels[..., :-1], colours)
    if depth >= 8:
        np.testing.assert_array_equal(picture.pixels, imagecodecs.png_decode(content))


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("target", ["WEBP", "AVIF", "GIF"])
def test_colours_of_16_bits_are_compared_before_they_are_reduced(target, which):
    samples, values = sampled(RGB, 16)
    key = values[which]
    content = png(samples, 16, RGB, chunk(b"tRNS", key.astype(">u2").tobytes()))
    alpha, colours = expected_of(samples, 16, key)
    picture = read(content, target)
    assert picture.mode == "RGBA"
    assert picture.notes == ("reduced 16-bit channels to 8 bits",)
    np.testing.assert_array_equal(picture.pixels[..., -1], alpha * 255)
    np.testing.assert_array_equal(picture.pixels[..., :-1], colours >> 8)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("table", ["one", "several", "partial"])
def test_palettes_have_an_alpha_for_each_colour(depth, table, interlaced):
    rng = np.random.default_rng(depth)
    count = 1 << depth
    palette = rng.integers(0, 256, (count, 3)).astype(np.uint8)
    alphas = {"one": [255, 0], "several": [0, 7], "partial": [200] * count}[table]
    samples = rng.integers(0, count, (7, 9, 1)).astype(np.uint16)
    content = png(samples, depth, PALETTE, chunk(b"PLTE", palette.tobytes()),
                  chunk(b"tRNS", bytes(alphas)), interlaced=interlaced)  # fmt: skip
    picture = read(content)
    assert picture.mode == "RGBA"
    whole = np.append(alphas, [255] * (count - len(alphas))).astype(np.uint8)
    colours = np.column_stack([palette, whole])
    np.testing.assert_array_equal(picture.pixels, colours[samples[..., 0]])


@pytest.mark.parametrize(("colour_type", "depth"), [kind for kind in KINDS if kind[1] < 16])
def test_bits_above_those_of_a_sample_are_ignored(colour_type, depth):
    """As by libpng, which reads only the low bits."""
    samples, values = sampled(colour_type, depth)
    for value in values[:2]:
        key = value | 1 << depth | 1 << 15
        for high in (key, value | 1 << 15):
            transparent = chunk(b"tRNS", high.astype(">u2").tobytes())
            content = png(samples, depth, colour_type, transparent)
            alpha, _ = expected_of(samples, depth, value)
            np.testing.assert_array_equal(read(content).pixels[..., -1], alpha * 255)
            for frame in read(animation(samples, depth, colour_type, transparent)).all_frames():
                np.testing.assert_array_equal(frame.pixels[..., -1], alpha * 255)


@pytest.mark.parametrize("target", ["PNG", "TIFF"])
def test_grey_of_16_bits_keeps_them_with_its_transparent_colour(target):
    samples, values = sampled(GREY, 16)
    content = png(samples, 16, GREY, chunk(b"tRNS", values[0].astype(">u2").tobytes()))
    written = io.BytesIO()
    assert write(read(content, target), written, target) == ()
    again = read(written.getvalue())
    alpha, colours = expected_of(samples, 16, values[0])
    np.testing.assert_array_equal(again.pixels[..., -1], alpha * 65535)
    np.testing.assert_array_equal(again.pixels[..., :1], colours)


def test_without_the_extra_16_bit_grey_is_right_and_colour_is_refused(monkeypatch):
    monkeypatch.setattr(deep, "installed", lambda: False)
    for colour_type in (GREY, RGB):
        samples, values = sampled(colour_type, 16)
        content = png(samples, 16, colour_type, chunk(b"tRNS", values[0].astype(">u2").tobytes()))
        if colour_type == RGB:
            with pytest.raises(ConvcliError, match="transparent colour of 16 bits per channel"):
                read(content)
        else:
            alpha, _ = expected_of(samples, 16, values[0])
            np.testing.assert_array_equal(read(content).pixels[..., -1], alpha * 65535)
            with pytest.raises(ConvcliError, match="to write TIFF, install the extra 'deep'"):
                read(content, "TIFF")


@pytest.mark.parametrize("target", ["PPM", "WEBP"])
def test_16_bit_grey_with_a_transparent_colour_is_refused_by_name(target):
    content = png(np.zeros((2, 2, 1), np.uint16), 16, GREY, chunk(b"tRNS", struct.pack(">H", 5)))
    with pytest.raises(
        ConvcliError, match=f"{spelt(target)} cannot hold 16-bit samples with transparen"
    ):
        read(content, target)


def test_a_transparent_colour_does_not_change_what_pillow_reads_right():
    image = Image.new("RGB", (3, 1), (1, 2, 3))
    image.putpixel((1, 0), (4, 5, 6))
    content = io.BytesIO()
    image.save(content, "PNG", transparency=(1, 2, 3))
    assert read(content.getvalue()).pixels[0, :, 3].tolist() == [0, 255, 0]


def animation(samples, depth, colour_type, *chunks):
    """Return an APNG of one frame twice."""
    height, width = samples.shape[:2]
    data = data_of(samples, depth)
    controls = [
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, 0, 1))
        for number in (0, 1)
    ]
    return b"".join((
        b"\x89PNG\r\n\x1a\n", header((width, height), depth, colour_type),
        chunk(b"acTL", struct.pack(">II", 2, 0)), *chunks, controls[0], chunk(b"IDAT", data),
        controls[1], chunk(b"fdAT", struct.pack(">I", 2) + data), chunk(b"IEND", b""),
    ))  # fmt: skip


@pytest.mark.parametrize(("colour_type", "depth"), KINDS)
def test_frames_have_the_transparent_colour_too(colour_type, depth):
    samples, values = sampled(colour_type, depth)
    key = chunk(b"tRNS", values[0].astype(">u2").tobytes())
    alpha, colours = expected_of(samples, depth, values[0])
    if depth == 16:
        colours = colours >> 8
    frames = list(read(animation(samples, depth, colour_type, key)).all_frames())
    assert len(frames) == 2
    for frame in frames:
        np.testing.assert_array_equal(frame.pixels[..., -1], alpha * 255)
        visible = alpha == 1
        np.testing.assert_array_equal(frame.pixels[visible][:, :-1], colours[visible])
