"""``--region``, ``--mask`` and ``--channels``: files of all kinds, and what is refused."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base as Tag

import convcli
from convcli.batch import attempt
from convcli.image import read

SIZE = 48, 64
WAYS = ("--method", "numpy", "-f")


@pytest.fixture
def folder(tmp_path, monkeypatch, picture_file):
    monkeypatch.chdir(tmp_path)
    picture_file("a.png")
    return tmp_path


@pytest.fixture
def colours(photo):
    return photo[100:148, 200:264]


def disc(size=SIZE):
    """A disc with a soft edge, as a brush leaves it."""
    y, x = np.ogrid[: size[0], : size[1]]
    away = np.hypot(y - size[0] / 2, x - size[1] / 2)
    return np.rint(255 * np.clip((20 - away) / 6, 0, 1)).astype(np.uint8)


def pixels(path):
    return np.asarray(Image.open(path))


def mixed(image, made, mask):
    share = np.asarray(mask, float)[..., np.newaxis] / 255
    image = image if image.ndim == 3 else image[..., np.newaxis]
    made = made if made.ndim == 3 else made[..., np.newaxis]
    return np.squeeze(image + share * (made.astype(float) - image))


def is_mix(result, image, made, mask):
    """Outside and where it is white to the bit, and within a level (of two roundings) between."""
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
    np.testing.assert_array_equal(result[mask == 255], made[mask == 255])
    return np.abs(result - mixed(image, made, mask)).max() <= 1


# --- masks of any kind


def with_orientation(mask, path):
    """Turned on its side, with the EXIF tag that says so."""
    exif = Image.Exif()
    exif[Tag.Orientation] = 6
    mask.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def with_alpha(mask, path):
    """White paint on a transparent layer."""
    layer = Image.new("RGBA", mask.size, "white")
    layer.putalpha(mask)
    layer.save(path)


MASKS = {
    "grey.png": lambda mask, path: mask.save(path),
    "colour.png": lambda mask, path: mask.convert("RGB").save(path),
    "palette.png": lambda mask, path: mask.convert("P").save(path),
    "turned.png": with_orientation,
    "alpha.png": with_alpha,
    "sixteen.png": lambda mask, path: Image.fromarray(
        np.asarray(mask).astype(np.uint16) * 257).save(path),
    "float.tif": lambda mask, path: Image.fromarray(
        np.asarray(mask) / np.float32(255)).save(path),
    "cmyk.tif": lambda mask, path: mask.convert("RGB").convert("CMYK").save(path),
    "array.npy": lambda mask, path: np.save(path, np.asarray(mask)),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_may_be_any_image(run, folder, colours, name):
    MASKS[name](Image.fromarray(disc()), folder / name)
    assert run("blur", "a.png", "--mask", name, *WAYS, "-o", "out.png").status == 0
    assert is_mix(pixels("out.png"), colours, convcli.blur(colours, 3, method="numpy"), disc())


def test_white_is_white_beside_a_colour_and_in_floats(run, folder, colours):
    mask = np.ones((*SIZE, 3), np.float32)
    mask[:, :9] = 0, 0.5, 0
    np.save("mask.npy", mask)
    run("blur", "a.png", "--mask", "mask.npy", "--depth", "float32", *WAYS, "-o", "out.npy")
    whole = convcli.blur(colours, 3, method="numpy", out_dtype="float32")
    np.testing.assert_array_equal(np.load("out.npy")[:, 9:], whole[:, 9:])


def test_a_mask_of_one_bit(run, folder, colours):
    mask = Image.fromarray(disc()).convert("1", dither=Image.Dither.NONE)
    mask.save("bit.png")
    run("sharpen", "a.png", "--mask", "bit.png", *WAYS, "-o", "out.png")
    where = np.asarray(mask)[..., np.newaxis]
    sharp = convcli.sharpen(colours, 1, method="numpy")
    np.testing.assert_array_equal(pixels("out.png"), np.where(where, sharp, colours))


def test_a_mask_of_colours_counts_by_its_luminance(run, folder, colours):
    mask = np.zeros((*SIZE, 3), np.uint8)
    mask[:, :32] = 0, 255, 0
    Image.fromarray(mask).save("green.png")
    run("blur", "a.png", "--mask", "green.png", *WAYS, "-o", "out.png")
    grey = np.where(mask[..., 1] > 0, 150, 0)  # 0.587 of 255
    made = convcli.blur(colours, 3, method="numpy")
    assert np.abs(pixels("out.png") - mixed(colours, made, grey)).max() <= 1


def volume():
    file = io.BytesIO()
    np.save(file, np.zeros((4, 5, 7), np.uint8))
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "No such file"),
        (lambda: Path("m.png").touch(), "is empty"),
        (lambda: Path("m.png").write_bytes(volume()), "volume"),
        (lambda: Image.fromarray(disc().astype(np.int32)).save("m.png", "TIFF"), "no white"),
        (lambda: Image.fromarray(disc()).save("m.png", "GIF", save_all=True,
            append_images=[Image.fromarray(disc() // 2)]), "2 frames or pages"),
    ],
)  # fmt: skip
def test_what_is_no_mask_is_refused_before_anything_is_done(run, folder, make, message):
    make()
    for also in ((), ("-n",)):
        result = run("blur", "a.png", "--mask", "m.png", "-o", "out.png", *also)
        assert result.status == 2
        assert result.message.startswith("convcli: the mask 'm.png' cannot be used: ")
        assert message in result.message
    assert not (folder / "out.png").exists()


# --- images of any kind


def test_every_frame_and_page_gets_the_mask(run, folder, colours):
    Image.fromarray(disc()).save("mask.png")
    frames = [np.roll(colours, 9 * each, 1) for each in range(3)]
    first, *others = map(Image.fromarray, frames)
    first.save("a.webp", save_all=True, append_images=others, lossless=True, duration=100)
    first.save("a.tif", save_all=True, append_images=others)
    first.save("apng.png", save_all=True, append_images=others, duration=100)
    names = "a.webp", "a.tif", "apng.png"
    assert run("blur", *names, "--mask", "mask.png", *WAYS, "-o", "out/").status == 0
    for name in names:
        with Image.open(folder / "out" / name) as result:
            for number, frame in enumerate(frames):
                result.seek(number)
                made = convcli.blur(frame, 3, method="numpy")
                assert is_mix(np.asarray(result.convert("RGB")), frame, made, disc())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK", "LAB"])
@pytest.mark.parametrize("channels", [None, "first", "luma"])
def test_images_of_all_modes(run, folder, colours, mode, channels):
    image = Image.fromarray(colours).convert(mode)
    image.save("b.tif")
    first = mode[0].lower()
    given = () if channels is None else ("--channels", first if channels == "first" else "luma")
    result = run("blur", "b.tif", "--region", "20x10+5+6", *given, *WAYS, "-o", "out.tif")
    if (mode, channels) == ("CMYK", "luma"):
        assert result.status == 1
        assert "'b.tif': has CMYK colour, and so no luminance" in result.message
        return
    assert result.status == 0, result.err
    before, after = (read(folder / each).pixels.reshape(*SIZE, -1) for each in ("b.tif", "out.tif"))
    alpha = {"alpha": "weight"} if mode == "RGBA" else {}
    whole = convcli.blur(before, 3, method="numpy", **alpha)
    if channels == "luma" and mode.startswith("RGB"):
        whole = convcli.blur(before, 3, method="numpy", channels="luma", **alpha)
    elif channels:
        whole[..., 1:] = before[..., 1:]
    expected = before.copy()
    expected[6:16, 5:25] = whole[6:16, 5:25]
    np.testing.assert_array_equal(after, expected)


def test_bands_are_counted_from_1(run, folder):
    bands = np.random.default_rng(0).random((30, 40, 6), np.float32)
    import tifffile

    tifffile.imwrite("b.tif", bands, planarconfig="contig", photometric="minisblack")
    assert run("blur", "b.tif", "--channels", "2,5", *WAYS, "-o", "out.tif").status == 0
    result = tifffile.imread("out.tif")
    for band in range(6):
        expected = bands[..., band]
        if band in (1, 4):
            expected = convcli.blur(np.ascontiguousarray(expected), 3, method="numpy")
        np.testing.assert_array_equal(result[..., band], expected)
    result = run("blur", "b.tif", "--channels", "7", *WAYS, "-o", "out.tif")
    assert "'b.tif': channels is '7', and the image has no channel 7: it has 1,2," in result.message


@pytest.mark.parametrize("show", [("--show", "magnitude"), ("--stretch",), ("--canny", "20,60")])
def test_edges_stand_in_the_colours_of_the_rest(run, folder, colours, show):
    run("edge", "a.png", "--region", "20x10+5+6", *show, *WAYS, "-o", "out.png")
    run("edge", "a.png", *show, *WAYS, "-o", "whole.png")
    expected = colours.copy()
    expected[6:16, 5:25] = pixels("whole.png")[6:16, 5:25, np.newaxis]
    np.testing.assert_array_equal(pixels("out.png"), expected)


def test_edges_in_a_part_need_a_luminance(run, folder, colours):
    Image.fromarray(colours).convert("CMYK").save("b.tif")
    result = run("edge", "b.tif", "--region", "2x2+0+0", "-o", "out.tif")
    assert (result.status, "no luminance for edges in a part of it" in result.message) == (1, True)


def test_a_chain_has_one_part(run, folder, colours):
    Image.fromarray(disc()).save("mask.png")
    words = "blur -s 2 | sharpen --amount 2"
    assert run("chain", words, "a.png", "--mask", "mask.png", *WAYS, "-o", "out.png").status == 0
    stages = [convcli.stage("blur", 2), convcli.stage("sharpen", amount=2)]
    made = convcli.chain(colours, stages, method="numpy")
    where = disc()
    result = pixels("out.png")
    for value, expected in ((0, colours), (255, made)):
        np.testing.assert_array_equal(result[where == value], expected[where == value])
    refused = run("chain", "blur --region 1x1+0+0 | edge", "a.png", "-o", "x.png")
    assert "--region is an option of the chain; give it after the stages" in refused.message


def test_depth_scales_what_is_kept(run, folder, colours):
    run("blur", "a.png", "--region", "20x10+5+6", "--depth", "16", *WAYS, "-o", "out.npy")
    result = np.load("out.npy")
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result[16:], colours[16:] * np.uint16(257))
    run("blur", "a.png", "--depth", "16", *WAYS, "-o", "whole.npy")
    np.testing.assert_array_equal(result[6:16, 5:25], np.load("whole.npy")[6:16, 5:25])


def test_light_and_alpha_outside_keep_their_bits(run, folder, colours):
    image = np.dstack([colours, disc()])
    Image.fromarray(image).save("b.png")
    run("blur", "b.png", "--region", "20x10+5+6", "--linear", *WAYS, "-o", "out.png")
    run("blur", "b.png", "--linear", *WAYS, "-o", "whole.png")
    expected = image.copy()
    expected[6:16, 5:25] = pixels("whole.png")[6:16, 5:25]
    np.testing.assert_array_equal(pixels("out.png"), expected)


# --- pipes and video


def test_a_stream_of_images(run, folder, colours):
    frames = [np.roll(colours, 9 * each, 1) for each in range(5)]
    stream = io.BytesIO()
    for each in frames:
        Image.fromarray(each).save(stream, "PPM")
    result = run("blur", "-", "--region", "20x10+5+6", *WAYS, stdin=stream.getvalue())
    assert result.status == 0
    size = len(result.out) // 5
    for number, frame in enumerate(frames):
        expected = frame.copy()
        expected[6:16, 5:25] = convcli.blur(frame, 3, method="numpy")[6:16, 5:25]
        part = io.BytesIO(result.out[number * size : (number + 1) * size])
        np.testing.assert_array_equal(np.asarray(Image.open(part)), expected)


def y4m(bits=8):
    """A frame of 4:2:0, and its planes."""
    dtype = np.uint8 if bits == 8 else np.dtype("<u2")
    noise = np.random.default_rng(1)
    planes = [noise.integers(0, 1 << bits, size).astype(dtype)
              for size in ((12, 16), (6, 8), (6, 8))]  # fmt: skip
    kind = b"420jpeg" if bits == 8 else b"420p10"
    head = b"YUV4MPEG2 W16 H12 F25:1 Ip A1:1 C" + kind + b"\nFRAME\n"
    return head, planes, head + b"".join(plane.tobytes() for plane in planes)


def planes_of(content, head, planes):
    assert content.startswith(head)
    at, found = len(head), []
    for plane in planes:
        found.append(np.frombuffer(content, plane.dtype, plane.size, at).reshape(plane.shape))
        at += plane.nbytes
    return found


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("words", [("blur",), ("edge",), ("edge", "--show", "angle")])
def test_video_is_filtered_in_a_part_of_every_plane(run, folder, bits, words):
    head, planes, content = y4m(bits)
    part, whole = (
        planes_of(run(*words, "-", *more, *WAYS, stdin=content).out, head, planes)
        for more in (("--region", "6x4+2+4"), ())
    )
    for plane, inside, made in zip(planes, part, whole, strict=True):
        shared = 16 // plane.shape[1]
        at = slice(4 // shared, 8 // shared), slice(2 // shared, 8 // shared)
        expected = plane.copy()
        expected[at] = made[at]
        np.testing.assert_array_equal(inside, expected)


@pytest.mark.parametrize("words", [("blur",), ("edge",)])
def test_chroma_is_mixed_by_the_mean_of_its_pixels(run, folder, words):
    head, planes, content = y4m()
    mask = np.zeros((12, 16), np.uint8)
    mask[:6, 1::2] = 255  # a half of the pixels of each sample of chroma
    Image.fromarray(mask).save("mask.png")
    luma, *chroma = planes_of(
        run(*words, "-", "--mask", "mask.png", *WAYS, stdin=content).out, head, planes
    )
    whole, *made = planes_of(run(*words, "-", *WAYS, stdin=content).out, head, planes)
    np.testing.assert_array_equal(luma, np.where(mask, whole, planes[0]))
    for before, result, after in zip(planes[1:], chroma, made, strict=True):
        np.testing.assert_array_equal(result[3:], before[3:])
        mean = (before.astype(float) + after)[:3] / 2
        assert np.abs(result[:3] - mean).max() <= 1


def test_video_has_luma_and_no_red(run, folder):
    head, planes, content = y4m()
    result = run("blur", "-", "--channels", "luma", *WAYS, stdin=content)
    luma, *chroma = planes_of(result.out, head, planes)
    np.testing.assert_array_equal(luma, convcli.blur(planes[0], 3, method="numpy"))
    for one, other in zip(chroma, planes[1:], strict=True):
        np.testing.assert_array_equal(one, other)
    assert "no channels r" in run("blur", "-", "--channels", "r", stdin=content).message


# --- what is said


@pytest.mark.parametrize(("name", "again"), [("a.jpg", True), ("a.png", False)])
def test_an_empty_mask_is_noted(run, folder, picture_file, name, again):
    picture_file(name)
    Image.new("L", SIZE[::-1]).save("black.png")
    result = run("blur", name, "--mask", "black.png", "--json", *WAYS, "-o", f"out-{name}")
    notes = json.loads(result.out)["notes"]
    assert notes[0].startswith("filtered nothing, because the mask is black")
    assert ("encoding it again" in notes[0]) == again
    if not again:
        np.testing.assert_array_equal(pixels(f"out-{name}"), pixels(name))


def test_what_does_not_fit_one_image_is_refused_and_the_rest_goes_on(run, folder, colours):
    Image.fromarray(colours[:20, :30]).save("small.png")
    Image.fromarray(disc()).save("mask.png")
    for option, message in {
        ("--mask", "mask.png"): "mask is 64 x 48 pixels, and the image is 30 x 20",
        ("--region", "40x10+1+1"): "region 40x10+1+1 reaches beyond the image, which is 30 x 20",
    }.items():
        result = run("blur", "a.png", "small.png", *option, *WAYS, "-o", "out/")
        assert result.status == 1
        assert f"convcli: 'small.png': {message}" in result.err
        assert "1 written, 1 failed" in result.err


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "npy", "ppm"])
@pytest.mark.parametrize(
    ("option", "message"),
    {
        ("--mask", "mask.png"): "mask is 64 x 48 pixels, and the image is 30 x 20; both must be",
        ("--region", "40x10+1+1"): "region 40x10+1+1 reaches beyond the image, which is 30 x 20",
        ("--channels", "r,c"): "the image has no channel c: it has r,g,b",
    }.items(),
    ids=lambda words: words[0].strip("-") if isinstance(words, tuple) else "",
)
def test_what_does_not_fit_is_refused_before_it_is_decoded(
    run, folder, colours, monkeypatch, suffix, option, message
):
    name = f"small.{suffix}"
    if suffix == "npy":
        np.save(name, colours[:20, :30])
    else:
        Image.fromarray(colours[:20, :30]).save(name)
    Image.fromarray(disc()).save("mask.png")
    pipeline = attempt._Work.read
    decoded = []

    def read(work, take):
        return pipeline(work, lambda size: decoded.append(work.job.source_name) or take(size))

    monkeypatch.setattr(attempt._Work, "read", read)
    result = run("blur", "a.png", name, *option, *WAYS, "-o", "out/")
    assert result.status == 1
    assert f"convcli: '{name}': " in result.err
    assert message in result.err
    assert name not in [Path(each).name for each in decoded]


@pytest.mark.parametrize("fits", [True, False])
def test_an_image_that_is_turned_is_measured_upright(run, folder, colours, fits):
    exif = Image.Exif()
    exif[Tag.Orientation] = 6
    Image.fromarray(colours[:20, :30]).save("turned.jpg", exif=exif)
    region = "10x28+1+1" if fits else "28x10+1+1"
    result = run("blur", "turned.jpg", "--region", region, *WAYS, "-o", "out.png")
    assert result.status == (0 if fits else 1)
    assert fits or "which is 20 x 30" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("blur", "a.png", "--region", "9x9"), r"--region must be WxH\+X\+Y, .*'9x9'"),
        (("blur", "a.png", "--channels", "red"), "--channels must be luma.*'red'"),
        (("edge", "a.png", "--channels", "r"), "cannot be used with edge"),
        (("chain", "blur | edge", "a.png", "--channels", "luma"), "cannot be used with edge"),
        (("filter", "a.png", "-k", "box:3", "--stride", "2", "--region", "1x1+0+0"),
         "a stride makes the image smaller"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_before_anything_is_done(run, folder, words, message):
    result = run(*words, "-o", "out.png")
    assert result.status == 2
    assert re.search(message, result.message)
    assert not (folder / "out.png").exists()


def test_the_explanation_names_the_part(run, folder):
    result = run(
        "blur", "a.png", "--region", "4x4+0+0", "-s", "1", "--explain", *WAYS, "-o", "b.png"
    )
    assert "part       8 x 8 pixels with their neighbours" in result.err
