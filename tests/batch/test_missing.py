"""Missing samples of files: --nan, --nodata, and the no-data value that a TIFF states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convcli
from convcli.image import read
from convcli.sources import choice
from tests.image import tiffs

NODATA = 42113
PIXELS = np.random.default_rng(0).normal(100, 10, (40, 50)).astype(np.float32)
PIXELS[10:20, 10:20] = -9999
PIXELS[30, 40] = np.nan
BLUR = ("blur", "a.tif", "-o", "b.tif", "--sigma", "2")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def save(pixels, stated=None, name="a.tif"):
        tags = {} if stated is None else {NODATA: stated}
        Image.fromarray(pixels).save(name, tiffinfo=tags)

    return save


@pytest.mark.parametrize("stated", ["-9999", "-9999.0 ", "-9.999e3\0"])
def test_the_value_of_a_tiff_is_left_out_and_kept(run, here, stated):
    here(PIXELS, stated)
    result = run(*BLUR, "--json", "-f")
    note = "left out its no-data value, -9999"
    record = json.loads(result.out)
    assert (record["left_out"], record["notes"]) == (101, [note])
    assert f"convcli: 'a.tif': note: {note}" in result.err
    np.testing.assert_array_equal(
        read(Path("b.tif")).pixels, convcli.blur(PIXELS, 2.0, nodata=-9999)
    )
    with Image.open("b.tif") as file:
        assert file.tag_v2[NODATA].strip("\0 ") == stated.strip("\0 ")


@pytest.mark.parametrize(
    ("stated", "options", "meant", "left_out"),
    [
        ("-9999", ("--nan", "keep"), {}, None),
        ("-9999", ("--nan", "skip"), {"nodata": -9999}, 101),
        ("5", (), {"nodata": 5}, 1),
        ("5", ("--nodata", "-9999"), {"nodata": -9999}, 101),
        (None, ("--nodata", "-9999", "--nan", "skip"), {"nodata": -9999}, 101),
        (None, ("--nan", "skip"), {"nan": "skip"}, 1),
        ("nan", (), {"nan": "skip"}, 1),
        ("none", (), {}, None),
        (None, (), {}, None),
    ],
)  # fmt: skip
def test_options_decide(run, here, stated, options, meant, left_out):
    here(PIXELS, stated)
    result = run(*BLUR, *options, "--json")
    np.testing.assert_array_equal(read(Path("b.tif")).pixels, convcli.blur(PIXELS, 2.0, **meant))
    assert json.loads(result.out)["left_out"] == left_out


def test_integers_have_a_no_data_value_too(run, here):
    pixels = np.nan_to_num(PIXELS).clip(1, 200).astype(np.uint8)
    pixels[:, :5] = 0
    here(pixels, "0")
    assert run(*BLUR).status == 0
    np.testing.assert_array_equal(read(Path("b.tif")).pixels, convcli.blur(pixels, 2.0, nodata=0))


@pytest.mark.parametrize(
    ("photometric", "bits", "is_stated"),
    [(1, 8, True), (1, 16, True), (1, 12, True), (1, 4, False), (0, 8, False), (0, 16, False)],
)
def test_inverted_and_scaled_samples_no_longer_have_it(photometric, bits, is_stated):
    samples = np.arange(12, dtype=np.uint16).reshape(3, 4, 1)
    tags = {NODATA: (2, b"3\0")}
    page = tiffs.page_of(samples, photometric, bits=bits, tags=tags)
    assert read(tiffs.file_of(page)).nodata == (3 if is_stated else None)


def test_samples_of_pages_have_each_its_own(run, here):
    here(PIXELS)
    pages = [
        tiffs.page_of(PIXELS[..., None], 1, bits=32, form=3, tags={NODATA: (2, value)})
        for value in (b"-9999\0", b"5\0\0\0\0")
    ]
    Path("a.tif").write_bytes(tiffs.file_of(*pages))
    assert json.loads(run(*BLUR, "--json").out)["left_out"] == 102
    first, second = read(Path("b.tif")).all_frames()
    np.testing.assert_array_equal(first.pixels, convcli.blur(PIXELS, 2.0, nodata=-9999))
    np.testing.assert_array_equal(second.pixels, convcli.blur(PIXELS, 2.0, nodata=5))


@pytest.mark.parametrize("command", ["edge", "sharpen", "filter"])
def test_every_filter_has_the_options(run, here, command):
    here(PIXELS)
    more = ("-k", "laplacian") if command == "filter" else ()
    options = ("--nodata", "-9999", "-m", "numpy")
    assert run(command, "a.tif", "-o", "b.tif", *more, *options).status == 0
    result = read(Path("b.tif")).pixels
    assert np.abs(result[result != -9999]).max() < 500
    assert (result[14:16, 14:16] == -9999).all()
    assert run("compare", "b.tif", "b.tif").status == 0


def test_a_contradiction_is_refused(run, here):
    here(PIXELS)
    result = run(*BLUR, "--nan", "keep", "--nodata", "0")
    assert (result.status, result.message) == (
        2,
        "convcli: --nan keep and --nodata cannot be used together: one keeps what the other leaves "
        "out; leave one out",
    )


def test_a_bank_has_neither(run, here):
    here(PIXELS, "-9999")
    assert run("bank", "haar", "a.tif", "-o", "m/", "--nodata", "0").status == 2
    result = run("bank", "haar", "a.tif", "-o", "m/")
    assert result.status == 0
    assert "left out" not in result.err


@pytest.mark.parametrize("takes", [0, 1 << 40], ids=["whole", "in parts"])
@pytest.mark.parametrize(
    ("dtype", "value", "depth", "stated", "missing", "note"),
    [
        ("uint8", 255, "16", "65535", 65535, "scaled its no-data value to 65535"),
        ("uint16", 0, "8", "0", 0, ""),
        ("uint8", 255, "float32", "255", 255, ""),
        ("float32", -9999, "float32", "-9999", -9999, ""),
        ("float32", -9999, "8", None, 0, "dropped its no-data value, -9999, which 8-bit samples "
         "cannot hold; samples that are still missing became 0"),
        ("float32", 9999, "16", None, 65535, "dropped its no-data value, 9999, which 16-bit "
         "samples cannot hold; samples that are still missing became 65535"),
    ],
)  # fmt: skip
def test_the_stated_value_is_that_of_the_depth(
    run, here, monkeypatch, dtype, value, depth, stated, missing, note, takes
):
    monkeypatch.setattr(choice, "bytes_of", lambda *_: takes)
    pixels = np.full((64, 64), 1, dtype)
    pixels[20:40, 20:40] = value
    here(pixels, str(value))
    result = run(*BLUR, "--depth", depth, "--json")
    assert result.status == 0, result.err
    with Image.open("b.tif") as file:
        assert np.asarray(file)[30, 30] == missing
        found = file.tag_v2.get(NODATA)
    assert (found and found.strip("\0 ")) == stated
    notes = json.loads(result.out)["notes"]
    assert [each for each in notes if "left out" not in each] == ([note] if note else [])
