"""Wide Gaussians by way of fewer rows: within the stated bound of the true one, and only then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import skimage.data

import convcli
from convcli import convolution
from convcli.decimation import BOUND, decimation_for
from convcli.kernels import gaussian_kernel, kernel_from
from convcli.planning import plan_for
from convcli.words import BORDERS

RNG = np.random.default_rng(0)
PICTURES = {
    "noise": RNG.integers(0, 256, (410, 330), dtype=np.uint8),
    "steps": np.full((410, 330), 255, np.uint8) * ((np.indices((410, 330)) > 190).sum(0) == 1),
    "photograph": skimage.data.camera(),
}


@pytest.fixture
def decimated(monkeypatch):
    """Blur by decimation whatever the cost model says, with sums that are not rounded."""

    def blur(image, sigma, method, out_dtype=np.uint8, **options):
        def forced(*arguments, **rest):
            return replace(plan_for(*arguments, **rest), form="decimated", loop=f"direct_{method}")

        with monkeypatch.context() as patch:
            patch.setattr(convolution, "plan_for", forced)
            return convcli.blur(image, sigma, method=method, out_dtype=out_dtype, **options)

    return blur


@pytest.mark.parametrize("method", ["numpy", "numba"])
@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("sigma", [5, 7.3, 20, (3, 50), (30, 6)], ids=str)
def test_stays_within_the_bound_of_the_true_gaussian(decimated, method, picture, sigma):
    image = PICTURES[picture]
    x, y = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    true = scipy.ndimage.gaussian_filter(image.astype(float), (y, x), truncate=8, mode="reflect")
    result = decimated(image, sigma, method, np.float32)
    assert np.abs(result - true).max() <= 255 * BOUND + 1e-4  # and float32's own rounding
    assert 255 * BOUND < 0.02


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(300, 200, 3), (40, 1), (41, 700)], ids=str)
def test_every_border_and_shape(decimated, border, shape):
    image = RNG.integers(0, 256, shape, dtype=np.uint8)
    sigma = (5, 5, 0) if len(shape) == 3 else 5
    true = scipy.ndimage.gaussian_filter(
        image.astype(float), sigma, truncate=8, mode=border, cval=77.5
    )
    result = decimated(image, 5, "numba", np.float32, border=border, border_value=77.5)
    assert np.abs(result - true).max() <= 255 * BOUND + 1e-4


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("sigma", [5, 13, 40])
def test_keeps_what_every_method_promises(decimated, picture, sigma):
    """Against the kernel that was asked for, which is cut at 4 sigma."""
    image = PICTURES[picture]
    asked = convcli.blur(image, sigma, method="fft").astype(int)
    off = np.abs(decimated(image, sigma, "numba") - asked)
    assert off.max() <= 1
    assert (off > 0).mean() <= 0.01


@pytest.mark.parametrize("sigma", [5, 8, 33.3, 200])
def test_the_three_variances_add_up(sigma):
    parts = decimation_for(sigma)

    def variance(weights, distance):
        x = (np.arange(weights.size) - weights.size // 2) * distance
        return (weights * x**2).sum()

    total = 2 * variance(parts.down, 1) + variance(parts.coarse, parts.step)
    assert total == pytest.approx(sigma**2, rel=2e-3)  # cutting at 4.5 sigma takes a little off
    np.testing.assert_allclose(parts.up.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("kernel", "dtype", "options"),
    [
        (gaussian_kernel(20), "uint16", {}),
        (gaussian_kernel(20), "float32", {}),
        (gaussian_kernel(20), "uint8", {"exact": True}),
        (gaussian_kernel(20), "uint8", {"rounded": False}),
        (gaussian_kernel(20, truncate=3), "uint8", {}),
        (gaussian_kernel(20, radius=10), "uint8", {}),
        (gaussian_kernel(4), "uint8", {}),
        (gaussian_kernel(600), "uint8", {}),
        (gaussian_kernel(20).scaled(2), "uint8", {}),
        (kernel_from(gaussian_kernel(20).weights), "uint8", {}),
    ],
)
def test_is_not_taken_where_it_would_not_be_what_was_asked(kernel, dtype, options):
    for method in ("numpy", "numba", "fft", "tiled"):
        assert plan_for((4000, 6000), dtype, kernel, method, **options).form != "decimated"


def test_is_taken_for_wide_blurs_and_says_its_bound():
    plan = plan_for((4000, 6000), "uint8", gaussian_kernel(20), "numba")
    assert plan.form == "decimated"
    assert "within 0.014 of a level of the true Gaussian" in str(plan)
    narrow = plan_for((4000, 6000), "uint8", gaussian_kernel(2), "numba")
    assert narrow.form == "separable"


def test_sharpening_and_alpha_are_not_decimated():
    seen = []
    image = RNG.integers(0, 256, (400, 300, 4), dtype=np.uint8)
    convcli.sharpen(image, 20, method="numba", on_plan=seen.append)
    convcli.blur(image, 20, method="numba", alpha="weight", on_plan=seen.append)
    convcli.blur(image, 20, method="numba", linear=True, on_plan=seen.append)
    assert {plan.form for plan in seen} == {"separable"}


def test_progress_counts_to_the_end():
    seen = []
    image = RNG.integers(0, 256, (900, 300), dtype=np.uint8)
    convcli.blur(image, 20, method="numba", on_progress=lambda d, n: seen.append((d, n)))
    assert seen[-1][0] == seen[-1][1] == len(seen)
