"""Reading and writing images: modes, orientation, metadata, damage."""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import EpsImagePlugin, ExifTags, Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

import convcli
from convcli import ConvcliError, memory
from convcli.files.formats import FORMATS, spelt
from convcli.image import (
    Picture,
    buffers,
    decoding,
    deep,
    headers,
    limit_pixels,
    metadata,
    read,
    refusals,
    write,
)
from convcli.image.held import Held
from convcli.pixels.padded import Padded

# The modes that Pillow can write, and the mode in which convcli reads each.
READ_AS = {
    "PNG": {
        "1": "L", "L": "L", "LA": "LA", "P": "RGB", "P with alpha": "RGBA", "RGB": "RGB",
        "RGBA": "RGBA", "I;16": "I;16",
    },
    "JPEG": {"L": "L", "RGB": "RGB", "CMYK": "CMYK"},
    "TIFF": {
        "1": "L", "L": "L", "LA": "LA", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK",
        "YCbCr": "RGB", "I;16": "I;16", "I;16B": "I;16", "F": "F", "LAB": "LAB", "I": "I",
    },
    "WEBP": {"RGB": "RGB", "RGBA": "RGBA"},
    "BMP": {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"},
    "PPM": {"1": "L", "L": "L", "RGB": "RGB", "I;16": "I;16"},
    "AVIF": {"L": "L", "RGB": "RGB", "RGBA": "RGBA"},
    "GIF": {"L": "RGB", "P": "RGB", "P with alpha": "RGBA"},
}  # fmt: skip
CASES = [(name, mode) for name, modes in READ_AS.items() for mode in modes]
LOSSLESS = ("PNG", "TIFF", "BMP", "PPM")

# From stored pixels to the upright image, by EXIF orientation.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
INVERSE = UPRIGHT | {6: UPRIGHT[8], 8: UPRIGHT[6]}


def in_mode(mode, pixels):
    """Make a Pillow image of any mode from (H, W, 3) uint8 pixels."""
    colour = Image.fromarray(pixels)
    if mode in ("I;16", "I;16B"):
        samples = np.asarray(colour.convert("L")).astype(np.uint16) * 251 + 7
        swapped = samples.astype(">u2" if mode == "I;16B" else "<u2")
        return Image.frombuffer(mode, colour.size, swapped.tobytes(), "raw", mode, 0, 1)
    if mode == "F":
        return Image.fromarray(np.asarray(colour.convert("L")).astype(np.float32) / 255)
    if mode in ("LA", "RGBA"):
        colour.putalpha(Image.fromarray(pixels[..., 1] | 1))
        return colour.convert(mode)
    if mode == "P with alpha":
        indexed = colour.convert("P")
        indexed.info["transparency"] = 0
        return indexed
    return colour.convert(mode)


def samples_of(path):
    """Decode with Pillow alone, in the mode in which convcli reads the file."""
    with Image.open(path) as picture:
        mode = "P with alpha" if "transparency" in picture.info else picture.mode
        wanted = READ_AS[picture.format].get(mode, "I;16")
        decoded = picture if wanted == "I;16" else picture.convert(wanted)
        dtype = {"I;16": np.uint16, "I": np.float64, "F": np.float32}.get(wanted, np.uint8)
        if wanted == "LAB":  # np.asarray would give a* and b* as signed bytes
            return np.dstack([np.asarray(decoded.getchannel(n)) for n in range(3)])
        return np.asarray(decoded).astype(dtype)


def distance(a, b, mode):
    """Return the mean difference in levels; of RGBA, the colours of visible pixels."""
    if mode == "RGBA":
        seen = b[..., 3] > 128
        a, b = a[seen][:, :3], b[seen][:, :3]
    return np.abs(a.astype(float) - b).mean()


def written(picture, format_name, **settings):
    content = io.BytesIO()
    write(picture, content, format_name, **settings)
    return content.getvalue()


def opened(content):
    """Open and decode with Pillow: some metadata follow the pixels."""
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def png(width, height, data=b"", bits=8, colour=2):
    """Put a PNG together by hand, of kinds that Pillow does not write."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def icc(space):
    """Return the start of an ICC profile, with the colour space in its header."""
    return bytes(16) + space + bytes(108)


@pytest.fixture
def pixels(photo):
    return photo[100:148, 200:264]


@pytest.fixture
def picture(pixels):
    return Picture(pixels, "RGB", "PNG")


@pytest.mark.parametrize(("format_name", "mode"), CASES)
def test_every_mode_is_read_as_pillow_decodes_it(picture_file, pixels, format_name, mode):
    path = picture_file("a.bin", in_mode(mode, pixels), format=format_name)
    got = read(path)
    assert (got.mode, got.format) == (READ_AS[format_name][mode], format_name)
    np.testing.assert_array_equal(got.pixels, samples_of(path))


@pytest.mark.parametrize(("format_name", "mode"), CASES)
def test_every_mode_survives_filtering_and_writing(picture_file, pixels, format_name, mode):
    got = read(picture_file("a.bin", in_mode(mode, pixels), format=format_name))
    filtered = got.with_pixels(convcli.blur(got.pixels, 1.0))
    again = read(written(filtered, format_name))
    assert again.pixels.dtype == got.pixels.dtype
    assert again.pixels.shape[:2] == got.pixels.shape[:2]
    if format_name in LOSSLESS:
        assert again.mode == got.mode
        rounded = np.rint(filtered.pixels) if got.mode == "I" else filtered.pixels
        np.testing.assert_array_equal(again.pixels, rounded)
    else:
        assert distance(again.pixels, filtered.pixels, got.mode) < 6  # the loss by compression


def test_bytes_are_read_as_a_file_is(picture_file):
    path = picture_file("a.png")
    np.testing.assert_array_equal(read(path.read_bytes()).pixels, read(path).pixels)


def test_pixels_are_whole_beyond_one_band_of_rows(picture_file, photo):
    assert buffers._BAND_ROWS < 500
    path = picture_file("tall.png", photo[:501, :7])
    np.testing.assert_array_equal(read(path).pixels, photo[:501, :7])


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1)])
@pytest.mark.parametrize("format_name", READ_AS)
def test_thin_pictures_keep_their_size(photo, size, format_name):
    pixels = photo[: size[0], : size[1]]
    assert read(written(Picture(pixels, "RGB", "PNG"), format_name)).pixels.shape == pixels.shape


@pytest.mark.parametrize(("mode", "note"), [("1", "converted mode 1 to L"), ("L", None)])
def test_a_change_of_mode_is_noted(picture_file, pixels, mode, note):
    notes = read(picture_file("a.png", in_mode(mode, pixels))).notes
    assert notes == ((note,) if note else ())


@pytest.mark.parametrize(
    ("colour", "data", "mode"),
    [(2, bytes(13), "RGB"), (4, bytes(9), "RGBA"), (6, bytes(17), "RGBA")],
)
def test_16_bit_colours_read_as_8_are_noted(colour, data, mode, monkeypatch):
    monkeypatch.setattr(deep, "installed", lambda: False)
    got = read(png(2, 1, data, bits=16, colour=colour))
    assert got.mode == mode
    hint = "; the extra 'deep' keeps 16 in PNG and TIFF"
    assert got.notes == ("reduced 16-bit channels to 8 bits" + hint,)


def test_16_bit_grey_is_not_noted():
    assert read(png(2, 1, bytes(5), bits=16, colour=0)).notes == ()


@pytest.mark.parametrize(
    ("given", "dtype", "channels", "mode"),
    [
        ("RGB", np.uint8, 3, "RGB"),
        ("RGB", np.uint8, None, "L"),
        ("CMYK", np.uint8, None, "L"),
        ("CMYK", np.uint8, 4, "CMYK"),
        ("RGBA", np.uint8, 4, "RGBA"),
        ("RGBA", np.uint8, 2, "LA"),
        ("L", np.uint16, None, "I;16"),
        ("L", np.float32, None, "F"),
    ],
)
def test_new_pixels_decide_the_mode(picture, given, dtype, channels, mode):
    pixels = np.zeros((2, 3, channels) if channels else (2, 3), dtype)
    assert Picture(pixels, given, "PNG").with_pixels(pixels).mode == mode


def test_edges_of_cmyk_are_those_of_its_colours(picture_file, pixels):
    path = picture_file("a.tif", in_mode("CMYK", pixels))
    got = read(path, "PNG", grey="L")
    np.testing.assert_array_equal(got.pixels, np.asarray(Image.open(path).convert("RGB")))
    assert got.with_pixels(convcli.edge(got.pixels)).mode == "L"


# --- memory shared with Pillow


def decoded(path, mode="RGB"):
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode))


@pytest.mark.parametrize(
    ("name", "mode"),
    [("PNG", mode) for mode in ("L", "RGB", "RGBA")]
    + [("JPEG", mode) for mode in ("L", "RGB", "CMYK")],
)
def test_pictures_are_decoded_into_memory_of_ours(picture_file, pixels, name, mode, monkeypatch):
    path = picture_file("a.bin", in_mode(mode, pixels), format=name)
    monkeypatch.delattr(decoding, "copy_of")  # copying fails
    got = read(path)
    assert isinstance(got.samples, Padded) == (mode == "RGB")
    np.testing.assert_array_equal(got.pixels, samples_of(path))


def test_a_colour_that_means_transparent_is_no_colour(picture_file, pixels):
    seen_through = tuple(pixels[3, 4].tolist())
    path = picture_file("a.png", pixels, transparency=seen_through)
    got = read(path)
    assert got.mode == "RGBA"
    np.testing.assert_array_equal(got.pixels[..., :3], pixels)
    hidden = (pixels == seen_through).all(axis=2)
    np.testing.assert_array_equal(got.pixels[..., 3], np.where(hidden, 0, 255))


@pytest.mark.parametrize(("format_name", "mode"), CASES)
def test_what_is_copied_is_the_same(picture_file, pixels, format_name, mode, monkeypatch):
    path = picture_file("a.bin", in_mode(mode, pixels), format=format_name)
    wanted = read(path)
    monkeypatch.setattr(buffers, "_DECODED_IN_PLACE", ())
    got = read(path)
    assert got.pixels.flags.c_contiguous
    assert (got.mode, got.notes) == (wanted.mode, wanted.notes)
    np.testing.assert_array_equal(got.pixels, wanted.pixels)


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if "RGB" in row.modes])
def test_the_unused_byte_is_never_written(pixels, name):
    buffer = np.zeros((*pixels.shape[:2], 4), np.uint8)
    buffer[..., :3] = pixels
    wanted = written(Picture(pixels, "RGB", "PNG"), name)
    for unused in (0, 255, np.arange(pixels.shape[1])):
        buffer[..., 3] = unused
        assert written(Picture(buffer[..., :3], "RGB", "PNG"), name) == wanted


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_of_several_of_pillows_blocks_is_whole(
    picture_file, photo, format_name, orientation
):
    height, width = 2100, 2200
    assert height * width * 4 > Image.core.get_block_size()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    large = np.tile(photo, (5, 5, 1))[:height, :width]
    path = picture_file("a.bin", large, format=format_name, exif=exif.tobytes())
    got = read(path)
    turned = orientation == 6 and format_name != "BMP"  # BMP has no EXIF data
    wanted = UPRIGHT[6](decoded(path)) if turned else decoded(path)
    np.testing.assert_array_equal(got.pixels, wanted)
    again = opened(written(got, "PNG"))
    np.testing.assert_array_equal(np.asarray(again), wanted)


# --- luma of a JPEG


@pytest.mark.parametrize("format_name", ["JPEG", "MPO"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_grey_of_a_jpeg_is_the_luma_in_it(picture_file, photo, format_name, subsampling):
    path = picture_file(
        "a.jpg", photo, format=format_name, subsampling=subsampling, quality=95, save_all=False
    )
    got = read(path, grey="L", luma=True)
    assert (got.mode, got.pixels.shape) == ("L", photo.shape[:2])
    wanted = photo.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(got.pixels - wanted).mean() < 1.5  # the loss by compression
    assert read(path, grey="L").pixels.shape == photo.shape
    # The Y that Pillow decodes as part of YCbCr is identical.
    with Image.open(path) as picture:
        picture.draft("YCbCr", None)
        np.testing.assert_array_equal(got.pixels, np.asarray(picture)[..., 0])


@pytest.mark.parametrize(
    ("mode", "settings"), [("RGB", {"keep_rgb": True}), ("CMYK", {}), ("L", {})]
)
def test_a_jpeg_without_luma_in_it_is_read_as_ever(picture_file, pixels, mode, settings):
    path = picture_file("a.jpg", in_mode(mode, pixels), **settings)
    got = read(path, grey="L", luma=True)
    np.testing.assert_array_equal(got.pixels, read(path, grey="L").pixels)
    assert got.mode == ("RGB" if mode == "CMYK" else mode)


@pytest.mark.parametrize(
    ("jfif", "transform", "names", "luma"),
    [
        (True, None, b"RGB", True),
        (False, 1, b"RGB", True),
        (False, 0, b"\1\2\3", False),
        (False, None, b"\1\2\3", True),
        (False, None, b"RGB", False),
    ],
)
def test_the_markers_say_whether_a_jpeg_has_luma(
    picture_file, jfif, transform, names, luma, monkeypatch
):
    with Image.open(picture_file("a.jpg")) as picture:
        assert headers.has_luma(picture)
        picture.info = {"jfif": 257} if jfif else {}
        if transform is not None:
            picture.info |= {"adobe": 100, "adobe_transform": transform}
        picture.layer = [(name, 1, 1, 0) for name in names]
        assert headers.has_luma(picture) == luma


def test_edges_from_luma_are_those_of_the_colours(picture_file, photo):
    path = picture_file("a.jpg", photo, quality=90, subsampling="4:4:4")
    from_luma = convcli.edge(read(path, grey="L", luma=True).pixels).astype(int)
    difference = np.abs(from_luma - convcli.edge(read(path).pixels))
    assert np.quantile(difference, 0.99) <= 1
    assert difference.mean() < 0.2


def test_edges_of_saturated_colours_are_nearer_to_the_originals_from_luma(picture_file):
    bars = np.zeros((160, 240, 3), np.uint8)
    bars[:, 80:160, 0] = bars[:, 160:, 2] = bars[::7, :, 1] = 255
    path = picture_file("a.jpg", bars, quality=90, subsampling="4:2:0")
    wanted = convcli.edge(bars).astype(int)
    by_luma = convcli.edge(read(path, grey="L", luma=True).pixels)
    by_colours = convcli.edge(read(path).pixels)
    assert np.abs(by_luma - wanted).mean() < 2 < np.abs(by_colours - wanted).mean()


# --- orientation


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_photograph_comes_out_upright(picture_file, pixels, format_name, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = np.ascontiguousarray(INVERSE[orientation](pixels))
    path = picture_file("a.bin", stored, format=format_name, exif=exif.tobytes())
    content = written(read(path), format_name)
    result = opened(content)  # Pillow turns TIFF and AVIF here, if they still have the tag
    assert result.getexif().get(ExifTags.Base.Orientation, 1) == 1
    difference = np.abs(np.asarray(result).astype(float) - pixels)
    # In any other orientation the difference is 40 levels or more.
    assert difference.mean() < (1e-9 if format_name in LOSSLESS else 8)


# --- metadata


KEPT = {
    "PNG": {"icc_profile", "dpi", "exif", "xmp", "text"},
    "JPEG": {"icc_profile", "dpi", "exif", "xmp", "comment"},
    "TIFF": {"icc_profile", "dpi", "exif", "xmp"},
    "WEBP": {"icc_profile", "exif", "xmp"},
    "AVIF": {"icc_profile", "exif", "xmp"},
    "BMP": {"dpi"},
    "PPM": set(),
    "GIF": {"comment"},
}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmp:Rating="5"/></x:xmpmeta>'
TEXT = {"Author": "Grace", "Title": PngImagePlugin.iTXt("Küste", "de", "Titel"), "Long": "x" * 5000}


def described(pixels, format_name):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Leitz"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    content = io.BytesIO()
    settings = {"dpi": (300, 300), "icc_profile": icc(b"RGB "), "exif": exif.tobytes()}
    if format_name == "PNG":
        settings["pnginfo"] = PngImagePlugin.PngInfo()
        for keyword, value in TEXT.items():
            settings["pnginfo"].add_text(keyword, value)
        settings["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    elif format_name == "TIFF":
        again = Image.Exif()  # so that Pillow also writes the inner block
        again.load(settings["exif"])
        again[700] = XMP
        settings["exif"] = again
    else:
        settings |= {"xmp": XMP, "comment": b"from the coast"}
    Image.fromarray(pixels).save(content, format_name, **settings)
    return content.getvalue()


def metadata_in(content):
    file = io.BytesIO(content)  # Pillow reads it again for the inner block
    picture = Image.open(file)
    picture.load()
    found = {}
    if "icc_profile" in picture.info:
        found["icc_profile"] = picture.info["icc_profile"]
    if "dpi" in picture.info:
        found["dpi"] = tuple(round(value) for value in picture.info["dpi"])
    if ExifTags.Base.Make in picture.getexif():
        exposure = picture.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime]
        found["exif"] = (picture.getexif()[ExifTags.Base.Make], exposure)
    for key in ("xmp", "comment"):
        if key in picture.info:
            found[key] = picture.info[key]
    text = {k: v for k, v in getattr(picture, "text", {}).items() if "xmp" not in k}
    return found | ({"text": text} if text else {})


ALL = {"icc_profile": icc(b"RGB "), "dpi": (300, 300), "exif": ("Leitz", 0.5), "xmp": XMP,
       "text": TEXT, "comment": b"from the coast"}  # fmt: skip
MEANING = {"icc_profile": "colour profile", "dpi": "resolution", "exif": "EXIF data",
           "xmp": "XMP data", "text": "text", "comment": "comment"}  # fmt: skip


@pytest.mark.parametrize("source", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("target", KEPT)
def test_metadata_are_kept_where_the_format_can_and_else_noted(tmp_path, pixels, source, target):
    path = tmp_path / "a.bin"
    path.write_bytes(described(pixels, source))
    content = io.BytesIO()
    notes = write(read(path), content, target)
    found = KEPT[source] & KEPT[target]
    got = metadata_in(content.getvalue())
    if "dpi" not in found and got.get("dpi") in ((1, 1), (72, 72), (96, 96)):
        del got["dpi"]  # Pillow's values for no resolution
    assert got == {key: ALL[key] for key in found}
    left = {meaning for key, meaning in MEANING.items() if key in KEPT[source] - KEPT[target]}
    noted = " ".join(note for note in notes if note.endswith(f"which {spelt(target)} cannot store"))
    assert {meaning for meaning in MEANING.values() if meaning in noted} == left


def test_text_keeps_its_language(pixels):
    again = opened(written(read(described(pixels, "PNG")), "PNG"))
    assert (again.text["Title"].lang, again.text["Title"].tkey) == ("de", "Titel")


@pytest.mark.parametrize("key", ["exif", "xmp", "comment"])
@pytest.mark.parametrize(("size", "kept"), [(65_000, True), (66_000, False)])
def test_what_is_too_long_for_a_jpeg_is_left_out_and_noted(pixels, key, size, kept):
    value = bytes(size)
    if key == "exif":
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = "x" * size
        value = exif.tobytes()
    content = io.BytesIO()
    notes = write(Picture(pixels, "RGB", "PNG", {key: value}), content, "JPEG")
    name = "exif" if key == "exif" else key
    assert (name in opened(content.getvalue()).info) is kept
    assert notes == (() if kept else (f"dropped its {MEANING[key]}, too long for JPEG",))


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_orientation_in_xmp_does_not_turn_it_twice(pixels, format_name):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:D tiff:Orientation="6"/></x:xmpmeta>'
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    settings = {"exif": exif.tobytes(), "xmp": xmp}
    if format_name == "PNG":
        settings["pnginfo"] = PngImagePlugin.PngInfo()
        settings["pnginfo"].add_itxt("XML:com.adobe.xmp", settings.pop("xmp").decode())
    if format_name == "TIFF":
        exif[700] = settings.pop("xmp")
        settings["exif"] = exif
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format_name, **settings)
    result = opened(written(read(content.getvalue()), format_name))
    assert result.size == (48, 64)
    assert b'Orientation="6"' not in result.info.get("xmp", b"")
    assert result.getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize("source", ["PNG", "JPEG"])
@pytest.mark.parametrize("target", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_strip_leaves_them_out(pixels, source, target):
    content = written(read(described(pixels, source)), target, strip=True)
    assert metadata_in(content) in ({}, {"dpi": (1, 1)})
    for secret in (b"Leitz", b"Grace", b"Rating", b"coast"):
        assert secret not in content


def test_a_tiff_without_a_resolution_gets_none(picture_file):
    path = picture_file("a.tif")
    assert opened(path.read_bytes()).info["dpi"] == (1, 1)  # Pillow's value for no resolution
    assert "dpi" not in read(path).metadata


@pytest.mark.parametrize("target", KEPT)
@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        *((value, False) for value in (IFDRational(0, 0), IFDRational(1, 0), 0.0, 1e-6, 1.2e8)),
        *((value, True) for value in (0.6, 72.5, 254_000.0, 1e8)),
    ],
)
@pytest.mark.parametrize("tagged", [True, False])
def test_a_resolution_that_no_format_holds_is_left_out(pixels, target, stated, kept, tagged):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "TIFF", dpi=(stated, stated))
    picture = read(content.getvalue())
    assert ("dpi" in picture.metadata) is kept
    if not tagged:  # a TIFF also has it in its tags
        del picture.metadata["exif"]
    encoded = io.BytesIO()
    notes = write(picture, encoded, target)
    got = metadata_in(encoded.getvalue()).get("dpi", (1, 1))
    lost = target == "JPEG" and stated > 65535 and not tagged
    assert ("dropped its resolution, too fine for JPEG" in notes) is (kept and lost)
    if target == "BMP" and kept:
        most = 54_546_055  # dots per metre in 31 bits
        reduced = f"reduced its resolution of {stated:.0f} dpi to {most}, the most that BMP can"
        assert any(note.startswith(reduced) for note in notes) is (stated > most)
        stated = min(stated, most)
    if kept and not lost and "dpi" in KEPT[target]:
        assert got == pytest.approx((stated, stated), abs=0.6)
    elif not kept or not tagged:
        assert got in ((1, 1), (72, 72), (96, 96), (0, 0))


@pytest.mark.parametrize("stated", [b"300", "300", (1, 2)], ids=repr)
def test_a_resolution_that_is_no_number_is_left_out(pixels, stated):
    image = Image.fromarray(pixels)
    image.info["dpi"] = (stated, stated)  # Pillow returns any type that a TIFF has
    assert metadata.metadata_of(image, image, "RGB", Held()) == ({}, [])


def test_a_jpeg_is_encoded_into_memory_with_a_number(pixels, monkeypatch):
    """Without a file descriptor Pillow does not release the interpreter."""
    numbers, save = [], Image.Image.save
    monkeypatch.setattr(
        Image.Image, "save", lambda self, file, *a, **b: numbers.append(file.fileno()) or save(
            self, file, *a, **b
        ),
    )  # fmt: skip
    content = written(Picture(pixels, "RGB", "PNG"), "JPEG")
    assert len(numbers) == 1
    assert opened(content).size == (64, 48)


def test_a_jpeg_is_the_same_where_memory_has_no_numbers(pixels, monkeypatch):
    expected = written(Picture(pixels, "RGB", "PNG"), "JPEG")
    monkeypatch.delattr(os, "memfd_create")
    assert written(Picture(pixels, "RGB", "PNG"), "JPEG") == expected


@pytest.mark.parametrize("begun", [b"", b"x", b"begun"])
def test_a_jpeg_for_whose_end_there_was_no_memory_is_encoded_again(
    pixels, tmp_path, monkeypatch, begun
):
    """Pillow takes a short write for a complete one."""
    expected = written(Picture(pixels, "RGB", "PNG"), "JPEG")
    save = Image.Image.save

    def cut(self, file, *arguments, **settings):
        monkeypatch.setattr(Image.Image, "save", save)
        file.write(begun)

    monkeypatch.setattr(Image.Image, "save", cut)
    write(Picture(pixels, "RGB", "PNG"), tmp_path / "a.jpg", "JPEG")
    assert (tmp_path / "a.jpg").read_bytes() == expected


@pytest.mark.parametrize("to_file", [True, False])
def test_metadata_that_an_encoder_stumbles_over_are_named_as_what_may_be_wrong(
    tmp_path, pixels, to_file
):
    picture = Picture(pixels, "RGB", "PNG", {"dpi": ("300", "300")})
    path = tmp_path / "a.png"
    with pytest.raises(ConvcliError, match="due to its metadata, which --strip drops"):
        write(picture, path if to_file else io.BytesIO(), "PNG")
    assert not path.exists()
    write(picture, path if to_file else io.BytesIO(), "PNG", strip=True)


@pytest.mark.parametrize("target", ["PNG", "JPEG"])
def test_how_a_tiff_stored_its_samples_is_not_told_of_the_result(pixels, target):
    exif = opened(written(read(described(pixels, "TIFF")), target)).getexif()
    assert ExifTags.Base.StripOffsets not in exif
    assert ExifTags.Base.BitsPerSample not in exif


def test_hostile_exif_does_not_change_how_a_tiff_is_stored(pixels):
    exif = Image.Exif()
    exif[ExifTags.Base.TileWidth] = 99999
    exif[ExifTags.Base.BitsPerSample] = 1
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", exif=exif)
    again = read(written(read(content.getvalue()), "TIFF"))
    np.testing.assert_array_equal(again.pixels, pixels)


@pytest.mark.parametrize(
    ("space", "kept"), [(b"RGB ", False), (b"GRAY", True), (b"CMYK", False), (b"", False)]
)
def test_grey_edges_keep_only_a_grey_profile(picture, pixels, space, kept):
    grey = Picture(pixels[..., 0].copy(), "L", "PNG", {"icc_profile": icc(space)})
    assert ("icc_profile" in opened(written(grey, "PNG")).info) is kept


def test_the_embedded_thumbnail_does_not_survive(picture_file):
    make, after = b"Leitz\0", 8 + 2 + 12 + 4
    first = struct.pack("<HHHII", 1, ExifTags.Base.Make, 2, len(make), after + 30 + 9)
    second = struct.pack("<HHHIIHHII", 2, 513, 4, 1, after + 30, 514, 4, 1, 9)
    tiff = b"II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", after)
    exif = b"Exif\0\0" + tiff + second + bytes(4) + b"THUMBNAIL" + make
    path = picture_file("a.jpg", exif=exif)
    assert opened(path.read_bytes()).getexif().get_ifd(ExifTags.IFD.IFD1)[514] == 9
    content = written(read(path), "JPEG")
    assert b"THUMBNAIL" not in content
    assert opened(content).getexif()[ExifTags.Base.Make] == "Leitz"


def test_exif_that_cannot_be_written_is_left_out_and_noted(picture_file):
    # A resolution that is text, which Pillow reads but cannot write.
    entry = struct.pack("<HHHII", 1, ExifTags.Base.XResolution, 7, 4, 0)
    path = picture_file("a.jpg", exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + entry + bytes(4))
    got = read(path)
    assert "exif" not in got.metadata
    assert got.notes == ("dropped its EXIF data, which are damaged",)


def test_a_picture_too_long_for_its_format_is_refused(photo):
    long = Picture(np.resize(photo[0], (1, 16_384, 3)), "RGB", "PNG")
    with pytest.raises(ConvcliError, match="WebP cannot hold 16384 x 1 pixels"):
        written(long, "WEBP")


@pytest.mark.parametrize("exif", [b"Exif\0\0rubbish", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_exif_does_not_cost_the_picture(picture_file, exif):
    assert read(picture_file("a.jpg", exif=exif)).pixels.shape == (48, 64, 3)


# --- encoding


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("quality", [20, 97])
def test_a_jpeg_keeps_its_own_tables(picture_file, pixels, mode, quality):
    path = picture_file("a.jpg", in_mode(mode, pixels), quality=quality)
    before = opened(path.read_bytes()).quantization
    assert opened(written(read(path), "JPEG")).quantization == before


def test_the_edges_of_a_jpeg_keep_its_table_of_luminance(picture_file):
    path = picture_file("a.jpg", quality=33)
    got = read(path)
    edges = opened(written(got.with_pixels(convcli.edge(got.pixels)), "JPEG"))
    assert edges.quantization == {0: opened(path.read_bytes()).quantization[0]}
    assert edges.layer == [(1, 1, 1, 0)]  # no subsampling of a single channel


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_a_jpeg_keeps_its_subsampling(picture_file, subsampling):
    path = picture_file("a.jpg", subsampling=subsampling)
    before, after = opened(path.read_bytes()), opened(written(read(path), "JPEG"))
    assert [part[1:3] for part in after.layer] == [part[1:3] for part in before.layer]


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "AVIF"])
def test_quality_decides_the_size(picture, format_name):
    small, default, large = (
        len(written(picture, format_name, quality=quality)) for quality in (5, None, 100)
    )
    assert small < default < large


def test_a_phones_photograph_with_a_second_picture_in_it_is_a_jpeg(picture_file, pixels):
    other = Image.fromarray(pixels[::-1].copy())
    path = picture_file(
        "a.jpg", pixels, format="MPO", save_all=True, append_images=[other], quality=61
    )
    before = opened(path.read_bytes())
    assert before.format == "MPO"
    got = read(path)
    assert got.format == "JPEG"
    assert got.notes == ("read the first of its images and dropped the others",)
    assert np.abs(got.pixels.astype(float) - pixels).mean() < 8  # the first of the two
    assert opened(written(got, "JPEG")).quantization == before.quantization


class Trickle(io.RawIOBase):
    """An unbuffered pipe, such as standard output with PYTHONUNBUFFERED."""

    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data[:1000])
        return min(len(data), 1000)


def test_a_pipe_that_takes_little_at_a_time_gets_all(picture):
    pipe = Trickle()
    write(picture, pipe, "PNG")
    np.testing.assert_array_equal(read(pipe.content).pixels, picture.pixels)


# --- refused


@pytest.fixture(scope="module")
def encoded(photo):
    """The same image in each format, as bytes."""
    picture = Picture(photo[:128, :128], "RGB", "PNG")
    return {name: written(picture, name) for name in READ_AS}


@pytest.mark.parametrize("format_name", READ_AS)
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_truncated_picture_is_refused(encoded, format_name, part):
    content = encoded[format_name]
    with pytest.raises(ConvcliError, match=r"is truncated, damaged or"):
        read(content[: int(len(content) * part)])


def test_a_picture_without_pixels_is_refused(encoded):
    jpeg, whole_png = encoded["JPEG"], encoded["PNG"]
    headers = jpeg[: jpeg.index(b"\xff\xda")] + b"\xff\xd9"
    without = whole_png[: whole_png.index(b"IDAT") - 4] + whole_png[whole_png.index(b"IEND") - 4 :]
    for content in (headers, without):
        with pytest.raises(ConvcliError, match=r"truncated|not an image"):
            read(content)


def test_a_lossless_jpeg_has_no_tables_to_keep(photo):
    got = read(imagecodecs.jpeg8_encode(photo[:32, :48], lossless=True))
    assert got.encoding == {}
    written(got, "JPEG")


@pytest.mark.parametrize("target", ["PNG", "TIFF", "JPEG"])
def test_the_exif_of_a_bigtiff_is_kept_in_a_layout_that_all_know(pixels, target):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Leitz"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    content = io.BytesIO()
    again = Image.Exif()
    again.load(exif.tobytes())
    Image.fromarray(pixels).save(content, "TIFF", big_tiff=True, exif=again)
    after = written(read(content.getvalue()), target)
    assert metadata_in(after)["exif"] == ("Leitz", 0.5)


def test_a_tiff_keeps_its_exif_block_before_its_compression(pixels):
    content = described(pixels, "TIFF")
    got = read(content)
    packed = Picture(got.pixels, "RGB", "TIFF", got.metadata, {"compression": "tiff_lzw"})
    after = written(packed, "TIFF")
    assert metadata_in(after)["exif"] == ("Leitz", 0.5)
    assert opened(after).info["compression"] == "raw"


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".gif", ".bin", ""])
def test_the_content_and_not_the_name_says_what_it_is(picture_file, pixels, suffix):
    path = picture_file(f"a{suffix}", pixels, format="PNG")
    got = read(path)
    assert got.format == "PNG"
    np.testing.assert_array_equal(got.pixels, pixels)


@pytest.mark.parametrize(
    "error",
    [TypeError("wrong kind"), SyntaxError("not a box"), RuntimeError("no"), ValueError(b"bytes"),
     NotImplementedError(), struct.error("short"), OSError(errno.EINVAL, "Invalid argument")],
)  # fmt: skip
def test_whatever_a_decoder_raises_is_a_refusal(picture_file, monkeypatch, error):
    def load(self):
        raise error

    path = picture_file("a.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    with pytest.raises(ConvcliError, match="is truncated, damaged or of a kind") as refused:
        read(path)
    assert not str(refused.value).endswith(": ")
    assert "b'" not in str(refused.value)


DAMAGED = {
    "P2 with a letter": b"P2\n2 1\n255\n1 x\n",
    "P3 with a letter": b"P3\n2 1\n255\n1 2 3 4 x 6\n",
    "P3 with a point": b"P3\n2 1\n255\n1 2 3 4 5. 6\n",
    "P3 with bytes": b"P3\n2 1\n255\n1 2 3 4 \xff\xfe 6\n",
    "P1 with a digit": b"P1\n2 1\n1 7\n",
    "P2 with a long token": b"P2\n2 1\n255\n1 " + b"9" * 50 + b"\n",
    "no size": b"P6\nx y\n255\nabc",
    "a long size": b"P6\n" + b"1" * 5000 + b" 2\n255\nabc",
    "PFM": b"Pf\n2 1\nx\n" + bytes(8),
    "PFM of scale nan": b"Pf\n2 1\nnan\n" + bytes(8),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_not_reported_in_the_words_of_python(name):
    with pytest.raises(ConvcliError, match="is truncated, damaged or of a kind") as refused:
        read(DAMAGED[name])
    assert not re.search(r"\w\(|\bb['\"]|\b(int|float|literal|string|codec)\b", str(refused.value))


def text_of(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return error
    raise AssertionError


PYTHON_ERRORS = [
    text_of(int, "1" * 5000),
    text_of(int, b"x"),
    text_of(float, "x"),
    text_of(bytes, [256]),
    text_of(bytes, -1),
    text_of(bytes.decode, b"\xff"),
    text_of("a".index, "b"),
    text_of([].index, 1),
    text_of(struct.unpack, ">H", b""),
    text_of(np.frombuffer, b"abc", "u2"),
    text_of(np.frombuffer, b"", "u2", 5),
    text_of(np.reshape, np.zeros(5), (2, 3)),
    text_of(np.add, np.zeros(2), np.zeros(3)),
    text_of(memoryview(b"abc").cast, "H"),
    text_of(Path("\0").read_bytes),
    text_of(lambda: dict([(1,)])),
    text_of(lambda: [a for a, b in [(1, 2, 3)]]),
    text_of(lambda: 1 << -1),
    text_of(io.BytesIO(b"").seek, -1),
]


@pytest.mark.parametrize("error", PYTHON_ERRORS, ids=str)
def test_what_python_says_of_itself_is_not_shown(error):
    with (
        pytest.raises(ConvcliError, match=r"cannot be read$"),
        refusals.refusals(b"P6"),
    ):
        raise error


@pytest.mark.parametrize(
    "error",
    [ValueError("Truncated tRNS chunk"), ValueError("Decompressed data too large for PngImage"),
     OSError("image file is truncated (3 bytes not processed)"), SyntaxError("not a PPM file"),
     ValueError("Channel value too large for this mode: 300")],
    ids=str,
)  # fmt: skip
def test_what_a_decoder_says_of_the_file_is_shown(error):
    with (
        pytest.raises(ConvcliError, match=f"cannot be read: {re.escape(str(error))}"),
        refusals.refusals(b"P6"),
    ):
        raise error


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_the_fault_of_a_disk_is_not_the_pictures(picture_file, monkeypatch, error):
    def load(self):
        raise error

    path = picture_file("a.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    with pytest.raises(type(error)):
        read(path)


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def test_text_that_unpacks_without_end_is_refused(pixels):
    whole = written(Picture(pixels, "RGB", "PNG"), "PNG")
    long = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2_000_000))
    again = written(read(whole[:33] + long + whole[33:]), "PNG")
    assert len(opened(again).text["Comment"]) == 2_000_000
    assert len(again) < len(whole) + 3000  # it is still compressed
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000)))
    with pytest.raises(ConvcliError, match="too large"):
        read(whole[:33] + bomb + whole[33:])


def test_twenty_thousand_texts_are_carried_along(pixels):
    whole = written(Picture(pixels, "RGB", "PNG"), "PNG")
    texts = b"".join(chunk(b"tEXt", b"Key%d\0value" % number) for number in range(20_000))
    got = read(whole[:33] + texts + whole[33:])
    assert len(opened(written(got, "PNG")).text) == 20_000


def test_a_damaged_png_is_refused(encoded):
    content = bytearray(encoded["PNG"])
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(
        ConvcliError, match="is truncated, damaged or of a kind that cannot be read: "
    ):
        read(bytes(content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello\n", r"is not an image in a known format \(PNG, JPEG, "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "is PostScript, wh"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "is SVG, which convcli cannot read; convert it",
        ),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is HEIC, which convcli cannot read; convert"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheix", "is HEIC, which convcli cannot read"),
        (
            b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='9'/>",
            "is SVG, which convcli cannot read",
        ),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "is camera raw, which convcli cannot read"),
        (b"FUJIFILMCCD-RAW 0201FF383501", "is camera raw, which convcli cannot read"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is JPEG 2000, which convcli cannot read"),
        (b"%PDF-1.7\n", "is PDF, which convcli cannot read"),
        (b"\xff\x0a\xfa\x7f", "is JPEG XL, which convcli cannot read"),
        (b"8BPS\0\1" + bytes(20), "is PSD, which convcli cannot read"),
        (b"\x89PNG\r\n\x1a\n", "is truncated"),
        (b"P5 0 5 255\n", "is empty: it has no pixels"),
        (png(4, 4)[:20], "is truncated, damaged or of a kind that cannot be read: "),
        (png(4, 4, b"\0"), "is truncated, damaged or of a kind that cannot be read: "),
        (png(20_000, 20_000), r"has more than \d+ pixels; --max-pixels raises the limit"),
        (png(2**31 - 1, 2**31 - 1), r"has more than \d+ pixels"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)  # it must not be called
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(ConvcliError, match=message) as refused:
            read(source)
        assert "\n" not in str(refused.value)
        assert "BytesIO" not in str(refused.value)


@pytest.mark.parametrize("most", [1, 48 * 64 - 1, 48 * 64, None])
def test_pictures_over_the_limit_are_refused_before_they_are_decoded(
    picture_file, monkeypatch, most
):
    path = picture_file("a.png")
    path.write_bytes(path.read_bytes()[:-2000])  # decoding would be another error
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    warnings.simplefilter("ignore")  # as the program does; pytest restores it
    limit_pixels(most)
    expected = f"has more than {most} pixels" if most in (1, 48 * 64 - 1) else "is truncated"
    with pytest.raises(ConvcliError, match=expected):
        read(path)


def test_the_edges_of_lab_are_those_of_its_lightness(picture_file, pixels):
    path = picture_file("a.tif", in_mode("LAB", pixels))
    got = read(path, "PNG", grey="L")
    assert got.mode == "L"
    np.testing.assert_array_equal(got.pixels, samples_of(path)[..., 0])


def test_whole_numbers_of_32_bits_are_rounded_and_clipped_once(tmp_path):
    samples = np.array([[-3e9, -2.5, 2.5, 70_000.4, 3e9]])
    again = read(written(Picture(samples, "I", "TIFF"), "TIFF"))
    np.testing.assert_array_equal(again.pixels, [[-(2**31), -2, 2, 70_000, 2**31 - 1]])


def tiff_of(samples, **settings):
    content = io.BytesIO()
    tifffile.imwrite(content, samples, **settings)
    return content.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_negatives_are_turned(dtype):
    """Where 0 is white, Pillow inverts 8-bit samples only."""
    samples = np.arange(12, dtype=dtype).reshape(3, 4)
    got = read(tiff_of(samples, photometric="miniswhite"))
    np.testing.assert_array_equal(got.pixels, np.iinfo(dtype).max - samples)


@pytest.mark.parametrize("byteorder", "<>")
def test_whole_numbers_that_do_not_fit_are_refused(byteorder):
    content = tiff_of(np.full((3, 4), 3_000_000_000, np.uint32), byteorder=byteorder)
    with pytest.raises(ConvcliError, match="integer samples above 2147483647"):
        read(content)


def test_whole_numbers_of_16_bits_with_a_sign_are_kept_in_32():
    samples = np.arange(-6, 6, dtype=np.int16).reshape(3, 4)
    got = read(tiff_of(samples))
    assert (got.mode, got.notes) == ("I", ("stored signed 16-bit samples in 32 bits",))
    np.testing.assert_array_equal(got.pixels, samples)


def test_samples_that_are_no_colours_are_left_out_and_noted(pixels):
    five = np.dstack([pixels, pixels[..., :2]])
    got = read(tiff_of(five, photometric="rgb", extrasamples=("unspecified",) * 2), "PNG")
    assert got.notes == ("dropped 2 extra samples of each pixel (5 bands)",)
    np.testing.assert_array_equal(got.pixels, pixels)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_text_that_is_not_ascii_keeps_its_bytes(pixels, format_name):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Jürgen Müller ©".encode()
    before = exif.tobytes()
    assert "Jürgen".encode() in before
    content = io.BytesIO()
    Image.fromarray(pixels).save(
        content, format_name, exif=exif if format_name == "TIFF" else before
    )
    assert "Jürgen Müller ©".encode() in written(read(content.getvalue()), format_name)


GAMMA = {"gamma": 1.0, "chromaticity": (0.31, 0.33, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), "srgb": 0}


@pytest.mark.parametrize("names", [("gamma",), ("gamma", "chromaticity"), ("srgb",)])
@pytest.mark.parametrize("target", ["PNG", "JPEG"])
def test_what_the_levels_of_a_png_mean_is_kept_or_noted(pixels, names, target):
    whole = written(Picture(pixels, "RGB", "PNG"), "PNG")
    chunks = {
        "gamma": chunk(b"gAMA", struct.pack(">I", 100_000)),
        "chromaticity": chunk(
            b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in GAMMA["chromaticity"]))
        ),
        "srgb": chunk(b"sRGB", b"\0"),
    }
    got = read(whole[:33] + b"".join(chunks[name] for name in names) + whole[33:])
    content = io.BytesIO()
    notes = write(got, content, target)
    if target == "PNG":
        info = opened(content.getvalue()).info
        assert {name: info[name] for name in GAMMA if name in info} == {
            name: GAMMA[name] for name in names
        }
    expected = target == "JPEG" and names != ("srgb",)
    assert ("dropped its gamma, which JPEG cannot store" in notes) is expected


def test_a_profile_that_describes_something_else_is_left_out_and_noted(picture_file, pixels):
    path = picture_file("a.jpg", pixels, icc_profile=bytes(4) + b"garbage" * 20)
    got = read(path)
    assert "icc_profile" not in got.metadata
    assert got.notes == ("dropped its colour profile, which does not describe its pixels",)


def test_grey_written_as_colour_loses_its_profile_with_a_note(pixels):
    grey = Picture(pixels[..., 0].copy(), "L", "PNG", {"icc_profile": icc(b"GRAY")})
    assert write(grey, io.BytesIO(), "WEBP") == (
        "dropped its colour profile, which WebP cannot store",
    )


def test_iptc_data_are_missed(pixels):
    title = b"\x1c\2\5\0\5Coast"
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(title)) + title
    segment = b"\xff\xed" + struct.pack(">H", 2 + len(block)) + block
    whole = written(Picture(pixels, "RGB", "PNG"), "JPEG")
    notes = write(read(whole[:2] + segment + whole[2:]), io.BytesIO(), "JPEG")
    assert notes == ("dropped its IPTC data",)


def test_a_decoder_that_has_run_out_of_memory_is_not_the_pictures_fault(picture_file, monkeypatch):
    def load(self):
        raise OSError("could not create decoder object")

    path = picture_file("a.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    monkeypatch.setattr(memory, "check", lambda size: None)
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    with pytest.raises(MemoryError):
        read(path)


def test_a_fault_of_our_own_is_not_taken_for_a_damaged_picture(picture_file, monkeypatch):
    def broken(*_given):
        raise IndexError("a bug")

    path = picture_file("a.png")
    monkeypatch.setattr(buffers, "view_of", broken)
    with pytest.raises(IndexError):
        read(path)


def test_a_kind_that_cannot_be_read_is_not_called_unknown(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.eye(4, dtype=np.uint8), photometric=32803)  # a colour filter array
    for source in (path, path.read_bytes()):
        with pytest.raises(
            ConvcliError, match="is a TIFF whose colours are of the kind 'colour filter array'"
        ):
            read(source)


def raw_below_a_preview():
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        file.write(np.zeros((6, 8, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1)
        file.write(np.zeros((60, 80), np.uint16))
    return content.getvalue()


def small_tiff(before, after=b"", more=()):
    """A grey TIFF of 4 x 2 pixels, with bytes between its header and its tags."""
    tags = [(256, 4, 1, 4), (257, 4, 1, 2), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1),
            (273, 4, 1, 8 if not after else 8 + len(before) + 6 + 12 * 9), (277, 4, 1, 1),
            (278, 4, 1, 2), (279, 4, 1, 8), *more]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<I", 8 + len(before)) + before
    return head + struct.pack("<H", len(tags)) + entries + bytes(4) + after


def raw_of_canon():
    return small_tiff(b"CR\2\0" + bytes(4), after=bytes(8))


@pytest.mark.parametrize("made", [raw_below_a_preview, raw_of_canon])
def test_the_preview_in_camera_raw_is_not_taken_for_the_picture(tmp_path, made):
    """Otherwise `--in-place` would replace a photograph by its thumbnail."""
    assert opened(made()).mode in ("L", "RGB")  # Pillow would read it
    path = tmp_path / "a.nef"
    path.write_bytes(made())
    for source in (path, path.read_bytes()):
        with pytest.raises(ConvcliError, match="is camera raw, of which convcli can read only"):
            read(source)


def pyramid(**settings):
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        file.write(np.zeros((60, 80, 3), np.uint8), photometric="rgb", **settings)
        if "subifds" in settings:
            file.write(np.zeros((30, 40, 3), np.uint8), photometric="rgb", subfiletype=1)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        small_tiff(b"CRabcdef"),  # the bytes are its samples
        pyramid(subifds=1),
        pyramid(subfiletype=1),
        *(small_tiff(bytes(8), more=[(254, kind, 1, 1)]) for kind in (1, 2, 7)),
    ],
    ids=itertools.count(),
)
def test_what_only_resembles_camera_raw_is_read(content):
    assert read(content).mode in ("L", "RGB")


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("extended", [True, False])
def test_a_lossless_webp_stays_lossless(picture_file, pixels, lossless, extended):
    settings = {"icc_profile": icc(b"RGB ")} if extended else {}
    got = read(picture_file("a.webp", pixels, lossless=lossless, **settings))
    again = read(written(got, "WEBP"))
    assert np.array_equal(again.pixels, got.pixels) is lossless
    other = read(written(got, "WEBP", quality=80))  # lossy on request
    assert not np.array_equal(other.pixels, got.pixels)


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *itertools.product(READ_AS["TIFF"], ("tiff_lzw", "tiff_adobe_deflate", "packbits")),
        ("L", "jpeg"),  # lossy, and for no other modes of a TIFF
        ("RGB", "jpeg"),
    ],
)
def test_a_tiff_keeps_a_compression_that_loses_nothing(picture_file, pixels, mode, compression):
    got = read(picture_file("a.tif", in_mode(mode, pixels), compression=compression))
    content = written(got, "TIFF")
    kept = "raw" if compression == "jpeg" else compression
    assert opened(content).info["compression"] == kept
    np.testing.assert_array_equal(read(content).pixels, got.pixels)


@pytest.mark.parametrize(
    ("format_name", "mode", "target", "grey"),
    [
        ("PNG", "RGBA", "JPEG", None),
        ("PNG", "P with alpha", "BMP", None),
        ("PNG", "I;16", "WEBP", None),
        ("JPEG", "CMYK", "PNG", None),
        ("PNG", "I;16", "JPEG", "L"),
        ("PNG", "RGBA", "JPEG", "LA"),
    ],
)
def test_what_the_target_cannot_hold_is_refused_before_decoding(
    picture_file, pixels, format_name, mode, target, grey
):
    path = picture_file("a.bin", in_mode(mode, pixels), format=format_name)
    content = path.read_bytes()[:-500]  # decoding would be another error
    with pytest.raises(ConvcliError, match="is truncated"):
        read(content)
    with pytest.raises(ConvcliError, match=f"{spelt(target)} cannot hold"):
        read(content, target, grey=grey)


def test_grey_edges_go_where_their_colours_could_not(picture_file, pixels):
    read(picture_file("a.png", in_mode("RGBA", pixels)), "JPEG", grey="L")


def test_a_file_that_cannot_be_read_is_no_damaged_picture(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "gone.png")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


@pytest.mark.parametrize("target", ["PNG", "TIFF", "WEBP"])
def test_colours_of_transparent_pixels_are_kept(target):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    pixels[:8, :, 3] = 0
    picture = Picture(
        pixels, "RGBA", target, encoding={"lossless": True} if target == "WEBP" else {}
    )
    content = io.BytesIO()
    write(picture, content, target)
    np.testing.assert_array_equal(read(content.getvalue()).pixels, pixels)
