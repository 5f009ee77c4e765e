"""TIFFs of other programs in parts: layouts, compressions, tags, pyramids, damage."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import tifffile
from PIL import Image

from convcli import image as reading
from convcli.errors import ConvcliError
from convcli.sources import tiff
from convcli.sources.contract import Result, Settings
from convcli.sources.windows import Tiles


def read(path):
    """Read an image in parts; return it and what was opened."""
    with tiff.opened(path) as given:
        (stored,) = given.images
        height, width, _ = stored.shape
        return Tiles(stored, 0).window((0, height), (0, width)), given


def copied(path, target, **settings):
    """Write an image again, unchanged."""
    with tiff.opened(path) as given:
        (stored,) = given.images
        height, width, _ = stored.shape
        bands = iter([Tiles(stored, 0).window((0, height), (0, width))])
        return tiff.save(
            target,
            given,
            [Result(stored.shape, stored.dtype, lambda _: bands)],
            Settings(**settings),
        )


LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 17},
    "strips of a prime height": {"rowsperstrip": 97, "byteorder": ">"},
    "tiles": {"tile": (32, 48)},
    "big tiles": {"tile": (512, 512), "bigtiff": True},
    "planes": {"planarconfig": "separate", "tile": (64, 64)},
    "planes in strips": {"planarconfig": "separate", "rowsperstrip": 20},
    "LZW": {"tile": (64, 64), "compression": "lzw", "predictor": True},
    "deflate": {"rowsperstrip": 10, "compression": "adobe_deflate"},
    "ZSTD": {"tile": (64, 64), "compression": "zstd", "predictor": True},
    "LZMA": {"tile": (64, 64), "compression": "lzma"},
    "PackBits": {"tile": (64, 64), "compression": "packbits"},
    "LERC": {"tile": (64, 64), "compression": "lerc"},
    "JPEG XL": {"tile": (64, 64), "compression": "jpegxl"},
    "WebP": {"tile": (64, 64), "compression": "webp", "compressionargs": {"lossless": True}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_compression_is_read(layout, tmp_path, photo):
    path, settings = tmp_path / "a.tif", LAYOUTS[layout]
    pixels = np.ascontiguousarray(photo[:210, :301])
    given = np.moveaxis(pixels, -1, 0) if "planarconfig" in settings else pixels
    tifffile.imwrite(path, given, photometric="rgb", **settings)
    found, opened = read(path)
    np.testing.assert_array_equal(found, pixels)
    assert opened.mode == "RGB"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("bands", [1, 2, 5])
def test_bands_of_every_dtype_are_read_and_written(dtype, bands, tmp_path):
    pixels = np.random.default_rng(0).random((70, 90, bands)) * 200
    pixels = pixels.astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="minisblack",
        planarconfig="contig" if bands > 1 else None,
        tile=(32, 32), byteorder=">", extrasamples=["unspecified"] * (bands - 1) or None,
    )  # fmt: skip
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], pixels)
    copied(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages[0]
        assert file.is_bigtiff
        assert (page.tilelength, page.tilewidth) == (32, 32)
        np.testing.assert_array_equal(page.asarray().reshape(pixels.shape), pixels)


def test_other_colours_are_those_of_the_image_read_whole(tmp_path, photo):
    """Palettes, inverted grey, a few bits, associated alpha: what Pillow or tifffile makes."""
    path = tmp_path / "a.tif"
    Image.fromarray(photo).quantize(200).save(path)
    whole = reading.read(path).pixels
    np.testing.assert_array_equal(read(path)[0], whole)
    tifffile.imwrite(path, photo[..., 0], photometric="miniswhite", tile=(64, 64))
    np.testing.assert_array_equal(read(path)[0][..., 0], 255 - photo[..., 0])
    Image.fromarray(photo[..., 0] > 99).save(path)
    np.testing.assert_array_equal(read(path)[0][..., 0], (photo[..., 0] > 99) * np.uint8(255))
    alpha = np.full((*photo.shape[:2], 1), 128, np.uint8)
    premultiplied = np.concatenate([photo // 2, alpha], axis=2)
    tifffile.imwrite(
        path, premultiplied, photometric="rgb", extrasamples=["assocalpha"], tile=(64, 64)
    )
    np.testing.assert_array_equal(read(path)[0], reading.read(path).pixels)


def test_jpeg_tiles_are_read_and_written_without_loss(tmp_path, photo):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, photo, tile=(256, 256), compression="jpeg", photometric="ycbcr")
    found, given = read(path)
    np.testing.assert_array_equal(found, tifffile.imread(path))
    assert "wrote deflate, which loses nothing, instead of its compression" in given.notes
    copied(path, tmp_path / "b.tif", workers=2)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].compression.name == "ADOBE_DEFLATE"
        np.testing.assert_array_equal(file.asarray(), found)


GEO = [
    (33550, 12, 3, (0.5, 0.5, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0), True),
    (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (34737, 2, None, "UTM Zone 11 N E|Clarke 1866|", True),
    (42113, 2, None, "-9999", True),
]


@pytest.mark.parametrize("micrometre", ["um", "\N{MICRO SIGN}m"])
def test_tags_go_along(tmp_path, grey, micrometre):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, grey, tile=(128, 128), compression="lzw", predictor=True, metadata=None,
        resolution=((300, 1), (301, 2)), resolutionunit="CENTIMETER",
        description=f"1 {micrometre}".encode(), software="a scanner",
        datetime="2024:01:02 03:04:05", iccprofile=b"profile " * 20,
        extratags=[*GEO, (700, 1, None, b"<x:xmpmeta/>", True),
                   (42112, 2, None, f"<GDALMetadata>{micrometre}".encode(), True)],
    )  # fmt: skip
    copied(path, tmp_path / "b.tif")
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(tmp_path / "b.tif") as after:
        old, new = before.pages[0], after.pages[0]
        np.testing.assert_array_equal(new.asarray(), grey)
        assert before.geotiff_metadata == after.geotiff_metadata
        for tag in old.tags:
            if tag.code not in (273, 279, 324, 325):
                assert new.tags[tag.code].value == tag.value, tag.name
        assert {tag.code for tag in new.tags} == {tag.code for tag in old.tags}
    copied(path, tmp_path / "c.tif", strip=True)
    with tifffile.TiffFile(tmp_path / "c.tif") as stripped:
        assert not {33550, 34735, 270, 305, 700, 34675} & {
            tag.code for tag in stripped.pages[0].tags
        }


@pytest.mark.skipif(
    subprocess.run(["which", "vips"], capture_output=True).returncode != 0, reason="needs vips"
)
@pytest.mark.parametrize("options", ["pyramid", "pyramid,subifd", "pyramid,compression=jpeg"])
def test_the_first_level_of_a_pyramid_is_taken(options, tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "a.png")
    path = tmp_path / "a.tif"
    subprocess.run(["vips", "copy", tmp_path / "a.png", f"{path}[tile,{options}]"], check=True)
    found, given = read(path)
    np.testing.assert_array_equal(found, tifffile.imread(path, series=0, level=0))
    assert any("dropped" in note for note in given.notes)


def test_pages_of_one_size_are_all_filtered(tmp_path, photo):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(photo, -1, 0), photometric="minisblack", metadata=None)
    with tiff.opened(path) as given:
        assert given.count == 3
        for page, stored in enumerate(given.images):
            found = Tiles(stored, 0).window((0, 512), (0, 512))
            np.testing.assert_array_equal(found[..., 0], photo[..., page])


def damaged(path, name):
    content = path.read_bytes()
    if name == "cut":
        path.write_bytes(content[: len(content) // 2])
        return "is truncated or damaged"
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].dataoffsets[3]
    path.write_bytes(content[:at] + bytes(20) + content[at + 20 :])
    return "tile 4 of 16 cannot be decoded"


@pytest.mark.parametrize("name", ["cut", "a damaged tile"])
def test_damage_is_reported_with_its_place(name, tmp_path, grey):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey, tile=(128, 128), compression="adobe_deflate")
    expected = damaged(path, name)
    with pytest.raises(ConvcliError, match=expected):
        read(path)


@pytest.mark.parametrize("compression", [None, "adobe_deflate", "jpeg"])
@pytest.mark.parametrize("nodata", [None, 7])
def test_tiles_that_are_left_out_are_filled(compression, nodata, tmp_path):
    """GDAL does not write tiles without data (SPARSE_OK)."""
    path = tmp_path / "a.tif"
    tile = np.full((64, 64), 100, np.uint8)
    tags = [] if nodata is None else [(42113, 2, None, str(nodata), True)]
    how = {"shape": (128, 128), "dtype": "uint8", "tile": (64, 64), "compression": compression}
    tifffile.imwrite(path, iter([tile, None, None, tile]), extratags=tags, **how)
    expected = np.full((128, 128), 100, np.uint8)
    expected[:64, 64:] = expected[64:, :64] = nodata or 0
    with tiff.opened(path) as given:
        (stored,) = given.images
        found = Tiles(stored, 0).window((0, 128), (0, 128))[..., 0]
    np.testing.assert_array_equal(found, expected)
    whole = reading.read(path, target_format="TIFF")
    np.testing.assert_array_equal(whole.pixels.reshape(128, 128), expected)
    for notes in (stored.notes, whole.notes):
        assert "filled 2 tiles or strips that it leaves out" in notes


def test_a_file_that_leaves_out_all_tiles_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((128, 128), np.uint8), tile=(64, 64), compression="lzw")
    for tag in (324, 325):
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags[tag].overwrite((0,) * 4)
    with pytest.raises(ConvcliError, match="not all of its samples are there"):
        read(path)


def test_an_unknown_compression_is_refused(tmp_path, grey):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey, tile=(128, 128), compression="adobe_deflate")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[259].overwrite(34999)
    with pytest.raises(ConvcliError, match=r"34999|compression"):
        read(path)


def test_a_turned_image_is_refused(tmp_path, grey):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey, extratags=[(274, 3, 1, 6, True)])
    with pytest.raises(ConvcliError, match="orientation 6"):
        read(path)
