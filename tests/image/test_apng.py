"""Animated PNG: frames as its specification composes them."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from convcli import ConvcliError
from convcli.image import read
from tests.pngs import GREY, RGB, chunk, data_of, header

RGBA = 6
NONE, BACKGROUND, PREVIOUS = 0, 1, 2
SOURCE, OVER = 0, 1
RED, BLUE, HALF, CLEAR = (200, 0, 0, 255), (0, 0, 200, 255), (0, 0, 200, 128), (0, 0, 0, 0)


def apng(size, frames, colour_type, *chunks, interlaced=False, default=None, delay=(1, 10)):
    """Return an APNG of 8 bits. Each frame: left, top, samples (H, W, C), disposal, blend."""
    parts = [b"\x89PNG\r\n\x1a\n", header(size, 8, colour_type, interlaced)]
    parts += [chunk(b"acTL", struct.pack(">II", len(frames), 0)), *chunks]
    if default is not None:
        parts.append(chunk(b"IDAT", data_of(default, 8, interlaced)))
    number = 0
    for left, top, samples, disposal, blend in frames:
        height, width = samples.shape[:2]
        control = (number, width, height, left, top, *delay, disposal, blend)
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", *control)))
        number += 1
        data = data_of(samples, 8, interlaced)
        if number == 1 and default is None:
            parts.append(chunk(b"IDAT", data))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + data))
            number += 1
    return b"".join(parts) + chunk(b"IEND", b"")


def filled(colour, width=2, height=1):
    return np.full((height, width, len(colour)), colour, np.uint16)


def frames_read(content):
    return [np.asarray(Image.fromarray(np.ascontiguousarray(frame.pixels)).convert("RGBA"))
            for frame in read(content).all_frames()]  # fmt: skip


# Frames, and the row that is shown after each: as Chromium 156 shows them, by its ImageDecoder.
SHOWN = {
    "cleared without alpha": (
        RGB,
        [(0, 0, filled(RED[:3]), BACKGROUND, SOURCE), (0, 0, filled(BLUE[:3], 1), NONE, SOURCE)],
        [(RED, RED), (BLUE, CLEAR)],
    ),
    "first restored": (
        RGBA,
        [(0, 0, filled(RED), PREVIOUS, SOURCE), (1, 0, filled(BLUE, 1), NONE, SOURCE)],
        [(RED, RED), (CLEAR, BLUE)],
    ),
    "restored": (
        RGBA,
        [(0, 0, filled(RED), NONE, SOURCE), (0, 0, filled(BLUE, 1), PREVIOUS, SOURCE),
         (1, 0, filled(BLUE, 1), NONE, SOURCE)],
        [(RED, RED), (BLUE, RED), (RED, BLUE)],
    ),
    "half transparent over nothing": (
        RGBA,
        [(0, 0, filled(CLEAR), NONE, SOURCE), (0, 0, filled(HALF, 1), NONE, OVER)],
        [(CLEAR, CLEAR), (HALF, CLEAR)],
    ),
    "half transparent over a colour": (
        RGBA,
        [(0, 0, filled(RED), NONE, SOURCE), (0, 0, filled(HALF, 1), NONE, OVER)],
        [(RED, RED), ((100, 0, 100, 255), RED)],
    ),
    "half transparent in place of a colour": (
        RGBA,
        [(0, 0, filled(RED), NONE, SOURCE), (0, 0, filled(HALF, 1), NONE, SOURCE)],
        [(RED, RED), (HALF, RED)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("name", SHOWN)
def test_frames_are_those_that_a_browser_shows(name, interlaced):
    colour_type, frames, expected = SHOWN[name]
    shown = frames_read(apng((2, 1), frames, colour_type, interlaced=interlaced))
    assert len(shown) == len(expected)
    for one, row in zip(shown, expected, strict=True):
        np.testing.assert_allclose(one[0], row, atol=1)


def test_a_transparent_colour_lets_grey_show_through():
    frames = [(0, 0, filled((9,)), NONE, SOURCE), (0, 0, np.array([[[7], [5]]]), NONE, OVER)]
    content = apng((2, 1), frames, GREY, chunk(b"tRNS", struct.pack(">H", 7)))
    first, second = read(content).all_frames()
    assert first.mode == second.mode == "LA"
    np.testing.assert_array_equal(first.pixels, [[[9, 255], [9, 255]]])
    np.testing.assert_array_equal(second.pixels, [[[9, 255], [5, 255]]])


@pytest.mark.parametrize("target", ["PNG", "GIF"])
def test_a_default_image_is_no_part_of_the_animation(target):
    frames = [(0, 0, filled(RED), NONE, OVER), (1, 0, filled(BLUE, 1), NONE, OVER)]
    content = apng((2, 1), frames, RGBA, default=filled((1, 2, 3, 255)))
    shown = [frame.pixels[0].tolist() for frame in read(content, target).all_frames()]
    expected = [[RED, RED], [RED, BLUE]]
    if target == "PNG":
        expected.insert(0, [(1, 2, 3, 255)] * 2)
    assert [[tuple(pixel) for pixel in row] for row in shown] == expected


@pytest.mark.parametrize(("delay", "expected"), [((1, 10), 100), ((7, 0), 70), ((0, 5), 0)])
def test_durations_are_fractions(delay, expected):
    frames = [(0, 0, filled(RED), NONE, SOURCE)] * 2
    content = apng((2, 1), frames, RGBA, delay=delay)
    assert [frame.frame["duration"] for frame in read(content).all_frames()] == [expected] * 2


def test_every_frame_is_turned_upright():
    exif = Image.Exif()
    exif[0x112] = 6
    frames = [(0, 0, np.array([[(*RED,), (*BLUE,)]]), NONE, SOURCE)] * 2
    content = apng((2, 1), frames, RGBA, chunk(b"eXIf", exif.tobytes()[6:]))
    for frame in read(content).all_frames():
        np.testing.assert_array_equal(frame.pixels, [[RED], [BLUE]])


def test_a_damaged_frame_is_an_error_when_it_is_asked_for():
    frames = [(0, 0, filled(RED), NONE, SOURCE)] * 3
    content = bytearray(apng((2, 1), frames, RGBA))
    at = content.rindex(b"fdAT")
    content[at + 8 : at + 14] = bytes(6)
    picture = read(bytes(content))
    with pytest.raises(ConvcliError, match="truncated, damaged"):
        list(picture.later)


def test_frames_of_a_large_animation_come_one_by_one():
    """The canvas is drawn further; frames that were read before do not change."""
    frames = [(0, 0, filled((value,) * 3), NONE, SOURCE) for value in range(20)]
    pictures = list(read(apng((2, 1), frames, RGB)).all_frames())
    assert [int(picture.pixels[0, 0, 0]) for picture in pictures] == list(range(20))
    assert Image.open(io.BytesIO(apng((2, 1), frames, RGB))).n_frames == 20


def test_frames_that_are_missing_or_beyond_the_image_are_refused():
    frames = [(0, 0, filled(RED), NONE, SOURCE)] * 3
    content = apng((2, 1), frames, RGBA)
    fewer = content.replace(
        chunk(b"acTL", struct.pack(">II", 3, 0)), chunk(b"acTL", struct.pack(">II", 5, 0))
    )
    with pytest.raises(ConvcliError, match="it has 3 frames instead of 5"):
        frames_read(fewer)
    with pytest.raises(ConvcliError, match="truncated, damaged"):
        frames_read(apng((2, 1), [*frames, (1, 0, filled(RED), NONE, SOURCE)], RGBA))
    more = content.replace(
        chunk(b"acTL", struct.pack(">II", 3, 0)), chunk(b"acTL", struct.pack(">II", 2, 0))
    )
    assert len(frames_read(more)) == 2  # as many as the file states


def test_frames_of_16_bits_are_refused(tmp_path, run):
    """Pillow fails for colour, and writes other samples of grey."""
    frames = [Image.new("L", (9, 7), 50 * number) for number in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    done = run("blur", tmp_path / "a.png", "--depth", "16", "-o", tmp_path / "b.png")
    assert (done.status, "cannot hold frames of 16 bits" in done.err) == (1, True)
    assert run("blur", tmp_path / "a.png", "--depth", "16", "-o", tmp_path / "b.tif").status == 0
