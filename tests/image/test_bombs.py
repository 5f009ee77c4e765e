"""Small files that take long to decode are refused, and those that only look like it are not."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from convcli import ConvcliError
from convcli.image import bombs, read


def jpeg(size=(64, 48), mode="RGB", **settings):
    content = io.BytesIO()
    Image.new(mode, size).save(content, "JPEG", **settings)
    return content.getvalue()


def with_scans(scans, **settings):
    """Repeat the last scan of a progressive JPEG until it has so many."""
    content = jpeg(progressive=True, **settings)
    last = content.rfind(b"\xff\xda")
    more = scans - content.count(b"\xff\xda")
    return content[:-2] + more * content[last:-2] + content[-2:]


def without_interleaving(scans):
    """Make a baseline JPEG with a scan for each component, the last one repeated."""
    content = jpeg(subsampling=0)
    start = content.index(b"\xff\xda")
    body = content[start + 14 : -2]
    one = [b"\xff\xda\0\x08\x01" + bytes([n + 1, 0x11 * (n > 0), 0, 63, 0]) for n in range(3)]
    parts = [*one, *((scans - 3) * [one[2]])]
    return content[:start] + b"".join(head + body for head in parts) + content[-2:]


REFUSED = {
    "101 scans": with_scans(101),
    "grey": with_scans(3000, mode="L"),
    "arithmetic": with_scans(101).replace(b"\xff\xc2", b"\xff\xca"),
    "baseline": without_interleaving(200),
    "fill bytes": with_scans(101).replace(b"\xff\xda", b"\xff\xff\xff\xda"),
    "behind a comment": with_scans(101)[:2] + b"\xff\xfe\0\x04\xff\xd9" + with_scans(101)[2:],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_jpeg_of_many_scans_is_refused(kind, tmp_path):
    (tmp_path / "a.jpg").write_bytes(REFUSED[kind])
    for source in (REFUSED[kind], tmp_path / "a.jpg"):
        with pytest.raises(ConvcliError, match=r"is a JPEG of \d+ scans, more than the limit of"):
            read(source)


def test_a_large_image_may_have_fewer():
    with pytest.raises(ConvcliError, match="of 32 scans, more than the limit of 31"):
        read(with_scans(32, size=(8000, 8000), mode="L"))


COMMENT = b"\xff\xfe" + struct.pack(">H", 2 + 400) + 200 * b"\xff\xda"
KEPT = {
    "progressive": jpeg(progressive=True),
    "100 scans": with_scans(100),
    "a comment full of markers": jpeg()[:2] + COMMENT + jpeg()[2:],
    "other images behind it": jpeg() + 200 * jpeg(),
    "restart markers": jpeg(size=(512, 512), restart_marker_blocks=1),
}


@pytest.mark.parametrize("kind", KEPT)
def test_others_are_read(kind):
    with Image.open(io.BytesIO(KEPT[kind])) as right:
        assert read(KEPT[kind]).pixels.shape[:2] == right.size[::-1]


def test_scans_behind_one_that_holds_everything_take_no_time():
    """They are not counted, because libjpeg reports the first of them as damage."""
    content = jpeg(size=(800, 800))
    scan = content[content.index(b"\xff\xda") : -2]
    start = time.perf_counter()
    with pytest.raises(ConvcliError, match="broken data stream"):
        read(content[:-2] + 3000 * scan + content[-2:])
    assert time.perf_counter() - start < 2


def test_scans_are_those_of_the_first_image():
    assert bombs.scans_of(jpeg(progressive=True)) == 10
    assert bombs.scans_of(jpeg() + jpeg()) == 1
    assert bombs.scans_of(KEPT["a comment full of markers"]) == 1


def tiff_of(strip, **settings):
    """A TIFF whose one strip of 48 x 64 samples is a JPEG."""
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as tiff:
        tiff.write(
            iter([strip]), shape=(48, 64), dtype=np.uint8, compression="jpeg",
            photometric="minisblack", rowsperstrip=48, **settings,
        )  # fmt: skip
    return content.getvalue()


def test_scans_inside_a_tiff_count():
    assert read(tiff_of(with_scans(30, mode="L"))).pixels.shape == (48, 64)
    with pytest.raises(ConvcliError, match="holds JPEGs of more than 30 scans"):
        read(tiff_of(with_scans(31, mode="L")))


def test_scans_elsewhere_in_a_tiff_do_not_count():
    """As in a colour profile of tables, which may hold any bytes."""
    strip = with_scans(10, mode="L")
    assert read(tiff_of(strip, iccprofile=200 * b"\xff\xda")).pixels.shape == (48, 64)


def gif(frames):
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frames * frame + b";"


def test_an_animation_of_very_many_frames_is_refused():
    with pytest.raises(ConvcliError, match="has 20001 frames, more than the 20000"):
        read(gif(20_001))
    assert read(gif(20_000)).frames == 20_000


def test_a_large_file_may_have_more():
    """Those frames are no bomb: a kilobyte of the file belongs to each."""
    assert read(gif(20_001) + bytes(1024 * 20_001)).frames == 20_001


def strips_of_a_byte(rows):
    """Make a TIFF whose strips are all the same byte."""
    at = 8 + 2 + 9 * 12 + 4
    tags = [(256, 3, 1, 1), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, rows, at), (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, rows, at + 4 * rows),
           ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    offsets = struct.pack("<I", 4) * rows + struct.pack("<I", 1) * rows
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 9) + body + bytes(4) + offsets


def png(*chunks):
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)), *chunks,
             (b"IDAT", zlib.compress(bytes(65 * 64))), (b"IEND", b"")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def pages(count):
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as tiff:
        for _ in range(count):
            tiff.write(np.zeros((1, 1), np.uint8), contiguous=False)
    return content.getvalue()


LONG = {
    "empty IDAT chunks": png(*(50_000 * [(b"IDAT", b"")])),
    "texts": png(*(50_000 * [(b"tEXt", b"a\0b")])),
    "empty segments": jpeg()[:2] + 200_000 * b"\xff\xe5\0\2" + jpeg()[2:],
    "EXIF blocks": jpeg()[:2] + 50_000 * b"\xff\xe1\0\x08Exif\0\0" + jpeg()[2:],
    "comments": jpeg()[:2] + 100_000 * b"\xff\xfe\0\3a" + jpeg()[2:],
    "strips": strips_of_a_byte(100_000),
    "pages": pages(1000),
}


@pytest.mark.parametrize("kind", LONG)
def test_other_small_files_are_read_in_time(kind):
    """CPU time; the slowest takes 1 s. The strips took 34 s where each read all of the rest."""
    assert len(LONG[kind]) < 1_100_000
    start = time.process_time()
    assert sum(1 for _ in read(LONG[kind]).all_frames())
    assert time.process_time() - start < 8


def test_frames_of_which_little_is_stored_are_refused():
    """300 frames of 4 megapixels took 50 s, and 7 kB of a GIF."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 2000, 2000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    with pytest.raises(ConvcliError, match="has 300 frames of 2000 x 2000 pixels, far more than"):
        read(screen + 300 * frame + b";")
    assert read(screen + 9 * frame + b";").frames == 9


def test_a_file_of_very_many_ppm_images_is_refused(tmp_path):
    (tmp_path / "a.ppm").write_bytes(80_000 * b"P5 1 1 255\na")
    with pytest.raises(ConvcliError, match="has 80000 images, more than the 20000"):
        read(tmp_path / "a.ppm")
