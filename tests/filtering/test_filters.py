"""Blur, edge and sharpen on photographs, against scipy.ndimage in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
from skimage import data

import convcli
from convcli import ConvcliError
from convcli.filtering.convolution import apply
from convcli.filtering.definitions import convolving
from convcli.filtering.options import Options
from convcli.kernels.kernel import kernel_from
from convcli.pixels.colour import full_scale
from convcli.words import METHODS, OPERATORS
from tests.oracles import assert_same_picture, scipy_convolve

DTYPES = ["uint8", "uint16", "float32", "float64"]
PHOTOS = {
    "astronaut": data.astronaut()[60:157, 150:281],  # (97, 131, 3)
    "camera": data.camera()[100:197, 150:281],
    "page": data.page()[20:82, 40:41],  # one column
}
SMOOTHING = {
    "sobel": [0.25, 0.5, 0.25],
    "scharr": [3 / 16, 10 / 16, 3 / 16],
    "prewitt": [1 / 3] * 3,
}
every_method = pytest.mark.parametrize("method", METHODS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_photo = pytest.mark.parametrize("photo", PHOTOS)


def photograph(name, dtype):
    photo = PHOTOS[name]
    if dtype == "uint16":
        return photo.astype(dtype) * 257
    return photo if dtype == "uint8" else (photo / 255).astype(dtype)


def reference_blur(image, sigma):
    per_axis = (sigma, sigma, 0)[: image.ndim]
    return scipy.ndimage.gaussian_filter(image.astype(float), per_axis, mode="reflect")


def reference_derivatives(image, operator="sobel"):
    """Derivatives of the luminance along x and y, positive where it rises right and down."""
    grey = image.astype(float)
    if grey.ndim == 3:
        grey = grey @ [0.299, 0.587, 0.114]

    def derivative(axis):
        smooth = scipy.ndimage.correlate1d(grey, SMOOTHING[operator], 1 - axis, mode="reflect")
        return scipy.ndimage.correlate1d(smooth, [-1, 0, 1], axis, mode="reflect")

    return derivative(1), derivative(0)


# --- blur


@every_method
@every_dtype
@every_photo
@pytest.mark.parametrize("sigma", [0.6, 4.0])
def test_blur_is_scipys(method, dtype, photo, sigma):
    image = photograph(photo, dtype)
    result = convcli.blur(image, sigma, method=method, workers=2)
    assert (result.dtype, result.shape) == (image.dtype, image.shape)
    assert_same_picture(result, reference_blur(image, sigma))


def test_blur_takes_sigma_along_x_first():
    image = photograph("camera", "float64")
    wanted = scipy.ndimage.gaussian_filter(image, (0.7, 3.0), mode="reflect")
    assert_same_picture(convcli.blur(image, (3.0, 0.7)), wanted)


def test_truncate_and_radius_say_where_the_kernel_ends():
    image = photograph("camera", "float64")
    for options in ({"truncate": 1.5}, {"radius": 3}):
        wanted = scipy.ndimage.gaussian_filter(image, 2.0, mode="reflect", **options)
        assert_same_picture(convcli.blur(image, 2.0, **options), wanted)


def test_exact_is_exact_to_1e_minus_6():
    image = photograph("astronaut", "float32")
    result = convcli.blur(image, 3.0, exact=True)
    assert_same_picture(result, reference_blur(image, 3.0), tolerance=1e-6)


@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap", "constant"])
def test_borders_are_scipys(border):
    image = photograph("camera", "float64")
    wanted = scipy.ndimage.gaussian_filter(image, 5.0, mode=border, cval=0.25)
    assert_same_picture(convcli.blur(image, 5.0, border=border, border_value=0.25), wanted)


# --- edge


@every_method
@every_dtype
@every_photo
def test_edge_is_the_length_of_both_derivatives(method, dtype, photo):
    image = photograph(photo, dtype)
    result = convcli.edge(image, method=method, workers=2)
    assert (result.dtype, result.shape) == (image.dtype, image.shape[:2])
    along_x, along_y = reference_derivatives(image)
    assert_same_picture(result, np.sqrt(along_x**2 + along_y**2))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_every_operator_smooths_as_its_inventor_did(operator, dtype):
    image = photograph("astronaut", dtype)
    along_x, along_y = reference_derivatives(image, operator)
    for show, wanted in (
        ("magnitude", np.sqrt(along_x**2 + along_y**2)),
        ("x", along_x),
        ("y", along_y),
    ):
        assert_same_picture(convcli.edge(image, operator, show), wanted)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_full_step_is_full_and_more_is_clipped(operator, dtype):
    full = np.iinfo(dtype).max
    step = np.zeros((8, 9), dtype)
    step[:, 5:] = full
    assert (convcli.edge(step, operator)[:, 4:6] == full).all()
    assert (convcli.edge(step, operator, "x")[:, 4:6] == full).all()
    corner = step * (np.arange(8) > 3)[:, np.newaxis]
    assert convcli.edge(corner.astype(dtype), operator).max() == full


@every_method
@pytest.mark.parametrize("show", ["x", "y"])
def test_a_float_result_keeps_the_sign(method, show):
    image = photograph("camera", "uint8")
    result = convcli.edge(image, show=show, out_dtype="float32", method=method, workers=2)
    wanted = reference_derivatives(image)["xy".index(show)]
    assert result.dtype == np.float32
    assert wanted.min() < -50
    assert_same_picture(result, wanted)


def flattened(along, image):
    """A derivative of 0 apart from rounding counts as 0, and its angle is 0."""
    rounding = 4e-6 if image.dtype == np.uint8 else 1e-14
    return np.where(np.abs(along) <= rounding * full_scale(image.dtype), 0, along)


@every_method
@every_dtype
@pytest.mark.parametrize("photo", ["astronaut", "camera"])
def test_the_angle_is_the_direction_of_the_rise(method, dtype, photo):
    image = photograph(photo, dtype)
    result = convcli.edge(image, show="angle", method=method, workers=2)
    along_x, along_y = (flattened(along, image) for along in reference_derivatives(image))
    wanted = np.arctan2(along_y, along_x)
    if result.dtype.kind == "u":
        full = full_scale(image.dtype)
        off = np.abs(result - np.rint((wanted + math.pi) * full / (2 * math.pi)))
        assert np.minimum(off, full - off).max() <= 1
        assert (off > 0).mean() <= 0.01
    else:
        # Where the slope is weak, rounding changes its direction.
        strong = np.hypot(along_x, along_y) > 0.05
        turn = np.abs(result - wanted)[strong]
        assert np.minimum(turn, 2 * math.pi - turn).max() <= 1e-5


@every_method
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(
    "flat",
    [
        np.full((40, 50), 100, np.uint8),
        np.full((40, 50, 3), (100, 31, 7), np.uint8),
        np.full((40, 50, 3), (0.1, 0.37, 0.7), np.float32),
        np.zeros((40, 50)),
    ],
    ids=["grey", "colour", "float", "black"],
)
def test_a_flat_picture_stays_flat_however_it_is_shown(method, linear, flat):
    full = full_scale(flat.dtype)
    middle = 128 if full > 1 else 0.5
    # Scharr's weights round most; tiled, which starts processes, is tested with these alone.
    for operator in ("scharr",) if method == "tiled" else OPERATORS:
        options = {"linear": linear, "method": method, "workers": 2}
        for show, level in (("magnitude", 0), ("x", middle), ("y", middle)):
            assert (convcli.edge(flat, operator, show, stretch=True, **options) == level).all()
        angle = convcli.edge(flat, operator, "angle", **options)
        assert (angle == (128 if full > 1 else 0)).all()


@every_dtype
def test_angles_are_no_light(dtype):
    y, x = np.mgrid[:20, :30]
    full = full_scale(np.dtype(dtype))
    slope = ((3 * x + 2 * y) * full / 255).astype(dtype)[..., np.newaxis].repeat(3, axis=2)
    turn = math.atan2(2, 3)
    wanted = round((turn + math.pi) * full / (2 * math.pi)) if full > 1 else turn
    straight = convcli.edge(slope, show="angle")[2:-2, 2:-2]
    np.testing.assert_allclose(straight, wanted, rtol=1e-5)
    # Light rises faster where it is bright, and the angle bends a little with it.
    linear = convcli.edge(slope, show="angle", linear=True)[2:-2, 2:-2]
    np.testing.assert_allclose(linear, wanted, atol=full * 0.006)


def test_edges_of_light_are_encoded_as_the_picture_was():
    step = np.full((6, 8), 100, np.uint8)
    step[:, 4:] = 200
    light = ((np.array([100, 200]) / 255 + 0.055) / 1.055) ** 2.4
    wanted = (1.055 * (light[1] - light[0]) ** (1 / 2.4) - 0.055) * 255
    assert (convcli.edge(step, linear=True)[:, 3:5] == round(wanted)).all()


@every_method
@every_dtype
@pytest.mark.parametrize("show", ["magnitude", "x"])
def test_stretch_spreads_over_the_whole_range(method, dtype, show):
    image = photograph("astronaut", dtype)
    result = convcli.edge(image, show=show, stretch=True, method=method, workers=2)
    along_x, along_y = reference_derivatives(image)
    full = full_scale(image.dtype)
    if show == "magnitude":
        length = np.sqrt(along_x**2 + along_y**2)
        wanted = length * full / length.max()
        assert result.max() == pytest.approx(full)
    else:
        wanted = full / 2 + along_x * full / (2 * np.abs(along_x).max())
    assert result.dtype == image.dtype
    assert_same_picture(result, wanted)


@every_dtype
def test_stretch_leaves_an_angle_as_it_is(dtype):
    image = photograph("camera", dtype)
    stretched = convcli.edge(image, show="angle", stretch=True)
    np.testing.assert_array_equal(stretched, convcli.edge(image, show="angle"))


def test_one_missing_sample_does_not_keep_the_rest_from_being_stretched():
    image = photograph("camera", "float32").copy()
    image[50, 60] = np.nan
    result = convcli.edge(image, stretch=True)
    assert np.isnan(result).sum() <= 9
    assert np.nanmax(result) == pytest.approx(1)


# --- sharpen


@every_method
@every_dtype
@every_photo
def test_sharpen_adds_what_the_blur_took(method, dtype, photo):
    image = photograph(photo, dtype)
    result = convcli.sharpen(image, 1.3, 1.7, method=method, workers=2)
    assert (result.dtype, result.shape) == (image.dtype, image.shape)
    given = image.astype(float)
    assert_same_picture(result, given + 1.7 * (given - reference_blur(image, 1.3)))


@every_dtype
def test_small_differences_are_left_alone(dtype):
    image = photograph("astronaut", dtype)
    threshold = 10.3 * full_scale(image.dtype) / 255
    given = image.astype(float)
    difference = given - reference_blur(image, 2.0)
    small = np.abs(difference) <= threshold
    assert 0.3 < small.mean() < 0.95
    result = convcli.sharpen(image, 2.0, 0.8, threshold)
    assert_same_picture(result, given + 0.8 * np.where(small, 0, difference))
    np.testing.assert_array_equal(result[small], image[small])


def test_an_amount_of_0_changes_nothing():
    image = photograph("astronaut", "uint8")
    np.testing.assert_array_equal(convcli.sharpen(image, 2.0, 0.0), image)


# --- any kernel, every n-th pixel


@pytest.mark.parametrize("stride", [1, 2, 3, 200])
@pytest.mark.parametrize("correlate", [False, True])
def test_a_stride_keeps_every_nth_pixel_of_the_whole_result(stride, correlate):
    image = photograph("astronaut", "uint8")
    weights = np.sqrt([[0.3, 0.01, 0.2], [0.0, 0.05, 0.02]])
    filter_ = convolving(kernel_from(weights), correlate=correlate, bias=-40.3, stride=stride)
    result = apply(image, filter_)
    wanted = scipy_convolve(image, weights, "reflect", correlate=correlate) - 40.3
    assert_same_picture(result, wanted[::stride, ::stride])


# --- every verb


@pytest.mark.parametrize("verb", [convcli.blur, convcli.edge, convcli.sharpen])
class TestEveryVerb:
    def make(self, verb, image, **options):
        return verb(image, sigma=1.0, **options) if verb is convcli.sharpen else verb(
            image, **options
        )  # fmt: skip

    def test_leaves_its_input_alone(self, verb):
        image = photograph("astronaut", "float64")
        before = image.copy()
        image.flags.writeable = False
        self.make(verb, image)
        np.testing.assert_array_equal(image, before)

    def test_takes_big_endian_and_strided_pictures(self, verb):
        image = photograph("astronaut", "uint16")
        odd = np.asfortranarray(image.astype(">u2"))[::-1, ::2]
        result = self.make(verb, odd)
        assert result.dtype == np.uint16
        np.testing.assert_array_equal(
            result, self.make(verb, np.ascontiguousarray(image[::-1, ::2]))
        )

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (np.zeros((3, 4), np.int64), "image has dtype int64"),
            (np.zeros((3, 4), bool), "image has dtype bool"),
            (np.zeros((3, 4), complex), "image has dtype complex128"),
            (np.array([["a"]]), "image has dtype"),
            ([[None]], "image has dtype object"),
            (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
            (np.zeros(4, np.uint8), r"shape \(4,\)"),
            (np.zeros((2, 2, 2, 2)), r"shape \(2, 2, 2, 2\)"),
            (np.uint8(3), r"shape \(\)"),
        ],
        ids=str,
    )
    def test_refuses_what_is_no_picture(self, verb, image, message):
        with pytest.raises(ConvcliError, match=message):
            self.make(verb, image)

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("border", "zero"),
            ("border_value", math.nan),
            ("method", "gpu"),
            ("workers", 0),
            ("alpha", "premultiplied"),
            ("out_dtype", "int16"),
            ("out_dtype", "picture"),
        ],
    )
    def test_names_a_bad_option(self, verb, option, value):
        options: Options = {option: value}  # type: ignore[misc]
        with pytest.raises(ConvcliError, match=str(value)):
            self.make(verb, photograph("camera", "uint8"), **options)


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        (convcli.blur, {"sigma": 0}, "sigma must be .* not 0"),
        (convcli.blur, {"sigma": math.inf}, "not inf"),
        (convcli.blur, {"sigma": (1, -2)}, "not -2"),
        (convcli.blur, {"sigma": None}, "not None"),
        (convcli.blur, {"truncate": -4}, "truncate must be .* not -4"),
        (convcli.blur, {"radius": 2.5}, "radius must be .* not 2.5"),
        (convcli.edge, {"operator": "canny"}, "'canny'; it must be sobel, scharr or prewitt"),
        (convcli.edge, {"show": "z"}, "'z'; it must be magnitude, x, y, angle or laplacian"),
        (convcli.sharpen, {"sigma": -1}, "sigma must be .* not -1"),
        (convcli.sharpen, {"sigma": 1, "amount": -0.5}, "amount must be at least 0, not -0.5"),
        (convcli.sharpen, {"sigma": 1, "amount": math.nan}, "amount must be .* not nan"),
        (convcli.sharpen, {"sigma": 1, "threshold": -3}, "threshold must be at least 0, not -3"),
        (convcli.sharpen, {"sigma": 1, "threshold": math.inf}, "threshold must be .* not inf"),
    ],
)
def test_a_bad_argument_is_named(verb, arguments, message):
    with pytest.raises(ConvcliError, match=message):
        verb(photograph("camera", "uint8"), **arguments)
