"""The note on a dark result: when there is one, and what it names."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


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
