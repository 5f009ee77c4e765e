"""16-bit colour: read and written without losing a bit."""

from __future__ import annotations

import io
import struct
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational
from scipy import ndimage

import convcli
from convcli.files.formats import FORMATS
from convcli.image import Picture, deep, read, write

CHANNELS = {"LA;16": 2, "RGB;16": 3, "RGBA;16": 4}


def written(picture, format_name, **settings):
    content = io.BytesIO()
    notes = write(picture, content, format_name, **settings)
    return content.getvalue(), notes


def png(samples):
    return imagecodecs.png_encode(samples)


def tiff(samples, **settings):
    content = io.BytesIO()
    extra = () if samples.shape[-1] == 3 or samples.shape[0] == 3 else ("unassalpha",)
    settings = {"photometric": "rgb", "extrasamples": extra} | settings
    tifffile.imwrite(content, samples, **settings)
    return content.getvalue()


@pytest.fixture
def samples(photo):
    """Samples whose low bytes differ from their high bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 4), dtype=np.uint16)
    colour = photo[100:148, 200:264].astype(np.uint16)
    return np.dstack([colour, colour[..., :1] | 1]) * 256 + noise


HELD = [
    (mode, name) for mode in CHANNELS for name in ("PNG", "TIFF") if mode in FORMATS[name].modes
]


@pytest.mark.parametrize(("mode", "format_name"), HELD)
def test_all_bits_are_read_filtered_and_written(samples, mode, format_name, tmp_path):
    wanted = np.ascontiguousarray(samples[..., -CHANNELS[mode] :])
    path = tmp_path / "a.bin"
    path.write_bytes((png if format_name == "PNG" else tiff)(wanted))
    for source in (path, path.read_bytes()):
        got = read(source)
        assert (got.mode, got.notes) == (mode, ())
        np.testing.assert_array_equal(got.pixels, wanted)
    result = got.with_pixels(convcli.blur(got.pixels, 2.0))
    content, notes = written(result, format_name)
    assert notes == ()
    again = imagecodecs.png_decode(content) if format_name == "PNG" else tifffile.imread(
        io.BytesIO(content)
    )  # fmt: skip
    expected = ndimage.gaussian_filter(wanted.astype(float), (2, 2, 0), mode="reflect")
    assert np.abs(again - expected).max() < 0.51


@pytest.mark.parametrize(("mode", "target"), HELD)
def test_what_is_written_is_read_again(samples, mode, target):
    wanted = samples[..., -CHANNELS[mode] :]
    again = read(written(Picture(wanted, mode, "PNG"), target)[0])
    assert again.mode == mode
    np.testing.assert_array_equal(again.pixels, wanted)


def test_grey_with_alpha_becomes_colour_in_a_tiff(samples):
    """Pillow cannot read a TIFF with two 16-bit samples per pixel."""
    wanted = np.ascontiguousarray(samples[..., 2:])
    got = read(png(wanted), "TIFF")
    assert (got.mode, got.notes) == ("LA;16", ())
    again = read(written(got, "TIFF")[0])
    assert again.mode == "RGBA;16"
    np.testing.assert_array_equal(again.pixels, wanted[..., [0, 0, 0, 1]])


@pytest.mark.parametrize("compression", ["lzw", "adobe_deflate"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_however_a_tiff_stores_its_samples(samples, compression, byteorder, planar):
    wanted = samples[..., :3]
    stored = wanted if planar == "contig" else np.moveaxis(wanted, -1, 0)
    got = read(
        tiff(stored, compression=compression, byteorder=byteorder, planarconfig=planar,
             predictor=True, tile=(32, 32))
    )  # fmt: skip
    np.testing.assert_array_equal(got.pixels, wanted)
    content, _ = written(got, "TIFF")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        assert file.pages[0].compression.name.lower() == compression
    np.testing.assert_array_equal(read(content).pixels, wanted)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("there", [True, False])
def test_raw_planes_of_16_bits_are_read_or_refused(samples, byteorder, there, monkeypatch):
    """Pillow would take each byte for a sample."""
    monkeypatch.setattr(deep, "installed", lambda: there)
    content = tiff(
        np.moveaxis(samples[..., :3], -1, 0), byteorder=byteorder, planarconfig="separate"
    )
    if there:
        np.testing.assert_array_equal(read(content).pixels, samples[..., :3])
        reduced = read(content, "JPEG")
        assert reduced.notes == ("reduced 16-bit channels to 8 bits",)
        np.testing.assert_array_equal(reduced.pixels, samples[..., :3] >> 8)
    else:
        with pytest.raises(convcli.ConvcliError, match="to read it, install the extra 'deep'"):
            read(content)


@pytest.mark.parametrize(
    ("dtype", "channels", "said"),
    [
        ("uint32", 3, "32-bit integers, 3 per pixel"),
        ("int32", 3, "32-bit signed integers, 3 per pixel"),
        ("complex64", 1, "64-bit complex floats, 1 per pixel"),
    ],
)
@pytest.mark.parametrize(("bigtiff", "byteorder"), [(False, "<"), (False, ">"), (True, "<")])
def test_samples_that_are_not_read_are_named(dtype, channels, said, bigtiff, byteorder):
    samples = np.ones((9, 7, channels), dtype).squeeze()
    content = io.BytesIO()
    form = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(content, samples, photometric=form, bigtiff=bigtiff, byteorder=byteorder)
    with pytest.raises(convcli.ConvcliError, match=f"is a TIFF of {said}, which convcli cannot"):
        read(content.getvalue())


def test_bits_that_are_no_number_are_damage():
    content = io.BytesIO()
    tifffile.imwrite(content, np.ones((9, 7)), byteorder="<")
    text = struct.pack("<HHI", 258, 2, 1) + b"@"
    damaged = content.getvalue().replace(struct.pack("<HHIB", 258, 3, 1, 64), text)
    with pytest.raises(convcli.ConvcliError, match="looks like TIFF, but is truncated, damaged"):
        read(damaged)


def test_a_deep_tiff_that_xmp_turns_is_turned(samples):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:D tiff:Orientation="6"/></x:xmpmeta>'
    got = read(tiff(samples[:20, :30, :3], extratags=[(700, 1, len(xmp), xmp, True)]))
    np.testing.assert_array_equal(got.pixels, np.rot90(samples[:20, :30, :3], -1))


def test_ratings_and_resolutions_go_along(samples):
    exif = Image.Exif()
    exif[18246], exif[282], exif[283], exif[296] = 4, 240.0, 240.0, 2
    exif[315] = "Jürgen"
    picture = Picture(samples[..., :3], "RGB;16", "PNG", {"exif": exif.tobytes()})
    with tifffile.TiffFile(io.BytesIO(written(picture, "TIFF")[0])) as file:
        tags = file.pages[0].tags
        assert tags[18246].value == 4
        assert tags[282].value == (240, 1)


@pytest.mark.parametrize("value", [IFDRational(0, 0), IFDRational(1, 0), IFDRational(0, 1)])
def test_a_resolution_of_nothing_is_none(samples, value):
    exif = Image.Exif()
    exif[282], exif[283] = value, value
    picture = Picture(samples[..., :3], "RGB;16", "PNG", {"exif": exif.tobytes()})
    content, _ = written(picture, "TIFF")
    np.testing.assert_array_equal(read(content).pixels, samples[..., :3])


def test_colours_that_were_multiplied_by_their_alpha_are_divided_again(samples):
    alpha = samples[..., 3:].astype(float)
    colours = np.rint(samples[..., :3] * alpha / 65535).astype(np.uint16)
    stored = np.concatenate([colours, samples[..., 3:]], axis=2)
    got = read(tiff(stored, extrasamples=("assocalpha",)))
    assert got.mode == "RGBA;16"
    # The stored colours were rounded by up to half a level; dividing by alpha scales that.
    allowed = 0.5 * 65535 / alpha + 0.5
    assert (np.abs(got.pixels[..., :3].astype(float) - samples[..., :3]) <= allowed).all()
    np.testing.assert_array_equal(got.pixels[..., 3], samples[..., 3])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_it_is_turned_as_eight_bits_are(samples, orientation, format_name, monkeypatch):
    wanted = np.ascontiguousarray(samples[:20, :, :3])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    if format_name == "TIFF":
        content = tiff(wanted, extratags=[(274, "H", 1, orientation, True)])
    else:
        content, _ = written(Picture(wanted, "RGB;16", "PNG", {"exif": exif.tobytes()}), "PNG")
    got = read(content)
    monkeypatch.setattr(deep, "installed", lambda: False)
    expected = read(content)
    assert expected.mode == "RGB"
    assert got.pixels.shape == expected.pixels.shape
    np.testing.assert_array_equal(got.pixels // 256, expected.pixels)


@pytest.mark.parametrize("target", ["PNG", "TIFF"])
def test_metadata_are_kept(samples, target):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Leitz"
    profile = bytes(16) + b"RGB " + bytes(108)
    metadata = {"icc_profile": profile, "dpi": (300, 300), "exif": exif.tobytes(), "xmp": b"<x/>"}
    content, notes = written(Picture(samples[..., :3], "RGB;16", "PNG", metadata), target)
    assert notes == ()
    again = read(content)
    assert again.metadata["icc_profile"] == profile
    assert [round(value) for value in again.metadata["dpi"]] == [300, 300]
    assert again.metadata["xmp"].rstrip(b"\0") == b"<x/>"
    kept = Image.Exif()
    kept.load(again.metadata["exif"])
    assert kept[ExifTags.Base.Make] == "Leitz"


def test_a_block_that_a_deep_tiff_has_no_place_for_is_noted(samples):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    picture = Picture(samples[..., :3], "RGB;16", "PNG", {"exif": exif.tobytes()})
    _, notes = written(picture, "TIFF")
    assert notes == ("dropped its EXIF block, which cannot be written with 16-bit colour in TIFF",)


def test_where_the_format_holds_8_bits_8_are_read_and_that_is_noted(samples):
    got = read(png(np.ascontiguousarray(samples[..., :3])), "JPEG")
    assert got.mode == "RGB"
    assert got.notes == ("reduced 16-bit channels to 8 bits",)


def test_edges_of_deep_colour_are_deep_grey(samples):
    got = read(png(np.ascontiguousarray(samples[..., :3])), "PNG", grey="L")
    edges = got.with_pixels(convcli.edge(got.pixels))
    assert edges.mode == "I;16"
    again = read(written(edges, "PNG")[0])
    np.testing.assert_array_equal(again.pixels, edges.pixels)


def test_pages_may_be_deep_or_not(samples):
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        file.write(samples[..., :3], photometric="rgb", metadata=None)
        file.write((samples[:9, :7, 0] // 256).astype(np.uint8), metadata=None)
        file.write(samples[:30, :20], photometric="rgb", extrasamples=("unassalpha",))
    picture = read(content.getvalue())
    assert picture.frames == 3
    after, _ = written(picture, "TIFF")
    again = read(after)
    shown = [again, *again.later]
    assert [page.mode for page in shown] == ["RGB;16", "L", "RGBA;16"]
    np.testing.assert_array_equal(shown[0].pixels, samples[..., :3])
    np.testing.assert_array_equal(shown[1].pixels, samples[:9, :7, 0] // 256)
    np.testing.assert_array_equal(shown[2].pixels, samples[:30, :20])


def test_a_damaged_one_is_refused_in_one_line(samples):
    for content in (png(samples), tiff(samples, compression="adobe_deflate")):
        with pytest.raises(convcli.ConvcliError, match=r"truncated|damaged"):
            read(content[: len(content) // 2])


@pytest.mark.parametrize("package", ["imagecodecs", "tifffile"])
def test_a_broken_package_is_not_taken_for_a_damaged_picture(samples, package, monkeypatch):
    content = png(samples) if package == "imagecodecs" else tiff(samples)
    picture = read(content)
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    needed = f"needs the package {package}, which cannot be imported"
    with pytest.raises(convcli.ConvcliError, match=needed):
        read(content)
    if package == "tifffile":
        with pytest.raises(convcli.ConvcliError, match=needed):
            written(picture, "TIFF")


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_an_avif_of_more_bits_is_noted(samples, bits, tmp_path):
    path = tmp_path / "a.avif"
    dtype = np.uint8 if bits == 8 else np.uint16
    path.write_bytes(
        imagecodecs.avif_encode((samples[..., :3] >> (16 - bits)).astype(dtype), bitspersample=bits)
    )
    got = read(path)
    assert got.mode == "RGB"
    assert got.notes == (() if bits == 8 else (f"reduced {bits}-bit channels to 8 bits",))
