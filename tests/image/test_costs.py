"""The memory that codecs take: counted, checked before decoding, and as measured."""

from __future__ import annotations

import io
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from convcli import ConvcliError, memory
from convcli.files.formats import FORMATS
from convcli.image import costs, read
from convcli.image.costs import memory_of

# What one megapixel and a half takes at least, in bytes, for a target whose encoder takes more
# than the filter does.
DEAR = {"WEBP": 18, "AVIF": 30, "GIF": 10}

WRITES = """
import sys
import numpy as np
from pathlib import Path
from convcli.image import Picture, read, write

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

format_name, mode, path, *like = sys.argv[1:]
pixels = np.load(path)
target = Path(path).with_suffix(".out")
small = Picture(pixels[:64, :64].copy(), mode, "PNG")
if like:  # written with the settings of this file
    small = read(Path(like[0])).with_pixels(small.pixels)
write(small, target, format_name)
before = peak()
write(small.with_pixels(pixels), target, format_name, overwrite=True)
print(peak() - before)
"""


COLOURED = [name for name, row in FORMATS.items() if "RGB" in row.modes]


def test_every_format_has_its_row():
    assert set(costs._MEMORY) == set(FORMATS)


@pytest.mark.parametrize("target", DEAR)
def test_what_the_encoder_takes_is_counted_before_an_image_is_decoded(photo, target, monkeypatch):
    content = io.BytesIO()
    Image.fromarray(photo).save(content, "PNG")
    counted = []
    read(content.getvalue(), target, on_decode=lambda size, _header: counted.append(size))
    count = photo.shape[0] * photo.shape[1]
    assert counted[0] >= DEAR[target] * count
    monkeypatch.setattr(memory, "available", lambda: counted[0] - 1)
    decoded = []
    monkeypatch.setattr(Image.Image, "load", lambda _: decoded.append(1))
    with pytest.raises(ConvcliError, match="needs about"):
        read(content.getvalue(), target)
    assert not decoded
    assert memory_of(("PNG", "PNG"), 4, count, 1) < counted[0]


def taken(folder, pixels, *command):
    """Return the growth of the peak memory of a program while it writes an image."""
    np.save(folder / "a.npy", pixels)
    target, mode, *like = command
    whole = [sys.executable, "-c", WRITES, target, mode, str(folder / "a.npy"), *like]
    return int(subprocess.run(whole, capture_output=True, text=True, check=True).stdout)


CHANNELS = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}
# AVIF takes seconds, and stores grey as colour without chroma. WebP stores grey as RGB.
MODES = dict.fromkeys(("PPM", "BMP", "JPEG"), ("L", "RGB")) | {"AVIF": ("RGB",)}
MODES["WEBP"] = ("L", "LA", "RGBA")
NOISE = [(target, mode) for target in COLOURED for mode in MODES.get(target, CHANNELS)]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "mode"), NOISE)
def test_noise_takes_no_more_than_is_counted(target, mode, tmp_path):
    """Noise has no short code: encoders need the most for it. Buffers and threads take 10 MB."""
    # AVIF's encoder takes more than is in proportion for small images.
    shape = (1500, 2000) if target == "AVIF" else (1000, 1500)
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, *CHANNELS[mode]), np.uint8)
    row = costs._MEMORY[target]
    counted = row.grey if mode == "L" else row.colour
    assert taken(tmp_path, pixels, target, mode) <= 1.1 * counted * np.prod(shape) + 1e7


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_noise_takes_no_more_than_is_counted_in_a_lossless_webp(mode, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 2000, *CHANNELS[mode]), np.uint8)
    like = tmp_path / "like.webp"
    Image.new(mode, (4, 4)).save(like, lossless=True)
    row = costs._MEMORY["WEBP"]
    counted = row.grey if mode == "L" else row.colour
    assert taken(tmp_path, pixels, "WEBP", mode, str(like)) <= 1.1 * counted * 3e6


@pytest.mark.parametrize("sampling", ["420", "440", "411"])
def test_a_jpeg_of_any_sampling_takes_no_more_than_is_counted(sampling, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 2000, 3), np.uint8)
    like = tmp_path / "like.jpg"
    like.write_bytes(imagecodecs.jpeg8_encode(pixels[:64, :64], level=95, subsampling=sampling))
    counted = costs._MEMORY["JPEG"].colour * 6e6
    assert taken(tmp_path, pixels, "JPEG", "RGB", str(like)) <= 1.1 * counted + 1e7


@pytest.mark.parametrize("target", ["PNG", "WEBP", "AVIF"])
def test_frames_that_are_kept_until_the_end_are_counted(target):
    few, many = (memory_of(("GIF", target), 4, 10**6, frames) for frames in (10, 110))
    assert many - few >= 400 * 10**6


@pytest.mark.parametrize("target", ["GIF", "TIFF"])
def test_frames_that_are_written_one_at_a_time_take_no_more(target):
    few, many = (memory_of(("GIF", target), 4, 10**6, frames) for frames in (2, 1000))
    assert few == many
