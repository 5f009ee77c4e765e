"""Missing samples, NaN or of a no-data value, are left out of every sum, in every method.

The references sum values and masks with scipy.ndimage in float64.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

import convcli
from convcli.errors import ConvcliError
from convcli.filtering import convolution
from convcli.kernels.named import edge_kernels
from convcli.loops.contract import LOOPS, load
from convcli.words import BORDERS
from tests.oracles import scipy_convolve
from tests.plans import planned

METHODS = ["numpy", "numba", "fft"]
quick = settings(max_examples=80, deadline=None)


def normalised(image, kernel, border="reflect", value=0.0, correlate=False):
    """Convolve (H, W) with NaN left out: each missing sample is the |k|-weighted mean of the rest.

    A constant beyond the edge is a sample like others.
    """
    kernel = np.asarray(kernel, float)
    there = ~np.isnan(image)

    def summed(values, weights, constant):
        return scipy_convolve(values.astype(float), weights, border, constant, correlate)

    known = np.where(there, image, 0)
    total, mean = (summed(known, each, value) for each in (kernel, np.abs(kernel)))
    present, remains = (summed(there, each, 1.0) for each in (kernel, np.abs(kernel)))
    nothing = np.rint(summed(there, kernel != 0, 1.0)) == 0
    mean = np.where(nothing, image, mean / np.where(nothing, 1, remains))
    total[nothing] = present[nothing] = 0
    return total + (kernel.sum() - present) * mean


@st.composite
def images(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    image = rng.uniform(-100, 100, shape)
    kind = draw(st.sampled_from(["some", "most", "rows", "block", "one left", "one missing", "all"]))
    if kind in ("some", "most"):
        image[rng.random(shape) < (0.2 if kind == "some" else 0.9)] = np.nan
    elif kind == "rows":
        image[: shape[0] // 2 + 1] = np.nan
    elif kind == "block":
        image[shape[0] // 3 :, shape[1] // 3 :] = np.nan
    elif kind == "one missing":
        image[shape[0] // 2, shape[1] // 2] = np.nan
    else:
        rest = image[0, 0] if kind == "one left" else np.nan
        image[...] = np.nan
        image[0, 0] = rest
    return image.astype(draw(st.sampled_from(["float32", "float64"])))


@st.composite
def kernels(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    kind = draw(st.sampled_from(["positive", "signs", "zero sum", "ring", "gauss", "disc", "sobel"]))
    if kind == "gauss":
        return np.asarray(convcli.gaussian_kernel(draw(st.floats(0.3, 3)), 6.0))
    if kind == "sobel":
        return np.outer([1, 2, 1], [1, 0, -1]) / 4
    if kind == "disc":
        y, x = np.mgrid[-3:4, -3:4]
        return (y**2 + x**2 <= 10) / 37
    kernel = rng.uniform(0, 1, shape) if kind == "positive" else rng.normal(size=shape)
    if kind == "ring":
        kernel = np.ones((5, 5))
        kernel[1:-1, 1:-1] = 0
    return kernel - kernel.mean() if kind == "zero sum" else kernel


def assert_equal(result, wanted, kernel, tolerance=1e-5):
    np.testing.assert_array_equal(np.isnan(result), np.isnan(wanted))
    scale = np.nanmax(np.abs(wanted), initial=100) * max(1.0, np.abs(kernel).sum())
    np.testing.assert_allclose(result, wanted, rtol=0, atol=tolerance * scale)


@quick
@given(
    images(), kernels(), st.sampled_from(BORDERS), st.floats(-50, 50), st.sampled_from(METHODS),
    st.booleans(),
)  # fmt: skip
def test_equals_sums_of_values_and_masks(image, kernel, border, value, method, exact):
    value = value if border == "constant" else 0.0
    options = {"border": border, "border_value": value, "method": method, "exact": exact}
    result = convcli.convolve(image, kernel, nan="skip", **options)
    tolerance = 1e-6 if exact else 1e-5
    assert_equal(result, normalised(image, kernel, border, value), kernel, tolerance)


@quick
@given(images(), kernels(), st.sampled_from(BORDERS), st.sampled_from(METHODS))
def test_a_constant_gives_what_it_gives_without_holes(image, kernel, border, method):
    image[~np.isnan(image)] = 7
    result = convcli.convolve(image, kernel, border=border, border_value=7.0 * (border=="constant"), method=method, nan="skip")
    there = ~np.isnan(result)
    np.testing.assert_allclose(result[there], 7 * np.sum(kernel), atol=1e-4 * max(1, np.abs(kernel).sum()))
