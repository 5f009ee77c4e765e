"""``convcli compare``: measurements, output and exit status for two images."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from convcli.files.formats import FORMATS
from convcli.image import Picture, comparison, read
from convcli.image.comparison import alike, amplified, compare
from convcli.image.picture import MODES, WITH_ALPHA


def picture(pixels, mode=None):
    pixels = np.asarray(pixels)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    form = (channels, pixels.dtype.name)
    return Picture(pixels, mode or next(m for m in MODES if MODES[m] == form), "PNG")


def noisy(pixels, seed=0):
    rng = np.random.default_rng(seed)
    levels = rng.normal(0, 0.02 * np.iinfo(pixels.dtype).max, pixels.shape)
    return np.clip(pixels + levels, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


@pytest.fixture(params=["L", "RGB", "I;16"])
def two(request, grey, photo, monkeypatch):
    """Two images of more than one band of rows."""
    monkeypatch.setattr(comparison, "_BAND_SAMPLES", 70 * 123)
    pixels = {"L": grey[:300, :70], "RGB": photo[:290, :64], "I;16": grey[:300, :70]}[request.param]
    pixels = pixels.astype(np.uint16) * 257 if request.param == "I;16" else pixels
    return picture(pixels), picture(noisy(pixels))


def test_differences_are_those_of_the_samples(two):
    a, b = (np.atleast_3d(each.pixels).astype(float) for each in two)
    found = compare(*two, tolerance=3)
    assert found.largest == np.abs(a - b).max() > 3
    assert found.mean == pytest.approx(np.abs(a - b).mean())
    assert found.differing == np.count_nonzero((a != b).any(axis=2))
    assert 0 < found.beyond == np.count_nonzero((np.abs(a - b) > 3).any(axis=2)) < found.differing


def test_psnr_and_ssim_are_scikit_images(two):
    a, b = (np.atleast_3d(each.pixels) for each in two)
    found = compare(*two)
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(a, b), rel=1e-9)
    expected = structural_similarity(
        a,
        b,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=np.iinfo(a.dtype).max,
    )
    assert found.ssim == pytest.approx(expected, rel=1e-9)


def test_the_histogram_counts_every_sample_once(two):
    a, b = (np.atleast_3d(each.pixels).astype(float) for each in two)
    difference = np.abs(a - b)
    bars = compare(*two).histogram
    assert sum(bar.count for bar in bars) == a.size
    assert bars[0].count == np.count_nonzero(difference == 0)
    for bar in bars[1:]:
        assert bar.count == np.count_nonzero((difference >= bar.low) & (difference < bar.high))
    assert bars[-1].low <= difference.max() < bars[-1].high
    assert len(bars) <= 9


@pytest.mark.parametrize("mode", MODES)
def test_equal_pictures_of_every_mode_are_equal(mode):
    channels, dtype = MODES[mode]
    pixels = np.random.default_rng(0).integers(0, 200, (13, 17, channels)).astype(dtype)
    one = picture(pixels[..., 0] if channels == 1 else pixels, mode)
    found = compare(one, one)
    assert (found.largest, found.mean, found.differing, found.beyond) == (0, 0, 0, 0)
    assert (found.psnr, found.ssim) == (math.inf, 1.0)
    assert [bar.count for bar in found.histogram] == [pixels.size]


@pytest.mark.parametrize(
    ("mode", "largest", "peak"), [("L", 255, 255), ("I;16", 65535, 65535), ("I", 2**32 - 1, 2**32)]
)
def test_the_last_bar_takes_the_largest_difference_there_can_be(mode, largest, peak):
    dtype = MODES[mode][1]
    low = -(2**31) if mode == "I" else 0
    one, other = (picture(np.full((2, 2), v, dtype), mode) for v in (low, low + largest))
    bars = compare(one, other).histogram
    assert (len(bars), bars[-1].count) == (9, 4)
    assert largest < bars[-1].high
    assert compare(one, other).peak == pytest.approx(peak, abs=1)


def test_floats_have_the_range_of_their_samples():
    ramp = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    assert compare(picture(ramp), picture(ramp / 2)).peak == 1
    assert compare(picture(8 * ramp - 2), picture(ramp)).peak == 8
    near = picture(ramp * np.float32(0.9999))
    assert compare(picture(ramp), near).histogram[-1].high == pytest.approx(1e-3)


@pytest.mark.parametrize("level", [5.0, -3.0, 0.25, 0.0, -1e38, 1e-45])
def test_floats_that_are_all_the_same_have_a_histogram(level):
    one, other = (picture(np.full((12, 13), level, np.float32)) for _ in range(2))
    found = compare(one, other)
    assert [(bar.low, bar.high, bar.count) for bar in found.histogram] == [(0, 0, 156)]
    assert (found.peak, found.psnr) == (1, math.inf)
    other.pixels[0, 0] = np.nan
    bars = compare(one, other).histogram
    assert [bar.count for bar in bars if bar.count] == [155, 1]
    assert math.isinf(bars[-1].high)
    # From the second on, each begins where the previous one ends.
    assert all(bar.low < bar.high for bar in bars[1:])


def test_what_is_not_a_number_equals_its_like_alone():
    one = np.ones((12, 12), np.float32)
    one[0, 0], one[0, 1] = np.nan, np.inf
    other = one.copy()
    assert compare(picture(one), picture(other)).largest == 0
    other[0, 0] = 1
    found = compare(picture(one), picture(other))
    assert (found.largest, found.differing, found.psnr) == (math.inf, 1, -math.inf)
    assert found.ssim is None
    assert amplified(picture(one), picture(other), found)[1] == 1


def test_small_pictures_have_no_similarity():
    small = picture(np.zeros((10, 40), np.uint8))
    found = compare(small, picture(np.ones((10, 40), np.uint8)))
    assert (found.ssim, found.no_ssim) == (None, "not defined for images below 11 x 11 pixels")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("other", MODES)
def test_modes_that_differ_in_their_alpha_are_alike(mode, other):
    def of(mode):
        channels, dtype = MODES[mode]
        shape = (3, 4) if channels == 1 else (3, 4, channels)
        return picture(np.zeros(shape, dtype), mode)

    wider = {"L": "LA", "RGB": "RGBA", "I;16": "LA;16", "RGB;16": "RGBA;16"}
    together = mode == other or other == wider.get(mode) or mode == wider.get(other)
    pair = alike(of(mode), of(other))
    assert (pair is not None) == together
    if pair and mode != other:
        assert {pair[0].mode, pair[1].mode} <= set(WITH_ALPHA)
        given = pair[0] if mode in wider else pair[1]
        full = np.iinfo(given.pixels.dtype).max
        assert (given.pixels[..., -1] == full).all()
        assert (given.pixels[..., :-1] == 0).all()


def test_differences_are_amplified_as_far_as_they_go():
    one = np.full((10, 20, 3), 100, np.uint8)
    other = one.copy()
    other[2, 3, 1] = 105
    result, factor = amplified(picture(one), picture(other), compare(picture(one), picture(other)))
    assert factor == 51
    assert result.mode == "RGB"
    assert result.pixels[2, 3].tolist() == [0, 255, 0]
    assert result.pixels.sum() == 255


def test_one_outlier_does_not_hide_the_rest():
    one = np.zeros((20, 20), np.uint8)
    other = np.full((20, 20), 3, np.uint8)
    other[0, 0] = 255
    result, factor = amplified(picture(one), picture(other), compare(picture(one), picture(other)))
    assert factor == 85
    assert (result.pixels == 255).all()


def test_a_difference_of_alpha_is_seen():
    one = np.zeros((4, 4, 4), np.uint8)
    other = one.copy()
    other[1, 1, 3] = 51
    pair = picture(one, "RGBA"), picture(other, "RGBA")
    result, factor = amplified(*pair, compare(*pair))
    assert (result.mode, factor) == ("RGB", 5)
    assert result.pixels[1, 1].tolist() == [255, 255, 255]


# --- the command


@pytest.fixture
def folder(tmp_path, monkeypatch, picture_file, photo):
    """The current folder: `a` and `near` differ by one level in 25 of 3072 pixels."""
    monkeypatch.chdir(tmp_path)
    pixels = photo[100:148, 200:264].copy()
    picture_file("a.png", pixels)
    pixels[5:10, 5:10, 1] -= 1
    picture_file("near.png", pixels)
    picture_file("small.png", pixels[:20])
    picture_file("grey.png", pixels[..., 0])
    picture_file("opaque.png", np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]))
    (tmp_path / "text.png").write_text("no picture\n")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dangling.png").symlink_to("gone.png")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "a.png")
    for name, levels in (("two.gif", [40]), ("three.gif", [40, 80]), ("other.gif", [44])):
        first = Image.new("L", (8, 8))
        more = [Image.new("L", (8, 8), level) for level in levels]
        first.save(tmp_path / name, save_all=True, append_images=more)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (("a.png", "a.png"), 0, "largest difference  0"),
        (("a.png", "near.png"), 1, "pixels that differ  25 (0.814 %)"),
        (("a.png", "near.png", "--tolerance", "1"), 0, "by more than 1      0 (0 %)"),
        (("a.png", "near.png", "--tolerance", "0.99"), 1, "by more than 0.99   25"),
        (("near.png", "opaque.png"), 0, "'near.png' and 'opaque.png': 64 x 48 RGBA"),
        (("a.png", "small.png"), 1, "sizes differ: 64 x 48 and 64 x 20"),
        (("a.png", "grey.png"), 1, "modes differ: RGB and grey"),
        (("two.gif", "two.gif"), 0, "frames              2 and 2; equal after the first"),
        (("two.gif", "other.gif"), 1, "frames              2 and 2; after the first, 2 differs"),
        (("two.gif", "other.gif", "--tolerance", "4"), 0, "equal after the first"),
        (("two.gif", "three.gif"), 1, "frames              2 and 3; not the same number"),
    ],
)
def test_the_status_says_whether_they_are_equal(run, folder, argv, status, said):
    result = run("compare", *argv)
    assert result.status == status
    assert said in result.text
    assert len(result.err.splitlines()) == ("opaque.png" in argv)


def test_of_many_frames_that_differ_the_first_are_named(run, folder):
    for name, level in (("long.gif", 10), ("other.gif", 14)):
        first, *more = (Image.new("L", (8, 8), level * (n > 0) + 9 * n) for n in range(12))
        first.save(folder / name, save_all=True, append_images=more)
    text = run("compare", "long.gif", "other.gif").text
    assert "12 and 12; after the first, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more differ\n" in text


def test_json_always_has_the_same_keys(run, folder):
    others = ("a.png", "near.png", "small.png", "grey.png", "opaque.png")
    objects = [json.loads(run("compare", "a.png", other, "--json").out) for other in others]
    objects.append(json.loads(run("compare", "a.png", "near.png", "-o", "d.png", "--json").out))
    assert len({tuple(each) for each in objects}) == 1
    assert objects[0]["reason"] is None
    assert objects[2]["largest"] is None


def test_a_wider_mode_is_said(run, folder):
    result = run("compare", "near.png", "opaque.png")
    said = "'near.png' and 'opaque.png': note: RGB and RGBA were compared as RGBA"
    assert result.message == f"convcli: {said}"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("small.png", "sizes differ: 64 x 48 and 64 x 20"),
        ("grey.png", "modes differ: RGB and grey"),
    ],
)
def test_where_there_is_nothing_to_draw_it_is_said(run, folder, other, reason):
    result = run("compare", "a.png", other, "-o", "d.png", "--json")
    assert (result.status, json.loads(result.out)["reason"]) == (1, reason)
    assert result.message == f"convcli: note: 'd.png' was not written, because {reason}"
    assert not (folder / "d.png").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("a.png", "gone.png"), "'gone.png': No such file or directory"),
        (("a.png", "text.png"), "'text.png': is not an image in a known format"),
        (("dir", "a.png"), "'dir': Is a directory"),
        (("-", "a.png"), "standard input: is empty"),
        (("-", "-"), r"standard input \('-'\) can be only one of the two images"),
        (
            ("a.png", "near.png", "-o", "grey.png"),
            "'grey.png' exists; use --overwrite to replace it",
        ),
        (
            ("a.png", "near.png", "-o", "dangling.png"),
            "'dangling.png' exists; use --overwrite to replace it",
        ),
        (("a.png", "near.png", "-fo", "a.png"), "-o 'a.png' is one of the two inputs"),
        (("a.png", "near.png", "-fo", "dir/../near.png"), "near.png' is one of the two inputs"),
        (("a.png", "near.png", "-fo", "hard.png"), "'hard.png' is one of the two inputs"),
        (
            ("a.png", "near.png", "-o", "d.psd"),
            "'d.psd': the suffix '.psd' is unknown; use .png, .*or .zarr",
        ),
        (("a.png", "near.png", "-o", "no/d.png"), "cannot write 'no/d.png': No such file"),
        (("a.png", "near.png", "--tolerance", "-1"), "tolerance must be at least 0, not -1"),
        (("a.png", "near.png", "--tolerance", "nan"), "tolerance must be a finite number"),
        (("a.png", "near.png", "--max-pixels", "100"), "'a.png': has more than 100 pixels"),
        (("a.png",), "B is missing"),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_2(run, folder, argv, message):
    before = sorted(folder.iterdir())
    result = run("compare", *argv)
    assert (result.status, result.out) == (2, b"")
    assert re.search(message, result.message)
    assert sorted(folder.iterdir()) == before


def test_json_is_one_object_without_infinities(run, folder):
    def no_constant(word):
        raise AssertionError(word)

    found = json.loads(run("compare", "a.png", "a.png", "--json").out, parse_constant=no_constant)
    assert found["equal"]
    assert found["psnr"] is None
    found = json.loads(run("compare", "a.png", "near.png", "--json", "-o", "d.png").out)
    assert (found["equal"], found["differing"], found["factor"]) == (False, 25, 255)
    assert found["histogram"] == [[0.0, 0.0, 3 * 3072 - 25], [1.0, 2.0, 25]]
    found = json.loads(run("compare", "a.png", "small.png", "--json").out)
    assert (found["equal"], found["reason"]) == (False, "sizes differ: 64 x 48 and 64 x 20")


COLOURED = [row.suffixes[0] for row in FORMATS.values() if {"RGB", "RGBA"} & {*row.modes}]


@pytest.mark.parametrize("suffix", COLOURED)
def test_the_differences_are_written(run, folder, suffix):
    result = run("compare", "a.png", "near.png", "-o", f"d{suffix}")
    assert (result.status, result.err) == (1, "")
    assert result.text.endswith(f"wrote 'd{suffix}': differences, amplified 255 times\n")
    shown = read(folder / f"d{suffix}").pixels.astype(int)
    assert shown[7, 7, 1] > 150
    assert shown[30, 40].max() < 50


def test_differences_replace_others_where_that_is_asked_for(run, folder):
    (folder / "d.png").write_text("older")
    assert run("compare", "a.png", "near.png", "-o", "d.png", "-f").status == 1
    assert read(folder / "d.png").pixels.shape == (48, 64, 3)


def test_without_scikit_image_there_is_a_hint(run, folder, monkeypatch):
    monkeypatch.setattr(comparison, "find_spec", lambda name: None)
    result = run("compare", "a.png", "near.png")
    assert result.status == 1
    assert "SSIM                needs the package scikit-image; pip install" in result.text
    assert json.loads(run("compare", "a.png", "near.png", "--json").out)["ssim"] is None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_an_answer_that_cannot_be_given_is_none(folder):
    """Status 1 would mean that they differ, to a script that reads nothing else."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convcli", "compare", "a.png", "a.png"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    message = "convcli: No space left on device (standard output)\n"
    assert (done.returncode, done.stderr) == (2, message)


def test_memory_that_runs_out_is_no_answer(run, folder, monkeypatch):
    def full(*arguments):
        raise MemoryError

    monkeypatch.setattr(comparison, "compare", full)
    result = run("compare", "a.png", "a.png")
    assert (result.status, result.message) == (2, "convcli: needs more memory than there is")


def test_pictures_come_from_pipes(run, folder):
    content = (folder / "a.png").read_bytes()
    assert run("compare", "-", "a.png", stdin=content).status == 0
    os.mkfifo("fifo")
    writer = threading.Thread(target=(folder / "fifo").write_bytes, args=(content,))
    writer.start()
    assert run("compare", "fifo", "near.png").status == 1
    writer.join()


def test_the_histogram_is_ascii_in_a_pipe_and_blocks_on_a_terminal(run, terminal, folder):
    piped = run("compare", "a.png", "near.png").text
    assert piped.isascii()
    assert "            equal   99.729 % ####" in piped
    seen = terminal("compare", "a.png", "near.png", columns=40, cwd=folder).text
    assert "             by 1    0.271 % \N{FULL BLOCK}\n" in seen
    assert all(len(line) <= 40 for line in seen.splitlines())


def test_a_video_is_not_taken_for_its_luma(run, folder):
    (folder / "a.y4m").write_bytes(b"YUV4MPEG2 W1 H1 Cmono\nFRAME\n\0")
    result = run("compare", "a.y4m", "a.y4m")
    assert result.status == 2
    assert result.err.startswith("convcli: 'a.y4m': is a video, and compare takes images")
