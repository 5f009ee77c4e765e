"""Thin edges, against scikit-image's canny and scipy.ndimage's labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import data, feature

import convcli
from convcli import ConvcliError
from convcli.filtering.canny import linked
from convcli.words import METHODS

PHOTOS = {
    name: getattr(data, name)()
    for name in ("camera", "coins", "moon", "page", "text", "brick", "grass", "gravel", "clock")
}


def in_skimages_units(sigma):
    """How many times larger its magnitude is: Sobel's kernels are 4 times ours, and no step."""
    impulse = np.zeros(99)
    impulse[49] = 1
    g = scipy.ndimage.gaussian_filter1d(impulse, sigma)
    return 4 * (g[49] + g[50])


def theirs(image, sigma, low, high):
    scale = in_skimages_units(sigma)
    return feature.canny(image, sigma, low * scale, high * scale, mode="reflect")


@pytest.mark.parametrize("sigma", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("name", PHOTOS)
def test_edges_of_photographs_are_skimages(name, sigma):
    for low, high in ((10, 20), (25.5, 51)):
        result = convcli.edge(PHOTOS[name], sigma=sigma, canny=(low, high))
        wanted = theirs(PHOTOS[name], sigma, low, high)
        assert wanted.any()
        assert set(np.unique(result)) == {0, 255}
        np.testing.assert_array_equal(result == 255, wanted)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_every_method_and_depth_gives_the_same_edges(method, dtype):
    photo = PHOTOS["coins"][:150, :170]
    full = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    image = (photo * (full / 255)).astype(dtype)
    low, high = 12.3 * full / 255, 31.7 * full / 255
    options = {"method": method, "workers": 2}
    result = convcli.edge(image, sigma=1.4, canny=(low, high), **options)
    assert (result.dtype, result.max()) == (image.dtype, full)
    np.testing.assert_array_equal(result > 0, theirs(photo, 1.4, 12.3, 31.7))
    plain = convcli.edge(image, "scharr", canny=(low, high), out_dtype="float32", **options)
    np.testing.assert_array_equal(
        plain, convcli.edge(photo, "scharr", canny=(12.3, 31.7), method="numpy") > 0
    )


@pytest.mark.parametrize("border", ["mirror", "nearest", "wrap"])
def test_the_border_changes_edges_near_it_alone(border):
    photo = PHOTOS["camera"]
    result, usual = (
        convcli.edge(photo, sigma=1.0, canny=(20, 20), border=each) for each in (border, "reflect")
    )
    np.testing.assert_array_equal(result[6:-6, 6:-6], usual[6:-6, 6:-6])
    assert not result[[0, -1]].any()
    assert not result[:, [0, -1]].any()


@pytest.mark.parametrize("sigma", [None, 1.0, 2.0])
def test_of_equal_neighbours_the_dark_one_is_the_edge(sigma):
    image = np.zeros((60, 70), np.uint8)
    image[12:50, 15:61] = 200
    result = convcli.edge(image, sigma=sigma, canny=(50, 100)) > 0
    # In the middle of the sides; at corners the line is rounded. It is closed, and one pixel wide.
    assert result[28:34, [14, 61]].all()
    assert result[[11, 50], 34:42].all()
    assert scipy.ndimage.label(result, np.ones((3, 3)))[1] == 1
    assert not scipy.ndimage.binary_erosion(result, np.ones((2, 2))).any()
    assert scipy.ndimage.label(~result)[1] == 2
    for turned in (image.T, image[::-1], image[:, ::-1]):
        again = convcli.edge(turned, sigma=sigma, canny=(50, 100)) > 0
        assert again.sum() == result.sum()
    if sigma:
        assert (result <= theirs(image, sigma, 50, 100)).all()


def test_thresholds_are_magnitudes():
    step = np.zeros((9, 60), np.uint8)
    step[:, 30:] = 100
    for sigma in (None, 0.5, 1.0, 4.0):
        assert convcli.edge(step, sigma=sigma, canny=(99.9, 99.9)).any()
        assert not convcli.edge(step, sigma=sigma, canny=(0, 100.1)).any()
    slope = np.where(np.arange(60) < 30, 40, 100 + 2 * (np.arange(9)[:, None] > 4)).astype(np.uint8)
    weak_and_strong = convcli.edge(slope, canny=(59, 61))[1:-1]
    assert weak_and_strong.any(axis=1).all()
    assert not convcli.edge(slope, canny=(61, 61))[1:4].any()


def test_under_linear_thresholds_are_code_values():
    step = np.full((9, 20), 100, np.uint8)
    step[:, 10:] = 200
    (shown,) = {int(convcli.edge(step, linear=True).max())}
    assert convcli.edge(step, canny=(shown - 1, shown - 1), linear=True).any()
    assert not convcli.edge(step, canny=(shown + 1, shown + 1), linear=True).any()


def test_alpha_weights_or_stays():
    photo = data.astronaut()[:60, :70]
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, :30] = 100
    image = np.dstack([photo, alpha])
    kept = convcli.edge(image, sigma=1.0, canny=(20, 40), alpha="keep")
    np.testing.assert_array_equal(kept[..., 1], alpha)
    straight = convcli.edge(image, sigma=1.0, canny=(20, 40))
    np.testing.assert_array_equal(kept[..., 0], straight)
    np.testing.assert_array_equal(straight, convcli.edge(photo, sigma=1.0, canny=(20, 40)))
    weighted = convcli.edge(image, sigma=1.0, canny=(20, 40), alpha="weight")
    assert (weighted[:, 35:] == straight[:, 35:]).mean() > 0.99
    assert weighted[:, :25].sum() < straight[:, :25].sum()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (9, 2), (3, 3), (5, 4, 3)])
def test_images_too_small_for_a_neighbour_have_no_edges(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    result = convcli.edge(image, canny=(0, 0))
    assert result.shape == shape[:2]
    assert not result[[0, -1]].any()
    assert not result[:, [0, -1]].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_of_any_size_have_edges(dtype):
    image = np.zeros((20, 30), dtype)
    image[:, 15:] = 1
    wanted = convcli.edge(image, canny=(0.5, 0.5))
    assert wanted.any()
    for size in (1e-30, 1e30) + ((1e-250, 1e250) if dtype == "float64" else ()):
        found = convcli.edge(image * np.dtype(dtype).type(size), canny=(size / 2, size / 2))
        np.testing.assert_array_equal(found, wanted)
    image[5, 5] = np.nan
    image[12, 4] = np.inf
    found = convcli.edge(image, sigma=0.5, canny=(0.5, 0.5))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, 12:], wanted[:, 12:])


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 14)] * 2), elements=st.integers(0, 2)))
@settings(max_examples=200, deadline=None)
def test_linked_pixels_are_the_parts_with_a_strong_one(inside):
    marks = np.pad(inside, 1)
    labels, _ = scipy.ndimage.label(marks, np.ones((3, 3)))
    strong = np.setdiff1d(labels[marks == 2], 0)
    np.testing.assert_array_equal(linked(marks), np.isin(labels, strong))


def test_a_long_winding_line_is_followed_to_its_end():
    marks = np.zeros((401, 403), np.uint8)
    marks[1:-1:2, 1:-1] = 1
    marks[2:-1:4, -2] = marks[4:-1:4, 1] = 1
    assert not linked(marks).any()
    marks[1, 1] = 2
    np.testing.assert_array_equal(linked(marks), marks > 0)


def test_progress_and_plans_are_those_of_both_derivatives():
    seen, plans = [], []
    convcli.edge(
        PHOTOS["camera"], canny=(9, 9), method="numpy", workers=1, on_plan=plans.append,
        on_progress=lambda done, total: seen.append(done / total),
    )  # fmt: skip
    assert seen == sorted(seen)
    assert (seen[-1], len(plans)) == (1, 2)


@pytest.mark.parametrize(
    ("canny", "message"),
    [
        ((1,), "canny must be two numbers, LOW and HIGH"),
        (3, "canny must be two numbers, LOW and HIGH, not 3"),
        ("12", "not '12'"),
        ((2, 1), "low threshold of canny must be at most the high one, and 2 is more than 1"),
        ((-1, 1), "low threshold of canny must be at least 0, not -1"),
        ((0, math.nan), "high threshold of canny must be .* not nan"),
        ((0, math.inf), "not inf"),
    ],
)
def test_bad_thresholds_are_refused(canny, message):
    with pytest.raises(ConvcliError, match=message):
        convcli.edge(PHOTOS["camera"][:9, :9], canny=canny)
