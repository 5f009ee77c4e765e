"""The scripts in examples/ run and draw their figures, and their claims are true."""

from __future__ import annotations

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import convcli
from convcli.loops.decimation import decimations
from convcli.words import BORDERS

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

story = import_module
STORIES = story("draw_all").STORIES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "image"), [("render_scene", "scene.png"), ("before_after", "before_after.png")]
)
def test_the_images_of_the_project_are_what_its_scripts_draw(script, image, drawn):
    folder, _ = drawn[script]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        {f"{script}.py", image, "scene.png"}
    )
    new = np.asarray(Image.open(folder / image)).astype(int)
    kept = np.asarray(Image.open(EXAMPLES / image)).astype(int)
    # Not exact: another numpy may round a sine differently.
    assert np.abs(new - kept).mean() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_short_and_draws_one_picture(name, drawn):
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert ast.get_docstring(ast.parse(text))
    folder, printed = drawn["draw_all"]
    figure = folder / f"{name}.png"
    assert f"wrote {figure}\n" in printed
    assert sorted(path.stem for path in folder.iterdir()) == STORIES
    with Image.open(figure) as picture:
        assert picture.width >= 1000
        assert len(picture.convert("RGB").getcolors(2**20)) > 100


def test_five_plans_give_one_picture():
    plans = story("five_plans")
    picture = np.ascontiguousarray(plans.scene()[250:400, 600:800])
    exact = convcli.blur(picture, plans.SIGMA, truncate=4, exact=True).astype(int)
    made = set()
    for options in plans.PLANS.values():
        result, plan = plans.blurred(picture, options)
        off = np.abs(result - exact)
        assert off.max() <= 1
        assert (off > 0).mean() <= 0.01
        assert (plan.route.form == "decimated") == ("truncate" not in options)
        made.add((plan.method, plan.route.form))
    assert len(made) == 5


@pytest.mark.parametrize(
    ("direct", "transformed", "side"),
    [
        ([1, 2, 8, 16], [4, 4, 4, 4], 3 * 3**0.5),  # half way, on log axes
        ([9, 2, 1, 16], [4, 4, 4, 4], 9 * 3**0.5),  # the last crossing counts
        ([1, 2, 3, 4], [4, 5, 6, 7], None),
        ([9, 9, 9, 9], [1, 1, 1, 1], None),
    ],
)
def test_where_two_curves_cross(direct, transformed, side):
    sides = np.array([1.0, 3.0, 9.0, 27.0])
    found = story("fft_overtakes").crossing(sides, np.array(direct), np.array(transformed))
    assert found == pytest.approx(side)


@settings(deadline=None)
@given(
    size=st.integers(1, 60), taps=st.integers(1, 20), length=st.integers(1, 25),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_blocks_of_overlap_add_add_up_to_the_whole(size, taps, length, seed):
    overlap = story("overlap_add")
    rng = np.random.default_rng(seed)
    line, kernel = rng.random(size), rng.random(taps)
    assert np.allclose(overlap.overlap_add(line, kernel, length), np.convolve(line, kernel))
    assert len(list(overlap.blocks(line, kernel, length))) == -(-size // length)


def test_im2col_is_convolution_and_takes_the_kernels_area_of_memory():
    rng = np.random.default_rng(0)
    picture, weights = rng.random((40, 30)), rng.random((5, 5))
    matrix = story("im2col").columns_of(picture, 5)
    product = weights[::-1, ::-1].reshape(1, -1) @ matrix
    whole = convcli.convolve(picture, weights)[2:-2, 2:-2]
    assert np.allclose(product.reshape(whole.shape), whole)
    assert matrix.nbytes == 25 * whole.nbytes


def test_light_mixes_to_188_and_code_values_to_128():
    light = story("linear_light")
    assert (light.half_and_half(linear=False), light.half_and_half(linear=True)) == (128, 188)
    # Halfway in light, by IEC 61966-2-1.
    assert round(255 * (1.055 * 0.5 ** (1 / 2.4) - 0.055)) == 188
    code, shining = light.both(light.scene(), light.RADIUS)
    lamp = np.s_[391, 564]
    assert (shining[lamp] > code[lamp]).all()


def test_only_weighting_keeps_hidden_green_out():
    alpha = story("alpha")
    green = {
        word: alpha.greenness(alpha.over_white(convcli.blur(alpha.cutout(), 6.0, alpha=word)))
        for word in alpha.TITLES
    }
    assert set(green) == {"weight", "straight", "keep"}
    assert green["weight"] <= 0 < 30 < min(green["straight"], green["keep"])


@pytest.mark.parametrize("border", BORDERS)
def test_a_border_is_drawn_as_it_is_described(border):
    drawn = story("borders")
    page = (EXAMPLES.parent / "docs" / "borders.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith(f"| `{border}`"))
    described = re.split(r"[\[\]]", line.split("`")[3].replace(" ", ""))
    before, row, after = drawn.pattern(border).replace(" ", "").split("|")
    assert row == described[1]
    assert described[0].endswith(before)
    assert described[2].startswith(after)
    picture = np.arange(80 * 90, dtype=np.float32).reshape(80, 90, 1)
    extended = drawn.extended(picture, border)
    assert extended.shape == (80 + 2 * drawn.HALO, 90 + 2 * drawn.HALO, 1)
    assert (extended[drawn.HALO : -drawn.HALO, drawn.HALO : -drawn.HALO] == picture).all()


@pytest.mark.parametrize("sigma", [6.4, 15, 50.3])
def test_what_grid_points_give_sums_up_to_the_gaussian(sigma):
    axis, _ = decimations((sigma, sigma))
    x = np.arange(-axis.radius, axis.radius + 1)
    parts = story("wide_blur").spread(axis, x)
    assert len(parts) > 5
    true = np.exp(-0.5 * (x / sigma) ** 2)
    assert np.abs(parts.sum(axis=0) - true / true.sum()).sum() < 2 * axis.error


@pytest.mark.parametrize("sigma", [0.5, 1, 1.4, 2, 3, 5, 10, 20])
def test_our_sigma_is_scipys(sigma):
    dot = np.zeros(201)
    dot[100] = 1
    response = scipy.ndimage.gaussian_filter1d(dot, sigma)
    ours = story("sigma_rules").TOOLS["convcli, scipy, scikit-image"](sigma)
    assert np.allclose(response[response > 0], ours)
    assert np.allclose(convcli.gaussian_kernel(sigma).factors[0][0], ours)


def test_the_sigma_that_tools_leave():
    """Known from their own code: 2.52 and 8.24 by libvips, 2.976 by OpenCV."""
    tools = story("sigma_rules").TOOLS

    def left(name, sigma):
        weights = tools[name](sigma)
        x = np.arange(weights.size) - weights.size // 2
        return float(np.sqrt((weights * x**2).sum()))

    assert left("libvips gaussblur", 3) == pytest.approx(2.52, abs=0.005)
    assert left("libvips gaussblur", 10) == pytest.approx(8.24, abs=0.005)
    assert left("OpenCV, 8-bit", 3) == pytest.approx(2.976, abs=0.001)
    for sigma in (1, 3, 10, 33.3):
        assert left("Pillow GaussianBlur", sigma) == pytest.approx(sigma)
        assert all(tool(sigma).sum() == pytest.approx(1) for tool in tools.values())
