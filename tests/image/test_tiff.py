"""TIFFs: colours, pages, extra samples and what is noted of them."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import convcli
from convcli import ConvcliError, memory
from convcli.image import deep, read, tiff, write
from tests.image import tiffs

NO_DEEP = "to read it, install the extra 'deep'"


@pytest.fixture(params=["deep", "without deep"])
def with_deep(request, monkeypatch):
    if request.param == "without deep":
        monkeypatch.setattr(deep, "installed", lambda: False)
    return request.param == "deep"


def tiff_of(samples, photometric, **settings):
    samples = np.asarray(samples)
    samples = samples[..., None] if samples.ndim == 2 else samples
    page = tiffs.page_of(samples, photometric, **settings)
    return tiffs.file_of(page, order=settings.get("order", "<"), big=settings.get("big", False))


def with_segments(size, photometric, segments, tags, tile=None):
    """A TIFF of 8 bits whose strips or tiles are given."""
    page, _ = tiffs.page_of(np.zeros((*size, 3), np.uint8), photometric, tags=tags, tile=tile)
    return tiffs.file_of((page, segments))


def ycbcr(luma, blue, red, across, down, rows):
    """Data units of TIFF 6.0, section 21, of strips of some rows."""
    strips = []
    for top in range(0, len(luma), rows):
        units = b""
        for row in range(top, min(top + rows, len(luma)), down):
            for column in range(0, luma.shape[1], across):
                block = np.zeros((down, across), np.uint8)
                part = luma[row : row + down, column : column + across]
                block[: part.shape[0], : part.shape[1]] = part
                at = row // down, column // across
                units += block.tobytes() + bytes([blue[at], red[at]])
        strips.append(units)
    return strips


def rgb_of(luma, blue, red, across, down, coefficients, references):
    """TIFF 6.0, pages 91 and 93."""
    height, width = luma.shape
    chroma = [np.kron(each, np.ones((down, across)))[:height, :width] for each in (blue, red)]
    full = [
        (code.astype(float) - black) * coding / (white - black)
        for code, black, white, coding in zip(
            (luma, *chroma), references[::2], references[1::2], (255, 127, 127), strict=True
        )
    ]
    light, blues, reds = full
    first, second, third = coefficients
    r = reds * (2 - 2 * first) + light
    b = blues * (2 - 2 * third) + light
    return np.clip(np.stack([r, (light - third * b - first * r) / second, b], -1), 0, 255)


@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize(
    ("across", "down"), [(2, 2), (2, 1), (1, 2), (4, 1), (4, 2), (4, 4), (1, 1)]
)
@pytest.mark.parametrize("size", [(16, 16), (13, 19), (1, 1)])
@pytest.mark.parametrize(
    ("coefficients", "references"),
    [
        ((0.299, 0.587, 0.114), (0, 255, 128, 255, 128, 255)),  # the defaults
        ((0.2126, 0.7152, 0.0722), (16, 235, 128, 240, 128, 240)),
    ],
)
def test_ycbcr_is_converted_by_its_tags(across, down, size, coefficients, references, tile):
    rng = np.random.default_rng(3)
    height, width = size
    luma = rng.integers(30, 220, size, dtype=np.uint8)
    blue, red = rng.integers(90, 160, (2, -(-height // down), -(-width // across)), dtype=np.uint8)
    tags = {} if tile else {278: (4, [8])}
    if tile:
        segments = []
        padded = [np.pad(each, ((0, 32), (0, 32)), mode="edge") for each in (luma, blue, red)]
        for left in range(0, width, 16):
            at = left // across
            part = (
                padded[1][: 16 // down, at : at + 16 // across],
                padded[2][: 16 // down, at : at + 16 // across],
            )
            segments += ycbcr(padded[0][:16, left : left + 16], *part, across, down, 16)
    else:
        segments = ycbcr(luma, blue, red, across, down, 8)
    if (across, down) != (2, 2):  # the default
        tags[530] = (3, [across, down])
    if coefficients[0] != 0.299:
        tags[529] = (5, [(round(value * 10000), 10000) for value in coefficients])
        tags[532] = (5, [(value, 1) for value in references])
    expected = rgb_of(luma, blue, red, across, down, coefficients, references)
    for pack, code in ((bytes, tiffs.NONE), (zlib.compress, tiffs.DEFLATE)):
        packed = [pack(segment) for segment in segments]
        content = with_segments(size, 6, packed, tags | {259: (3, [code])}, tile=16 * tile)
        # libtiff, which decodes what is compressed, rounds in integers.
        allowed = 0.51 if code == tiffs.NONE and (across, down) != (1, 1) else 3
        assert np.abs(read(content).pixels - expected).max() <= allowed


@pytest.mark.parametrize("tags", [
    {530: (3, [3, 1])}, {530: (3, [0, 0])}, {529: (5, [(0, 0)] * 3)}, {529: (5, [(1, 1)] * 3)},
    {532: (5, [(5, 1)] * 6)}, {529: (5, [(1, 3)])}, {530: (3, [2, 2]), 266: (3, [2])},
])  # fmt: skip
def test_ycbcr_that_cannot_be_is_refused(tags):
    tags = {530: (3, [1, 1])} | tags
    with pytest.raises(ConvcliError, match=r"unusual way|numbers that cannot be"):
        read(with_segments((4, 4), 6, [bytes(200)], tags))


def test_subsampled_ycbcr_that_is_cut_off_is_refused():
    with pytest.raises(ConvcliError, match="is truncated or damaged"):
        read(with_segments((4, 4), 6, [bytes(23)], {530: (3, [2, 2])}))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("order", "<>")
def test_a_colour_map_of_8_bits_is_one(bits, order, with_deep):
    """Old writers stored 0 to 255; libtiff and ImageMagick notice it."""
    count = 1 << bits
    rng = np.random.default_rng(5)
    table = rng.integers(0, 256, (3, count))
    table[0, 0] = 255
    index = rng.integers(0, count, (5, 9))
    content = tiff_of(index, 3, bits=bits, order=order, tags={320: (3, [*table.ravel()])})
    if with_deep:
        got = read(content)
        np.testing.assert_array_equal(got.pixels, table.T[index])
        assert got.notes == ("converted mode P to RGB",)
    else:
        with pytest.raises(ConvcliError, match=NO_DEEP):
            read(content)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("fill", [1, 2])
def test_faxes(compression, fill, with_deep, grey):
    """Both readers; Pillow's own encoder writes them."""
    wanted = grey[:45, :70] > 100
    content = io.BytesIO()
    Image.fromarray(wanted).save(content, "TIFF", compression=compression, tiffinfo={266: fill})
    got = read(content.getvalue())
    np.testing.assert_array_equal(got.pixels, wanted * 255)
    assert got.notes == ("converted mode 1 to L",)


def test_a_jpeg_as_before_1995(with_deep, photo):
    """Compression 6 of TIFF 6.0, section 22: a whole JPEG."""
    jpeg = io.BytesIO()
    Image.fromarray(photo[:48, :64]).save(jpeg, "JPEG", quality=95, subsampling=0)
    data = jpeg.getvalue()
    page, _ = tiffs.page_of(np.zeros((48, 64, 3)), 6, rows=48, compression=tiffs.NONE)
    page |= {259: (3, [6]), 513: (4, [8]), 514: (4, [len(data)]), 530: (3, [1, 1])}
    with Image.open(jpeg) as image:
        np.testing.assert_array_equal(read(tiffs.file_of((page, [data]))).pixels, image)


@pytest.mark.parametrize("settings", [{}, {"planes": True, "bits": 16}])
@pytest.mark.parametrize("side", [256, 257])
def test_an_image_without_pixels_is_empty(side, settings):
    with pytest.raises(ConvcliError, match="is empty: it has no pixels"):
        read(tiff_of(PHOTO, 2, tags={side: (4, [0])}, **settings))


@pytest.mark.parametrize("compression", ["jpeg2000", "png", "jpegxl", "webp", "lerc"])
def test_codecs_that_only_deep_has(compression, photo, monkeypatch):
    content = io.BytesIO()
    tifffile.imwrite(content, photo[:48, :64], photometric="rgb", compression=compression)
    got = read(content.getvalue()).pixels.astype(int)
    assert np.abs(got - tifffile.imread(io.BytesIO(content.getvalue()))).max() == 0
    assert np.abs(got - photo[:48, :64]).mean() < 2
    monkeypatch.setattr(deep, "installed", lambda: False)
    with pytest.raises(ConvcliError, match=NO_DEEP):
        read(content.getvalue())


@pytest.mark.parametrize("compression", [tiffs.NONE, tiffs.PACKBITS, tiffs.LZW, tiffs.DEFLATE])
@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_bits_from_the_right(bits, compression, with_deep):
    """FillOrder 2 turns the bits of every byte of the file."""
    samples = np.random.default_rng(6).integers(0, 2**bits, (9, 21, 1))
    tags, segments = tiffs.page_of(samples, 1, bits=bits, compression=compression)
    turned = [imagecodecs.bitorder_decode(segment) for segment in segments]
    content = tiffs.file_of((tags | {266: (3, [2])}, turned))
    if with_deep or bits == 1:
        scale = 1 if bits == 16 else 255 // (2**bits - 1)
        np.testing.assert_array_equal(read(content).pixels, samples[..., 0] * scale)
    else:
        with pytest.raises(ConvcliError, match=NO_DEEP):
            read(content)


@pytest.mark.parametrize(("form", "bits", "note"), [
    (2, 8, "stored signed 8-bit samples in 32 bits"),
    (2, 16, "stored signed 16-bit samples in 32 bits"),
    (2, 32, None),
    (2, 64, "stored signed 64-bit samples in 32 bits"),
    (1, 32, None),
    (1, 64, "stored 64-bit samples in 32 bits"),
    (3, 16, "stored float 16-bit samples in 32 bits"),
    (3, 32, None),
    (1, 12, "stored 12-bit samples in 16 bits, with values up to 4095"),
])  # fmt: skip
@pytest.mark.parametrize("order", "<>")
def test_widened_samples_are_noted(form, bits, note, order):
    samples = np.arange(35).reshape(5, 7) - (9 if form != 1 else 0)
    got = read(tiff_of(samples, 1, form=form, bits=bits, order=order))
    assert got.notes == ((note,) if note else ())
    np.testing.assert_array_equal(got.pixels, samples)


def test_white_is_zero_where_zero_is_not_the_least():
    got = read(tiff_of(np.array([[0, 0.25, np.nan, np.inf]]), 0, form=3, bits=32))
    np.testing.assert_array_equal(got.pixels, [[1, 0.75, np.nan, -np.inf]])
    assert got.notes == ("inverted its float samples, in which white is zero",)
    got = read(tiff_of(np.array([[-32768, -1, 0, 32767]]), 0, form=2, bits=16))
    np.testing.assert_array_equal(got.pixels, [[32767, 0, -1, -32768]])


@pytest.mark.parametrize(
    ("photometric", "count", "extra", "mode", "note"),
    [
        (1, 2, (0,), "L", "dropped 1 extra sample of each pixel (2 bands)"),
        (1, 3, (2, 0), "LA", "dropped 1 extra sample of each pixel (3 bands)"),
        (2, 5, (0, 0), "RGB", "dropped 2 extra samples of each pixel (5 bands)"),
        (2, 5, (0, 2), "RGBA", "dropped 1 extra sample of each pixel (5 bands)"),
        (2, 4, (), "RGBA", None),
        (5, 5, (2,), "CMYK", "dropped 1 extra sample of each pixel (5 bands)"),
        (8, 4, (0,), "LAB", "dropped 1 extra sample of each pixel (4 bands)"),
    ],
)
@pytest.mark.parametrize("planes", [False, True])
def test_extra_samples_are_noted(photometric, count, extra, mode, note, planes):
    samples = np.random.default_rng(7).integers(0, 256, (5, 7, count))
    target = {"CMYK": "JPEG", "LAB": "TIFF"}.get(mode, "PNG")
    got = read(tiff_of(samples, photometric, extra=extra, planes=planes), target)
    assert (got.mode, got.notes) == (mode, (note,) if note else ())
    alpha = [count - 1] if mode == "RGBA" else [1] if mode == "LA" else []
    colours = got.pixels.reshape(5, 7, -1)
    if mode != "LAB":
        first = colours.shape[2] - len(alpha)
        np.testing.assert_array_equal(colours[..., :first], samples[..., :first])
        np.testing.assert_array_equal(colours[..., first:], samples[..., alpha])


@pytest.mark.parametrize(
    ("photometric", "count", "extra"),
    [(1, 2, ()), (2, 5, ()), (2, 5, (0,)), (1, 1, (0,)), (2, 3, (2,)), (5, 5, ()), (3, 1, (0,))],
)
def test_extra_samples_that_are_miscounted(photometric, count, extra, with_deep):
    samples = np.random.default_rng(12).integers(0, 256, (5, 7, count))
    tags = {320: (3, [257 * (each % 256) for each in range(768)])} if photometric == 3 else {}
    content = tiff_of(samples, photometric, extra=extra, tags=tags)
    if with_deep:
        got = read(content).pixels.reshape(5, 7, -1)
        colours = {1: 1, 2: 3, 3: 1, 5: 4}[photometric]
        np.testing.assert_array_equal(got[..., :colours], samples[..., :colours])
    else:
        with pytest.raises(ConvcliError, match=NO_DEEP):
            read(content)


@pytest.mark.parametrize(("bits", "said"), [(8, "5 8-bit bands"), (16, "5 16-bit bands")])
def test_bands_without_colours_are_called_bands(with_deep, bits, said):
    content = tiff_of(np.ones((5, 7, 5)), 1, extra=(0,) * 4, bits=bits)
    reason = f"PNG cannot hold {said}; write TIFF or .npy" if with_deep else NO_DEEP
    with pytest.raises(ConvcliError, match=reason):
        read(content, "PNG")


def test_inks_that_are_not_cmyk_are_refused():
    with pytest.raises(ConvcliError, match="4 inks that are not CMYK"):
        read(tiff_of(np.ones((5, 7, 4)), 5, tags={332: (3, [2])}))


@pytest.mark.parametrize("order", "<>")
def test_grey_of_16_bits_with_alpha_keeps_both(order):
    samples = np.random.default_rng(8).integers(0, 65536, (5, 7, 2))
    content = tiff_of(samples, 1, bits=16, extra=(2,), order=order)
    got = read(content, "PNG")
    assert (got.mode, got.notes) == ("LA;16", ())
    np.testing.assert_array_equal(got.pixels, samples)
    reduced = read(content, "WEBP")
    assert (reduced.mode, reduced.notes) == ("LA", ("reduced 16-bit channels to 8 bits",))
    np.testing.assert_array_equal(reduced.pixels, samples >> 8)


PHOTO = np.random.default_rng(9).integers(0, 256, (8, 8, 3))


@pytest.mark.parametrize(
    ("photometric", "bits", "extra"),
    [(1, 8, ()), (0, 8, ()), (1, 1, ()), (3, 8, ()), (1, 16, ()), (2, 8, (2,)), (5, 8, ())],
)
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_one_strip_or_tile_is_turned(
    photometric, bits, extra, tile, orientation, tmp_path, with_deep
):
    """Pillow maps such a file, if it is opened by its name."""
    count = {2: 3, 5: 4}.get(photometric, 1) + len(extra)
    samples = np.random.default_rng(13).integers(0, 2**bits, (16, 16, count))[:, : tile or 13]
    tags = {320: (3, [257 * (each % 256) for each in range(768)])} if photometric == 3 else {}
    turns = {2: [0], 3: [0, 1], 4: [1], 5: [2], 6: [1, 2], 7: [0, 1, 2], 8: [0, 2]}
    path = tmp_path / "a.tif"
    settings = {"bits": bits, "extra": extra, "tile": tile, "rows": 16, "tags": tags}
    path.write_bytes(tiff_of(samples, photometric, **settings))
    expected = read(path).pixels
    for step in turns.get(orientation, []):
        expected = [np.fliplr, np.flipud, lambda a: a.swapaxes(0, 1)][step](expected)
    content = tiff_of(samples, photometric, orientation=orientation, **settings)
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path).pixels, expected)
    np.testing.assert_array_equal(read(content).pixels, expected)


@pytest.mark.parametrize("compression", [tiffs.NONE, tiffs.DEFLATE, tiffs.JPEG])
@pytest.mark.parametrize("names", [(273, 279), (324, 325)])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("also", [{}, {273: (4, [8]), 279: (4, [1])}])
def test_tags_of_strips_and_tiles_are_the_same(compression, names, tile, also, with_deep):
    """As in libtiff; Pillow goes by the tag, and reads what comes after a tile in the file, too."""
    samples = np.random.default_rng(14).integers(0, 256, (24, 40, 1))
    page = tiffs.page_of(samples, 1, compression=compression, tile=tile, rows=8)
    usual = read(tiffs.file_of(page)).pixels
    also = also if names[0] == 324 and tile else {}
    content = tiffs.file_of((page[0] | also, page[1]), page, names=names)
    if with_deep or ((tile is None) == (names[0] == 273) and not also):
        np.testing.assert_array_equal(read(content).pixels, usual)
    else:
        with pytest.raises(ConvcliError, match=NO_DEEP):
            read(content)


THUMBNAIL, MASK = (254, 1), (254, 4)


def page(size, kind, photometric=2, bits=8):
    samples = np.random.default_rng(size).integers(0, 2**bits, (size, size, 3))
    samples = samples if photometric == 2 else samples[..., :1]
    tags = {kind[0]: (4 if kind[0] == 254 else 3, [kind[1]])} if kind else {}
    return tiffs.page_of(samples, photometric, bits=bits, tags=tags)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    ("others", "notes"),
    [
        ([page(4, THUMBNAIL)], ["dropped a thumbnail"]),
        ([page(4, (255, 2))], ["dropped a thumbnail"]),  # the tag before TIFF 6.0
        ([page(4, THUMBNAIL), page(2, THUMBNAIL)], ["dropped 2 thumbnails"]),
        ([page(8, MASK, 4, 1)], ["dropped a transparency mask"]),
        ([page(8, MASK, 4, 1), page(4, (254, 5), 4, 1)], ["dropped 2 transparency masks"]),
        (
            [page(4, THUMBNAIL), page(8, MASK, 4, 1)],
            ["dropped a thumbnail", "dropped a transparency mask"],
        ),
    ],
)
def test_thumbnails_and_masks_are_not_pages(others, notes, before, with_deep):
    photo = tiffs.page_of(PHOTO, 2, tags={254: (4, [0])})
    pages = [*others, photo] if before else [photo, *others]
    if before and others[0][0][262] == (3, [4]) and not with_deep:
        with pytest.raises(ConvcliError, match=NO_DEEP):  # Pillow opens no mask
            read(tiffs.file_of(*pages), "JPEG")
        return
    got = read(tiffs.file_of(*pages), "JPEG")
    assert (got.frames, [*got.notes]) == (1, notes)
    np.testing.assert_array_equal(got.pixels, PHOTO)


def test_pages_that_are_marked_as_pages_stay_pages(with_deep):
    pages = [page(size, (254, 2)) for size in (4, 5, 6)]
    content = tiffs.file_of(*pages, page(3, THUMBNAIL))
    got = read(content)
    assert [each.pixels.shape[0] for each in got.all_frames()] == [4, 5, 6]
    with pytest.raises(ConvcliError, match="JPEG cannot hold its 3 pages"):
        read(content, "JPEG")


def test_a_thumbnail_alone_is_the_image_and_a_mask_alone_is_refused():
    assert read(tiffs.file_of(page(4, THUMBNAIL))).notes == ()
    with pytest.raises(ConvcliError, match="masks without an image"):
        read(tiffs.file_of(page(4, MASK, 4, 1)))


def test_images_below_a_page_are_noted():
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        file.write(PHOTO.astype(np.uint8), photometric="rgb", subifds=1)
        file.write(PHOTO[:4, :4].astype(np.uint8), photometric="rgb", subfiletype=1)
    assert read(content.getvalue()).notes == ("dropped the images below its pages (SubIFDs)",)


@pytest.mark.parametrize("other", [1, 2])
@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("wanted", ["L", "LA"])
def test_edges_of_cmyk_are_those_of_its_colours(other, planes, wanted, with_deep):
    """Of every page, and without a note on samples that were not dropped."""
    samples = np.random.default_rng(10).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(samples, "CMYK").convert("RGB"))
    each = tiffs.page_of(samples, 5, planes=planes)
    got = read(tiffs.file_of(*[each] * other), grey=wanted)
    for frame in got.all_frames():
        assert (frame.mode, frame.notes) == ("RGB", ())
        np.testing.assert_array_equal(frame.pixels, expected)


def test_edges_of_lab_are_those_of_its_lightness():
    samples = np.random.default_rng(11).integers(0, 256, (9, 7, 3))
    for photometric, planes in itertools.product((8, 9), (False, True)):
        each = tiffs.page_of(samples, photometric, planes=planes)
        for frame in read(tiffs.file_of(each, each), grey="L").all_frames():
            assert frame.mode == "L"
            np.testing.assert_array_equal(frame.pixels, samples[..., 0])


@pytest.mark.parametrize("target", ["TIFF", "PNG"])
def test_tiles_and_bigtiff_are_noted_where_they_are_not_written(target, with_deep):
    notes = read(tiff_of(PHOTO, 2, tile=16, big=True), target).notes
    wanted = ("wrote strips instead of tiles", "wrote a TIFF of up to 4 GB instead of a BigTIFF")
    assert notes == (wanted if target == "TIFF" else ())


@pytest.mark.parametrize("settings", [{"planes": True, "bits": 16}, {}])
def test_memory_is_counted_before_decoding(settings, monkeypatch):
    content = tiff_of(PHOTO, 2, **settings)
    taken = []
    read(content, on_decode=lambda size, _header: taken.append(size))
    samples = PHOTO.size * settings.get("bits", 8) // 8
    assert 2 * samples <= taken[0] <= 8 * samples
    monkeypatch.setattr(memory, "available", lambda: taken[0] - 1)
    monkeypatch.setattr(memory, "_ALWAYS_FREE", 0)
    with pytest.raises(ConvcliError, match="needs about"):
        read(content)


def test_a_tile_much_larger_than_the_image_is_counted(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10**8)
    page, segments = tiffs.page_of(PHOTO, 2, compression=tiffs.LZMA, order=">", bits=16, tile=16)
    page |= {322: (4, [1 << 16]), 323: (4, [1 << 16])}
    with pytest.raises(ConvcliError, match="needs about"):
        read(tiffs.file_of((page, segments), order=">"))


def test_more_pixels_than_the_limit_are_refused(monkeypatch):
    for settings in ({}, {"planes": True, "bits": 16}):
        content = tiff_of(PHOTO, 2, **settings)
        with monkeypatch.context() as patch:
            patch.setattr(Image, "MAX_IMAGE_PIXELS", 63)
            with pytest.raises(ConvcliError, match="has more than 63 pixels; --max-pixels raises"):
                read(content)


@pytest.mark.parametrize("settings", [
    {"bits": 16, "planes": True}, {"form": 2, "bits": 16, "order": ">", "compression": tiffs.LZW},
    {"bits": 16, "tile": 16, "extra": (2,), "photometric": 1},
])  # fmt: skip
def test_a_tiff_that_is_cut_off_anywhere_is_refused(settings):
    """In the file the directory stands after the samples, as most writers have it."""
    settings = {"photometric": 2 if settings.get("form", 1) == 1 else 1} | settings
    count = {2: 3, 1: 1}[settings["photometric"]] + len(settings.get("extra", ()))
    content = tiff_of(np.ones((40, 40, count)), **settings)
    read(content)
    for length in range(0, len(content) - 4, len(content) // 50):
        with pytest.raises(ConvcliError):
            read(content[:length])


@pytest.mark.parametrize("settings", [{}, {"compression": tiffs.LZW}, {"tile": 16}])
def test_strips_that_are_missing_are_refused(settings):
    for code, values in ((279, [0] * 2), (273, [0] * 2), (279, [10**6] * 2), (273, [10**6] * 2)):
        page, segments = tiffs.page_of(PHOTO, 2, bits=16, planes=False, **settings)
        names = {273: 324, 279: 325} if "tile" in settings else {}
        page[names.get(code, code)] = (4, values)
        with pytest.raises(ConvcliError, match="damaged"):
            read(tiffs.file_of((page, segments)))


def test_directories_that_follow_each_other_in_a_circle_are_read_once():
    content = bytearray(tiff_of(PHOTO, 2))
    content[-4:] = content[4:8]
    assert read(bytes(content)).frames == 1


def test_a_result_is_written_as_it_is_read(with_deep):
    """An unusual TIFF becomes a usual one."""
    content = tiff_of(PHOTO, 2, planes=True, orientation=6, compression=tiffs.DEFLATE)
    got = read(content)
    result = got.with_pixels(convcli.blur(got.pixels, 1.0))
    target = io.BytesIO()
    assert write(result, target, "TIFF") == ()
    with Image.open(io.BytesIO(target.getvalue())) as image:
        assert image.info["compression"] == "tiff_adobe_deflate"
        np.testing.assert_array_equal(np.asarray(image), result.pixels)


def test_more_bands_than_are_read_are_counted():
    assert read(tiff_of(np.zeros((2, 3, 64)), 1)).mode == "64;8"
    with pytest.raises(ConvcliError, match="is a TIFF of 200 bands, more than the 64"):
        read(tiff_of(np.zeros((2, 3, 200)), 1))


def test_directories_that_share_their_data_do_not_take_gigabytes():
    """A thousand pages of one colour map of 393 kB, in a file of 500 kB."""
    table = struct.pack("<196608H", *range(65536), *range(65536), *range(65536))
    content = bytearray(b"II*\0" + struct.pack("<I", 8 + len(table)) + table)
    tags = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 16), (262, 3, 1, 3), (273, 4, 1, 8),
            (279, 4, 1, 2), (320, 3, 196608, 8)]  # fmt: skip
    for _ in range(1000):
        after = len(content) + 2 + 12 * len(tags) + 4
        content += struct.pack("<H", len(tags))
        content += b"".join(struct.pack("<HHII", *tag) for tag in tags)
        content += struct.pack("<I", after)
    content[-4:] = bytes(4)
    with pytest.raises(ConvcliError, match="is truncated, damaged"):
        read(bytes(content))


def test_pages_of_a_closed_file_can_go():
    """As after an error: from Python 3.13 on what `close` raises then is printed."""
    pages = tiff._Pages(file := io.BytesIO())
    Image.new("L", (3, 2)).save(pages, "TIFF")
    pages.newFrame()
    file.close()
    pages.close()
