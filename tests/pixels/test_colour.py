"""Alpha, light and luminance: what happens to colour on its way through a filter."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image
from skimage import data

import convcli
from convcli.kernels.named import named_kernel
from convcli.pixels.colour import full_scale, luminance
from tests.oracles import assert_same_picture, rounded

DTYPES = ["uint8", "uint16", "float32", "float64"]
METHODS = ["numpy", "numba", "fft", "tiled"]
# No flip of it, on either axis, is itself; and no sum lies half way between two levels.
KERNEL = np.sqrt([[4.0, 1.0, 0.0, 0.0], [2.0, 3.0, 1.0, 5.0], [0.0, 1.0, 0.0, 3.0]])
KERNEL /= KERNEL.sum()


def of_dtype(fractions, dtype):
    """Scale 0 to 1 to the full range of a dtype."""
    full = full_scale(np.dtype(dtype))
    return (np.rint(fractions * full) if full > 1 else fractions).astype(dtype)


def cut_out(dtype, channels=4):
    """Make a photograph with a soft-edged hole in its alpha, and noise hidden under it."""
    photo = data.astronaut()[40:101, 190:260, : channels - 1] / 255
    y, x = np.mgrid[:61, :70]
    alpha = np.clip(np.hypot(y - 25, x - 40) / 4 - 3, 0, 1)
    noise = np.random.default_rng(3).random(photo.shape)
    colours = np.where(alpha[..., np.newaxis] == 0, noise, photo)
    return of_dtype(np.dstack([colours, alpha]), dtype)


def filtered(values, kernel=KERNEL):
    return scipy.ndimage.convolve(values, kernel[..., np.newaxis], mode="reflect")


def weighted_reference(image, kernel=KERNEL):
    """K(c a) / K(a) for the colours and K(a) for the alpha, both for a kernel that sums to 1."""
    full = full_scale(image.dtype)
    colours, alpha = image[..., :-1].astype(float), image[..., -1:].astype(float)
    seen = filtered(alpha, kernel)
    colours = filtered(colours * alpha, kernel) / np.where(seen > 4e-6 * full, seen, np.inf)
    return np.concatenate([colours, seen], axis=2)


def to_light(code):
    """The transfer function of IEC 61966-2-1, written independently."""
    return np.where(code <= 0.04045, code / 12.92, ((np.abs(code) + 0.055) / 1.055) ** 2.4)


def to_code(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.abs(light) ** (1 / 2.4) - 0.055)


# --- alpha


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_hidden_does_not_bleed(dtype):
    fractions = np.zeros((41, 40, 4))
    fractions[...] = (0, 1, 0, 0)  # green that is not visible
    fractions[12:25, 9:27] = (1, 0, 0, 1)
    image = of_dtype(fractions, dtype)
    blurred = convcli.blur(image, 3, alpha="weight")
    full = full_scale(image.dtype)
    shows = blurred[..., 3] > (0 if full > 1 else 1e-5)
    assert 18 * 13 * 2 < shows.sum() < shows.size
    assert np.abs(blurred[shows] - [full, 0, 0, 0])[:, :3].max() <= 1e-5
    straight = convcli.blur(image, 3, alpha="straight")
    assert straight[shows][:, 1].max() > full / 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [2, 4])
def test_colours_are_weighted_by_their_alpha(method, dtype, channels):
    image = cut_out(dtype, channels)
    result = convcli.convolve(image, KERNEL, alpha="weight", method=method, workers=2)
    wanted = weighted_reference(image)
    # Where alpha is almost 0, a colour is a quotient of rounding errors, and not visible.
    shows = wanted[..., -1] > full_scale(image.dtype) / 255
    assert_same_picture(result[shows], wanted[shows])
    assert_same_picture(result[..., -1], wanted[..., -1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_hidden_colours_change_nothing(dtype):
    image = cut_out(dtype)
    other = image.copy()
    hidden = other[..., 3] == 0
    other[hidden] = 0
    assert hidden.sum() > 100
    for verb in (lambda i: convcli.convolve(i, KERNEL, alpha="weight"), edges):
        np.testing.assert_array_equal(verb(image), verb(other))


def edges(image):
    return convcli.edge(image, alpha="weight")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "verb",
    [
        lambda image, **options: convcli.convolve(image, KERNEL, **options),
        lambda image, **options: convcli.blur(image, 2, **options),
        lambda image, **options: convcli.sharpen(image, 1.5, 2, **options),
        lambda image, **options: convcli.blur(image, 2, linear=True, **options),
    ],
    ids=["convolve", "blur", "sharpen", "linear"],
)
def test_an_opaque_picture_is_as_without_alpha(verb, dtype):
    photo = of_dtype(data.astronaut()[:50, :61] / 255, dtype)
    full = full_scale(photo.dtype)
    opaque = np.dstack([photo, np.full((50, 61), full, dtype)])
    result = verb(opaque, alpha="weight")
    np.testing.assert_array_equal(result[..., :3], verb(photo))
    np.testing.assert_allclose(result[..., 3], full, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_straight_filters_every_channel_alike(dtype):
    image = cut_out(dtype)
    assert_same_picture(
        convcli.convolve(image, KERNEL, alpha="straight"), filtered(image.astype(float))
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_keep_filters_the_colours_and_leaves_the_alpha(dtype):
    image = cut_out(dtype)
    result = convcli.convolve(image, KERNEL, alpha="keep")
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    np.testing.assert_array_equal(result[..., :3], convcli.convolve(image[..., :3], KERNEL))


@pytest.mark.parametrize("alpha", ["weight", "keep"])
@pytest.mark.parametrize("kernel", ["sobel-y", "laplacian", "log"])
def test_a_derivative_keeps_the_alpha(kernel, alpha):
    image = cut_out("uint8")
    result = convcli.convolve(image, named_kernel(kernel), alpha=alpha)
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    assert result[..., :3].max() > 20


@pytest.mark.parametrize("alpha", ["weight", "keep"])
def test_sharpening_keeps_the_alpha(alpha):
    image = cut_out("uint8")
    np.testing.assert_array_equal(convcli.sharpen(image, alpha=alpha)[..., 3], image[..., 3])


def test_a_sum_of_2_doubles_the_colours_and_not_the_alpha():
    image = cut_out("float64")
    result = convcli.convolve(image, KERNEL * 2, alpha="weight")
    wanted = weighted_reference(image) * [2, 2, 2, 1]
    np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_only_2_and_4_channels_have_an_alpha(channels):
    image = of_dtype(np.random.default_rng(2).random((9, 8, channels)), "uint8")
    assert_same_picture(
        convcli.convolve(image, KERNEL, alpha="weight", channels=True),
        filtered(image.astype(float)),
    )


def test_edges_see_the_luminance_times_the_alpha():
    image = cut_out("float64")
    grey = image[..., :3] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(edges(image), convcli.edge(grey * image[..., 3]), atol=1e-9)
    np.testing.assert_allclose(convcli.edge(image, alpha="straight"), convcli.edge(grey), atol=1e-9)
    kept = convcli.edge(image, alpha="keep")
    np.testing.assert_allclose(kept[..., 0], convcli.edge(grey), atol=1e-9)
    np.testing.assert_array_equal(kept[..., 1], image[..., 3])


# --- half way between two levels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("exact", [False, True])
def test_halves_round_to_even_by_every_method(method, dtype, exact):
    rng = np.random.default_rng(4)
    image = rng.integers(0, np.iinfo(dtype).max - 1, (64, 65, 4))
    image[:, 20:, 3] = np.iinfo(dtype).max
    means = sum(np.roll(image, by, (0, 1)) for by in ((0, 0), (-1, 0), (0, -1), (-1, -1))) / 4
    given = image.astype(dtype)
    options = {"border": "wrap", "method": method, "exact": exact, "workers": 2}
    box = np.full((2, 2), 0.25)
    # Each takes another path through the code, and a quarter of the results are halves.
    for result, wanted in (
        (convcli.convolve(given, box, **options), means),
        (convcli.convolve(given, box, bias=1.0, **options), means + 1),
        (convcli.convolve(given, box, alpha="keep", **options)[..., :3], means[..., :3]),
        (
            convcli.convolve(given, box, alpha="weight", **options)[:, 20:-1, :3],
            means[:, 20:-1, :3],
        ),
    ):
        np.testing.assert_array_equal(result, rounded(wanted, dtype))


# --- light


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
@pytest.mark.parametrize(("linear", "level"), [(True, 188), (False, 128)])
def test_half_of_the_light_is_level_188(method, linear, level):
    checkerboard = (np.indices((60, 60)).sum(axis=0) % 2 * 255).astype(np.uint8)
    blurred = convcli.blur(checkerboard, 6, linear=linear, method=method, border="wrap")
    # 127.5 in code values: rounding decides between its neighbours.
    assert np.abs(blurred.astype(int) - level).max() <= (0 if linear else 1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_level_survives_light(dtype):
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    image = np.repeat(levels[:, np.newaxis], 4, axis=1)
    for kernel in ([[1]], [[0.2, 0.5, 0.3]]):
        np.testing.assert_array_equal(convcli.convolve(image, kernel, linear=True), image)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_survive_light_beyond_0_and_1(dtype):
    image = np.linspace(-0.5, 2, 400, dtype=dtype).reshape(20, 20)
    result = convcli.convolve(image, [[1]], linear=True)
    np.testing.assert_allclose(result, image, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_light_is_filtered_and_encoded_again(dtype):
    photo = of_dtype(data.astronaut()[40:100, 190:260] / 255, dtype)
    full = full_scale(photo.dtype)
    wanted = to_code(filtered(to_light(photo / full))) * full
    assert_same_picture(convcli.convolve(photo, KERNEL, linear=True), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_light_and_alpha_go_together(dtype):
    image = cut_out(dtype)
    full = full_scale(image.dtype)
    light = np.dstack([to_light(image[..., :3] / full), image[..., 3] / full])
    wanted = weighted_reference(light)
    wanted = np.dstack([to_code(wanted[..., :3]), wanted[..., 3]]) * full
    result = convcli.convolve(image, KERNEL, alpha="weight", linear=True)
    shows = wanted[..., 3] > full / 255
    assert_same_picture(result[shows], wanted[shows])


def test_a_border_that_is_no_level_is_decoded_too():
    image = np.full((5, 6), 100, np.uint8)
    result = convcli.convolve(
        image, [[0.5, 0, 0.5]], linear=True, border="constant", border_value=127.5
    )
    wanted = to_code((to_light(np.array([100, 127.5]) / 255)).mean()) * 255
    assert (result[:, 0] == np.rint(wanted)).all()
    assert (result[:, 1:-1] == 100).all()


# --- luminance


def test_luminance_is_pillows_grey():
    photo = data.coffee()
    pillows = np.asarray(Image.fromarray(photo).convert("L"))
    ours = luminance(photo.astype(np.float32))[..., 0]
    assert np.abs(ours - pillows).max() <= 1


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_is_its_own_luminance(channels):
    image = np.random.default_rng(1).random((4, 5, channels))
    np.testing.assert_array_equal(luminance(image), image[..., :1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [3, 4])
def test_the_luminance_of_a_pixel_does_not_depend_on_where_it_is(channels, dtype):
    colours = np.random.default_rng(0).random((90, 70, channels)).astype(dtype)
    expected = luminance(colours)
    for rows, left, width in ((1, 0, 1), (2, 3, 17), (90, 1, 69), (3, 5, 1), (89, 0, 33)):
        piece = colours[:rows, left : left + width]
        for each in (piece, np.ascontiguousarray(piece)):
            assert (luminance(each) == expected[:rows, left : left + width]).all()
