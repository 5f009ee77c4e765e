"""The memory that codecs take: counted, checked before decoding, and as measured."""

from __future__ import annotations

import io
import subprocess
import sys

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
from convcli.image import Picture, write

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

format_name, mode, path = sys.argv[1:]
still = np.load(path)
shape = still.shape[:2] + {"RGB": (3,), "L": ()}[mode]
pixels = still if mode == "RGB" else np.ascontiguousarray(still[..., 1])
target = Path(path).with_suffix(".out")
write(Picture(pixels[:64, :64].copy(), mode, "PNG"), target, format_name)
before = peak()
write(Picture(pixels, mode, "PNG"), target, format_name, overwrite=True)
print(peak() - before)
"""


def test_every_format_has_its_row():
    assert set(costs._MEMORY) == set(FORMATS)


@pytest.mark.parametrize("target", DEAR)
def test_what_the_encoder_takes_is_counted_before_an_image_is_decoded(photo, target, monkeypatch):
    content = io.BytesIO()
    Image.fromarray(photo).save(content, "PNG")
    counted = []
    read(content.getvalue(), target, on_decode=counted.append)
    count = photo.shape[0] * photo.shape[1]
    assert counted[0] >= DEAR[target] * count
    monkeypatch.setattr(memory, "available", lambda: counted[0] - 1)
    decoded = []
    monkeypatch.setattr(Image.Image, "load", lambda _: decoded.append(1))
    with pytest.raises(ConvcliError, match="needs about"):
        read(content.getvalue(), target)
    assert not decoded
    assert memory_of(("PNG", "PNG"), 4, count, 1, False) < counted[0]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("target", FORMATS)
def test_an_encoder_takes_no_more_than_is_counted(photo, target, mode, tmp_path):
    """Of 3 megapixels; besides the count up to 10 MB for bands, buffers and threads."""
    path = tmp_path / "a.npy"
    np.save(path, np.tile(photo, (3, 4, 1)))
    command = [sys.executable, "-c", WRITES, target, mode, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row = costs._MEMORY[target]
    counted = (row.grey if mode == "L" else row.colour) * 12 * photo.shape[0] * photo.shape[1]
    assert int(done.stdout) <= 1.3 * counted + 1e7


def test_a_lossless_webp_takes_more_than_a_lossy_one():
    lossy, lossless = (memory_of(("WEBP", "WEBP"), 4, 10**6, 1, each) for each in (False, True))
    assert lossless > 1.5 * lossy
    assert memory_of(("WEBP", "PNG"), 4, 10**6, 1, True) < lossless


@pytest.mark.parametrize("target", ["PNG", "WEBP", "AVIF"])
def test_frames_that_are_kept_until_the_end_are_counted(target):
    few, many = (memory_of(("GIF", target), 4, 10**6, frames, False) for frames in (10, 110))
    assert many - few >= 400 * 10**6


@pytest.mark.parametrize("target", ["GIF", "TIFF"])
def test_frames_that_are_written_one_at_a_time_take_no_more(target):
    few, many = (memory_of(("GIF", target), 4, 10**6, frames, False) for frames in (2, 1000))
    assert few == many
