"""PNG files whose rows ISA-L inflates: what Pillow reads, of whole files and of damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import ExitStack
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from convcli import image
from convcli.errors import ConvcliError
from convcli.image import png_inflated
from convcli.image.png_chunks import SIGNATURE, chunks

if not find_spec("isal"):
    pytest.skip("needs the extra fast", allow_module_level=True)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Take every file, in many pieces."""
    monkeypatch.setattr(png_inflated, "_LEAST", 0)
    monkeypatch.setattr(png_inflated, "_PACKED", 1000)
    monkeypatch.setattr(png_inflated, "_PIECE", 3000)


def saved(mode, **settings):
    generator = np.random.default_rng(0)
    channels = {"1": 1, "P": 1, "L": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    samples = np.cumsum(generator.integers(0, 9, (70, 90, channels)), axis=0)
    if mode == "I;16":
        picture = Image.fromarray(samples[..., 0].astype(np.uint16) * 77)
    else:
        samples = samples.astype(np.uint8)
        made = Image.fromarray(samples[..., 0] if channels == 1 else samples)
        picture = made.convert(mode)
    content = io.BytesIO()
    picture.save(content, "PNG", **settings)
    return content.getvalue()


def taken_apart(content):
    return [(kind, content[start:end]) for kind, start, end in chunks(io.BytesIO(content))]


def joined(parts):
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def with_data(content, data, after=()):
    """Return a PNG with other image data, in chunks of these, and with chunks after them."""
    parts = taken_apart(content)
    head = [part for part in parts if part[0] not in (b"IDAT", b"IEND")]
    return joined([*head, *((b"IDAT", each) for each in data), *after, (b"IEND", b"")])


def data_of(content):
    return b"".join(part for kind, part in taken_apart(content) if kind == b"IDAT")


def is_taken(content):
    with ExitStack() as files:
        return png_inflated.opened(content, files) is not None


def both_ways(content):
    """Read a file with and without ISA-L: the samples and metadata, or the error."""
    results = []
    for least in (0, len(content) + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(png_inflated, "_LEAST", least)
            try:
                read = image.read(content)
                results.append((read.mode, read.pixels.tobytes(), read.metadata, read.notes))
            except ConvcliError as error:
                results.append(str(error))
    return results


TEXT = (b"tEXt", b"Comment\0after the pixels")
RGB = saved("RGB")
DATA = data_of(RGB)
ROWS = zlib.decompress(DATA)
WHOLE = {
    **{mode: saved(mode) for mode in ("1", "P", "L", "I;16", "LA", "RGB", "RGBA")},
    "stored": saved("RGB", compress_level=0),
    "text before": saved("RGB", pnginfo=(lambda info: info.add_text("Title", "x" * 2000) or info)(
        PngImagePlugin.PngInfo())),
    "text after": with_data(RGB, [DATA], [TEXT]),
    "many chunks": with_data(RGB, [DATA[at : at + 7] for at in range(0, len(DATA), 7)], [TEXT]),
    "empty chunks": with_data(RGB, [b"", DATA[:9], b"", DATA[9:], b""], [TEXT]),
    "more data": with_data(RGB, [DATA, b"more" * 2000, b"more"], [TEXT]),
    "more rows": with_data(RGB, [zlib.compress(ROWS + ROWS)], [TEXT]),
    "a claim": RGB[: RGB.index(b"IDAT") - 4] + b"\x7f\xff\xff\xff" + RGB[RGB.index(b"IDAT") :],
    "no sum": with_data(RGB, [DATA[:-4]], [TEXT]),
    "wrong sum that is not read": with_data(RGB, [DATA[:-2], b"12"]),
    "wrong CRC": RGB[:-16] + b"1234" + RGB[-12:],
}  # fmt: skip
DAMAGED = {
    "truncated": RGB[: len(RGB) // 2],
    "truncated in a header": with_data(RGB, [DATA[:5000]])[:-14],
    "wrong sum": with_data(RGB, [DATA[:-4] + b"1234"], [TEXT]),
    "too few rows": with_data(RGB, [zlib.compress(ROWS[:-1])], [TEXT]),
    "too little data": with_data(RGB, [DATA[:5000]], [TEXT]),
    "no data": with_data(RGB, [b""]),
    "broken data": with_data(RGB, [DATA[:3000] + bytes(200) + DATA[3200:]]),
    "no zlib": with_data(RGB, [b"not a stream" * 99]),
    "wrong filter": with_data(RGB, [zlib.compress(b"\x09" + ROWS[1:])]),
    "a broken chunk after": with_data(RGB, [DATA])[:-12] + b"\0\0\x10\0zTXt",
}


@pytest.mark.parametrize("name", WHOLE)
def test_pixels_and_metadata_are_those_that_pillow_reads(name):
    content = WHOLE[name]
    assert is_taken(content)
    by_isal, by_pillow = both_ways(content)
    assert not isinstance(by_isal, str)
    assert by_isal == by_pillow


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_reported_as_without_isal(name):
    by_isal, by_pillow = both_ways(DAMAGED[name])
    assert by_isal == by_pillow


def test_the_memory_of_a_damaged_file_is_taken_once():
    sizes = []
    with pytest.raises(ConvcliError):
        image.read(DAMAGED["broken data"], on_decode=lambda size, _: sizes.append(size))
    assert len(sizes) == 1


def test_damage_is_refused():
    refused = [name for name in DAMAGED if isinstance(both_ways(DAMAGED[name])[0], str)]
    assert set(DAMAGED) - set(refused) <= {"a broken chunk after"}


def test_rows_of_a_file_on_a_disk_are_inflated(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(RGB)
    with ExitStack() as files:
        assert png_inflated.opened(path, files)
        np.testing.assert_array_equal(image.read(path).pixels, Image.open(path))
    path.unlink()


def test_a_small_file_can_inflate_to_no_more_than_its_rows(monkeypatch):
    """Ten megabytes of zeros behind the rows: they take ten kilobytes, and are not inflated."""
    bomb = with_data(RGB, [zlib.compress(ROWS + bytes(10 << 20))])
    sizes = []
    stored = png_inflated._stored
    monkeypatch.setattr(
        png_inflated, "_stored", lambda rows: sizes.append(len(rows)) or stored(rows)
    )
    np.testing.assert_array_equal(image.read(bomb).pixels, Image.open(io.BytesIO(RGB)))
    assert sum(sizes) == len(ROWS)


@pytest.mark.parametrize("header", [b"\1", b"\0"])
def test_interlaced_files_are_left_to_pillow(header):
    parts = [
        (kind, part[:-1] + header if kind == b"IHDR" else part) for kind, part in taken_apart(RGB)
    ]
    assert is_taken(joined(parts)) == (header == b"\0")


@pytest.mark.parametrize("has", [True, False])
def test_no_thread_takes_what_the_image_needs(monkeypatch, has):
    asked = []
    monkeypatch.setattr(png_inflated, "has_room", lambda beside: asked.append(beside) or has)
    assert is_taken(RGB) == has
    assert asked == [3 * len(ROWS)]


def test_animations_are_left_to_pillow():
    frames = [Image.new("L", (20, 20), level) for level in (10, 200)]
    content = io.BytesIO()
    frames[0].save(content, "PNG", save_all=True, append_images=frames[1:])
    assert not is_taken(content.getvalue())
    assert image.read(content.getvalue()).frames == 2
