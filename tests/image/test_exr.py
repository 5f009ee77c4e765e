"""OpenEXR: channels, types and attributes as the OpenEXR package reads them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import OpenEXR
import pytest
from scipy import ndimage

from convcli import ConvcliError
from convcli.batch.pipeline import Pipeline
from convcli.batch.run import run
from convcli.files.job import Job
from convcli.filtering import filters
from convcli.image import limit_pixels, read

HALF, FLOAT = np.float16, np.float32
SHAPE = 19, 23

CHANNELS = {
    "RGB": {"R": HALF, "G": HALF, "B": HALF},
    "RGBA": {"R": HALF, "G": HALF, "B": HALF, "A": HALF},
    "grey": {"Y": FLOAT},
    "depth": {"R": HALF, "G": HALF, "B": HALF, "A": HALF, "Z": FLOAT},
    "layers": {"diffuse.R": HALF, "diffuse.G": FLOAT, "N.x": HALF},
    "one of them": {"Z": FLOAT},
}
MODES = {"RGB": "RGB;32F", "RGBA": "RGBA;32F", "grey": "F", "depth": "5;32F", "layers": "3;32F",
         "one of them": "1;32F"}  # fmt: skip


def made(path, kind, **header):
    noise = np.random.default_rng(1)
    samples = {
        name: (noise.random(SHAPE) * 3 - 1).astype(dtype) for name, dtype in CHANNELS[kind].items()
    }
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION} | header, dict(samples)).write(str(path))
    return samples


def channels_of(path):
    found = OpenEXR.File(str(path), separate_channels=True).channels()
    return {name: channel.pixels for name, channel in found.items()}


def filtered(path, verb, target="b.exr", **options):
    job = Job(
        path, path.with_name(target), target.rpartition(".")[2].upper().replace("TIF", "TIFF")
    )
    (outcome,) = run([job], Pipeline(verb, {"method": "numpy", **options}), 1)
    return outcome, path.with_name(target)


def blurred(image, **options):
    return filters.blur(image, 1.0, **options)


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_channel_is_filtered_and_keeps_name_and_type(kind, tmp_path):
    path = tmp_path / "a.exr"
    samples = made(path, kind)
    for source in (path, path.read_bytes()):
        assert read(source).mode == MODES[kind]
    outcome, target = filtered(path, blurred, alpha="weight")
    assert (outcome.status, outcome.reason, outcome.notes) == ("written", "", ())
    got = channels_of(target)
    assert {name: each.dtype for name, each in got.items()} == CHANNELS[kind]
    for name, given in samples.items():
        wanted = ndimage.gaussian_filter(given.astype(float), 1.0, mode="reflect", truncate=4)
        most = 1e-3 if given.dtype == HALF else 1e-6
        np.testing.assert_allclose(got[name], wanted, atol=most)


def test_windows_and_attributes_are_kept(tmp_path):
    path = tmp_path / "a.exr"
    window = np.array([5, -6], np.int32), np.array([5 + SHAPE[1] - 1, -6 + SHAPE[0] - 1], np.int32)
    display = np.array([0, 0], np.int32), np.array([99, 49], np.int32)
    made(path, "RGB", dataWindow=window, displayWindow=display, comments="hello", xDensity=72.0)
    _, target = filtered(path, blurred)
    before, after = (OpenEXR.File(str(each)).header() for each in (path, target))
    for name in ("dataWindow", "displayWindow", "comments", "xDensity", "compression"):
        np.testing.assert_array_equal(before[name], after[name])


def test_integers_are_left_alone(tmp_path):
    path = tmp_path / "a.exr"
    names = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint32).reshape(SHAPE)
    OpenEXR.File({}, {"Y": np.ones(SHAPE, FLOAT), "Z": np.ones(SHAPE, FLOAT), "id": names}).write(
        str(path)
    )
    outcome, target = filtered(path, blurred)
    assert outcome.notes == ("left its channels of integers as they are (id)",)
    np.testing.assert_array_equal(channels_of(target)["id"], names)


@pytest.mark.parametrize(("kind", "name"), [("RGB", "Y"), ("RGBA", "Y"), ("layers", None)])
def test_edges_are_of_the_luminance_or_of_each_channel(kind, name, tmp_path):
    path = tmp_path / "a.exr"
    samples = made(path, kind)
    outcome, target = filtered(path, filters.edge, linear=True)
    assert outcome.notes == ("ignored --linear, because OpenEXR stores linear light",)
    got = channels_of(target)
    assert set(got) == ({name} if name else set(samples))
    if name:
        colour = np.stack([samples[each].astype(FLOAT) for each in "RGB"], -1)
        wanted = filters.edge(colour).astype(HALF)
        np.testing.assert_allclose(got[name], wanted, atol=1e-3)


def test_other_formats_say_what_they_get(tmp_path):
    path = tmp_path / "a.exr"
    samples = made(path, "RGBA")
    outcome, target = filtered(path, lambda image, **_: image, "b.npy")
    assert outcome.notes == (
        "wrote linear light and colours multiplied by its alpha, as OpenEXR stores them",
    )
    np.testing.assert_array_equal(np.load(target)[..., 3], samples["A"].astype(FLOAT))
    with pytest.raises(
        ConvcliError, match="JPEG cannot hold 4 float bands; write TIFF, OpenEXR or"
    ):
        read(path, "JPEG")


def parts(path):
    OpenEXR.File([OpenEXR.Part({}, {"Z": np.ones(SHAPE, FLOAT)}, name) for name in "ab"]).write(
        path
    )


def integers(path):
    OpenEXR.File({}, {"id": np.ones(SHAPE, np.uint32)}).write(path)


BAD = {"has 2 parts": parts, "no channel of floats": integers}


@pytest.mark.parametrize("reason", BAD)
def test_what_is_not_filtered_is_refused_by_name(reason, tmp_path):
    BAD[reason](str(tmp_path / "a.exr"))
    with pytest.raises(ConvcliError, match=reason):
        read(tmp_path / "a.exr")


def test_damage_is_refused_and_nothing_is_printed(tmp_path, capfd):
    path = tmp_path / "a.exr"
    made(path, "depth")
    content = path.read_bytes()
    for damaged in (content[:9], content[:700], content[:-1000], content[:-900] + bytes(900)):
        with pytest.raises(ConvcliError, match="is truncated, damaged"):
            read(damaged)
    assert capfd.readouterr().out == ""


def test_the_limit_counts_before_pixels_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", None)
    path = tmp_path / "a.exr"
    made(path, "RGB")
    limit_pixels(100)
    with pytest.raises(ConvcliError, match="more than 100 pixels; --max-pixels"):
        read(path)


def test_a_pipe_holds_nothing_but_the_image(tmp_path):
    made(tmp_path / "a.exr", "depth")
    content = (tmp_path / "a.exr").read_bytes()
    command = [sys.executable, "-m", "convcli", "filter", "-k", "identity"]
    done = subprocess.run(command, input=content, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "b.exr").write_bytes(done.stdout)
    for name, pixels in channels_of(tmp_path / "b.exr").items():
        np.testing.assert_array_equal(pixels, channels_of(tmp_path / "a.exr")[name])
    done = subprocess.run(command, input=content[:-1000], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
