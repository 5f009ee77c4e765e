"""Several PPM images one after the other: read one by one, written one by one."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from convcli import ConvcliError
from convcli.files.formats import spelt
from convcli.image import read, streams, write

SUFFIXES = {"L": "pgm", "RGB": "ppm", "1": "pbm", "I;16": "pgm", "F": "pfm"}


def netpbm(pixels, mode=None):
    """Encode an array as Pillow does, which is not what is tested here."""
    content = io.BytesIO()
    made = Image.fromarray(pixels)
    (made.convert(mode) if mode else made).save(content, "PPM")
    return content.getvalue()


def plain(magic, pixels, comment=b""):
    numbers = b"\n".join(b" ".join(b"%d" % v for v in row.ravel()) for row in pixels)
    most = b"" if magic == b"P1" else b"255\n"
    size = b"%d %d\n" % (pixels.shape[1], pixels.shape[0])
    return magic + b"\n" + comment + size + most + numbers + b"\n"


def pam(pixels, kind):
    """Encode an array as the manual page of PAM says."""
    height, width, depth = pixels.shape
    most = 255 if pixels.dtype == np.uint8 else 65535
    sizes = f"WIDTH {width}\n# a comment\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {most}\n"
    head = b"P7\n" + sizes.encode() + (b"TUPLTYPE %s\n" % kind if kind else b"") + b"ENDHDR\n"
    return head + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()


GREY = np.arange(35, dtype=np.uint8).reshape(5, 7)
COLOUR = np.arange(105, dtype=np.uint8).reshape(5, 7, 3)
BITS = GREY % 2

IMAGES = {
    "P1": (plain(b"P1", BITS), 255 - 255 * BITS),
    "P2": (plain(b"P2", GREY, b"# made by Procrastinator P6\n"), GREY),
    "P3": (plain(b"P3", COLOUR), COLOUR),
    "P4": (netpbm(255 * BITS, "1"), 255 * BITS),
    "P5": (netpbm(GREY), GREY),
    "P6": (netpbm(COLOUR), COLOUR),
    "P5 of 16 bits": (netpbm(1000 * GREY.astype(np.uint16)), 1000 * GREY.astype(np.uint16)),
    "P6 up to 100": (
        b"P6 # a comment\n7\t5\n100\n" + (COLOUR % 101).tobytes(),
        np.rint(COLOUR % 101 / 100 * 255).astype(np.uint8),
    ),
    "P6 of 16 bits": (
        b"P6 7 5 65535\n" + (600 * COLOUR.astype("u2")).astype(">u2").tobytes(),
        600 * COLOUR.astype("u2"),
    ),
    "P5 up to 1000": (
        b"P5 7 5 1000\n" + (20 * GREY.astype("u2")).astype(">u2").tobytes(),
        np.rint(20 * GREY.astype(np.uint16) / 1000 * 65535).astype(np.uint16),
    ),
    "P6 that holds P6": (netpbm(np.full((2, 3, 3), (80, 54, 10), np.uint8)),
                         np.full((2, 3, 3), (80, 54, 10), np.uint8)),
}  # fmt: skip


class Pipe(io.RawIOBase):
    """A pipe: it can be read, a few bytes at a time, and counts what was taken."""

    def __init__(self, content):
        self.content, self.taken = content, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self.content[self.taken : self.taken + min(len(buffer), 777)]
        buffer[: len(part)] = part
        self.taken += len(part)
        return len(part)


def piped(content):
    return io.BufferedReader(Pipe(content), 16)


SOURCES = {
    "file": lambda content, folder: [(folder / "a.ppm").write_bytes(content), folder / "a.ppm"][1],
    "bytes": lambda content, _: content,
    "pipe": lambda content, _: piped(content),
}
in_any_way = pytest.mark.parametrize("way", SOURCES)


@in_any_way
@pytest.mark.parametrize("between", [b"", b"\n"], ids=["tight", "with newlines"])
def test_every_kind_follows_every_other(way, between, tmp_path):
    kinds = [*IMAGES.values(), *reversed(IMAGES.values())]
    content = between.join(content for content, _ in kinds)
    found = list(read(SOURCES[way](content, tmp_path)).all_frames())
    for picture, (_, right) in zip(found, kinds, strict=True):
        np.testing.assert_array_equal(picture.pixels, right)


@in_any_way
@pytest.mark.parametrize("kind", IMAGES)
def test_a_single_image_is_as_ever(kind, way, tmp_path):
    content, right = IMAGES[kind]
    picture = read(SOURCES[way](content, tmp_path))
    assert picture.frames == 1
    assert not any("ignored" in note for note in picture.notes)
    assert not list(picture.later)
    np.testing.assert_array_equal(picture.pixels, right)


def test_a_stream_is_written_as_one():
    first = read(IMAGES["P6"][0] + IMAGES["P5"][0] + IMAGES["P5 of 16 bits"][0])
    assert first.frames == 3
    content = io.BytesIO()
    write(first, content, "PPM")
    assert [
        np.asarray(p.pixels).tolist() for p in read(content.getvalue()).all_frames()
    ] == [IMAGES[kind][1].tolist() for kind in ("P6", "P5", "P5 of 16 bits")]  # fmt: skip


@in_any_way
def test_pages_of_a_tiff(way, tmp_path):
    floats = GREY.astype(np.float32)
    content = IMAGES["P6"][0] + netpbm(floats) + IMAGES["P5"][0]
    picture = read(SOURCES[way](content, tmp_path), "TIFF")
    assert picture.frames == 3
    written = io.BytesIO()
    write(picture, written, "TIFF")
    with Image.open(written) as tiff:
        assert tiff.n_frames == 3
        for number, right in enumerate([COLOUR, floats, GREY]):
            tiff.seek(number)
            np.testing.assert_array_equal(tiff, right)


@in_any_way
@pytest.mark.parametrize("target", ["PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP"])
def test_other_formats_do_not_hold_several(target, way, tmp_path):
    content = 3 * IMAGES["P6"][0]
    with pytest.raises(
        ConvcliError, match=f"{spelt(target)} cannot hold its 3 images; write TIFF, PPM or PAM"
    ):
        read(SOURCES[way](content, tmp_path), target)


@in_any_way
def test_something_else_after_the_images_is_noted(way, tmp_path):
    source = SOURCES[way](IMAGES["P6"][0] + IMAGES["P5"][0] + b"\0\0garbage", tmp_path)
    first = read(source)
    later = iter(first.later)
    next(later)
    with pytest.raises(StopIteration) as end:
        next(later)
    assert end.value.value == (streams._REST,)
    if way != "pipe":
        assert streams._REST in first.notes


DAMAGED = {
    "truncated raster": (IMAGES["P6"][0][:-1], "truncated"),
    "truncated header": (b"P6\n7", "truncated"),
    "no size": (b"P6\nwide high\n255\n", "truncated"),
    "PAM without a depth": (b"P7\nWIDTH 1\nHEIGHT 1\nMAXVAL 255\nENDHDR\nx", "one of PAM"),
    "PAM of two kinds": (pam(np.zeros((1, 1, 4), np.uint8), b"RGB"), "one of PAM"),
    "largest sample": (b"P6\n1 1\n65536\n" + bytes(6), "largest sample is 65536"),
    "too many pixels": (b"P6\n99999 99999\n255\n", "more than .* pixels"),
    "no pixels": (b"P6\n0 0\n255\n", "no pixels|damaged"),
    "no end of its comment": (b"P6\n#" + bytes(1 << 17), "truncated"),
}


@in_any_way
@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("before", [0, 2])
def test_damage_is_refused_where_it_comes(before, damage, way, tmp_path):
    content, reason = DAMAGED[damage]
    source = SOURCES[way](before * IMAGES["P6"][0] + content, tmp_path)
    good = 0
    with pytest.raises(ConvcliError, match=reason):  # noqa: PT012
        for _ in read(source).all_frames():
            good += 1
    assert good == before


def test_a_pipe_is_read_no_further_than_needed():
    content = netpbm(np.zeros((100, 100), np.uint8))
    pipe = Pipe(20 * content)
    frames = iter(read(io.BufferedReader(pipe, 16)).all_frames())
    for number in range(1, 5):
        next(frames)
        assert pipe.taken < number * len(content) + 777


def test_memory_does_not_grow_with_the_stream():
    content = 40 * netpbm(np.zeros((500, 500, 3), np.uint8))
    frames = iter(read(piped(content)).all_frames())
    next(frames)
    tracemalloc.start()
    for _ in frames:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 500 * 500 * 3


def test_a_header_cannot_take_memory():
    """A promise of 89 megapixels allocates what is there."""
    tracemalloc.start()
    with pytest.raises(ConvcliError, match="truncated"):
        read(piped(b"P6\n9000 9000\n255\n" + bytes(100)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


PROGRAM = (sys.executable, "-m", "convcli", "filter", "-k", "identity")


def test_a_live_camera_gets_every_image_back_at_once():
    """Each image is sent before the next one comes."""
    with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for kind in ("P6", "P5", "P6"):
            process.stdin.write(IMAGES[kind][0])
            process.stdin.flush()
            back = os.read(process.stdout.fileno(), 1 << 16)
            np.testing.assert_array_equal(read(back).pixels, IMAGES[kind][1])
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_what_came_before_damage_is_sent():
    content = 2 * IMAGES["P6"][0]
    done = subprocess.run(PROGRAM, input=content + IMAGES["P6"][0][:-4], capture_output=True)
    assert done.returncode == 1
    assert done.stdout == content
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"convcli: standard input: in image 3: is truncated")


def test_a_file_is_whole_or_not_there(tmp_path):
    (tmp_path / "a.ppm").write_bytes(2 * IMAGES["P6"][0] + b"P6\n")
    done = subprocess.run([*PROGRAM, "a.ppm", "-o", "b.ppm"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 1
    assert b"in frame 3 of 3: is truncated" in done.stderr
    assert os.listdir(tmp_path) == ["a.ppm"]


def test_from_a_file_to_a_file(tmp_path):
    (tmp_path / "a.ppm").write_bytes(3 * IMAGES["P6"][0])
    done = subprocess.run([*PROGRAM, "a.ppm", "-o", "b.ppm"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0
    assert b"7 x 5 RGB, 3 frames" in done.stderr
    assert (tmp_path / "b.ppm").read_bytes() == 3 * IMAGES["P6"][0]


def test_something_else_after_a_pipe_s_images_is_noted():
    done = subprocess.run(PROGRAM, input=2 * IMAGES["P6"][0] + b"\0tail", capture_output=True)
    assert done.returncode == 0
    assert done.stdout == 2 * IMAGES["P6"][0]
    assert done.stderr.count(b"note: ignored data after its last image") == 1


KINDS = {b"GRAYSCALE": 1, b"RGB": 3, b"GRAYSCALE_ALPHA": 2, b"RGB_ALPHA": 4}


@in_any_way
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pam_of_every_kind_comes_out_as_it_went_in(way, dtype, tmp_path):
    noise = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (5, 7, 4), dtype)
    content = b"".join(pam(noise[..., :count], kind) for kind, count in KINDS.items())
    found = list(read(SOURCES[way](content, tmp_path)).all_frames())
    out = b""
    for picture, (kind, count) in zip(found, KINDS.items(), strict=True):
        pixels = picture.pixels.reshape(5, 7, -1)
        np.testing.assert_array_equal(pixels, noise[..., :count])
        assert picture.mode.startswith(("LA", "RGBA")) == kind.endswith(b"ALPHA")
        written = io.BytesIO()
        write(picture, written, "PAM")
        out += written.getvalue()
    assert out == content.replace(b"# a comment\n", b"")


def test_pam_without_a_type_is_known_by_its_depth():
    assert read(pam(np.zeros((1, 1, 4), np.uint8), b"")).mode == "RGBA"
    assert read(pam(np.zeros((1, 1, 5), np.uint8), b""), "TIFF").mode == "5;8"
    with pytest.raises(ConvcliError, match="PPM cannot hold transparency; write"):
        read(pam(np.zeros((1, 1, 4), np.uint8), b""), "PPM")


def test_16_bits_of_colour_are_reduced_where_they_do_not_fit():
    content, pixels = IMAGES["P6 of 16 bits"]
    picture = read(content, "JPEG")
    np.testing.assert_array_equal(picture.pixels, pixels >> 8)
    assert picture.notes == ("reduced 16-bit channels to 8 bits",)
    written = io.BytesIO()
    write(read(content), written, "PPM")
    assert written.getvalue() == b"P6\n7 5\n65535\n" + pixels.astype(">u2").tobytes()


def test_a_reader_that_goes_away_ends_the_stream_quietly(tmp_path):
    (tmp_path / "many.ppm").write_bytes(60 * netpbm(np.zeros((400, 400, 3), np.uint8)))
    line = f"{shlex.join(PROGRAM)} < many.ppm | head -c 10 > start; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True)
    assert (done.stdout, done.stderr) == (b"141\n", b"")
