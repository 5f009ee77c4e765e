"""Kernels against scipy, against arithmetic, and against the meaning of their names."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import data

from convcli import ConvcliError
from convcli.kernels.derivatives import log_kernel
from convcli.kernels.kernel import Kernel, kernel_from, whole_numbers
from convcli.kernels.named import (
    NAMED,
    box_kernel,
    disc_kernel,
    edge_kernels,
    gaussian_kernel,
    motion_kernel,
    named_kernel,
    sobel_kernels,
)
from convcli.words import OPERATORS

# Shape, sum and rank of each name without numbers.
EXPECTED = {
    "gaussian": ((9, 9), 1, 1),
    **{f"gaussian-{axes}": ((9, 9), 0, 1) for axes in ("x", "y", "xx", "xy", "yy")},
    "log": ((9, 9), 0, 2),
    "dog": ((13, 13), 0, 2),
    "gabor": ((15, 15), 0, 1),
    "gabor-odd": ((15, 15), 0, 1),
    "box": ((3, 3), 1, 1),
    "disc": ((7, 7), 1, 4),  # the number of its different rows
    "motion": ((1, 9), 1, 1),
    "sobel": ((3, 3), 0, 1),
    "sobel-y": ((3, 3), 0, 1),
    "scharr": ((3, 3), 0, 1),
    "scharr-y": ((3, 3), 0, 1),
    "prewitt": ((3, 3), 0, 1),
    "prewitt-y": ((3, 3), 0, 1),
    "laplacian": ((3, 3), 0, 2),
    "emboss": ((3, 3), 1, 3),
    "identity": ((1, 1), 1, 1),
}
ASYMMETRIC = [[1.0, 2.0, 0.0], [0.0, -4.0, 8.0]]


def outer_sum(kernel):
    return sum(np.outer(column, row) for column, row in kernel.factors)


# --- every name of the table


@pytest.mark.parametrize("name", NAMED)
def test_every_name_has_its_shape_sum_and_rank(name):
    kernel = named_kernel(name)
    shape, total, rank = EXPECTED[name]
    assert kernel.shape == kernel.weights.shape == shape
    assert kernel.sum() == pytest.approx(total, abs=1e-15)
    assert kernel.weights.sum() == pytest.approx(total, abs=1e-14)
    assert kernel.is_derivative == (total == 0)
    assert kernel.rank == rank


@pytest.mark.parametrize("name", NAMED)
def test_factors_give_the_weights_back(name):
    kernel = named_kernel(name)
    np.testing.assert_allclose(outer_sum(kernel), kernel.weights, rtol=0, atol=1e-15 * 9)


@pytest.mark.parametrize("name", ["gaussian:2", "box:4", "log:2", "disc:3.3", "laplacian"])
def test_round_kernels_look_the_same_from_every_side(name):
    weights = named_kernel(name).weights
    for turned in (weights.T, weights[::-1], weights[:, ::-1]):
        np.testing.assert_allclose(turned, weights, rtol=0, atol=1e-16)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("gaussian:2", (17, 17)),
        ("gaussian:1,2", (17, 9)),
        ("log:2", (17, 17)),
        ("box:4", (4, 4)),
        ("box:4,2", (2, 4)),
        ("disc:1.2", (3, 3)),
        ("motion:5,90", (5, 1)),
        ("motion:5,0", (1, 5)),
        ("gaussian:", (9, 9)),
    ],
)
def test_a_name_takes_numbers(text, shape):
    assert named_kernel(text).shape == shape


@pytest.mark.parametrize("name", [name for name, row in NAMED.items() if row.most_numbers == 0])
def test_a_name_without_numbers_refuses_one(name):
    with pytest.raises(ConvcliError, match=f"write it as {name}"):
        named_kernel(f"{name}:3")


# --- Gaussian


@pytest.mark.parametrize(
    "sigma", [0.1, 0.125, 0.3, 0.7, 1.0, 2.5, 50.0, (0.3, 2.0), (3.0, 1.0), 1e-300]
)
def test_gaussian_is_scipys(sigma):
    kernel = gaussian_kernel(sigma)
    impulse = np.zeros(kernel.shape)
    impulse[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    along_x, along_y = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    wanted = scipy.ndimage.gaussian_filter(impulse, (along_y, along_x), mode="constant")
    np.testing.assert_allclose(kernel.weights, wanted, rtol=0, atol=1e-16)


@pytest.mark.parametrize("sigma", [0.3, 0.374, 0.375, 1.0, 1.12, 1.13, 2.7, 50.0])
@pytest.mark.parametrize("truncate", [0.5, 2.5, 4.0])
def test_gaussian_is_cut_where_scipy_cuts(sigma, truncate):
    radius = int(truncate * sigma + 0.5)
    assert gaussian_kernel(sigma, truncate).shape == (2 * radius + 1, 2 * radius + 1)


def test_a_radius_takes_the_place_of_truncate():
    kernel = gaussian_kernel(2.0, radius=3)
    row = np.exp(-(np.arange(-3, 4) ** 2) / 8)
    np.testing.assert_allclose(kernel.factors[0][1], row / row.sum(), rtol=1e-15)
    assert gaussian_kernel(5.0, radius=0).weights.tolist() == [[1.0]]


@pytest.mark.parametrize("sigma", [1e-300, 5e-324, 1.0])
def test_a_radius_far_beyond_sigma_gives_zeros(sigma):
    row = gaussian_kernel(sigma, radius=45).factors[0][1]
    assert row[0] == row[-1] == 0
    assert row.sum() == pytest.approx(1)
    assert whole_numbers(row)[1] == 1


def test_a_wide_gaussian_is_never_expanded():
    kernel = gaussian_kernel(20_000)
    assert kernel.shape == (160_001, 160_001)
    assert kernel.taps == 160_001**2
    assert (kernel.rank, kernel.sum(), kernel.is_derivative) == (1, pytest.approx(1), False)
    with pytest.raises(ConvcliError, match="dense form has 160001 x 160001"):
        kernel.weights  # noqa: B018 - too large to be computed


# --- Laplacian of Gaussian


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.7])
def test_log_is_scipys_less_what_that_gives_for_a_flat_picture(sigma):
    photo = data.camera()[100:196, 150:262].astype(float)
    scipys = scipy.ndimage.gaussian_laplace(photo, sigma, mode="reflect")
    of_white = scipy.ndimage.gaussian_laplace(np.ones((50, 50)), sigma, mode="reflect")[0, 0]
    wanted = scipys - of_white * scipy.ndimage.gaussian_filter(photo, sigma, mode="reflect")
    result = scipy.ndimage.convolve(photo, log_kernel(sigma).weights, mode="reflect")
    np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-9)
    # A small difference: for sigma of 1 and more, at most 0.3 % of the largest response.
    if sigma >= 1:
        np.testing.assert_allclose(result, scipys, rtol=0, atol=3e-3 * np.abs(scipys).max())


@pytest.mark.parametrize("sigma", [0.2, 0.3, 1.0, 7.3])
def test_log_of_a_flat_picture_is_0(sigma):
    kernel = log_kernel(sigma)
    assert kernel.is_derivative
    assert kernel.weights.max() > 0 > kernel.weights[kernel.shape[0] // 2, kernel.shape[1] // 2]


def test_a_wide_log_counts_its_taps_without_expanding_them():
    assert log_kernel(2000.0).taps == 16_001**2


# --- edge operators


@pytest.mark.parametrize(
    ("operator", "smoothing"),
    [("sobel", [0.25, 0.5, 0.25]), ("scharr", [3 / 16, 10 / 16, 3 / 16]), ("prewitt", [1 / 3] * 3)],
)
def test_operators_smooth_across_the_derivative(operator, smoothing):
    along_x, along_y = edge_kernels(operator)
    np.testing.assert_array_equal(along_x.weights, np.outer(smoothing, [1, 0, -1]))
    np.testing.assert_array_equal(along_y.weights, along_x.weights.T)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_step_that_rises_right_or_down_gives_its_height(operator):
    rising_right = np.zeros((7, 8))
    rising_right[:, 4:] = 255
    along_x, along_y = edge_kernels(operator)
    for kernel, step in ((along_x, rising_right), (along_y, rising_right.T)):
        response = scipy.ndimage.convolve(step, kernel.weights, mode="nearest")
        assert response.max() == pytest.approx(255, abs=1e-12)
        assert response.min() == pytest.approx(0, abs=1e-12)


def test_sobel_kernels_are_the_operators():
    for ours, theirs in zip(sobel_kernels(), edge_kernels("sobel"), strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)


# --- box, disc, motion


@pytest.mark.parametrize(("width", "height"), [(3, None), (4, 4), (2, 5), (1, 7), (6, 1)])
def test_a_box_weighs_all_alike(width, height):
    weights = box_kernel(width, height).weights
    assert weights.shape == (height or width, width)
    np.testing.assert_allclose(weights, 1 / weights.size, rtol=1e-15)


@pytest.mark.parametrize("radius", [1.5, 3, 4.5, 10.3, 50])
def test_a_disc_has_the_area_of_a_circle(radius):
    weights = disc_kernel(radius).weights
    assert 1 / weights.max() == pytest.approx(math.pi * radius**2, rel=0.05)


@pytest.mark.parametrize("radius", [0.1, 0.5, 0.6, 1.0, 1.4, 2.3, 2.5, 3.0])
def test_a_disc_has_no_empty_rim(radius):
    weights = disc_kernel(radius).weights
    assert weights[0].any()
    half = weights.shape[0] // 2
    assert half + 1 >= radius + 0.5  # nothing of it is cut off


def test_motion_along_an_axis_is_a_row_or_a_column_of_equal_weights():
    np.testing.assert_array_equal(motion_kernel(9, 0).weights, np.full((1, 9), 1 / 9))
    np.testing.assert_array_equal(motion_kernel(9, 90).weights, np.full((9, 1), 1 / 9))


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 120, -20, 359])
@pytest.mark.parametrize("length", [9, 24.5])
def test_motion_points_along_its_angle_from_the_middle(length, angle):
    weights = motion_kernel(length, angle).weights
    height, width = weights.shape
    y, x = np.mgrid[:height, :width]
    x, up = x - width // 2, height // 2 - y  # rows count downwards
    assert (weights * x).sum() == pytest.approx(0, abs=1e-9)
    assert (weights * up).sum() == pytest.approx(0, abs=1e-9)
    xx, yy, xy = (float((weights * m).sum()) for m in (x * x, up * up, x * up))
    main_axis = math.degrees(math.atan2(2 * xy, xx - yy) / 2)
    assert (main_axis - angle + 90) % 180 - 90 == pytest.approx(0, abs=1.5)
    # Variance of a line of this length, and of its width of about a pixel.
    assert xx + yy == pytest.approx(length**2 / 12, rel=0.08)


# --- what can be done to a kernel

TERMS = (
    (np.array([1.0, 2.0]), np.array([3.0, 5.0, -4.0])),
    (np.array([0.0, 1.0]), np.array([1.0, 0.0, 2.0])),
)
SEVERAL = [
    kernel_from(ASYMMETRIC, "asymmetric"),
    Kernel("one term", (2, 3), given_factors=TERMS[:1]),
    Kernel("two terms", (2, 3), given_factors=TERMS),
    gaussian_kernel((0.5, 1.0)),
    log_kernel(0.5),
    edge_kernels("scharr")[0],
]


@pytest.mark.parametrize("kernel", [*map(named_kernel, NAMED), *SEVERAL], ids=lambda k: k.name)
def test_nothing_of_a_kernel_can_be_written_to(kernel):
    """All users of a named kernel share its arrays, and weights and factors must agree."""
    others = [kernel.flipped, kernel.scaled(2), kernel.dilated(2)]
    for each in (kernel, *others, *(other.flipped for other in others)):
        for array in (each.weights, np.asarray(each), *sum(each.factors, ())):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_a_kernel_leaves_the_array_it_was_made_from_as_it_was():
    weights = np.ones((3, 3))
    kernel_from(weights)
    weights[0, 0] = 2


@pytest.mark.parametrize("kernel", SEVERAL, ids=lambda kernel: kernel.name)
class TestChanged:
    def test_flipped_turns_both_axes(self, kernel):
        flipped = kernel.flipped
        np.testing.assert_array_equal(flipped.weights, kernel.weights[::-1, ::-1])
        np.testing.assert_allclose(outer_sum(flipped), flipped.weights, rtol=0, atol=1e-14)

    def test_dilated_puts_zeros_between(self, kernel):
        dilated = kernel.dilated(3)
        wanted = np.zeros([(n - 1) * 3 + 1 for n in kernel.shape])
        wanted[::3, ::3] = kernel.weights
        np.testing.assert_array_equal(dilated.weights, wanted)
        assert dilated.shape == wanted.shape
        assert dilated.rank == kernel.rank

    def test_scaled_multiplies_every_weight(self, kernel):
        scaled = kernel.scaled(-2.5)
        np.testing.assert_allclose(scaled.weights, -2.5 * kernel.weights, rtol=1e-14, atol=1e-16)
        np.testing.assert_allclose(outer_sum(scaled), scaled.weights, rtol=0, atol=1e-13)

    def test_normalized_sums_to_1_or_is_refused(self, kernel):
        if kernel.is_derivative:
            with pytest.raises(ConvcliError, match="sums to 0"):
                kernel.normalized()
        else:
            assert kernel.normalized().sum() == pytest.approx(1)

    def test_sizes_are_those_of_the_weights(self, kernel):
        assert kernel.taps >= np.count_nonzero(kernel.weights)
        assert kernel.l1_norm >= np.abs(kernel.weights).sum() - 1e-15
        if kernel.rank == 1 or kernel.name == "asymmetric":
            assert kernel.taps == np.count_nonzero(kernel.weights)
            assert kernel.l1_norm == pytest.approx(np.abs(kernel.weights).sum())


def test_a_dilated_gaussian_stays_separable_without_being_expanded():
    assert gaussian_kernel(50).dilated(100).cheap_factors is not None


# --- factors


@st.composite
def kernels_of_some_rank(draw):
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rank = draw(st.integers(1, 4))
    numbers = st.floats(-100, 100, allow_subnormal=False)
    columns = draw(arrays(float, (height, rank), elements=numbers))
    rows = draw(arrays(float, (rank, width), elements=numbers))
    return columns @ rows, rank


@given(kernels_of_some_rank())
@settings(max_examples=200, deadline=None)
def test_factors_give_any_kernel_back(drawn):
    weights, rank = drawn
    kernel = kernel_from(weights)
    error = np.abs(outer_sum(kernel) - weights).sum()
    assert error <= 1e-8 * np.abs(weights).sum()
    assert kernel.rank <= max(1, min(rank, *weights.shape))


whole = st.lists(st.integers(-32, 32), min_size=1, max_size=9)


@given(whole, whole)
@settings(max_examples=300, deadline=None)
def test_whole_numbers_of_rank_1_stay_exact(column, row):
    weights = np.outer(column, row).astype(float)
    kernel = kernel_from(weights)
    assert kernel.rank == 1
    (column, by_y), (row, by_x) = (whole_numbers(factor) for factor in kernel.factors[0])
    assert (column == np.rint(column)).all()
    assert (row == np.rint(row)).all()
    np.testing.assert_allclose(np.outer(column, row) / (by_y * by_x), weights, rtol=1e-14)


def test_rank_1_is_split_by_one_division():
    (column, row), *none = kernel_from([[1, 0, -1], [2, 0, -2], [1, 0, -1]]).factors
    assert not none
    assert column.tolist() == [0.5, 1, 0.5]
    assert row.tolist() == [2, 0, -2]


def test_a_small_second_term_is_not_dropped():
    weights = np.ones((5, 5))
    weights[1, 3] += 1e-6
    kernel = kernel_from(weights)
    assert kernel.rank == 2
    np.testing.assert_allclose(outer_sum(kernel), weights, rtol=0, atol=1e-12)


def test_rank_is_not_sought_where_finding_it_costs_more_than_it_saves():
    assert kernel_from(np.ones((300, 300))).cheap_factors is None
    assert kernel_from(np.ones((1, 3000))).cheap_factors is not None


# --- whole numbers


@pytest.mark.parametrize(
    ("weights", "whole", "divisor"),
    [
        (box_kernel(6).weights, np.ones((6, 6)), 36),
        (box_kernel(6).factors[0][0], np.ones(6), 6),
        (edge_kernels("scharr")[0].weights, [[3, 0, -3], [10, 0, -10], [3, 0, -3]], 16),
        (edge_kernels("prewitt")[1].weights, [[1, 1, 1], [0, 0, 0], [-1, -1, -1]], 3),
        (np.array([1, 4, 6, 4, 1]) / 16, [1, 4, 6, 4, 1], 16),
        (np.array([2.0, -6.0]), [1, -3], 0.5),
    ],
)
def test_weights_that_are_fractions_become_whole(weights, whole, divisor):
    found, by = whole_numbers(weights)
    np.testing.assert_array_equal(found, whole)
    assert by == divisor


def test_the_divisor_of_a_mean_is_its_number_of_samples():
    sizes = range(1, 1000)
    assert [whole_numbers(np.full(3, 1 / size))[1] for size in sizes] == list(sizes)


@given(
    arrays(int, st.integers(1, 20), elements=st.integers(-32, 32)),
    st.integers(1, 1000),
)
def test_whole_numbers_over_their_divisor_are_the_weights(numbers, divisor):
    weights = numbers / divisor
    found, by = whole_numbers(weights)
    np.testing.assert_allclose(found / by, weights, rtol=1e-9)
    assert (found == np.rint(found)).all()


@pytest.mark.parametrize(
    "weights",
    [
        np.zeros(3),
        gaussian_kernel(1.3).factors[0][0],
        np.array([1.0, 1e-310]),
        np.array([math.pi, 1.0]),
    ],
)
def test_weights_that_are_no_fractions_stay(weights):
    found, by = whole_numbers(weights)
    np.testing.assert_array_equal(found, weights)
    assert by == 1


# --- what is refused


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((2, 2, 2)), r"shape \(2, 2, 2\); rows and columns"),
        (np.ones(3), r"shape \(3,\)"),
        (3.0, r"shape \(\)"),
        ([[]], r"shape \(1, 0\)"),
        ([], r"shape \(0,\)"),
        ([[1, 2j]], "complex128; real numbers"),
        ([["1", "2"]], "real numbers are needed"),
        ([[1, None]], "dtype object"),
        ([[10**400]], "dtype object"),
        ([[1, 2], [3]], "rows may differ in length"),
        ([[1, 2], [3, math.nan]], "row 2, column 2 is nan"),
        ([[1, -math.inf]], "row 1, column 2 is -inf"),
        ([[1e308, 1e308]], "too large; their absolute values must sum to less than 1e[+]30"),
        ([[1e31]], "too large"),
        ([[np.longdouble("1e999")]], "row 1, column 1 is inf"),
        (np.broadcast_to(1.0, (5000, 5000)), "the limit is 16777216 weights"),
        (np.broadcast_to(1.0, (1, 300_000)), "the limit is 200001 weights on a side"),
    ],
)
def test_what_is_no_kernel_is_refused(weights, message):
    with pytest.raises(ConvcliError, match=message):
        kernel_from(weights, "odd")


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", ">f8"])
def test_any_real_dtype_becomes_float64(dtype):
    weights = np.array([[1, 0, 1], [0, 1, 1]], dtype)
    kernel = kernel_from(weights)
    assert kernel.weights.dtype == np.float64
    np.testing.assert_array_equal(kernel.weights, [[1, 0, 1], [0, 1, 1]])


def test_a_kernel_is_a_copy_and_passes_as_it_is():
    weights = np.array(ASYMMETRIC)
    kernel = kernel_from(weights)
    weights[0, 0] = 99
    assert kernel.weights[0, 0] == 1
    assert kernel_from(kernel) is kernel


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gaussian_kernel(0), "sigma must be a finite number above 0, not 0"),
        (lambda: gaussian_kernel(-1.5), "not -1.5"),
        (lambda: gaussian_kernel(math.nan), "not nan"),
        (lambda: gaussian_kernel((1, math.inf)), "not inf"),
        (lambda: gaussian_kernel((1, 2, 3)), r"one number or two .* not \(1, 2, 3\)"),
        (lambda: gaussian_kernel("a lot"), "one number or two .* not 'a lot'"),
        (lambda: gaussian_kernel(1, truncate=0), "truncate must be .* not 0"),
        (lambda: gaussian_kernel(1, radius=-1), "radius must be .* at least 0, not -1"),
        (lambda: gaussian_kernel(1, radius=1.5), "radius must be .* not 1.5"),
        (lambda: gaussian_kernel(1e308), "more than 200001 samples"),
        (lambda: gaussian_kernel(1, radius=10**9), "radius must be at most 100000 pixels"),
        (lambda: log_kernel(0.1), "at least 0.2, not 0.1"),
        (lambda: log_kernel(1e-300), "at least 0.2, not 1e-300"),
        (lambda: log_kernel(math.nan), "not nan"),
        (lambda: box_kernel(0), "box width must be .* not 0"),
        (lambda: box_kernel(3, 2.5), "box height must be .* not 2.5"),
        (lambda: box_kernel(10**6), "at most 200001"),
        (lambda: disc_kernel(-1), "disc radius must be .* not -1"),
        (lambda: disc_kernel(1e9), "at most 2000 pixels, not 1e[+]09"),
        (lambda: motion_kernel(0), "motion length must be .* not 0"),
        (lambda: motion_kernel(1e6), "at most 4000 pixels, not 1e[+]06"),
        (lambda: motion_kernel(9, math.inf), "degrees, not inf"),
        (lambda: edge_kernels("roberts"), "'roberts'; it must be sobel, scharr or prewitt"),
        (lambda: named_kernel("gauss"), "unknown kernel 'gauss'; it must be one of "),
        (lambda: named_kernel("gaussian:wide"), "write it as gaussian:SIGMA or gaussian:X,Y"),
        (lambda: named_kernel("disc:1,2"), "write it as disc:RADIUS"),
        (lambda: named_kernel("box:nan"), "not nan"),
        (lambda: kernel_from([[1, 2]]).scaled(math.nan), "times nan"),
        (lambda: kernel_from([[1, 2]]).scaled(1e308), "times 1e[+]308 .* too large"),
        (lambda: gaussian_kernel(1).scaled(math.inf), "times inf"),
        (lambda: kernel_from([[1, 2]]).dilated(0), "dilation must be .* at least 1, not 0"),
        (lambda: kernel_from([[1, 2]]).dilated(10**9), "the limit is 200001"),
        (lambda: kernel_from(np.eye(9)).dilated(1000), "the limit is 16777216"),
        (lambda: gaussian_kernel(1).dilated(10**6), "the limit is 200001"),
    ],
)
def test_a_bad_number_is_named(make, message):
    with pytest.raises(ConvcliError, match=message):
        make()


def test_an_unknown_name_lists_the_known_ones_with_their_numbers():
    with pytest.raises(ConvcliError) as caught:
        named_kernel("magic")
    assert str(caught.value) == (
        "unknown kernel 'magic'; it must be one of gaussian[-x|-y|-xx|-xy|-yy]:SIGMA, log:SIGMA, "
        "dog:SIGMA,SIGMA, gabor[-odd]:WAVELENGTH,ANGLE,SIGMA, box:SIZE, "
        "disc:RADIUS, motion:LENGTH,ANGLE, sobel[-y], scharr[-y], prewitt[-y], laplacian, emboss, "
        "identity"
    )


@given(
    st.sampled_from(sorted(NAMED)),
    st.lists(st.floats(width=32) | st.integers(-5, 40), max_size=3),
)
@settings(max_examples=200, deadline=None)
def test_any_numbers_give_a_finite_kernel_or_a_sentence(name, numbers):
    text = f"{name}:{','.join(map(str, numbers))}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            kernel = named_kernel(text)
        except ConvcliError:
            return
    assert isinstance(kernel, Kernel)
    assert all(np.isfinite(column).all() for column, _ in kernel.cheap_factors or ())


def test_numpy_takes_a_kernel_for_its_weights():
    kernel = gaussian_kernel((1.0, 2.0))
    np.testing.assert_array_equal(np.asarray(kernel), kernel.weights)
    assert np.asarray(kernel, np.float32).dtype == np.float32
