"""Which metadata show an image, in whatever way its bytes are written as text."""

from __future__ import annotations

import base64
import io
import random

import pytest
from PIL import ExifTags, Image

from convcli.image import read, write
from convcli.image.previews import shows_image

# A DQT, an application and a comment segment, and those with which encoders rarely begin.
MARKERS = (0xC0, 0xC4, 0xDB, 0xDD, 0xE0, 0xE1, 0xE8, 0xEE, 0xEF, 0xFE)
WAYS = {
    "bytes": bytes,
    "Latin-1": lambda raw: raw.decode("latin-1"),
    "Base64": base64.b64encode,
    "text": lambda raw: base64.b64encode(raw).decode(),
    "Base64 for addresses": base64.urlsafe_b64encode,
    "escaped in an address": lambda raw: base64.b64encode(raw).replace(b"/", b"%2F"),
    "escaped in JSON": lambda raw: base64.b64encode(raw).replace(b"/", rb"\/"),
    "UTF-16": lambda raw: base64.b64encode(raw).decode().encode("utf-16"),
    "lines": lambda raw: b"\r\n".join(base64.b64encode(raw)[at : at + 4] for at in range(0, 60, 4)),
    "hexadecimal": lambda raw: raw.hex().encode(),
    "large letters": lambda raw: raw.hex(" ").upper(),
    "hexadecimal lines": lambda raw: raw.hex("\n", 4),
    "decimal": lambda raw: ", ".join(map(str, raw)),
}


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("way", WAYS)
def test_an_image_is_found_however_it_is_written(way, before):
    starts = [b"\xff\xd8\xff" + bytes([mark, 0, 4]) for mark in MARKERS]
    if way != "decimal":
        starts.append(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    for start in starts:
        assert shows_image(WAYS[way](b"a\x05z\n"[:before] + start + bytes(range(40))))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_found_where_there_is_no_image(way):
    noise = random.Random(1).randbytes(200_000)
    assert not shows_image(WAYS[way](noise))
    assert not shows_image("A walk to /usr/share/9j in 2P, 12:30; #ffd8f0, f(d8) = 255, 216")


@pytest.mark.parametrize("way", ["Base64", "Base64 for addresses", "hexadecimal"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xd8\xff\xe1\x10\0" + bytes(4094) + b"\xff\xdb\0\x43", True),
        (b"\xff\xd8\xff\xe1\x10\0" + bytes(300), True),  # cut off
        (b"\xff\xd8\xff\xe1\x10\0" + bytes(5000), False),
        (b"\xff\xd8\xff\xd9\0\x10" + bytes(5000), False),  # an end after the start
    ],
)
@pytest.mark.parametrize("before", range(4))
def test_the_header_of_a_jpeg_in_text_is_plausible(content, expected, way, before):
    assert shows_image(b"<a>" + WAYS[way](b"abcd"[:before] + content) + b"</a>" * 5000) is expected


def test_texts_that_look_like_many_images_take_no_time():
    assert shows_image(b"/9j/" * 300_000)
    assert shows_image(b"ffd8ffe" * 300_000)


@pytest.mark.parametrize("value", [None, 5, (255, 216, 255), 0.5])
def test_numbers_show_nothing(value):
    assert not shows_image(value)


@pytest.mark.parametrize(
    "tag", [ExifTags.Base.ImageDescription, ExifTags.Base.Artist, ExifTags.Base.Copyright]
)
@pytest.mark.parametrize("target", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_a_text_of_exif_with_a_preview_is_dropped(target, tag):
    exif = Image.Exif()
    exif[tag] = base64.b64encode(b"\xff\xd8\xff\xeePREVIEW" + bytes(30)).decode()
    exif[ExifTags.Base.Software] = "kept"
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG", exif=exif)
    got = io.BytesIO()
    notes = write(read(content.getvalue()), got, target)
    assert [note for note in notes if "preview" in note] == ["dropped its previews in EXIF"]
    assert exif[tag].encode()[:20] not in got.getvalue()
    assert Image.open(got).getexif()[ExifTags.Base.Software] == "kept"


@pytest.mark.parametrize("tag", [270, 269, 285, 42112])
def test_a_text_of_a_tiff_with_a_preview_is_dropped(tag):
    exif = Image.Exif()
    exif[tag] = base64.b64encode(b"\xff\xd8\xff\xfePREVIEW" + bytes(30)).decode()
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "TIFF", exif=exif)
    got = io.BytesIO()
    (note,) = write(read(content.getvalue()), got, "TIFF")
    assert note.startswith("dropped its ")
    assert exif[tag].encode()[:20] not in got.getvalue()


def test_a_maker_note_whose_preview_has_another_first_byte_is_dropped():
    exif = Image.Exif()
    preview = b"\x99\xd8\xff\xdb\0\x84PREVIEW" + bytes(30)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"OLYMPUS\0II\3\0" + preview
    content, got = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG", exif=exif)
    assert write(read(content.getvalue()), got, "JPEG") == ("dropped its maker notes",)
    assert b"PREVIEW" not in got.getvalue()
