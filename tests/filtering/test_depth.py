"""--depth: samples that are not the image's, against scipy in float64, rounded once."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from convcli.filtering import filters
from convcli.filtering.depth import at_depth

FULL = {"uint8": 255, "uint16": 65535, "float32": 1, "float64": 1}
DTYPES = {"8": "uint8", "16": "uint16"}


def image_of(dtype, seed=0, shape=(23, 31)):
    noise = np.random.default_rng(seed).random(shape) * 1.2 - 0.1
    if np.dtype(dtype).kind == "u":
        return np.rint(noise.clip(0, 1) * FULL[dtype]).astype(dtype)
    return noise.astype(dtype)


def blurred(image, sigma=1.3):
    return ndimage.gaussian_filter(image.astype(np.float64), sigma, mode="reflect")


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("depth", DTYPES)
def test_integers_are_scaled_and_rounded_once(dtype, depth, method):
    image = image_of(dtype)
    got = at_depth(image, verb=filters.blur, depth=depth, sigma=1.3, method=method)
    full = FULL[DTYPES[depth]]
    wanted = np.rint(blurred(image) * full / FULL[dtype]).clip(0, full)
    assert got.dtype == DTYPES[depth]
    np.testing.assert_allclose(got, wanted, atol=1 if dtype == "float32" or method == "fft" else 0)
    assert (got != wanted).mean() < 0.01


@pytest.mark.parametrize("dtype", FULL)
def test_floats_keep_sign_range_and_units(dtype):
    image = image_of(dtype)
    got = at_depth(image, verb=filters.edge, depth="float32", show="x")
    wanted = ndimage.sobel(image.astype(np.float64), axis=1, mode="reflect") / 4
    assert got.dtype == np.float32
    assert got.min() < 0
    np.testing.assert_allclose(got, wanted, atol=1e-6 * FULL[dtype])


@given(st.integers(0, 255), st.sampled_from(["8", "16", "float32"]))
def test_constants_stay_what_they_are(value, depth):
    image = np.full((4, 5), value, np.uint8)
    got = at_depth(image, verb=filters.blur, depth=depth, sigma=0.7)
    np.testing.assert_allclose(got, value * (257 if depth == "16" else 1), rtol=1e-6)


@pytest.mark.parametrize("given_as", [np.uint8, np.uint16])
def test_an_angle_fills_the_range_of_any_depth(given_as):
    image = (image_of("uint8").astype(np.uint16) * (257 if given_as == np.uint16 else 1)).astype(
        given_as
    )
    verb = partial(filters.edge, show="angle")
    got = at_depth(image, verb=verb, depth="16", fills_range=True)
    radians = filters.edge(image, show="angle", out_dtype="float64")
    np.testing.assert_allclose(got, (radians + np.pi) * 65535 / (2 * np.pi), atol=1)


def test_alpha_is_scaled_as_colours_are():
    image = image_of("uint8", shape=(9, 8, 4))
    got = at_depth(image, verb=filters.blur, depth="16", sigma=0.8, alpha="keep")
    np.testing.assert_array_equal(got[..., 3], image[..., 3] * np.uint16(257))


def test_colours_of_four_bytes_a_pixel_are_scaled_as_others(run, picture_file):
    """As the compiled loops leave them."""
    image = picture_file("a.png")
    for method in ("numpy", "numba"):
        done = run(
            "blur", image, "--sigma", 1, "--depth", 16, "-m", method, "-o", f"{image}.{method}.tif"
        )
        assert done.status == 0, done.err
    assert run("compare", f"{image}.numpy.tif", f"{image}.numba.tif").status == 0
