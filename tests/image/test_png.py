"""PNG files: all modes and sizes, valid chunks, the same bytes for any number of workers."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage import data

import convcli
from convcli import image
from convcli.batch import run as batch
from convcli.batch.pipeline import Pipeline
from convcli.files.job import Job
from convcli.image import Picture, png
from convcli.image.isa_l import isa_l

# Channels and dtype of the modes of a PNG.
MODES = {
    "L": (1, np.uint8),
    "LA": (2, np.uint8),
    "RGB": (3, np.uint8),
    "RGBA": (4, np.uint8),
    "I;16": (1, np.uint16),
}
LEVELS = (None, *range(10))


def random_pixels(mode, height, width):
    channels, dtype = MODES[mode]
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def encoded(pixels, mode="RGB", **settings):
    content = io.BytesIO()
    image.write(Picture(pixels, mode, "PNG"), content, "PNG", **settings)
    return content.getvalue()


def decoded(content):
    """Decode with Pillow, which checks CRCs and the checksum of the stream."""
    with Image.open(io.BytesIO(content)) as picture:
        return picture.mode, np.asarray(picture)


def chunks_of(content):
    """Take a PNG apart: (kind, content) of each chunk, its CRC checked."""
    at, found = 8, []
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        assert content[at + 8 + length :][:4] == struct.pack(">I", zlib.crc32(kind + body))
        found.append((kind, body))
        at += 12 + length
    return found


@pytest.fixture(params=["zlib", *(["isal"] if find_spec("isal") else [])])
def deflater(request, monkeypatch):
    """The library that deflates: ISA-L, or zlib as without the extra `fast`."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)  # to import it is an error
    isa_l.cache_clear()
    yield request.param
    isa_l.cache_clear()


def test_isal_deflates_photographs_if_it_is_there(deflater, photo, monkeypatch):
    calls = []
    zlibs = png._deflated
    monkeypatch.setattr(png, "_deflated", lambda *a: calls.append(a[2]) or zlibs(*a))
    pixels = np.tile(photo, (2, 2, 1))
    content = encoded(pixels)
    assert (None in calls) == (deflater == "isal")
    np.testing.assert_array_equal(decoded(content)[1], pixels)
    # A small image is not worth the import, and a level is zlib's.
    calls.clear()
    encoded(photo[:50])
    encoded(pixels, png_level=6)
    assert calls
    assert None not in calls


def test_files_of_isal_are_hardly_larger(photo):
    pixels = np.tile(photo, (2, 2, 1))
    noise = random_pixels("RGB", 900, 900)
    drawing = (pixels > 127) * np.uint8(255)
    for image_ in (pixels, noise, drawing):
        sizes = []
        for isal in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                if not isal:
                    patch.setattr(png, "isa_l", lambda: None)
                sizes.append(len(encoded(image_)))
        assert sizes[0] <= 1.04 * sizes[1]


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (2, 3), (41, 67)])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_and_size_is_read_back(mode, size):
    pixels = random_pixels(mode, *size)
    got_mode, got = decoded(encoded(pixels, mode))
    assert got_mode == mode
    np.testing.assert_array_equal(got, pixels)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rows", [1, 2, 13, 40, 41])
@pytest.mark.usefixtures("deflater")
def test_strips_need_not_divide_the_rows(monkeypatch, mode, rows):
    pixels = random_pixels(mode, 41, 30)
    monkeypatch.setattr(png, "_STRIP", rows * (1 + pixels[0].nbytes))
    content = encoded(pixels, mode, workers=2)
    np.testing.assert_array_equal(decoded(content)[1], pixels)
    strips = [kind for kind, _ in chunks_of(content)].count(b"IDAT") - 2
    assert strips == -(-41 // rows)  # without the header and the checksum


@given(
    pixels=arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)),
        elements=st.sampled_from([0, 1, 128, 255]),
    ),
    strip=st.integers(1, 99),
    level=st.sampled_from(LEVELS),
    workers=st.integers(1, 3),
)
def test_any_pixels_in_any_strips_at_any_level(pixels, strip, level, workers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png, "_STRIP", strip)
        content = encoded(pixels, png_level=level, workers=workers)
        assert content == encoded(pixels, png_level=level)
    np.testing.assert_array_equal(decoded(content)[1], pixels)


@given(first=st.binary(), second=st.binary())
def test_checksums_join_as_their_data_do(first, second):
    joined = png._adler32_combine(zlib.adler32(first), zlib.adler32(second), len(second))
    assert joined == zlib.adler32(first + second)


def test_large_checksums_join_too():
    first, second = bytes([255]) * 1_000_003, bytes([255]) * 777_777
    joined = png._adler32_combine(zlib.adler32(first), zlib.adler32(second), len(second))
    assert joined == zlib.adler32(first + second)


@pytest.mark.usefixtures("deflater")
def test_the_stream_ends_where_its_chunks_end(photo):
    stream = zlib.decompressobj()
    rows = stream.decompress(b"".join(png.image_data(np.tile(photo, (2, 1, 1)), workers=2)))
    assert (len(rows), stream.eof, stream.unused_data) == (1024 * (1 + 512 * 3), True, b"")


def test_samples_may_lie_in_any_layout(photo):
    wide = np.dstack([photo, photo[..., 0]])
    for pixels in (wide[..., :3], photo[:, ::-1], photo.swapaxes(0, 1), np.asfortranarray(photo)):
        assert encoded(pixels) == encoded(np.ascontiguousarray(pixels))


# --- the same bytes for any number of workers


@pytest.mark.parametrize("workers", [2, 3, 7])
@pytest.mark.parametrize("level", [None, 1, 6])
@pytest.mark.usefixtures("deflater")
def test_the_workers_do_not_change_the_file(photo, workers, level):
    pixels = np.tile(photo, (2, 2, 1))
    assert pixels.nbytes > 2 * png._STRIP
    alone = encoded(pixels, png_level=level)
    assert encoded(pixels, png_level=level, workers=workers) == alone


@pytest.mark.parametrize(("workers", "pictures", "each"), [(1, 1, 1), (4, 1, 4), (4, 2, 2)])
def test_a_batch_gives_every_picture_its_share_of_the_workers(
    picture_file, tmp_path, monkeypatch, workers, pictures, each
):
    asked, inner = [], png.image_data
    monkeypatch.setattr(png, "image_data", lambda *given: asked.append(given[1:]) or inner(*given))
    sources = [picture_file(f"{number}.png") for number in range(pictures)]
    jobs = [Job(source, tmp_path / "out" / source.name, "PNG") for source in sources]
    what = Pipeline(lambda pixels, **_: pixels, {}, write=partial(image.write, png_level=7))
    assert [outcome.status for outcome in batch.run(jobs, what, workers)] == ["written"] * pictures
    assert asked == [(7, each)] * pictures


# --- size


KINDS = {
    "photograph": data.astronaut,
    "blurred": lambda: convcli.blur(data.astronaut(), 3.0),
    "edges": lambda: convcli.edge(data.coffee()),
    "sharpened": lambda: convcli.sharpen(data.chelsea(), 2.0),
    "text": lambda: np.tile(data.page(), (4, 4)),
    "blurred text": lambda: convcli.blur(np.tile(data.text(), (4, 4)), 3.0),
    "checkerboard": lambda: np.kron(np.indices((40, 40)).sum(0) % 2, np.ones((25, 25))) * 255,
    "one colour": lambda: np.full((700, 700, 3), 77),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_picture_is_much_larger_than_pillow_writes_it(kind):
    """Run lengths alone make text 3.5 times as large; zlib's default a checkerboard 1.5 times."""
    pixels = KINDS[kind]().astype(np.uint8)
    pillow = io.BytesIO()
    Image.fromarray(pixels).save(pillow, "PNG", compress_level=3)
    content = encoded(pixels, "RGB" if pixels.ndim == 3 else "L")
    assert len(content) < 1.3 * len(pillow.getvalue())


def test_the_level_decides_the_size():
    text = np.tile(data.page(), (2, 2))
    stored, fast, default, small = (
        len(encoded(text, "L", png_level=level)) for level in (0, 1, None, 9)
    )
    assert small < fast <= default < stored
    assert stored > text.nbytes
    # Without a level the faster strategy is used.
    blurred = convcli.blur(data.coffee(), 2.0)
    assert len(encoded(blurred, png_level=1)) < len(encoded(blurred))


# --- the other chunks


METADATA = {
    "icc_profile": bytes(16) + b"RGB " + bytes(108),
    "dpi": (300, 299),
    "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0",
}


@pytest.mark.parametrize("mode", MODES)
def test_all_but_the_rows_is_what_pillow_writes(mode):
    pixels = random_pixels(mode, 5, 7)
    metadata = METADATA if mode.startswith("RGB") else {**METADATA, "icc_profile": None}
    pillow = io.BytesIO()
    Image.frombuffer(mode, (7, 5), pixels.tobytes()).save(pillow, "PNG", **metadata)
    picture, content = Picture(pixels, mode, "PNG", METADATA), io.BytesIO()
    image.write(picture, content, "PNG")

    def others(file):
        return [chunk for chunk in chunks_of(file.getvalue()) if chunk[0] != b"IDAT"]

    assert others(content) == others(pillow)
    assert {b"pHYs", b"eXIf"} < dict(others(content)).keys()


def test_pillow_writes_as_before_for_others_in_the_process():
    code = """if True:
        import io, numpy as np
        from PIL import Image
        def saved():
            content = io.BytesIO()
            Image.linear_gradient("L").save(content, "PNG")
            return content.getvalue()
        Image.init()
        registered = dict(Image.SAVE), dict(Image.ENCODERS)
        before = saved()
        from convcli import image
        picture = image.Picture(np.zeros((9, 9), np.uint8), "L", "PNG")
        image.write(picture, io.BytesIO(), "PNG", workers=2)
        assert saved() == before
        assert registered == (Image.SAVE, Image.ENCODERS)
    """
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_error_of_the_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch, photo):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(png, "_adler32_combine", full)
    with pytest.raises(OSError, match="No space left"):
        image.write(Picture(photo, "RGB", "PNG"), tmp_path / "a.png", "PNG", workers=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [(), ("--png-level", "9")])
def test_the_command_line_sets_the_level(run, picture_file, argv):
    path = picture_file("a.png", np.tile(data.page(), (2, 2)))
    assert run("blur", path, "--sigma", "1", "-w", "2", *argv).status == 0
    pixels = decoded(path.with_suffix(".blur.png").read_bytes())[1]
    expected = encoded(pixels, "L", png_level=int(argv[1]) if argv else None)
    assert path.with_suffix(".blur.png").read_bytes() == expected
