"""Missing samples in chains: as if each filter were called alone, on floats, and as in astropy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convcli
from convcli.words import BORDERS
from tests.filtering.test_chains import COMPOSED, HOW, LIMITS, cut, cuts, one_by_one
from tests.oracles import NUMPY_PAD, assert_same_picture

stage = convcli.stage


def holes(shape, seed=0, share=0.3):
    """Return which samples of an image are missing: some here and there, and a whole block."""
    missing = np.random.default_rng(seed).random(shape) < share
    missing[shape[0] // 3 : shape[0] * 2 // 3, shape[1] // 4 : shape[1] * 3 // 4] = True
    return missing


def by_astropy(image, kernel, border, value):
    """Convolve (H, W): numpy continues the image, because astropy knows three borders alone."""
    astropy = pytest.importorskip("astropy.convolution")
    more = {"constant_values": value} if border == "constant" else {}
    reach = tuple((length // 2, length // 2) for length in kernel.shape)
    padded = np.pad(image, reach, NUMPY_PAD[border], **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where NaN remains
        result = astropy.convolve(
            padded, kernel, boundary="fill", normalize_kernel=False, nan_treatment="interpolate"
        )
    (y, _), (x, _) = reach
    return result[y : y + image.shape[0], x : x + image.shape[1]]


kernels = st.one_of(
    st.floats(0.3, 3).map(convcli.gaussian_kernel),
    st.builds(
        lambda height, width, seed: np.random.default_rng(seed).uniform(0.1, 1, (height, width)),
        st.sampled_from([1, 3, 5]),
        st.sampled_from([1, 3, 7]),
        st.integers(0, 99),
    ),
)


@settings(**LIMITS)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.lists(
        st.tuples(kernels, st.sampled_from(BORDERS), st.floats(-2, 2)), min_size=1, max_size=3
    ),
    st.sampled_from([0.05, 0.3, 0.9]),
    cuts,
    st.integers(1, 8),
    st.sampled_from(["numba", "numpy", "fft"]),
)
def test_equals_successive_calls_of_astropy(size, several, share, sizes, workers, method):
    image = np.random.default_rng(size[0]).uniform(-1, 1, size)
    image[holes(size, size[1], share)] = np.nan
    stages = [
        stage("convolve", kernel, border=border, border_value=value)
        for kernel, border, value in several
    ]
    with cut(*sizes):
        got = convcli.chain(image, stages, nan="skip", workers=workers, method=method)
    wanted = image
    for kernel, border, value in several:
        wanted = by_astropy(wanted, np.asarray(kernel), border, value)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    largest = np.abs(wanted).max(initial=1, where=~np.isnan(wanted))
    np.testing.assert_allclose(got, wanted, atol=1e-6 * largest, rtol=0)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", COMPOSED)
def test_equals_filters_that_are_called_alone(name, how, channels):
    """Of colours with an alpha, of signed kernels, and of light."""
    image = np.random.default_rng(3).uniform(0.1, 1, (30, 41, channels))
    missing = holes((30, 41, channels))
    if channels != 3:
        missing[..., -1] = False
    image[missing] = np.nan
    several = COMPOSED[name]
    stages = [stage(each, **own) for each, own in several]
    wanted = one_by_one(image, several, nan="skip", method="numpy", **HOW[how])
    got = convcli.chain(image, stages, nan="skip", method="numba", **HOW[how])
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    np.testing.assert_allclose(got, wanted, atol=1e-9)
    marked = convcli.chain(np.where(missing, -7, image), stages, nodata=-7, **HOW[how])
    np.testing.assert_allclose(marked, np.where(np.isnan(got), -7, got), atol=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("border", ["reflect", "constant"])
@pytest.mark.parametrize("how", [{}, {"alpha": "weight"}, {"linear": True}])
def test_a_no_data_value_of_integers_comes_back_where_nothing_remains(dtype, border, how):
    full = np.iinfo(dtype).max
    image = np.random.default_rng(1).integers(1, full + 1, (60, 80, 4), dtype)
    image[..., 3] |= full // 2
    missing = holes((60, 80, 4))
    missing[..., 3] = missing[..., 3] & (how == {})
    image[missing] = 0
    several = [("blur", {"sigma": 0.5}), ("sharpen", {"amount": 0.4}), ("blur", {"sigma": 0.4})]
    stages = [stage(each, **own) for each, own in several]
    got = convcli.chain(image, stages, nodata=0, border=border, **how)
    known = np.where(missing, np.nan, image / full)
    wanted = one_by_one(known, several, nan="skip", border=border, **how)
    assert np.isnan(wanted).any()
    assert_same_picture(got, np.nan_to_num(wanted) * full)


@pytest.mark.parametrize("words", [{"stretch": True}, {"canny": (0.1, 0.3)}])
def test_what_needs_the_whole_image_comes_last(words):
    image = np.random.default_rng(2).random((50, 60))
    image[holes(image.shape)] = np.nan
    before = convcli.blur(image, 1.0, nan="skip")
    wanted = convcli.edge(before, nan="skip", **words)
    got = convcli.chain(image, [stage("blur", 1.0), stage("edge", **words)], nan="skip")
    np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_a_stage_fills_what_its_kernel_reaches_and_hands_the_rest_on():
    image = np.full((1, 21), np.nan)
    image[0, 10] = 3
    box = stage("convolve", np.ones((1, 3)) / 3)
    for stages, filled in ((1, 3), (2, 5), (4, 9)):
        result = convcli.chain(image, [box] * stages, nan="skip")
        np.testing.assert_allclose(result[~np.isnan(result)], [3] * filled)
    assert np.isnan(convcli.chain(image, [box] * 4, nan="keep")).all()
