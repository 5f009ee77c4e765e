"""Each row of docs/migration.md: both sides are run, and differ by no more than the page says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convcli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/migration.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(.*?)` \| `(.*?)` \| ([\d.e-]+) \|", re.M)
HAS_CV2 = find_spec("cv2") is not None
TOOLS = {
    "scipy.ndimage": True,
    "scikit-image": True,
    "OpenCV": HAS_CV2,
    "ImageMagick": shutil.which("convert") is not None,
    "vips": shutil.which("vips") is not None,
}


def rows(*tools):
    sections = {part.split("\n", 1)[0]: part for part in PAGE.split("\n## ")}
    return [
        pytest.param(tool, theirs, ours, float(limit), id=f"{tool}: {theirs} = {ours}")
        for tool in tools
        if TOOLS[tool]
        for theirs, ours, limit in ROW.findall(sections[tool])
    ]


@pytest.fixture(scope="module")
def scene():
    """A part of the scene, for the sake of time, in RGB."""
    return Image.open(ROOT / "examples" / "scene.png").crop((330, 60, 630, 360))


@pytest.fixture(scope="module")
def names(scene):
    """What the calls of the page name, and what of it depends on the tool."""
    from scipy import ndimage
    from skimage import filters

    image = np.asarray(scene.convert("L"))
    names = {name: getattr(convcli, name) for name in ("blur", "edge", "sharpen", "convolve")}
    names |= {"ndimage": ndimage, "filters": filters, "image": image, "colour": np.asarray(scene)}
    names["kernel"] = np.arange(1, 13).reshape(3, 4) / 78
    if HAS_CV2:
        import cv2

        names["cv2"] = cv2
    real = {"scipy.ndimage": image.astype(float), "scikit-image": image / 255}
    return names, real | {"OpenCV": image.astype("f4")}


def check(theirs, ours, limit):
    assert theirs.shape == ours.shape
    largest = np.abs(theirs.astype(float) - ours).max()
    assert largest <= limit
    assert largest >= limit / 2 or limit < 0.01  # differences by rounding alone vary


@pytest.mark.parametrize(
    ("tool", "theirs", "ours", "limit"), rows("scipy.ndimage", "scikit-image", "OpenCV")
)
def test_a_call(tool, theirs, ours, limit, names):
    shared, real = names
    used = {**shared, "real": real[tool]}
    check(*(eval(call, {}, used) for call in (theirs, ours)), limit)


@pytest.mark.parametrize(("tool", "theirs", "ours", "limit"), rows("ImageMagick", "vips"))
def test_a_command(tool, theirs, ours, limit, scene, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene.convert("L").save("in.png")
    Path("k.mat").write_text("3 1 6 0\n1 2 3\n")
    words = shlex.split(theirs)
    subprocess.run(
        words if tool == "vips" else ["convert", "in.png", *words, "out.png"],
        check=True,
        timeout=60,
    )
    command, *options = shlex.split(ours)
    assert run(command, "in.png", *options, "-o", "ours.png").status == 0
    check(*(np.asarray(Image.open(name)) for name in ("out.png", "ours.png")), limit)


def test_every_tool_has_its_rows():
    """The pattern above reads the tables; a row that it missed would not be tested."""
    for tool in TOOLS:
        (table,) = re.findall(rf"^\| {tool} \| convcli.*\n((?:\|.*\n)+)", PAGE, re.M)
        assert len(ROW.findall(table)) == table.count("\n") - 1 > 4


@pytest.mark.parametrize("name", ["gaussian_filter", "gaussian"])
def test_sigma_0_is_none(name, names):
    shared, _ = names
    image = shared["image"].astype(float)
    room = shared["ndimage"] if name == "gaussian_filter" else shared["filters"]
    assert np.array_equal(getattr(room, name)(image, 0), image)
    assert np.array_equal(convcli.blur(image, (0.1, 0.1)), image)
    with pytest.raises(convcli.ConvcliError, match="above 0, not 0"):
        convcli.blur(image, 0)
