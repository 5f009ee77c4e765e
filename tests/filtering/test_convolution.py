"""Every method gives the image that four nested loops and scipy.ndimage give."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from skimage import data

import convcli
from convcli.filtering.options import DEFAULTS, Options
from convcli.kernels.kernel import whole_numbers
from convcli.kernels.named import disc_kernel
from convcli.loops import decimation, overlap_add
from convcli.words import BORDERS
from tests.oracles import assert_same_picture, four_loops, rounded, scipy_convolve

THREADED = ["numpy", "numba", "fft"]  # tiled starts processes, and has a test of its own
IMAGE_SHAPES = [(1, 1), (1, 9), (8, 1), (13, 17), (70, 90)]
KERNEL_SHAPES = [(1, 1), (1, 4), (5, 1), (2, 2), (3, 3), (6, 5), (31, 20)]
DTYPES = ["uint8", "uint16", "float32", "float64"]


def image_of(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype.startswith("u"):
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    return rng.random(shape).astype(dtype)


def kernel_of(shape, form, seed=1):
    rng = np.random.default_rng(seed)
    if form == "separable":
        return np.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1]))
    return rng.normal(size=shape)


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["dense", "separable"])
def test_equals_scipy(method, border, dtype, form):
    for shape in IMAGE_SHAPES:
        image = image_of(shape, dtype)
        for kernel_shape in KERNEL_SHAPES:
            kernel = kernel_of(kernel_shape, form)
            reference = scipy_convolve(image, kernel, border, 7.0)
            result = convcli.convolve(image, kernel, border=border, border_value=7.0, method=method)
            assert result.dtype == image.dtype
            assert_same_picture(result, reference)


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize("border", BORDERS)
def test_equals_four_nested_loops(method, border):
    for shape, kernel_shape in [
        ((6, 7), (3, 4)),
        ((1, 5), (2, 3)),
        ((5, 4), (7, 11)),
        ((3, 3), (1, 1)),
    ]:
        image = image_of(shape, "uint8")
        kernel = kernel_of(kernel_shape, "dense")
        result = convcli.convolve(image, kernel, border=border, border_value=9, method=method)
        assert_same_picture(result, four_loops(image, kernel, border, 9))


@pytest.mark.parametrize("border", BORDERS)
def test_scipy_agrees_with_four_nested_loops(border):
    """The oracles are tested against each other, so neither is trusted blindly."""
    image, kernel = image_of((5, 6), "float64"), kernel_of((4, 9), "dense")
    np.testing.assert_allclose(
        four_loops(image, kernel, border, 3), scipy_convolve(image, kernel, border, 3), atol=1e-12
    )


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize("kernel_shape", [(3, 3), (4, 2), (1, 6)], ids=str)
def test_correlate_leaves_the_kernel_unflipped(method, kernel_shape):
    image, kernel = image_of((20, 30, 3), "float64"), kernel_of(kernel_shape, "dense")
    result = convcli.convolve(image, kernel, correlate=True, method=method)
    assert_same_picture(result, scipy_convolve(image, kernel, "reflect", correlate=True))


@pytest.mark.parametrize("method", [*THREADED, "tiled"])
@pytest.mark.parametrize("kernel_shape", [(3, 3), (4, 5), (2, 2), (1, 7)], ids=str)
def test_an_impulse_gives_the_kernel(method, kernel_shape):
    kernel = kernel_of(kernel_shape, "dense")
    image = np.zeros((15, 16))
    image[7, 8] = 1
    result = convcli.convolve(image, kernel, border="constant", method=method)
    top, left = 7 - kernel_shape[0] // 2, 8 - kernel_shape[1] // 2
    found = result[top : top + kernel_shape[0], left : left + kernel_shape[1]]
    np.testing.assert_allclose(found, kernel, atol=1e-12)
    assert np.abs(result).sum() == pytest.approx(np.abs(kernel).sum())


@pytest.mark.parametrize(
    ("dtype", "form"), [*((dtype, "dense") for dtype in DTYPES), ("uint8", "separable")]
)
def test_tiled_equals_numba(dtype, form):
    image, kernel = image_of((61, 47, 3), dtype), kernel_of((7, 6), form)
    for border in BORDERS:
        tiled = convcli.convolve(image, kernel, border=border, method="tiled", workers=3)
        numba = convcli.convolve(image, kernel, border=border, method="numba")
        np.testing.assert_array_equal(tiled, numba)
        assert_same_picture(tiled, scipy_convolve(image, kernel, border))


@pytest.mark.parametrize("size", [(2, 3), (6, 1), (5, 2), (6, 6), (10, 10)], ids=str)
def test_methods_agree_on_results_half_way_between_levels(size):
    """Means of an even number of samples are often ties, and every method rounds them alike."""
    image = image_of((200, 200), "uint8")
    kernel = np.full(size, 1 / (size[0] * size[1]))
    exact = scipy_convolve(image, np.ones(size), "reflect") / (size[0] * size[1])
    for method in THREADED:
        np.testing.assert_array_equal(
            convcli.convolve(image, kernel, method=method), rounded(exact, "uint8")
        )


@pytest.mark.parametrize("method", THREADED)
def test_exact_is_float64_to_its_rounding(method):
    image, kernel = image_of((64, 64), "float32"), kernel_of((15, 15), "dense")
    reference = scipy_convolve(image, kernel, "reflect")
    result = convcli.convolve(image, kernel, method=method, exact=True, out_dtype="float64")
    assert_same_picture(result, reference, 1e-13)


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize("value", [12.5, -3.0, 300.0])
def test_a_border_value_that_is_no_sample_is_not_rounded(method, value):
    image, kernel = image_of((9, 9), "uint8"), np.full((3, 3), 1 / 9)
    result = convcli.convolve(image, kernel, border="constant", border_value=value, method=method)
    assert_same_picture(result, scipy_convolve(image, kernel, "constant", value))


@pytest.mark.parametrize("method", THREADED)
def test_out_dtype_float32_keeps_sign_and_range(method):
    image = np.array([[0, 0, 255, 255]], np.uint8)
    result = convcli.convolve(image, [[-4.0, 0, 4.0]], method=method, out_dtype="float32")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[0, -1020, -1020, 0]], atol=1e-3)


@pytest.mark.parametrize("method", THREADED)
def test_bias_is_added_before_rounding_and_clipping(method):
    image = np.array([[10, 20, 250]], np.uint8)
    assert convcli.convolve(image, [[0.25]], bias=0.5, method=method).tolist() == [[3, 6, 63]]
    assert convcli.convolve(image, [[-1]], bias=255, method=method).tolist() == [[245, 235, 5]]


def test_accepts_lists_views_and_foreign_byte_order():
    image = image_of((12, 14, 3), "uint16")
    kernel = kernel_of((3, 2), "dense")
    wanted = convcli.convolve(image, kernel)
    np.testing.assert_array_equal(convcli.convolve(image.astype(">u2"), kernel), wanted)
    np.testing.assert_array_equal(
        convcli.convolve(image[::-1].copy()[::-1], kernel.tolist()), wanted
    )


def test_the_image_is_left_as_it_was():
    image = image_of((30, 30), "float32")
    before = image.copy()
    for method in THREADED:
        convcli.convolve(image, kernel_of((3, 3), "dense"), method=method)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((np.zeros((3, 3), np.int32), [[1]]), {}, "dtype int32"),
        ((np.zeros((3, 3), complex), [[1]]), {}, "dtype complex128"),
        ((np.zeros(3), [[1]]), {}, r"shape \(3,\)"),
        ((np.zeros((0, 3)), [[1]]), {}, "not empty"),
        ((np.zeros((2, 2, 2, 2)), [[1]]), {}, "shape"),
        ((np.zeros((3, 3)), [1, 2]), {}, r"shape \(2,\)"),
        ((np.zeros((3, 3)), [[1, 2], [3]]), {}, "rows may differ in length"),
        ((np.zeros((3, 3)), [[np.nan]]), {}, "row 1, column 1 is nan"),
        ((np.zeros((3, 3)), [[1]]), {"border": "zero"}, "unknown border 'zero'"),
        ((np.zeros((3, 3)), [[1]]), {"method": "cuda"}, "unknown method 'cuda'"),
        ((np.zeros((3, 3)), [[1]]), {"workers": 0}, "workers must be .* not 0"),
        ((np.zeros((3, 3)), [[1]]), {"out_dtype": "int8"}, "out_dtype is int8"),
        ((np.zeros((3, 3)), [[1]]), {"out_dtype": "pixels"}, "out_dtype is 'pixels'"),
        ((np.zeros((3, 3)), [[1]]), {"border_value": np.nan}, "border_value"),
        ((np.zeros((3, 3)), [[1]]), {"border_value": -1e300}, "border_value .* not -1e.300"),
        ((np.zeros((3, 3)), [[1]]), {"alpha": "half"}, "unknown alpha 'half'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_with_a_sentence_that_names_the_value(arguments, options, words):
    with pytest.raises(convcli.ConvcliError, match=words):
        convcli.convolve(*arguments, **options)
    with pytest.raises(ValueError, match=words):  # for callers that do not import ConvcliError
        convcli.convolve(*arguments, **options)


def test_an_unknown_option_is_an_error():
    with pytest.raises(TypeError, match="bordr"):
        convcli.convolve(np.zeros((3, 3)), [[1]], bordr="wrap")


@pytest.mark.parametrize("value", [12.5, 300, 1e5, 1e9, -1e9])
def test_methods_agree_however_large_the_border_value(value):
    """A sum that holds a large constant beside samples must not lose them."""
    image = image_of((40, 50), "uint8")
    kernel = [[1, -1, 0.5, -1, 1]]  # beyond the edge the constants cancel
    wanted = rounded(scipy_convolve(image, np.array(kernel), "constant", value), "uint8")
    for method in THREADED:
        result = convcli.convolve(
            image, kernel, border="constant", border_value=value, method=method
        )
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_methods_agree_on_ties_of_kernels_that_are_sums_of_terms(dtype):
    """Whole numbers of rank 2, in float64: the terms of its factors are not whole numbers."""
    image = image_of((90, 80), dtype)
    kernel = np.add.outer([1.0, 2, 3, 4, 5, 6, 7], [0, 1, 0, 1, 0, 1, 0]) / 250
    wanted = rounded(scipy_convolve(image, np.rint(kernel * 250), "reflect") / 250, dtype)
    for method in THREADED:
        result = convcli.convolve(image, kernel, method=method, exact=True)
        np.testing.assert_array_equal(result, wanted)


def eight_bit_pictures():
    y, x = np.mgrid[:180, :210]
    return {
        "noise": image_of((180, 210), "uint8"),
        "step": np.where(x + y // 3 < 100, 0, 255).astype(np.uint8),
        "checkerboard": ((x // 8 + y // 8) % 2 * 255).astype(np.uint8),
        "white": np.full((180, 210), 255, np.uint8),
        "few levels": image_of((180, 210), "uint8") // 64,
    }


def large_kernels():
    rng = np.random.default_rng(5)
    positive, signed = rng.random((31, 31)), rng.normal(size=(31, 31))
    whole, binomial = rng.integers(0, 4, (21, 22)), np.array([1.0])
    for _ in range(30):
        binomial = np.convolve(binomial, [0.5, 0.5])
    ring = np.hypot(*np.mgrid[-31:32, -31:32]) < 31
    return {
        "not negative": positive / positive.sum(),
        "both signs": signed / np.abs(signed).sum() * 1.5,
        "63 x 63": rng.random((63, 63)) / 2000,
        "whole": whole / whole.sum(),
        "binomial": np.outer(binomial, binomial),
        "box 31": np.full((31, 31), 1 / 961),
        "box 32": np.full((32, 32), 1 / 1024),
        "box 63": np.full((63, 63), 1 / 3969),
        "disc": ring / ring.sum(),
        "two": np.eye(31) / 2,
    }


@cache
def by_a_large_kernel(name):
    """Return whether sums are exact, and scipy's results by the name of the image.

    scipy takes a second for 63 x 63 weights, and both kinds of transforms are compared with it.
    """
    kernel = large_kernels()[name]
    unit = np.abs(kernel[kernel != 0]).min()
    is_whole = np.array_equal(np.rint(kernel / unit), np.round(kernel / unit, 6))
    is_exact = bool(is_whole and kernel.max() < 100 * unit)
    weights, divisor = (np.rint(kernel / unit), np.rint(1 / unit)) if is_exact else (kernel, 1)
    return is_exact, {
        picture: rounded(scipy_convolve(image, weights, "reflect") / divisor, "uint8")
        for picture, image in eight_bit_pictures().items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", large_kernels())
def test_large_kernels_by_fft_are_right_to_two_pixels_in_a_thousand(name, transforms):
    """With scipy 8-bit samples go through float32; sums that are whole numbers stay exact."""
    is_exact, wanted = by_a_large_kernel(name)
    for picture, image in eight_bit_pictures().items():
        result = convcli.convolve(image, large_kernels()[name], method="fft")
        if is_exact:
            np.testing.assert_array_equal(result, wanted[picture], picture)
        else:
            off = np.abs(result.astype(int) - wanted[picture])
            assert off.max() <= 1
            # What lies within 1e-4 of half a level may be rounded either way.
            assert (off > 0).mean() <= 0.002


def test_the_plan_of_an_fft_says_what_runs(transforms, monkeypatch):
    """Colours that are weighted or light are floats, and keep float64."""
    image = np.dstack([image_of((90, 80, 3), "uint8"), image_of((90, 80), "uint8", 1)])
    kernel, plans = large_kernels()["not negative"], []
    if transforms == "scipy":
        monkeypatch.setattr(np.fft, "irfft", None)
        convcli.convolve(image, kernel, method="fft", on_plan=plans.append)
        assert plans.pop().route.accumulator == "float32"
        monkeypatch.undo()
    monkeypatch.setattr("scipy.fft.irfftn", None)
    for options in ({"alpha": "weight"}, {"linear": True}, {"exact": True}):
        convcli.convolve(image, kernel, method="fft", on_plan=plans.append, **options)
        assert plans.pop().route.accumulator == "float64"
    convcli.convolve(image / 255, kernel, method="fft", on_plan=plans.append)
    assert plans.pop().route.accumulator == "float64"


def test_bias_leaves_alpha_alone():
    image = np.full((5, 6, 4), 100, np.uint8)
    image[0, 0, 3] = 0
    for alpha in ("weight", "keep"):
        result = convcli.convolve(image, [[1]], bias=40, alpha=alpha, method="numpy")
        np.testing.assert_array_equal(result[..., 3], image[..., 3])
        assert (result[1:, :, :3] == 140).all()


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kernel", [[[0.5]], [[0.25, 0.25, 0.5]], [[1, -1]]], ids=str)
def test_one_pixel_of_alpha_changes_nothing_far_away(border, kernel):
    opaque = np.dstack([image_of((8, 40, 3), "uint8"), np.full((8, 40), 255, np.uint8)])
    pierced = opaque.copy()
    pierced[-1, -1, 3] = 254
    options = {"border": border, "alpha": "weight", "method": "numpy"}
    whole = convcli.convolve(opaque, kernel, **options)
    np.testing.assert_array_equal(
        whole[:, 4:30], convcli.convolve(pierced, kernel, **options)[:, 4:30]
    )
    if border == "constant":
        np.testing.assert_array_equal(whole[:4], convcli.convolve(pierced, kernel, **options)[:4])


def test_every_option_has_a_default():
    assert set(DEFAULTS) == set(Options.__annotations__)


@pytest.mark.parametrize(
    "arguments",
    [
        ((0, 5), "uint8", [[1]]),
        ((5,), "uint8", [[1]]),
        ((5.5, 5), "uint8", [[1]]),
        ((5, 5), "int32", [[1]]),
        ((5, 5), "pixels", [[1]]),
        ((5, 5), "uint8", [[1]], "cuda"),
    ],
)
def test_planning_the_impossible_is_refused(arguments):
    with pytest.raises(convcli.ConvcliError, match=r"shape is|dtype is|unknown method"):
        convcli.plan(*arguments)


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize("radius", [12, 25, 27, 40])
@pytest.mark.parametrize("level", [0.7, 254.9, None])
def test_equal_terms_do_not_round_to_one_side(method, radius, level):
    """A disc's weights are equal except at its rim, and so are the samples of a white wall."""
    image = data.camera()[:50, :60].astype(np.float32)
    if level:
        image[:] = level
    disc = disc_kernel(radius)
    exact = convcli.convolve(image, disc, exact=True, out_dtype="float64")
    ours = convcli.convolve(image, disc, method=method, out_dtype="float64")
    assert np.abs(ours - exact).max() <= 5e-6 * image.max()


@pytest.mark.parametrize("radius", [12, 25, 27, 42])
def test_discs_round_a_checkerboard_alike(radius):
    board = (np.indices((40, 60)).sum(axis=0) % 2 * 255).astype(np.uint8)
    disc = disc_kernel(radius)
    exact = convcli.convolve(board, disc, exact=True)
    for method in THREADED:
        ours = convcli.convolve(board, disc, method=method)
        assert np.count_nonzero(ours != exact) <= 0.005 * board.size


def test_a_shape_may_be_of_numpys_numbers():
    shape = np.array([1000, 800])
    assert convcli.plan(shape, "uint8", [[1]]) == convcli.plan((1000, 800), "uint8", [[1]])


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize("sigma", [1, 2, 5, 6.3, 8])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_half_levels_all_over_are_rounded_alike(method, sigma, dtype):
    """A fine checkerboard blurs to exactly half a level everywhere."""
    rows, columns = np.mgrid[:300, :400]
    board = ((rows + columns) % 2 * (255 if dtype == "uint8" else 257)).astype(dtype)
    first = convcli.blur(board, sigma, method="numpy").astype(int)
    other = convcli.blur(board, sigma, method=method).astype(int)
    assert np.abs(first - other).max() <= 1
    assert (first != other).mean() <= 0.01


@pytest.mark.parametrize("dtype", [">u2", ">f4"])
def test_foreign_byte_order_in_an_image_with_an_unused_channel(dtype):
    image = np.random.default_rng(0).integers(0, 1000, (50, 60, 4)).astype(dtype)[..., :3]
    wanted = convcli.blur(image.astype(image.dtype.newbyteorder("=")), 2, method="numba")
    np.testing.assert_array_equal(convcli.blur(image, 2, method="numba"), wanted)


@pytest.mark.parametrize("channels", [5, 513])
def test_many_channels_and_a_long_row(channels):
    image = np.random.default_rng(0).random((6, 9, channels), np.float32)
    for method in THREADED:
        blurred = convcli.blur(image, 12.0, method=method, channels=True)
        exact = convcli.blur(image, 12.0, exact=True, channels=True)
        np.testing.assert_allclose(blurred, exact, rtol=0, atol=1e-5)


# --- NaN and infinity, caches, exact weights

RINGS = {"square": (11, 5), "wide": (31, 15)}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("method", [*THREADED, "tiled"])
def test_a_weight_of_0_takes_in_no_nan_and_no_infinity(method, ring, bad):
    """A square ring (a local background) runs as separable terms, which cancel in its middle."""
    outer, inner = RINGS[ring]
    kernel = np.ones((outer, outer))
    first = (outer - inner) // 2
    kernel[first : first + inner, first : first + inner] = 0
    kernel[:, 0] *= -1
    kernel /= np.abs(kernel).sum()
    image = image_of((80, 90), "float32")
    image[40, 45] = bad
    reached = np.zeros(image.shape)
    top, left = 40 - outer // 2, 45 - outer // 2
    reached[top : top + outer, left : left + outer] = np.sign(kernel)
    result = convcli.convolve(image, kernel, method=method, workers=2)
    np.testing.assert_array_equal(np.isfinite(result), reached == 0)
    found = result[reached != 0]
    wanted = bad * reached[reached != 0]
    np.testing.assert_array_equal(found, wanted)
    clean = np.where(np.isfinite(image), image, 0)
    np.testing.assert_allclose(
        result[reached == 0], scipy_convolve(clean, kernel, "reflect")[reached == 0], atol=1e-5
    )


@pytest.mark.parametrize("method", THREADED)
def test_many_missing_samples_are_left_out_by_weights_of_0(method):
    rng = np.random.default_rng(3)
    image = rng.random((50, 60))
    image[rng.random(image.shape) < 0.3] = np.nan
    kernel = rng.normal(size=(9, 9))
    kernel[rng.random(kernel.shape) < 0.9] = 0
    result = convcli.convolve(image, kernel, method=method)
    touched = scipy_convolve(np.isnan(image), kernel != 0, "reflect") > 0.5
    np.testing.assert_array_equal(np.isnan(result), touched)


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize("out_dtype", ["uint8", "uint16"])
def test_a_nan_stored_as_an_integer_is_0_and_an_infinity_is_clipped(method, out_dtype):
    image = np.zeros((5, 9))
    image[2, [1, 4, 7]] = np.nan, np.inf, -np.inf
    image[0, 3] = 1e300
    result = convcli.convolve(image, [[1.0, 0, 0]], out_dtype=out_dtype, method=method)
    top = np.iinfo(out_dtype).max
    assert sorted(set(result.ravel().tolist())) == [0, top]
    assert (result == top).sum() == 2


@pytest.mark.parametrize("method", THREADED)
@pytest.mark.parametrize(
    "kernel",
    [
        [[1.0, 1 + 1e-10, 1.0]],  # nearly whole numbers
        np.outer([1, 2, 1], [1, 2, 1]) + np.array([[0, 0, 0], [0, 0, 1e-9], [0, 0, 0]]),
        np.array([[1.0, 1e-9, 0], [0, 1, 0], [0, 0, 1]]),
    ],
    ids=["whole", "separable", "rank"],
)
def test_exact_takes_weights_as_they_are(method, kernel):
    image = image_of((30, 40), "float64")
    result = convcli.convolve(image, kernel, method=method, exact=True)
    wanted = scipy_convolve(image, np.asarray(kernel), "reflect")
    np.testing.assert_allclose(result, wanted, rtol=1e-13)


@pytest.mark.parametrize("size", [(3, 3), (7, 7), (2, 5), (14, 7)])
def test_exact_keeps_fractions_whose_quotients_are_the_weights(size):
    """Sums of 8-bit samples by equal weights then still round half-way cases alike."""
    whole, divisor = whole_numbers(np.full(size, 1 / np.prod(size)), exact=True)
    assert (whole == 1).all()
    assert divisor == np.prod(size)


def test_caches_are_bounded():
    """Augmentation draws a new sigma, and a new size, for each image."""
    image = image_of((40, 40), "uint8")
    for step in range(40):
        convcli.blur(image, 7 + step / 100)
        convcli.convolve(image[: 9 + step], kernel_of((5, 5), "dense"), method="fft")
    for cached in (decimation._decimation, overlap_add.block_lengths, overlap_add._fast_lengths):
        information = cached.cache_info()
        assert information.maxsize is not None
        assert information.currsize <= information.maxsize <= 256


def test_the_docstring_lists_the_options():
    words = convcli.convolve.__doc__ or ""
    start = words.index("Options`: ") + len("Options`: ")
    listed = words[start : words.index(".\n", start)].replace("\n", " ").split(",")
    assert sorted(word.strip() for word in listed) == sorted(DEFAULTS)


def test_any_source_is_an_image():
    """What answers windows is filtered like the array that it stands for."""
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)

    class Windows:
        shape, dtype = image.shape, image.dtype

        def window(self, rows, columns):
            return image[slice(*rows), slice(*columns)]

    for method in ("numpy", "numba", "fft", "tiled"):
        wanted = convcli.blur(image, 2.0, method=method)
        assert np.array_equal(convcli.blur(Windows(), 2.0, method=method), wanted)
