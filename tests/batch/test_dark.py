"""The note on a dark result: when there is one, and what it names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from convcli import memory
from convcli.batch import dark


@pytest.fixture(params=["L", "RGBA"])
def soft(request, tmp_path, monkeypatch, photo):
    """A photo without sharp edges, in the working folder; the hard one is noise."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:60, :80]
    soft = np.rint(100 + 50 * np.sin(x / 20) * np.cos(y / 15)).astype(np.uint8)
    hard = np.random.default_rng(1).integers(0, 256, (60, 80), dtype=np.uint8)
    for name, samples in (("a.png", soft), ("hard.png", hard)):
        Image.fromarray(samples).convert(request.param).save(name)


STRETCH = "--stretch makes the strongest white"


@pytest.mark.parametrize(
    ("argv", "ends"),
    [
        (("edge", "a.png"), STRETCH),
        (("chain", "blur --sigma 1 | edge", "a.png"), STRETCH),
        (("edge", "a.png", "--stretch"), None),
        (("edge", "a.png", "--show", "angle"), None),
        (("edge", "a.png", "--canny", "1,2"), None),
        (("edge", "a.png", "--show", "x", "--sigma", "1"), "--stretch shows them"),
        (("edge", "hard.png"), None),
        (("filter", "a.png", "-k", "laplacian"), "--stretch or --bias 128 shows them"),
        (("filter", "a.png", "-k", "laplacian", "--bias", "128"), None),
        (("filter", "a.png", "-k", "laplacian", "--stretch"), None),
        (("filter", "a.png", "-k", "laplacian", "--depth", "16"), None),
        (("filter", "a.png", "-k", "box:3"), None),
        (("edge", "a.png", "--region", "9x9+1+1"), None),
        (("sharpen", "a.png"), None),
    ],
)
def test_a_dark_result_is_explained(run, soft, argv, ends):
    result = run(*argv, "-o", "out.png")
    assert result.status == 0
    notes = [line for line in result.err.splitlines() if "note: " in line]
    assert len(notes) == bool(ends)
    if ends:
        assert notes[0].startswith("convcli: 'a.png': note: ")
        assert notes[0].endswith(ends)
        assert "black, because" in notes[0]


@pytest.mark.parametrize(
    ("argv", "ends"),
    [
        (("edge",), STRETCH),
        (("filter", "-k", "laplacian"), "--stretch or --bias 128 shows them"),
        (("filter", "-k", "box:3"), None),
    ],
)
def test_so_is_that_of_an_image_in_parts(run, tmp_path, monkeypatch, argv, ends):
    """The note is the same, but for a share that is of fewer pixels."""
    monkeypatch.setattr(dark, "_KEPT", 1 << 14)
    monkeypatch.setattr(memory, "held", int)
    y, x = np.mgrid[:1200, :1000]
    soft = np.rint(100 + 50 * np.sin(x / 200) * np.cos(y / 150)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", soft, tile=(64, 64))
    monkeypatch.chdir(tmp_path)
    words = (argv[0], "a.tif", *argv[1:], "--json", "-m", "numpy")
    whole, parts = (
        json.loads(run(*words, *options).out)
        for options in (("-o", "b.tif"), ("-o", "c.tif", "--memory", "1.5M"))
    )
    assert [*parts["times"]] == ["start", "all"]
    in_whole, in_parts = (
        [note.split(" ", 1) for note in done["notes"] if "black" in note] for done in (whole, parts)
    )
    assert [text for _, text in in_parts] == [text for _, text in in_whole]
    assert len(in_parts) == bool(ends)
    if ends:
        assert in_parts[0][1].endswith(ends)
        assert int(in_parts[0][0]) == pytest.approx(int(in_whole[0][0]), abs=3)
