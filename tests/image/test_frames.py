"""Animations and pages: all frames, their durations, disposals and loop counts."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, GifImagePlugin, Image, TiffImagePlugin

import convcli
from convcli import ConvcliError, memory
from convcli.files.formats import FORMATS, spelt
from convcli.image import Picture, animation, read, reading, write

ANIMATED = [name for name, row in FORMATS.items() if row.frames == "animation"]
# Mean difference, in levels, that a lossy format may cause in a frame.
LOSS = {"WEBP": 0, "AVIF": 6}
LOSSLESS = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "GIF": {}, "PNG": {}}


def written(picture, format_name, **settings):
    content = io.BytesIO()
    notes = write(picture, content, format_name, **settings)
    return content.getvalue(), notes


def frames_of(content):
    """Return the frames that a viewer shows, and their durations in milliseconds."""
    shown, durations = [], []
    with Image.open(io.BytesIO(content)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            shown.append(np.asarray(image.convert("RGBA")))
            durations.append(image.info.get("duration"))
    return shown, durations


def encoded(frames, format_name, **settings):
    content = io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(content, format_name, save_all=True, append_images=others, **settings)
    return content.getvalue()


@pytest.fixture
def opaque(photo):
    """Four shifted frames of 8 colours, which a GIF stores exactly."""
    still = photo[100:148, 200:264] // 128 * 255
    return [np.roll(still, 9 * number, (0, 1)) for number in range(4)]


@pytest.fixture
def cut_out(opaque):
    """Frames with a transparent hole, each in another place."""
    frames = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in opaque]
    for number, frame in enumerate(frames):
        frame[10 * number : 10 * number + 12, 8:50] = 0
    return frames


def filtered(picture, function):
    """Filter all frames, as `convcli.batch.attempt` does."""
    first = picture.with_pixels(function(picture.pixels))
    later = (frame.with_pixels(function(frame.pixels)) for frame in picture.later)
    return Picture(**(vars(first) | {"later": later}))


def same(pixels):
    return pixels


@pytest.mark.parametrize("format_name", ANIMATED)
@pytest.mark.parametrize("kind", ["opaque", "cut_out"])
def test_what_is_not_changed_is_shown_as_before(format_name, kind, request):
    frames = request.getfixturevalue(kind)
    before = encoded(frames, format_name, duration=[100, 250, 40, 1000], **LOSSLESS[format_name])
    picture = read(before)
    assert picture.frames == 4
    after, _ = written(filtered(picture, same), format_name)
    shown, durations = frames_of(after)
    expected, old_durations = frames_of(before)
    assert durations == old_durations == [100, 250, 40, 1000]
    for one, other in zip(shown, expected, strict=True):
        seen = other[..., 3] > 0
        difference = np.abs(one[seen].astype(float) - other[seen])
        assert difference.mean() <= LOSS.get(format_name, 0)
        assert (one[~seen][:, 3] <= LOSS.get(format_name, 0)).all()


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "AVIF"])
def test_each_frame_is_filtered_as_if_it_were_alone(opaque, format_name):
    picture = read(encoded(opaque, format_name, duration=100, **LOSSLESS[format_name]))
    after, _ = written(filtered(picture, lambda p: convcli.blur(p, 2.0)), format_name)
    shown, _ = frames_of(after)
    for one, frame in zip(shown, opaque, strict=True):
        difference = np.abs(one[..., :3].astype(float) - convcli.blur(frame, 2.0))
        assert difference.mean() <= LOSS.get(format_name, 0)


@pytest.mark.parametrize(
    ("format_name", "disposal"),
    [*(("GIF", disposal) for disposal in range(4)), *(("PNG", disposal) for disposal in range(3))],
)
@pytest.mark.parametrize("kind", ["opaque", "cut_out"])
def test_whatever_becomes_of_a_frame_the_next_is_right(format_name, disposal, kind, request):
    frames = request.getfixturevalue(kind)
    small = [frame[4:40, 6:50] for frame in frames]
    # Pillow's own writer stores only the changes; convcli reads whole frames.
    before = encoded(frames[:1] + [np.pad(f, ((4, 8), (6, 14), (0, 0))) for f in small],
                     format_name, disposal=disposal, duration=50)  # fmt: skip
    after, _ = written(filtered(read(before), same), format_name)
    # Pillow takes "restore previous" on the first frame for "keep"; browsers do not.
    picture = read(before)
    expected = [
        np.asarray(Image.fromarray(frame.pixels.copy()).convert("RGBA"))
        for frame in picture.all_frames()
    ]
    for one, other in zip(frames_of(after)[0], expected, strict=True):
        np.testing.assert_array_equal(one[..., 3], other[..., 3])
        seen = other[..., 3] > 0
        np.testing.assert_array_equal(one[seen], other[seen])


@pytest.mark.parametrize("colours", [2, 8, 255])
def test_what_is_cleared_is_transparent(photo, colours):
    """A frame without a transparent colour would be cleared to the background colour."""
    pixels = np.asarray(Image.fromarray(photo[:48, :64]).quantize(colours).convert("RGBA")).copy()
    hole = pixels.copy()
    hole[5:30, 9:40] = 0
    frames = [
        Picture(frame, "RGBA", "GIF", frame={"duration": 50, "disposal": disposal})
        for frame, disposal in ((hole, 1), (pixels, 2), (hole, 1))
    ]
    first = Picture(**(vars(frames[0]) | {"frames": 3, "later": frames[1:]}))
    for one, other in zip(
        frames_of(written(first, "GIF")[0])[0], (hole, pixels, hole), strict=True
    ):
        np.testing.assert_array_equal(one[..., 3], other[..., 3])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("order", ["aab", "aba", "aaaa", "abba", "abab"])
@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_every_frame_of_an_apng_is_written_right(opaque, mode, order, disposal):
    made = [np.asarray(Image.fromarray(frame).convert(mode)) for frame in opaque[:2]]
    pixels = [made["ab".index(letter)] for letter in order]
    frames = [
        Picture(each, mode, "PNG", frame={"duration": 50, "disposal": disposal}) for each in pixels
    ]
    first = Picture(**(vars(frames[0]) | {"frames": len(order), "later": frames[1:]}))
    shown, durations = frames_of(written(first, "PNG")[0])
    assert durations == [50] * len(order)
    for one, other in zip(shown, pixels, strict=True):
        np.testing.assert_array_equal(one, np.asarray(Image.fromarray(other).convert("RGBA")))


@pytest.mark.parametrize(("mode", "shape"), [("L", (12, 10)), ("RGB", (12, 10, 3))])
def test_frames_of_16_bits_are_read_as_8(mode, shape):
    rng = np.random.default_rng(0)
    samples = [rng.integers(0, 65536, shape, dtype=np.uint16) for _ in range(3)]
    picture = read(apng_of_16_bits(samples))
    assert picture.mode == mode
    assert picture.notes == (("reduced 16-bit channels to 8 bits",) if mode == "RGB" else ())
    shown = [picture.pixels, *(frame.pixels for frame in picture.later)]
    for one, other in zip(shown, samples, strict=True):
        np.testing.assert_array_equal(one, other >> 8)


def apng_of_16_bits(samples):
    """Put an APNG together by hand, as Pillow writes none of 16 bits."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width = samples[0].shape[:2]
    colour = 0 if samples[0].ndim == 2 else 2  # grey or RGB, in the header
    parts = [b"\x89PNG\r\n\x1a\n"]
    parts.append(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)))
    parts.append(chunk(b"acTL", struct.pack(">II", len(samples), 0)))
    count = 0
    for number, frame in enumerate(samples):
        control = struct.pack(">IIIIIHHBB", count, width, height, 0, 0, 1, 10, 0, 0)
        parts.append(chunk(b"fcTL", control))
        count += 1
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in frame)
        if number:
            parts.append(chunk(b"fdAT", struct.pack(">I", count) + zlib.compress(rows)))
            count += 1
        else:
            parts.append(chunk(b"IDAT", zlib.compress(rows)))
    return b"".join([*parts, chunk(b"IEND", b"")])


@pytest.mark.parametrize("format_name", ["PNG", "GIF", "WEBP", "AVIF"])
def test_odd_durations_are_kept_or_rounded_without_drifting(opaque, format_name):
    given = [1000 / 60] * 4
    frames = [
        Picture(p, "RGB", "PNG", frame={"duration": d}) for p, d in zip(opaque, given, strict=True)
    ]
    first = Picture(**(vars(frames[0]) | {"frames": 4, "later": frames[1:]}))
    after, notes = written(first, format_name)
    _, durations = frames_of(after)
    assert sum(durations) == pytest.approx(sum(given), abs=10 if format_name == "GIF" else 1)
    if format_name == "PNG":
        assert durations == pytest.approx(given, abs=0.01)
    unit = "hundredths of a second" if format_name == "GIF" else "milliseconds"
    noted = f"rounded durations to {unit}, the unit of {spelt(format_name)}" in notes
    assert noted is (format_name != "PNG")


@pytest.mark.parametrize("format_name", ["WEBP", "AVIF"])
def test_whole_milliseconds_are_not_rounded(opaque, format_name):
    frames = [
        Picture(p, "RGB", "PNG", frame={"duration": d})
        for p, d in zip(opaque, (33.0, 17), strict=False)
    ]
    _, notes = written(
        Picture(**(vars(frames[0]) | {"frames": 2, "later": frames[1:]})), format_name
    )
    assert not any("rounded" in note for note in notes)


@pytest.mark.parametrize(
    ("plays", "lost"), [(0, "durations"), (1, "durations"), (5, "durations and loop count")]
)
def test_a_number_of_plays_has_no_place_in_a_tiff(opaque, plays, lost):
    frames = [Picture(p, "RGB", "PNG", frame={"duration": 50, "plays": plays}) for p in opaque]
    _, notes = written(Picture(**(vars(frames[0]) | {"frames": 4, "later": frames[1:]})), "TIFF")
    assert notes == (f"dropped its {lost}, which TIFF cannot store",)


def test_an_animation_has_the_metadata_of_its_first_frame(opaque):
    frames = [
        Picture(pixels, "RGB", "PNG", {"text": [(b"tEXt", b"Title\0" + title)]})
        for pixels, title in zip(opaque, (b"a", b"b", b"c", b"d"), strict=True)
    ]
    first = Picture(**(vars(frames[0]) | {"frames": 4, "later": frames[1:]}))
    content, _ = written(first, "PNG")
    with Image.open(io.BytesIO(content)) as image:
        assert image.text == {"Title": "a"}


def test_the_loops_of_an_avif_are_taken_for_endless(opaque):
    after, _ = written(read(encoded(opaque, "AVIF", duration=50), "PNG"), "PNG")
    assert Image.open(io.BytesIO(after)).info["loop"] == 0
    _, notes = written(read(encoded(opaque, "GIF", duration=50, loop=3), "AVIF"), "AVIF")
    assert "dropped its loop count, which AVIF cannot store; the animation repeats forever" in notes


@pytest.mark.parametrize("disposal", [1, 2])
def test_the_disposal_of_an_opaque_gif_is_kept(opaque, disposal):
    after, _ = written(read(encoded(opaque, "GIF", disposal=disposal, duration=50)), "GIF")
    with Image.open(io.BytesIO(after)) as image:
        for number in range(4):
            image.seek(number)
            assert image.disposal_method == disposal


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "AVIF"])
def test_frames_that_are_alike_stay_apart(opaque, format_name):
    alike = [opaque[0], opaque[1], opaque[1], opaque[1], opaque[2]]
    frames = [Picture(pixels, "RGB", format_name, frame={"duration": 40}) for pixels in alike]
    first = Picture(**(vars(frames[0]) | {"frames": 5, "later": frames[1:]}))
    shown, durations = frames_of(written(first, format_name)[0])
    assert durations == [40] * 5
    for one, other in zip(shown, alike, strict=True):
        assert np.abs(one[..., :3].astype(float) - other).mean() <= 16 * (format_name == "AVIF")


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("loop", [0, 3])
def test_how_often_it_is_shown_is_kept(opaque, format_name, loop):
    after, _ = written(read(encoded(opaque, format_name, loop=loop, duration=50)), format_name)
    assert Image.open(io.BytesIO(after)).info["loop"] == loop


@pytest.mark.parametrize(("format_name", "once"), [("GIF", None), ("PNG", 1), ("WEBP", 1)])
def test_a_gif_that_is_shown_once_stays_so(opaque, format_name, once):
    after, _ = written(read(encoded(opaque, "GIF", duration=50)), format_name)
    assert Image.open(io.BytesIO(after)).info.get("loop") == once


@pytest.mark.parametrize("source", ANIMATED)
@pytest.mark.parametrize("target", [*ANIMATED, "TIFF"])
def test_an_animation_becomes_any_other(cut_out, source, target):
    before = encoded(cut_out, source, duration=[100, 200, 300, 400], **LOSSLESS[source])
    picture = read(before, target)
    after, notes = written(picture, target)
    shown, durations = frames_of(after)
    if target == "TIFF":
        assert "dropped its durations, which TIFF cannot store" in notes
    else:
        assert durations == [100, 200, 300, 400]
    for one, other in zip(shown, frames_of(before)[0], strict=True):
        assert (np.abs(one[..., 3].astype(float) - other[..., 3])).mean() < 4
        seen = (other[..., 3] > 200) & (one[..., 3] > 200)
        # Each frame gets its own 255 colours; AVIF and WebP lose twice.
        assert np.abs(one[seen].astype(float) - other[seen]).mean() < 14


def test_what_shows_where_nothing_moves_is_no_frame_of_another_format(opaque):
    before = encoded(
        opaque, "PNG", default_image=True, duration=[100, 1000, 50], disposal=[1, 0, 1]
    )
    as_png, _ = written(read(before), "PNG")
    assert Image.open(io.BytesIO(as_png)).info["default_image"]
    assert len(frames_of(as_png)[0]) == 4
    assert frames_of(as_png)[1] == frames_of(before)[1] == [None, 100, 1000, 50]
    as_gif, _ = written(read(before, "GIF"), "GIF")
    for one, other in zip(frames_of(as_gif)[0], opaque[1:], strict=True):
        np.testing.assert_array_equal(one[..., :3], other)


@pytest.mark.parametrize(("format_name", "longest"), [("GIF", 655_350), ("WEBP", 2**24 - 1)])
def test_a_frame_is_shown_no_longer_than_a_format_can_say(opaque, format_name, longest):
    given = [7_000, 99_000_000]
    frames = [
        Picture(p, "RGB", "PNG", frame={"duration": d})
        for p, d in zip(opaque[:2], given, strict=True)
    ]
    first = Picture(**(vars(frames[0]) | {"frames": 2, "later": frames[1:]}))
    after, notes = written(first, format_name)
    assert frames_of(after)[1] == [7_000, longest]
    most = f"{longest / 1000:g} s"
    assert f"shortened a frame to {most}, the longest that {spelt(format_name)} can store" in notes


@pytest.mark.parametrize("given", [70_000, 70_001, 65_535.5, 3_600_001, 65_534_999, 65.536])
def test_a_duration_becomes_a_fraction_that_png_stores(opaque, given):
    """Two numbers of 16 bits: from 65.5 s on not every number of milliseconds is one."""
    frames = [Picture(p, "RGB", "WEBP", frame={"duration": given}) for p in opaque[:2]]
    first = Picture(**(vars(frames[0]) | {"frames": 2, "later": frames[1:]}))
    after, notes = written(first, "PNG")
    durations = frames_of(after)[1]
    assert durations == pytest.approx([given, given], rel=given / 65_535_000 / 2 + 1e-9)
    rounded = "rounded durations to fractions of two 16-bit numbers, as PNG stores them"
    assert (rounded in notes) == (durations != [given, given])


def test_a_webp_ends_before_its_clock_does(opaque, monkeypatch):
    monkeypatch.setattr(animation, "_LAST_TIME", 2500)
    frames = [Picture(p, "RGB", "PNG", frame={"duration": 1000}) for p in opaque]
    first = Picture(**(vars(frames[0]) | {"frames": 4, "later": frames[1:]}))
    after, notes = written(first, "WEBP", quality=90)
    assert "shortened the animation to 2500 ms, the longest that WebP can store" in notes
    assert len(frames_of(after)[0]) >= 3


def test_a_frame_that_sticks_out_of_a_gif_is_cut(opaque):
    small, large = (Image.fromarray(f).quantize(8) for f in (opaque[0][:30, :40], opaque[1]))
    parts = [*GifImagePlugin.getheader(small)[0], *GifImagePlugin.getdata(small, duration=50)]
    parts += GifImagePlugin.getdata(large, duration=50, include_color_table=True)
    content = b"".join(parts) + b";"
    first = read(content)
    (second,) = first.later
    assert first.pixels.shape == second.pixels.shape == (30, 40, 3)
    np.testing.assert_array_equal(second.pixels, opaque[1][:30, :40])
    _, notes = written(read(content), "PNG")
    assert "cropped a frame that extends beyond the image" in notes


@pytest.mark.parametrize("most", [3, 4])
def test_frames_that_never_end_are_refused(opaque, most, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48)
    monkeypatch.setattr(reading, "_ANIMATION", most)
    content = encoded(opaque, "GIF", duration=50)
    if most < 4:
        with pytest.raises(ConvcliError, match="has 4 frames of 3072 pixels, more than 9216"):
            read(content)
    else:
        assert read(content).frames == 4


@pytest.mark.parametrize("few", [True, False])
def test_the_colours_of_a_large_gif_are_near(photo, few):
    pixels = photo[:300, :300] // 128 * 255 if few else photo[:300, :300]
    pixels = np.dstack([pixels, np.full((300, 300), 255, np.uint8)])
    pixels[:20, :20] = 0  # transparent; black must stay opaque
    pixels[20:40, :20, :3] = 0
    (shown,), _ = frames_of(written(Picture(pixels, "RGBA", "PNG"), "GIF")[0])
    np.testing.assert_array_equal(shown[..., 3], pixels[..., 3])
    seen = pixels[..., 3] > 0
    difference = np.abs(shown[seen].astype(float) - pixels[seen])
    assert difference.mean() <= (0 if few else 6)


# --- pages


def pages(photo):
    """Pages of different sizes and modes, as in scans."""
    colour = photo[100:148, 200:264]
    return [
        Image.fromarray(colour),
        Image.fromarray(photo[:31, :17, 0].copy()),
        Image.fromarray(photo[:20, :90, 1].astype(np.float32)),
        Image.fromarray(photo[50:90, :41, 2].astype(np.uint16) * 257),
        Image.fromarray(np.dstack([colour, colour[..., 0]])),
        Image.fromarray(colour).convert("CMYK"),
        Image.fromarray(photo[:33, :44, 0].copy()).convert("1"),
    ]


def tiff_of(images, **settings):
    content = io.BytesIO()
    images[0].save(content, "TIFF", save_all=True, append_images=images[1:], **settings)
    return content.getvalue()


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_pages_keep_their_sizes_and_modes(photo, compression):
    images = pages(photo)
    picture = read(tiff_of(images, **({"compression": compression} if compression else {})))
    assert picture.frames == len(images)
    after, notes = written(filtered(picture, lambda p: convcli.blur(p, 1.0)), "TIFF")
    assert notes == ("converted mode 1 to L",)
    with Image.open(io.BytesIO(after)) as image:
        assert image.n_frames == len(images)
        for number, page in enumerate(images):
            image.seek(number)
            wanted = page.convert("L") if page.mode == "1" else page
            assert (image.size, image.mode) == (wanted.size, wanted.mode)
            expected = convcli.blur(np.asarray(wanted), 1.0)
            np.testing.assert_array_equal(np.asarray(image), expected)


def test_pages_keep_their_own_resolution(photo):
    first, second = pages(photo)[:2]
    second.encoderinfo = {"dpi": (300, 300)}
    content = io.BytesIO()
    first.save(content, "TIFF", save_all=True, append_images=[second], dpi=(72, 72))
    after, _ = written(read(content.getvalue()), "TIFF")
    with Image.open(io.BytesIO(after)) as image:
        assert image.info["dpi"] == (72, 72)
        image.seek(1)
        assert image.info["dpi"] == (300, 300)


def test_pages_after_the_first_lose_their_exif_block_with_a_note(photo):
    content = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(content) as tiff:
        for number in range(3):
            exif = Image.Exif()
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] = f"LENS-{number}"
            again = Image.Exif()
            again.load(exif.tobytes())
            Image.fromarray(photo[:9, :7]).save(tiff, "TIFF", exif=again)
            tiff.newFrame()
    after, notes = written(read(content.getvalue()), "TIFF")
    assert notes == ("dropped the EXIF blocks of pages after the first",)  # once for both
    with Image.open(io.BytesIO(after)) as image:
        block = image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert block[ExifTags.Base.LensModel] == "LENS-0"
        image.seek(1)
        assert ExifTags.IFD.Exif not in image.getexif()


def test_many_pages_are_written_in_order():
    pixels = np.arange(300, dtype=np.uint16).reshape(300, 1, 1)
    frames = [Picture(page, "I;16", "TIFF") for page in pixels]
    first = Picture(**(vars(frames[0]) | {"frames": 300, "later": frames[1:]}))
    after, _ = written(first, "TIFF")
    assert tifffile.imread(io.BytesIO(after)).ravel().tolist() == list(range(300))


def test_a_page_that_needs_more_memory_than_there_is_is_refused(photo, monkeypatch):
    images = [Image.fromarray(photo[:9, :7]), Image.fromarray(photo)]
    picture = read(tiff_of(images))
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    with pytest.raises(ConvcliError, match="needs about"):
        list(picture.later)


@pytest.mark.parametrize("target", [name for name, row in FORMATS.items() if not row.frames])
def test_frames_are_refused_where_they_have_no_place(opaque, target):
    with pytest.raises(
        ConvcliError, match=f"{spelt(target)} cannot hold its 4 frames; write PNG, TIFF,"
    ):
        read(encoded(opaque, "GIF", duration=50), target)


@pytest.mark.parametrize("target", [name for name in FORMATS if name != "TIFF"])
def test_pages_are_no_animation(photo, target):
    with pytest.raises(
        ConvcliError, match=f"{spelt(target)} cannot hold its 7 pages; write TIFF instead"
    ):
        read(tiff_of(pages(photo)), target)


def test_a_frame_that_is_damaged_is_an_error_when_it_is_asked_for(opaque):
    before = encoded(opaque, "WEBP", duration=50, lossless=True)
    last = before.rindex(b"ANMF")
    broken = before[: last + 40] + bytes(len(before) - last - 40)
    picture = read(broken)
    with pytest.raises(ConvcliError, match="truncated, damaged or"):
        list(picture.later)


def test_the_file_is_closed_with_the_last_page_or_when_nobody_asks_any_more(photo, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of(pages(photo)))
    list(read(path).later)
    read(path)  # a file left open is an error in pytest


@pytest.mark.parametrize("alpha", [0, 127, 128, 255])
def test_the_alpha_of_a_gif_is_cut_at_a_half(photo, alpha):
    colour = photo[100:148, 200:264] // 128 * 255
    pixels = np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])
    pixels[5:9, 5:9, 3] = alpha
    after, notes = written(Picture(pixels, "RGBA", "PNG"), "GIF")
    noted = "rounded its alpha to 0 or 255, the only values that GIF can store"
    assert notes == (noted,) * (alpha in (127, 128))
    (shown,), _ = frames_of(after)
    expected = np.where(pixels[..., 3] < 128, 0, 255)
    np.testing.assert_array_equal(shown[..., 3], expected)
