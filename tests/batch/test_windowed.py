"""Images that do not fit into --memory, from the command line."""

from __future__ import annotations

import errno
import json
import os
from functools import partial

import numpy as np
import pytest
import tifffile

from convcli import memory
from convcli.files import writing
from convcli.filtering import filters

blur, edge = (partial(each, method="numpy") for each in (filters.blur, filters.edge))

# Enough for bands of an image of 512 x 512 pixels, and too little to read it.
SMALL = ("--memory", "5M")
TINY = ("--memory", "1.9M")


@pytest.fixture
def run(run):
    """Methods may differ by a level: `auto` takes another one once loops are compiled."""
    return lambda *argv: run(*argv, "--method", "numpy")


@pytest.fixture(autouse=True)
def interpreter_that_holds_nothing(monkeypatch):
    """The process of the tests is larger than --memory here."""
    monkeypatch.setattr(memory, "held", int)


@pytest.fixture
def slide(tmp_path, photo):
    """A tiled TIFF of 512 x 512 pixels of colour: whole it takes 2 MB and more."""
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, photo, tile=(64, 64), compression="lzw", description="stain")
    return path


def test_a_tiff_that_does_not_fit_equals_one_that_does(run, slide, tmp_path, photo):
    done = run("blur", slide, *SMALL, "--max-pixels", 1000)
    assert (done.status, done.out) == (0, b"")
    assert done.message.startswith(f"wrote {str(tmp_path / 'slide.blur.tif')!r}: 512 x 512 RGB, ")
    with tifffile.TiffFile(tmp_path / "slide.blur.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].description == "stain"
        np.testing.assert_array_equal(file.asarray(), blur(photo, method="numpy"))
    assert run("blur", slide, "-o", tmp_path / "whole.tif").status == 0
    whole = tifffile.imread(tmp_path / "whole.tif")
    np.testing.assert_array_equal(whole, blur(photo, method="numpy"))


def test_an_array_becomes_an_array_or_a_tiff(run, tmp_path, photo):
    photo = np.tile(photo, (4, 1, 1))
    np.save(tmp_path / "a.npy", photo)
    for name in ("b.npy", "b.tif"):
        done = run(
            "edge",
            tmp_path / "a.npy",
            "-o",
            tmp_path / name,
            "--memory",
            "5M",
            "--json",
        )
        assert (done.status, json.loads(done.out)["mode"]) == (0, "L")
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), edge(photo))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), edge(photo))


def test_the_peak_is_predicted_and_the_tiles_are_counted(run, slide, tmp_path):
    done = run("blur", slide, "-o", tmp_path / "b.tif", "--explain", *SMALL)
    first, *_ = done.err.splitlines()
    assert first.startswith(f"convcli: {str(slide)!r}: at most ")
    assert " of 5.2 MB, in bands of " in first
    assert "tiles      64, decoded 64 times (1.00 each)" in done.err


def test_json_says_what_it_says_of_others(run, slide, tmp_path):
    done = run("blur", slide, "-o", tmp_path / "b.tif", "--json", *SMALL)
    fields = json.loads(done.out)
    assert (fields["status"], fields["width"], fields["mode"]) == ("written", 512, "RGB")


REFUSED = {
    ("--memory", "lots"): (2, "--memory must be a size such as 500M or 2G, not 'lots'"),
    ("--memory", "9k"): (1, "raise --memory"),
    (*TINY, "-o", "b.png"): (1, "PNG is not written in parts; write TIFF, .npy or zarr instead"),
    (*SMALL, "-o", "slide.tif"): (2, "is both input and output"),
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_cannot_be_done_is_said_in_one_line(options, run, slide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = slide.read_bytes()
    done = run("blur", slide, *options)
    status, text = REFUSED[options]
    assert done.status == status
    assert text in done.message
    assert (os.listdir(tmp_path), slide.read_bytes()) == (["slide.tif"], before)


def test_an_image_that_is_read_whole_is_refused_if_it_takes_more(run, picture_file, photo):
    done = run("blur", picture_file("a.png", photo), "--memory", "1M", "-o", "b.png")
    assert done.status == 1
    assert "needs at least 1.6 MB, and may hold 1.0 MB; raise --memory" in done.message


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("edge", "--stretch"), "--stretch needs the whole image, and cannot be done in parts"),
        (("edge", "--canny", "20,40"), "--canny needs the whole image"),
        (
            ("blur", "--region", "9x9+0+0", "--border", "wrap"),
            "need the whole image with --border",
        ),
        (("chain", "blur | edge --stretch"), "--stretch needs the whole image"),
    ],
)
def test_what_needs_the_whole_image_is_refused(argv, text, run, slide, tmp_path):
    done = run(*argv, slide, "-o", tmp_path / "b.tif", *TINY)
    assert done.status == 1
    assert text in done.message
    assert not (tmp_path / "b.tif").exists()


PARTS = {
    ("blur", "--region", "90x80+10+300"): None,
    ("sharpen", "--mask", "mask.png", "--sigma", "1"): None,
    ("chain", "blur --sigma 1 | sharpen", "--channels", "r"): None,
    ("edge", "--mask", "black.png"): "filtered nothing, because the mask is black",
}


@pytest.mark.parametrize("argv", PARTS)
def test_a_part_of_what_does_not_fit_is_that_of_what_does(
    argv, run, tmp_path, photo, picture_file, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.tile(photo, (4, 1, 1)))
    picture_file("mask.png", np.tile(np.arange(256, dtype=np.uint8), (2048, 2)))
    picture_file("black.png", np.zeros((2048, 512), np.uint8))
    with monkeypatch.context() as patch:
        patch.setattr("convcli.sources.choice.bytes_of", lambda *_: 1 << 40)
        done = run(*argv, "a.npy", "-o", "b.npy", "--memory", "30M", "--explain")
    assert done.status == 0, done.err
    assert "in bands of " in done.err
    assert (PARTS[argv] or "") in done.err
    assert run(*argv, "a.npy", "-o", "whole.npy").status == 0
    np.testing.assert_array_equal(np.load("b.npy"), np.load("whole.npy"))


def test_a_full_disk_leaves_nothing(run, slide, tmp_path, monkeypatch):
    written = 0

    def write(self, data, original=writing.io.BufferedRandom.write):
        nonlocal written
        written += len(data)
        if written > 300_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, data)

    monkeypatch.setattr(writing._Whole, "write", write)
    done = run("blur", slide, "-o", tmp_path / "b.tif", *SMALL)
    assert done.status == 1
    assert f"cannot write {str(tmp_path / 'b.tif')!r}: No space left on device" in done.message
    assert os.listdir(tmp_path) == ["slide.tif"]


def test_the_rest_of_a_batch_is_done(run, slide, tmp_path, photo):
    content = slide.read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    with tifffile.TiffFile(slide) as file:
        at = file.pages[0].dataoffsets[40]
    (tmp_path / "damaged.tif").write_bytes(content[:at] + b"\xff" * 30 + content[at + 30 :])
    np.save(tmp_path / "a.npy", photo)
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    done = run("blur", tmp_path, "-r", "-o", tmp_path / "out", *SMALL)
    assert done.status == 1
    lines = done.err.splitlines()
    assert lines[-1] == "2 written, 3 failed, 0 skipped"
    for name, reason in {
        "cut.tif": "truncated", "damaged.tif": "tile 41 of 64", "b.npy": "truncated"
    }.items():  # fmt: skip
        (line,) = (line for line in lines if name in line)
        assert reason in line
    assert sorted(os.listdir(tmp_path / "out")) == ["a.npy", "slide.tif"]


def test_a_photo_is_not_written_in_parts(run, picture_file, tmp_path):
    done = run("blur", picture_file("a.png"), "-o", tmp_path / "a.zarr")
    assert done.status == 1
    assert "zarr is written in parts, of images in TIFF, .npy and zarr" in done.message


def test_what_needs_the_whole_is_done_whole_where_no_memory_is_named(
    run, slide, tmp_path, photo, monkeypatch
):
    monkeypatch.setattr(memory, "bound", lambda asked: asked or 1000)
    argv = ("edge", slide, "--stretch", "-o", tmp_path / "b.tif")
    assert run(*argv).status == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), edge(photo, stretch=True))
    assert run(*argv, "-f", *SMALL).status == 0  # which it fits into


@pytest.mark.parametrize(("workers", "is_in_parts"), [(1, False), (2, True)])
def test_an_image_is_read_whole_where_it_fits_beside_what_the_workers_take(
    workers, is_in_parts, run, tmp_path
):
    np.save(tmp_path / "a.npy", np.zeros((90, 200), np.uint8))
    argv = ("blur", tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--memory", "150M", "--explain")
    done = run(*argv, "--workers", workers)
    assert done.status == 0, done.err
    assert ("in bands of" in done.err) == is_in_parts


@pytest.mark.parametrize(("options", "is_in_parts"), [((), False), (("--depth", "16"), True)])
def test_a_depth_takes_more_memory(run, tmp_path, options, is_in_parts, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((9000, 200), np.uint8))  # 3.6 MB with its result
    monkeypatch.setattr(memory, "bound", lambda _asked: 6_000_000)
    done = run("blur", tmp_path / "a.npy", "-o", tmp_path / "b.npy", *options, "--explain")
    assert done.status == 0, done.err
    assert ("in bands of" in done.err) == is_in_parts


@pytest.mark.parametrize("memory_", ["3M", "60M"])
def test_a_note_says_how_far_missing_samples_may_change_others(memory_, run, tmp_path, monkeypatch):
    monkeypatch.setattr("convcli.sources.choice.bytes_of", lambda *_: 1 << 40)
    np.save(tmp_path / "a.npy", np.full((2000, 300), np.nan, np.float32))
    done = run("blur", tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--memory", memory_)
    assert done.status == 0, done.err
    note = "in the tiles around missing or extreme samples the last digit may differ"
    assert (note in done.err) == (memory_ == "3M")
