"""numpy's RuntimeWarnings never reach a user, also where they are errors (-W error)."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

METHODS = ["numpy", "numba", "fft", "tiled"]
COMMANDS = {
    "blur": ["blur", "--sigma", "2"],
    "exact": ["blur", "--sigma", "12", "--exact"],
    "edge": ["edge"],
    "stretch": ["edge", "--stretch"],
    "angle": ["edge", "--show", "angle"],
    "x": ["edge", "--show", "x", "--stretch"],
    "laplacian": ["edge", "--show", "laplacian", "--sigma", "2", "--stretch"],
    "canny": ["edge", "--canny", "20,40"],
    "filter": ["filter", "-k", "gaussian-x:1", "--stretch"],
    "sharpen": ["sharpen", "--sigma", "1", "--amount", "9", "--threshold", "1"],
    "bias": ["filter", "--kernel", "laplacian", "--bias", "1e30"],
    "scale": ["filter", "--kernel", "gaussian:3", "--scale", "1e10"],
    "ring": ["filter", "--kernel", "1 1 1; 1 0 1; 1 1 1", "--normalize"],
}


@pytest.fixture(scope="module")
def odd_images(tmp_path_factory):
    """Floats of every size, NaN and infinity among them, and integers at their limits."""
    folder = tmp_path_factory.mktemp("odd")
    rng = np.random.default_rng(0)
    floats = rng.random((60, 70)).astype(np.float32)
    floats[20:30] = np.finfo(np.float32).max
    floats[5, 5], floats[40, 40], floats[50, 50], floats[55] = np.nan, np.inf, -3.4e38, 1e-40
    integers = rng.integers(-(2**31), 2**31, (60, 70))
    integers[:20], integers[40:] = 2**31 - 1, -(2**31)
    Image.fromarray(floats).save(folder / "floats.tif")
    Image.fromarray(integers.astype(np.int32)).save(folder / "integers.tif")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["floats", "integers"])
def test_no_command_warns_of_odd_samples(run, odd_images, tmp_path, command, method, name):
    source, target = odd_images / f"{name}.tif", tmp_path / "out.tif"
    done = run(*COMMANDS[command], source, "--method", method, "-w", 2, "-o", target)
    assert done.status == 0
    assert "Warning" not in done.err
    result = tifffile.imread(target)
    assert result.shape == (60, 70)
    if name == "integers" and command in ("blur", "ring"):
        assert (result[:5] == 2**31 - 1).all()
        assert (result[-5:] == -(2**31)).all()


@pytest.mark.parametrize("name", ["floats", "integers"])
def test_compare_does_not_warn_of_odd_samples(run, odd_images, tmp_path, name):
    blurred = tmp_path / "out.tif"
    assert run("blur", odd_images / f"{name}.tif", "--sigma", 2, "-o", blurred).status == 0
    done = run("compare", odd_images / f"{name}.tif", blurred, "-o", tmp_path / "d.png")
    assert done.status == 1
    assert done.err == ""
