"""Missing samples, NaN or of a no-data value, are left out of every sum, in every method.

The references sum values and masks in float64, and are astropy's.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

import convcli
from convcli.errors import ConvcliError
from convcli.filtering import convolution
from convcli.filtering.filter import Filter
from convcli.filtering.options import DEFAULTS
from convcli.kernels.kernel import kernel_from
from convcli.kernels.named import edge_kernels
from convcli.loops.contract import LOOPS
from convcli.pixels.source import ArraySource
from convcli.running import packages
from convcli.running.execute import filter_source
from convcli.words import BORDERS
from tests.oracles import NUMPY_PAD, assert_same_picture
from tests.plans import planned

METHODS = ["numpy", "numba", "fft"]
quick = settings(max_examples=80, deadline=None)


def summed(values, weights, border, constant):
    """Convolve (H, W) in float64 with numpy.pad beyond the edge, whatever the kernel's size.

    (scipy.ndimage leaves weights below 2e-16 out, and reflects small images wrong.)
    """
    (kh, kw), more = weights.shape, {"constant_values": constant} if border == "constant" else {}
    reach = ((kh - 1 - kh // 2, kh // 2), (kw - 1 - kw // 2, kw // 2))
    padded = np.pad(values.astype(float), reach, NUMPY_PAD[border], **more)
    windows = sliding_window_view(padded, weights.shape)
    return np.einsum("yxij,ij->yx", windows, weights[::-1, ::-1].astype(float))


def normalised(image, kernel, border="reflect", value=0.0):
    """Convolve (H, W) with NaN left out: each missing sample is the |k|-weighted mean of the rest.

    A constant beyond the edge is a sample like others.
    """
    kernel = np.asarray(kernel, float)
    there = ~np.isnan(image)
    known = np.where(there, image, 0)
    total, mean = (summed(known, each, border, value) for each in (kernel, np.abs(kernel)))
    present, remains = (summed(there, each, border, 1) for each in (kernel, np.abs(kernel)))
    nothing = remains == 0
    mean = np.where(nothing, image, mean / np.where(nothing, 1, remains))
    return total + (kernel.sum() - present) * mean


@st.composite
def images(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    image = rng.uniform(-100, 100, shape)
    kinds = ["some", "most", "rows", "block", "one left", "one missing", "all"]
    kind = draw(st.sampled_from(kinds))
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
    kinds = ["positive", "signs", "zero sum", "ring", "gauss", "disc", "sobel"]
    kind = draw(st.sampled_from(kinds))
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
@given(images(), kernels(), st.sampled_from(BORDERS[:-1]), st.sampled_from(METHODS))
def test_a_constant_gives_what_it_gives_without_holes(image, kernel, border, method):
    image[~np.isnan(image)] = 7
    result = convcli.convolve(image, kernel, border=border, method=method, nan="skip")
    there = result[~np.isnan(result)]
    np.testing.assert_allclose(there, 7 * kernel.sum(), atol=1e-5 * max(1, np.abs(kernel).sum()))


@pytest.mark.parametrize("method", [*METHODS, "tiled"])
@pytest.mark.parametrize("sigma", [1.0, (3.0, 0.8)])
def test_a_transform_is_as_good_where_next_to_nothing_remains(method, sigma):
    """In the far tail of a Gaussian cut at 12 sigma, weights of 1e-31 remain."""
    image = np.full((60, 70), np.nan)
    image[8:10, 8:10] = [[1, 2], [3, 4]]
    kernel = convcli.gaussian_kernel(sigma, 12.0)
    image[20, 30] = 5
    result = convcli.convolve(image, kernel, method=method, nan="skip", workers=2)
    assert_equal(result, normalised(image, kernel), np.ones(1), 1e-6)


BIG = np.random.default_rng(7).normal(100, 20, (150, 160))
HOLES = {
    "random": np.random.default_rng(8).random(BIG.shape) < 0.3,
    "rows": np.arange(150)[:, None] % 50 + np.zeros(160) < 30,
    "all": np.ones(BIG.shape, bool),
    "one left": np.arange(BIG.size).reshape(BIG.shape) != 8000,
    "one missing": np.arange(BIG.size).reshape(BIG.shape) == 8000,
}
# astropy's words.
BOUNDARIES = {"fill": "constant", "wrap": "wrap", "extend": "nearest"}


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_equals_astropy(hole, boundary):
    astropy = pytest.importorskip("astropy.convolution")
    border = BOUNDARIES[boundary]
    rng = np.random.default_rng(9)
    image = np.where(HOLES[hole], np.nan, BIG).astype(np.float32)
    value = 50.0 if border == "constant" else 0.0
    for kernel in (np.asarray(convcli.gaussian_kernel(2.0)), rng.random((5, 9)) * 3):
        for preserve in (False, True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # where NaN remains
                wanted = astropy.convolve(
                    image, kernel, boundary=boundary, fill_value=value, normalize_kernel=False,
                    nan_treatment="interpolate", preserve_nan=preserve,
                )  # fmt: skip
            for method in METHODS:
                result = convcli.convolve(
                    image, kernel, border=border, border_value=value, method=method, nan="skip"
                )
                if preserve:
                    result = np.where(np.isnan(image), np.nan, result)
                np.testing.assert_allclose(result, wanted, rtol=1e-6)


@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop(loop):
    """The textbook algorithms, too, which no plan takes."""
    image = np.where(np.random.default_rng(3).random((9, 11)) < 0.4, np.nan, BIG[:9, :11])
    image[5:, 6:] = np.nan
    for kernel in (np.outer([1, 3, 1], [2, 1, 2]) / 25, np.outer([1, 2, 1], [1, 0, -1]) / 4.0):
        plan = planned(image.shape, "float64", kernel_from(kernel), "numpy")
        plan = replace(plan, route=plan.route._replace(loop=loop, form="dense"))
        recipe = convolution._recipe(
            ArraySource(image[..., np.newaxis]), Filter((kernel_from(kernel),)),
            {**DEFAULTS, "nan": "skip"},
        )  # fmt: skip
        result = filter_source(plan, recipe, ArraySource(image[..., np.newaxis]), None)[..., 0]
        assert_equal(result, normalised(image, kernel), kernel, 1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("border", ["reflect", "constant"])
def test_a_no_data_value(dtype, method, border):
    """A constant border of that value is no hole; what stays missing has the value."""
    image = BIG.astype(dtype)
    image[HOLES["random"]] = 0
    image[60:100, 40:90] = 0
    for kernel in (np.ones((3, 3)) / 9, np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])):
        result = convcli.convolve(image, kernel, nodata=0, method=method, border=border)
        wanted = normalised(np.where(image == 0, np.nan, image.astype(float)), kernel, border)
        assert (result[62:98, 42:88] == 0).all()
        assert_same_picture(result, np.round(np.nan_to_num(wanted), 6))  # halves are exact


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16"])
def test_windows_without_holes_are_filtered_as_ever(dtype, method):
    image = np.maximum(BIG, 1).astype(dtype)
    for verb in (convcli.blur, convcli.edge, convcli.sharpen):
        wanted = verb(image, method=method)
        np.testing.assert_array_equal(verb(image, nan="skip", method=method), wanted)
        np.testing.assert_array_equal(verb(image, nodata=0, method=method), wanted)


def test_tiles_and_workers_change_nothing(monkeypatch):
    image = np.where(HOLES["random"] & (BIG > 90), np.nan, BIG)
    kernels = np.outer([1, 2, 1], [1, 0, -1]), np.ones((5, 5)) / 25
    wanted = [convcli.convolve(image, each, nan="skip") for each in kernels]

    def cut(*arguments, **options):
        plan = planned_before(*arguments, **options)
        return replace(plan, route=plan.route._replace(regions=(31, 40), tile=(16, 24), workers=3))

    planned_before = packages.plan_for
    monkeypatch.setattr(packages, "plan_for", cut)
    for kernel, before in zip(kernels, wanted, strict=True):
        after = convcli.convolve(image, kernel, nan="skip")
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)


def test_channels_are_apart():
    image = np.stack([BIG, BIG[::-1], BIG[:, ::-1]], axis=2)
    image[HOLES["random"], 1] = np.nan
    image[40:80, 30:60, 2] = np.nan
    result = convcli.blur(image, 2.0, nan="skip")
    for channel in range(3):
        alone = convcli.blur(image[..., channel], 2.0, nan="skip")
        np.testing.assert_allclose(result[..., channel], alone, rtol=1e-12)


@pytest.mark.parametrize("linear", [False, True])
def test_a_missing_colour_counts_as_one_of_alpha_0(linear):
    """So it does where the whole colour of a pixel is missing, but the alpha stays its own."""
    rng = np.random.default_rng(5)
    image = rng.random((40, 50, 4))
    image[..., 3] = rng.uniform(0.2, 1, (40, 50))
    hole = rng.random((40, 50)) < 0.3
    missing, clear = image.copy(), image.copy()
    missing[hole, :3] = np.nan
    clear[hole, 3] = 0
    options = {"sigma": 1.5, "alpha": "weight", "linear": linear}
    result = convcli.blur(missing, nan="skip", **options)
    np.testing.assert_allclose(result[..., :3], convcli.blur(clear, **options)[..., :3], atol=1e-9)
    np.testing.assert_allclose(result[..., 3], convcli.blur(image, **options)[..., 3], atol=1e-12)


def test_a_no_data_value_of_0_leaves_an_alpha_of_0_as_it_is():
    image = np.full((9, 9, 4), 200, np.uint8)
    image[:, 5:, 3] = 0
    image[2, 2, :3] = 0
    result = convcli.blur(image, 1.0, alpha="weight", nodata=0)
    np.testing.assert_array_equal(result[..., 3], convcli.blur(image, 1.0, alpha="weight")[..., 3])
    assert (result[result[..., 3] > 0][:, :3] == 200).all()


def test_what_is_missing_is_sharpened_to_the_blur():
    image = np.where(HOLES["random"], np.nan, BIG)
    image[20:60, 20:60] = np.nan
    blurred = convcli.blur(image, 1.5, nan="skip")
    there = np.where(np.isnan(image), blurred, image)
    result = convcli.sharpen(image, 1.5, amount=2.0, nan="skip")
    np.testing.assert_allclose(result, there + 2 * (there - blurred), rtol=1e-12)
    assert np.isnan(result[30:50, 30:50]).all()


@pytest.mark.parametrize("method", METHODS)
def test_an_edge_is_none_of_the_holes(method):
    image = np.where(HOLES["random"], np.nan, BIG)
    along_x, along_y = (normalised(image, each) for each in edge_kernels("scharr"))
    options = {"operator": "scharr", "nan": "skip", "method": method}
    np.testing.assert_allclose(
        convcli.edge(image, **options), np.hypot(along_x, along_y), atol=1e-9
    )
    turn = convcli.edge(image, show="angle", **options)
    is_clear = (np.abs(along_x) > 1e-6) & (np.abs(along_y) > 1e-6)
    np.testing.assert_allclose(turn[is_clear], np.arctan2(along_y, along_x)[is_clear], atol=1e-6)
    flat = np.where(np.isnan(image), np.nan, 77.7)
    assert np.nanmax(convcli.edge(flat, stretch=True, **options)) == 0


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_stretch_leaves_the_no_data_value_out(dtype):
    image = np.full((40, 40), 100, dtype)
    image[:, 20:] = 110
    image[:8] = 255
    result = convcli.edge(image, stretch=True, nodata=255)
    full = 255 if dtype == "uint8" else 1
    assert (result[:7] == 255).all()
    assert result[20].max() == full
    assert (result[20, :18] == 0).all()


def test_nan_and_nodata_that_contradict_are_refused():
    with pytest.raises(ConvcliError, match="nan='keep' and nodata cannot be used together"):
        convcli.blur(BIG, nan="keep", nodata=0)


@pytest.mark.parametrize(
    ("value", "dtype"), [(-1, "uint8"), (0.5, "uint8"), (256, "uint8"), (1e300, "float32")]
)
def test_a_value_that_no_sample_has_changes_nothing(value, dtype):
    image = BIG.astype(dtype)
    image[3, 3] = 0
    found = convcli.blur(image, nodata=value, method="numpy")
    np.testing.assert_array_equal(found, convcli.blur(image, method="numpy"))
    image = np.full((3, 3), np.inf, np.float32)
    assert (convcli.blur(image, nodata=value) == np.inf).all()


def test_a_fill_value_near_the_end_of_the_range_costs_no_digits():
    """GDAL's lowest float: it is left out before the range of the sums is looked at."""
    lowest = float(np.finfo(np.float32).min)
    image = np.where(HOLES["rows"], lowest, BIG).astype(np.float32)
    wanted = normalised(np.where(HOLES["rows"], np.nan, BIG), convcli.gaussian_kernel(2.0))
    result = convcli.blur(image, 2.0, nodata=-3.40282346638529e38)
    wanted = np.where(np.isnan(wanted), lowest, wanted)
    np.testing.assert_allclose(result, wanted, rtol=1e-6)


def test_large_kernels_are_folded_with_their_absolute_weights():
    image = np.where(np.arange(12).reshape(3, 4) % 5 == 0, np.nan, BIG[:3, :4])
    kernel = np.random.default_rng(2).normal(size=(25, 31))
    for border in BORDERS:
        result = convcli.convolve(image, kernel, border=border, nan="skip")
        assert_equal(result, normalised(image, kernel, border), kernel, 1e-9)
