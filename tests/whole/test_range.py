"""Float images of any magnitude: finite where sums in a long double are, and as exact as promised.

The references sum tap by tap in a long double and leave out weights of 0, as the definition does.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convcli
from convcli.words import BORDERS
from tests.oracles import NUMPY_PAD

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).maxexp <= np.finfo(np.float64).maxexp,
    reason="a long double has no larger range here",
)

METHODS = ["numpy", "numba", "fft"]
LARGEST = float(np.finfo(np.float64).max)
# Powers of 10 between which samples lie.
SPANS = {
    "float32": [(0, 1), (-45, -37), (-30, -29), (18, 22), (37, 38.53), (-45, 38.53), (30, 30)],
    "float64": [(0, 1), (-323, -307), (-200, -199), (160, 170), (307, 308.25), (-323, 308.25)],
}
quick = settings(max_examples=150, deadline=None)


@st.composite
def images(draw, bad=True):
    dtype = draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(6, 20), st.integers(6, 20)))
    low, high = draw(st.sampled_from(SPANS[dtype]))
    with np.errstate(all="ignore"):
        image = 10 ** rng.uniform(low, high, shape).astype(np.longdouble)
        image *= rng.choice([-1, 1], shape)
        limit = np.finfo(dtype).max
        image = np.clip(image, -limit, limit).astype(dtype)
    if draw(st.booleans()):
        image[:, shape[1] // 2 :] = rng.choice([limit, -limit, 0, 1e20, 1e-30])
    count = draw(st.sampled_from([0, 0, 1, 5])) if bad else 0
    for _ in range(count):
        image[rng.integers(shape[0]), rng.integers(shape[1])] = rng.choice(
            [np.nan, np.inf, -np.inf]
        )
    return image


@st.composite
def kernels(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    kind = draw(st.sampled_from(["random", "sparse", "separable", "equal", "ring"]))
    if kind == "separable":
        column, row = (rng.choice([0, 1, -1, 0.3], n) for n in shape)
        kernel = np.outer(column, row)
    elif kind == "equal":
        kernel = np.full(shape, 1 / np.prod(shape))
    else:
        kernel = rng.normal(size=shape)
        if kind == "sparse":
            kernel[rng.random(shape) < 0.6] = 0
        elif kind == "ring":
            kernel[...] = 1
            kernel[1:-1, 1:-1] = 0
    return kernel * draw(st.sampled_from([1.0, 1.0, 1e-3, 1e-30, 7.0]))


def summed(image, kernel, border="reflect", value=0.0):
    """Convolve (H, W) in a long double."""
    (kh, kw), (height, width) = kernel.shape, image.shape
    given = {"constant_values": value} if border == "constant" else {}
    padded = np.pad(image.astype(np.longdouble), ((kh, kh), (kw, kw)), NUMPY_PAD[border], **given)
    total = np.zeros(image.shape, np.longdouble)
    for i, j in np.argwhere(kernel).tolist():
        y, x = kh // 2 - i + kh, kw // 2 - j + kw
        total += np.longdouble(kernel[i, j]) * padded[y : y + height, x : x + width]
    return total


def assert_in_range(result, reference, image, norm=1.0, tolerance=1e-5):
    """Assert that a result is finite where the reference is, and near it there.

    An error may be this share of the largest sample times the norm of the weights, where that is
    more than 1. Where it decides whether a value still fits into the dtype, both are right.
    """
    limits = np.finfo(result.dtype)
    finite = image[np.isfinite(image)]
    largest = np.abs(finite).max(initial=0).astype(np.longdouble)
    allowed = tolerance * largest * max(norm, 1.0) + 100 * np.longdouble(limits.smallest_subnormal)
    certain = ~(np.abs(np.abs(reference) - limits.max) <= allowed)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(reference))
    rounded = reference.astype(result.dtype)
    infinite = np.isinf(rounded) & certain
    np.testing.assert_array_equal(result[infinite], rounded[infinite])
    fits = np.isfinite(rounded) & certain
    assert np.isfinite(result[fits]).all()
    assert (np.abs(result[fits] - reference[fits]) <= allowed).all()


@pytest.fixture(autouse=True)
def _references_may_overflow():
    """The references compute with NaN and infinity; convcli itself must not warn of them."""
    with np.errstate(all="ignore"):
        yield


def loud(function, *arguments, **options):
    """Call a function as a program does that has numpy raise for every overflow or NaN."""
    with np.errstate(all="raise"):
        return function(*arguments, **options)


@quick
@given(images(), kernels(), st.sampled_from(BORDERS), st.sampled_from(METHODS), st.booleans())
def test_convolve(image, kernel, border, method, exact):
    result = loud(convcli.convolve, image, kernel, border=border, method=method, exact=exact)
    reference = summed(image, kernel, border)
    tolerance = 1e-6 if exact and image.dtype == np.float32 else 1e-5
    assert_in_range(result, reference, image, np.abs(kernel).sum(), tolerance)


@quick
@given(
    images(), st.floats(0.3, 4), st.sampled_from(METHODS), st.sampled_from(["float32", "float64"])
)
def test_blur(image, sigma, method, out_dtype):
    result = loud(convcli.blur, image, sigma, method=method, out_dtype=out_dtype, border="nearest")
    kernel = np.asarray(convcli.gaussian_kernel(sigma))
    assert_in_range(result, summed(image, kernel, "nearest"), image)


def derivatives(image):
    return [summed(image, np.asarray(kernel)) for kernel in convcli.sobel_kernels()]


@quick
@given(images(), st.sampled_from(METHODS))
def test_edge(image, method):
    along_x, along_y = derivatives(image)
    for show, wanted in (
        ("x", along_x),
        ("y", along_y),
        ("magnitude", np.sqrt(along_x**2 + along_y**2)),
    ):
        result = loud(convcli.edge, image, show=show, method=method)
        assert_in_range(result, wanted, image, 3.0)


@quick
@given(images(bad=False), st.sampled_from(METHODS))
def test_angles_and_small_magnitudes_are_exact_wherever_they_are(image, method):
    """Each depends on the samples under the kernel alone, whatever stands elsewhere."""
    along_x, along_y = derivatives(image)
    largest = np.sqrt(np.abs(summed(np.abs(image), np.ones((3, 3)))) ** 2)
    clear = np.minimum(np.abs(along_x), np.abs(along_y)) > 1e-3 * largest
    clear &= largest > 1e3 * np.finfo(image.dtype).tiny
    turn = loud(convcli.edge, image, show="angle", method=method)
    wanted = np.arctan2(along_y, along_x)
    np.testing.assert_allclose(turn[clear], wanted[clear].astype(float), rtol=1e-5)
    if method != "fft":
        length = np.sqrt(along_x**2 + along_y**2)
        clear &= length < np.finfo(image.dtype).max
        result = loud(convcli.edge, image, method=method)
        assert (np.abs(result[clear] / length[clear] - 1) <= 1e-3).all()


@quick
@given(images(), st.sampled_from(METHODS))
def test_a_stretched_image_fills_the_range(image, method):
    along_x, along_y = derivatives(image)
    length = np.sqrt(along_x**2 + along_y**2)
    largest = length[np.isfinite(length)].max(initial=0)
    result = loud(convcli.edge, image, stretch=True, method=method)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(np.isfinite(result), np.isfinite(length))
    if largest > 100 * np.finfo(image.dtype).tiny:
        share = result[np.isfinite(result)]
        np.testing.assert_allclose(share, (length[np.isfinite(length)] / largest), atol=1e-4)


@quick
@given(images(), st.floats(0.3, 2), st.sampled_from([0.0, 0.7, 30.0]), st.sampled_from(METHODS))
def test_sharpen(image, sigma, amount, method):
    result = loud(convcli.sharpen, image, sigma, amount, method=method)
    blurred = summed(image, np.asarray(convcli.gaussian_kernel(sigma)))
    wanted = image + amount * (image - blurred)
    assert_in_range(result, wanted, image, 1 + 2 * amount)


@quick
@given(images(), kernels(), st.sampled_from([1.0, -1e30, 1e300]), st.sampled_from(METHODS))
def test_bias(image, kernel, bias, method):
    result = loud(convcli.convolve, image, kernel, bias=bias, method=method, out_dtype="float64")
    wanted = summed(image, kernel) + bias
    largest = np.append(image[np.isfinite(image)].astype(float), bias)
    assert_in_range(result, wanted, largest, np.abs(kernel).sum() + 1)


@quick
@given(images(), st.sampled_from(METHODS), st.integers(0, 2**32))
def test_what_lies_under_an_alpha_of_0_takes_no_part(image, method, seed):
    rng = np.random.default_rng(seed)
    alpha = np.where(rng.random(image.shape) < 0.5, 0, rng.random(image.shape))
    pixels = np.stack([image, alpha.astype(image.dtype)], axis=2)
    kernel = np.asarray(convcli.gaussian_kernel(1.0, radius=2))
    result = loud(convcli.blur, pixels, 1.0, radius=2, alpha="weight", method=method)
    share = pixels[..., 1].astype(np.longdouble)
    below = summed(share, kernel)
    above = summed(np.where(share == 0, 0, image * share), kernel)
    wanted = np.where(below > 4e-6, above / np.where(below > 4e-6, below, 1), 0)
    seen = ~(np.abs(below - 4e-6) < 1e-6) & ((below > 1e-3) | ~np.isfinite(wanted))
    assert_in_range(result[..., 0][seen], wanted[seen], image, 1e3)


@quick
@given(images(), st.sampled_from(METHODS))
def test_light_of_any_strength(image, method):
    result = loud(convcli.blur, image, 1.0, radius=2, linear=True, method=method)
    code = image.astype(np.longdouble)
    curved = ((np.maximum(code, 0.04045) + 0.055) / 1.055) ** np.longdouble(2.4)
    light = np.where(code <= 0.04045, code / 12.92, curved)
    blurred = summed(light, np.asarray(convcli.gaussian_kernel(1.0, radius=2)))
    curved = 1.055 * np.maximum(blurred, 0.0031308) ** (1 / np.longdouble(2.4)) - 0.055
    wanted = np.where(blurred <= 0.0031308, blurred * 12.92, curved)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(wanted))
    fits = np.abs(wanted) < 0.999 * np.finfo(image.dtype).max
    assert np.isfinite(result[fits]).all()
    positive = fits & (wanted > 0) & (image.min() >= 0)
    np.testing.assert_allclose(result[positive], wanted[positive].astype(float), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("method", "sign"), [*((method, sign) for method in METHODS for sign in (1, -1)), ("tiled", 1)]
)
def test_a_constant_of_the_largest_float_stays_as_it_is(dtype, method, sign):
    most = sign * np.finfo(dtype).max
    image = np.full((40, 30), most, dtype)
    options = {"method": method, "workers": 2}
    results = [loud(convcli.blur, image, sigma, **options) for sigma in (0.5, 0.7, 1.1, 2.0, 8.0)]
    for size in ((3, 3), (2, 5), (7, 7)):
        kernel = np.full(size, 1 / np.prod(size))
        results.append(loud(convcli.convolve, image, kernel, **options))
    results.append(loud(convcli.sharpen, image, 2.0, amount=0.5, **options))
    for result in results:
        np.testing.assert_allclose(result, most, rtol=1e-6)
    assert (loud(convcli.edge, image, **options) <= np.abs(most) * 1e-6).all()
    colour = np.repeat(image[..., np.newaxis], 3, axis=2)
    assert (loud(convcli.edge, colour, **options) <= np.abs(most) * 1e-6).all()


@pytest.mark.parametrize(
    ("method", "fill"),
    [
        *((method, fill) for method in METHODS for fill in (1e20, 9.96921e36, 3.4028235e38)),
        ("numba", -3.4028235e38),
        ("tiled", 3.4028235e38),
    ],
)
def test_a_fill_value_disturbs_nothing_that_it_does_not_reach(method, fill):
    """NetCDF's and GDAL's: the rest of the image is what it is without them."""
    image = np.random.default_rng(0).random((300, 300)).astype(np.float32)
    filled = image.copy()
    filled[:, 200:] = fill
    for verb, options in (
        (convcli.edge, {}),
        (convcli.edge, {"show": "angle"}),
        (convcli.edge, {"sigma": 1.5}),
        (convcli.edge, {"sigma": 1.5, "show": "laplacian"}),
        (convcli.edge, {"sigma": 1.5, "canny": (0.2, 0.2)}),
        (convcli.blur, {"sigma": 1.5}),
        (convcli.sharpen, {"sigma": 1.5}),
    ):
        is_local = options.get("show") == "angle" or "canny" in options
        if method == "fft" and not is_local:
            continue  # the rounding of a transform spreads over its block
        result = loud(verb, filled, method=method, workers=2, **options)
        wanted = loud(verb, image, method=method, workers=2, **options)
        np.testing.assert_allclose(result[:, :190], wanted[:, :190], rtol=1e-4, atol=1e-6)
        # At the step, a sharpened largest float is beyond the range.
        assert np.isfinite(result).all() or (verb is convcli.sharpen and abs(fill) > 3e38)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("operator", "show", "options"),
    [
        ("sobel", "magnitude", {}),
        ("scharr", "x", {"border": "constant"}),
        ("prewitt", "y", {"alpha": "weight"}),
        ("sobel", "x", {"linear": True}),
    ],
)
def test_edges_of_the_largest_floats_are_stretched_like_smaller_ones(
    method, operator, show, options
):
    image = np.random.default_rng(11).choice([-1.0, -0.25, 0.0, 0.5, 1.0], (12, 17, 3))
    if "alpha" in options:
        image = np.dstack([image, np.ones((12, 17))])

    def stretched(factor):
        scaled = image.copy()
        scaled[..., :3] *= factor
        return convcli.edge(scaled, operator, show, stretch=True, method=method, **options)

    np.testing.assert_allclose(stretched(LARGEST), stretched(2.0**900), atol=1e-12)
