"""Wide Gaussians on a coarser grid: how near they come to the Gaussian, and where it is done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data

import convcli
from convcli.loops import decimation
from convcli.loops.decimation import LEAST_SIGMA, decimations, from_grid_to_grid

SIGMAS = [LEAST_SIGMA, 8, 11.3, 20, 47.7]
METHODS = ["numpy", "numba", "fft"]


def picture(name):
    rng = np.random.default_rng(0)
    step = np.zeros((240, 300), np.uint8)
    step[:, 130:] = 255
    stripes = np.zeros((240, 300), np.uint8)
    stripes[:, ::2] = 255
    rows, columns = np.mgrid[:240, :300]
    return {
        "noise": lambda: rng.integers(0, 256, (240, 300), dtype=np.uint8),
        "step": lambda: step,
        "stripes": lambda: stripes,
        "checkerboard": lambda: ((rows // 8 + columns // 8) % 2 * 255).astype(np.uint8),
        "photograph": data.camera,
        "colours": lambda: data.astronaut()[:200],
    }[name]()


PICTURES = ["noise", "step", "stripes", "checkerboard", "photograph", "colours"]


def gaussian(image, sigma, truncate=8.0, mode="reflect"):
    """Return the Gaussian itself, in float64."""
    channels = np.atleast_3d(image).astype(np.float64)
    blurred = [
        ndimage.gaussian_filter(channels[..., c], sigma, truncate=truncate, mode=mode)
        for c in range(channels.shape[2])
    ]
    return np.stack(blurred, axis=-1).reshape(image.shape)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("name", PICTURES)
def test_within_a_fiftieth_of_a_level_of_the_gaussian(sigma, name):
    image = picture(name)
    blurred = convcli.blur(image, sigma, method="numba")
    assert np.abs(blurred - gaussian(image, sigma)).max() <= 0.52


@given(st.floats(LEAST_SIGMA, 400))
def test_the_bound_holds_for_any_sigma(sigma):
    along_y, along_x = decimations((sigma, sigma))
    assert (along_y.error + along_x.error) / 2 <= 0.01 / 255  # of a level of 8 bits


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_worst_picture_errs_by_no_more_than_the_error_says(sigma):
    """The worst image is the sign of the difference; in 1-D its error is half the L1 norm."""
    axis = decimations((sigma, sigma))[0]
    measured = 0.0
    for place in range(axis.step):
        n = 2 * axis.radius + 8 * int(sigma) + 1
        response = np.zeros(n)
        centre = n // 2 - (n // 2) % axis.step + place
        half = axis.narrow.size // 2
        for point in range(axis.wide.shape[1]):
            at = centre - place + (point - axis.wide.shape[1] // 2 + 1) * axis.step
            response[at - half : at + half + 1] += axis.wide[place, point] * axis.narrow
        true = np.exp(-0.5 * ((np.arange(n) - centre) / sigma) ** 2)
        worst = (response > true / true.sum()).astype(float)
        measured = max(measured, worst @ (response - true / true.sum()))
    assert measured == pytest.approx(axis.error / 2, rel=0.02)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("sigma", [8, (20, 7)])
@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap", "constant"])
def test_all_methods_give_the_same_picture(name, sigma, border):
    image = picture(name)[:130, :170]
    value = 77 if border == "constant" else 0
    first, *others = (
        convcli.blur(image, sigma, method=method, border=border, border_value=value).astype(int)
        for method in METHODS
    )
    for other in others:
        assert np.abs(first - other).max() <= 1
        assert (first != other).mean() <= 0.01


def test_processes_give_the_same_picture():
    image = picture("colours")
    np.testing.assert_array_equal(
        convcli.blur(image, 9, method="tiled", workers=2), convcli.blur(image, 9, method="numba")
    )


@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap"])
@pytest.mark.parametrize("shape", [(1, 70), (70, 1), (5, 9), (41, 200)], ids=str)
def test_borders_are_those_of_scipy(border, shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    wanted = gaussian(image, 7.0, mode=border)
    for method in METHODS:
        blurred = convcli.blur(image, 7.0, method=method, border=border)
        assert np.abs(blurred - wanted).max() <= 0.52


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_change_nothing(workers):
    image = np.random.default_rng(2).integers(0, 256, (1200, 40), dtype=np.uint8)
    np.testing.assert_array_equal(
        convcli.blur(image, 6.5, method="numba", workers=workers),
        convcli.blur(image, 6.5, method="numba", workers=3),
    )


def form_of(image, sigma=8.0, **options):
    plans = []
    convcli.blur(image, sigma, on_plan=plans.append, **options)
    return plans[0].route.form


def test_taken_for_8_bit_blurs_and_for_nothing_else():
    grey = np.zeros((20, 30), np.uint8)
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., 3] = 200
    assert form_of(grey) == "decimated"
    assert form_of(grey, (8, 90)) == "decimated"
    assert form_of(grey, LEAST_SIGMA - 0.01) != "decimated"
    assert form_of(grey, (8, 2)) != "decimated"
    assert form_of(grey, exact=True) != "decimated"
    assert form_of(grey, truncate=6.0) != "decimated"
    assert form_of(grey, radius=32) != "decimated"
    assert form_of(grey, linear=True) != "decimated"
    assert form_of(grey, out_dtype="float32") != "decimated"
    assert form_of(grey, border="constant", border_value=-1) != "decimated"
    assert form_of(rgba, alpha="weight") != "decimated"
    assert form_of(rgba, alpha="straight") == "decimated"
    for dtype in ("uint16", "float32", "float64"):
        assert form_of(grey.astype(dtype)) != "decimated"


def test_a_kernel_that_was_given_is_never_decimated():
    plans = []
    convcli.convolve(np.zeros((20, 30), np.uint8), convcli.gaussian_kernel(8), on_plan=plans.append)
    assert plans[0].route.form != "decimated"


def test_the_plan_says_so_and_states_its_bound():
    plans = []
    convcli.blur(np.zeros((200, 300), np.uint8), 20.0, on_plan=plans.append)
    text = str(plans[0])
    assert "on a grid of 12 x 12 pixels" in text
    assert "of a level from the true Gaussian" in text


@pytest.mark.parametrize("name", ["noise", "step", "photograph", "colours"])
@pytest.mark.parametrize("sigma", [8, 20])
def test_the_kernel_cut_at_4_sigma_gives_nearly_the_same(name, sigma):
    image = picture(name)
    cut = np.rint(gaussian(image, sigma, truncate=4.0))
    blurred = convcli.blur(image, sigma, method="numba")
    assert np.abs(blurred - cut).max() <= 1
    assert (blurred != cut).mean() <= 0.01


def test_the_error_of_a_sigma_is_computed_once(monkeypatch):
    """It takes 1 s for a sigma of 3000, and both axes and every image need it."""
    calls = []
    gaussian = decimation.gaussian
    monkeypatch.setattr(decimation, "gaussian", lambda *a: calls.append(a) or gaussian(*a))
    errors = {axis.error for _ in range(2) for axis in decimations((321.5, 321.5))}
    assert len(errors) == 1
    step = decimations((321.5, 321.5))[0].step
    assert len(calls) <= 1 + step + step // 2 + 1


@pytest.mark.parametrize("sigmas", [(7, 7), (10, 12.7), (7, 20), (13, 26), (40, 41)], ids=str)
def test_weights_from_grid_to_grid_are_those_by_way_of_the_rows(sigmas):
    (below, _), (above, _) = (decimations((sigma, sigma)) for sigma in sigmas)
    weights = from_grid_to_grid(below, above)
    half, step = above.narrow.size // 2, below.step
    points = np.random.default_rng(0).random(weights.size)
    first = -half // step
    rows = [below.wide[r % step] @ points[r // step - first :][: below.wide.shape[1]]
            for r in range(-half, half + 1)]  # fmt: skip
    np.testing.assert_allclose(weights @ points, above.narrow @ rows, rtol=1e-12)
    assert min(weights[0], weights[-1]) > 0  # no more points than these rows need


def test_from_a_coarser_grid_points_have_different_weights():
    (coarse, _), (fine, _) = (decimations((sigma, sigma)) for sigma in (20, 7))
    assert from_grid_to_grid(coarse, fine) is None
