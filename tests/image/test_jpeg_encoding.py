"""Large JPEG files: the strips that threads encode make the image that Pillow encodes whole."""

from __future__ import annotations

import io
import subprocess
from shutil import which

import numpy as np
import pytest
from PIL import Image

from convcli.image import Picture, jpeg_encoding, write
from convcli.pixels.padded import Padded

CHANNELS = {"L": 1, "RGB": 3, "CMYK": 4}


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(jpeg_encoding, "_STRIP", 1)  # of 16 rows


def photo_of(mode, height, width):
    y, x, z = np.ogrid[:height, :width, : CHANNELS[mode]]
    noise = np.random.default_rng(0).integers(0, 60, (height, width, CHANNELS[mode]))
    pixels = (noise + 2 * x + y + 50 * z) % 256
    return np.ascontiguousarray(pixels.astype(np.uint8).squeeze(-1 if mode == "L" else ()))


def encoded(picture, **settings):
    content = io.BytesIO()
    write(picture, content, "JPEG", **settings)
    return content.getvalue()


def whole(picture, **settings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg_encoding, "_STRIP", 1 << 30)
        return encoded(picture, **settings)


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(17, 1), (32, 33), (161, 75), (48, 16)])
@pytest.mark.parametrize("mode", CHANNELS)
def test_strips_make_the_whole_image(mode, size, sampling):
    pixels = photo_of(mode, *size)
    picture = Picture(pixels, mode, "JPEG", encoding={"subsampling": sampling, "quality": 93})
    strips, expected = encoded(picture), whole(picture)
    assert strips != expected
    np.testing.assert_array_equal(decoded(strips), decoded(expected))


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_bytes_are_the_same_for_any_number_of_workers(quality):
    picture = Picture(photo_of("RGB", 170, 90), "RGB", "PNG")
    one, *others = [encoded(picture, quality=quality, workers=workers) for workers in (1, 2, 3)]
    assert others == [one, one]
    np.testing.assert_array_equal(decoded(one), decoded(whole(picture, quality=quality)))


def test_padded_colour_is_encoded_as_it_is():
    pixels = photo_of("RGB", 100, 90)
    padded = Padded(np.dstack([pixels, np.full(pixels.shape[:2], 7, np.uint8)]))
    assert encoded(Picture(padded, "RGB", "PNG")) == encoded(Picture(pixels, "RGB", "PNG"))


def test_tables_of_16_bits_are_kept():
    tables = [list(range(200, 328)[:64]), [300] * 64]
    picture = Picture(photo_of("RGB", 70, 90), "RGB", "JPEG", encoding={"qtables": tables})
    content = encoded(picture)
    np.testing.assert_array_equal(decoded(content), decoded(whole(picture)))
    assert list(Image.open(io.BytesIO(content)).quantization.values()) == tables


def test_metadata_are_written_once():
    metadata = {"dpi": (300, 300), "comment": b"one comment"}
    picture = Picture(photo_of("RGB", 170, 90), "RGB", "JPEG", metadata)
    content, expected = encoded(picture), whole(picture)
    assert content.count(b"one comment") == content.count(b"JFIF") == 1
    assert Image.open(io.BytesIO(content)).info == Image.open(io.BytesIO(expected)).info
    assert len(content) < len(expected) + 6 + 10 * 5  # a marker, and a half-empty byte


@pytest.mark.skipif(not which("convert"), reason="needs ImageMagick")
def test_another_decoder_reads_it(tmp_path):
    picture = Picture(photo_of("RGB", 330, 90), "RGB", "PNG")
    path = tmp_path / "strips.jpg"
    write(picture, path, "JPEG", workers=2)
    done = subprocess.run(["convert", path, "ppm:-"], capture_output=True, check=True)
    assert not done.stderr
    np.testing.assert_array_equal(
        Image.open(io.BytesIO(done.stdout)), decoded(whole(picture)), strict=True
    )


def test_a_strip_for_which_there_is_no_memory_is_no_end(monkeypatch, tmp_path):
    """Then the whole image is encoded as if there were no strips."""
    picture = Picture(photo_of("RGB", 170, 90), "RGB", "PNG")
    expected, save = whole(picture), Image.Image.save

    def cut(self, file, *arguments, **settings):
        if self.height == 170 % 16:
            file.write(b"begun")
        else:
            save(self, file, *arguments, **settings)

    monkeypatch.setattr(Image.Image, "save", cut)
    write(picture, tmp_path / "a.jpg", "JPEG", workers=2)
    assert (tmp_path / "a.jpg").read_bytes() == expected
