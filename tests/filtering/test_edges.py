"""Edges of a Gaussian's width and Laplacians, against scipy.ndimage in float64."""

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
from convcli.kernels.files import kernel
from convcli.pixels.colour import full_scale
from convcli.words import METHODS, SHOWS
from tests.oracles import assert_same_picture

DTYPES = ["uint8", "uint16", "float32", "float64"]
PHOTOS = {"astronaut": data.astronaut()[60:157, 150:281], "camera": data.camera()[100:197, 150:281]}
every_method = pytest.mark.parametrize("method", METHODS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def photograph(name, dtype):
    photo = PHOTOS[name]
    if dtype == "uint16":
        return photo.astype(dtype) * 257
    return photo if dtype == "uint8" else (photo / 255).astype(dtype)


STEP = np.repeat([0.0, 1.0], 50)


def reference(image, sigma):
    """Derivatives along x and y, and the Laplacian, of the luminance; a step gives its height."""
    grey = image.astype(float)
    if grey.ndim == 3:
        grey = grey @ [0.299, 0.587, 0.114]

    def derivative(*order):
        return scipy.ndimage.gaussian_filter(grey, sigma, order, mode="reflect")

    # Cut at 4 sigma, scipy's second derivative of a flat image is not 0; that is subtracted.
    along = [scipy.ndimage.gaussian_filter1d(STEP, sigma, order=order) for order in range(3)]
    of_white = scipy.ndimage.gaussian_filter1d(np.ones(99), sigma, order=2)[49]
    first, second = np.abs(along[1]).max(), np.abs(along[2] - of_white * along[0]).max()
    laplacian = derivative(0, 2) + derivative(2, 0) - 2 * of_white * derivative(0, 0)
    found = {"x": derivative(0, 1) / first, "y": derivative(1, 0) / first}
    found["magnitude"] = np.hypot(*found.values())
    found["angle"] = np.arctan2(found["y"], found["x"])
    return found | {"laplacian": laplacian / second}


@every_method
@pytest.mark.parametrize(("dtype", "photo"), [*zip(DTYPES, [*PHOTOS, *PHOTOS], strict=True)])
@pytest.mark.parametrize("show", SHOWS)
def test_edges_of_a_width_are_scipys_derivatives(method, dtype, photo, show):
    image, sigma = photograph(photo, dtype), 1.7
    options = {"method": method, "workers": 2, "border": "reflect"}
    result = convcli.edge(image, show=show, sigma=sigma, out_dtype="float32", **options)
    found = reference(image, sigma)
    wanted, full = found[show], full_scale(image.dtype)
    assert result.shape == wanted.shape
    if show == "angle":
        strong = found["magnitude"] > 0.05 * full
        turn = np.abs(result - wanted)[strong]
        assert np.minimum(turn, 2 * math.pi - turn).max() <= 1e-4
        return
    assert np.abs(result - wanted).max() <= 1e-5 * full
    samples = convcli.edge(image, show=show, sigma=sigma, **options)
    assert samples.dtype == image.dtype
    assert_same_picture(samples, result.astype(float))


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
def test_the_laplacian_without_a_width_is_scipys(method):
    for dtype in DTYPES:
        image = photograph("camera", dtype)
        result = convcli.edge(image, show="laplacian", out_dtype="float64", method=method)
        wanted = scipy.ndimage.laplace(image.astype(float), mode="reflect")
        np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-5 * full_scale(image.dtype))


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0, 2.5, 9.0])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_step_gives_its_height(sigma, dtype):
    full = np.iinfo(dtype).max
    step = np.zeros((80, 100), dtype)
    step[:, 50:] = full
    assert (convcli.edge(step, sigma=sigma)[:, 49:51] == full).all()
    assert convcli.edge(step, sigma=sigma, show="x").max() == full
    assert convcli.edge(step.T, sigma=sigma, show="y").max() == full
    signed = convcli.edge(step, sigma=sigma, show="laplacian", out_dtype="float64")
    assert (signed.max(), signed.min()) == pytest.approx((full, -full))
    assert (signed[:, :50] > -1e-9 * full).all()  # the dark side


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
@pytest.mark.parametrize(
    "flat",
    [
        np.full((40, 50), 100, np.uint8),
        np.full((40, 50, 3), (100, 31, 7), np.uint8),
        np.full((40, 50), 51234, np.uint16),
        np.full((40, 50, 3), (0.1, 0.37, 0.7), np.float32),
        np.full((40, 50), 1e20),
    ],
    ids=["grey", "colour", "deep", "float", "large"],
)
def test_a_flat_image_stays_flat_however_it_is_shown(method, flat):
    full = full_scale(flat.dtype)
    middle = 128 if full > 1 else 0.5
    for sigma in (None, 0.3, 1.0, 5.0, 21.0):
        for show, level in (("magnitude", 0), ("x", middle), ("y", middle), ("laplacian", middle)):
            if full == 65535 and level:
                level = 32768
            result = convcli.edge(flat, show=show, sigma=sigma, stretch=True, method=method)
            assert (result == level).all(), (sigma, show)


@every_dtype
@pytest.mark.parametrize("sigma", [None, 1.7])
def test_a_stretched_laplacian_has_0_at_mid_grey(dtype, sigma):
    image = photograph("astronaut", dtype)
    options = {"show": "laplacian", "sigma": sigma}
    signed = convcli.edge(image, out_dtype="float64", exact=True, **options)
    full = full_scale(image.dtype)
    wanted = full / 2 + signed * full / (2 * np.abs(signed).max())
    assert_same_picture(convcli.edge(image, stretch=True, **options), wanted)


def test_edges_of_any_width_and_any_image_size_agree_between_methods():
    rng = np.random.default_rng(2)
    for shape in ((1, 1), (1, 30), (7, 2), (5, 5, 4)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        for show in ("magnitude", "laplacian", "y"):
            options = {"show": show, "sigma": 6.0, "out_dtype": "float64", "alpha": "straight"}
            one, *others = (
                convcli.edge(image, method=method, **options) for method in METHODS if method
            )
            assert all(np.abs(one - other).max() < 1e-3 for other in others)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0}, "sigma must be .* not 0"),
        ({"sigma": 0.1}, "sigma must be at least 0.2, not 0.1"),
        ({"sigma": math.nan}, "sigma must be .* not nan"),
        ({"sigma": 1e9}, "sigma 1e[+]09 needs a kernel of more"),
        ({"sigma": (1, 2)}, "sigma must be a number"),
        ({"sigma": 2, "operator": "sobel"}, "operator has no effect beside sigma.*leave one out"),
        ({"show": "laplacian", "operator": "scharr"}, "operator has no effect beside laplacian"),
        ({"canny": (1, 2), "show": "angle"}, "canny .* have no angle; leave one out"),
        ({"canny": (1, 2), "sigma": 1, "operator": "sobel"}, "operator has no effect beside sigma"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, message):
    with pytest.raises(ConvcliError, match=message):
        convcli.edge(photograph("camera", "uint8"), **arguments)


# --- any kernel, stretched


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
@every_dtype
@pytest.mark.parametrize("words", ["gaussian-xy:2", "box:3", "1 -3 1", "gabor-odd:5,30"])
def test_a_stretch_spreads_the_result_of_any_kernel_over_the_whole_range(method, dtype, words):
    image, chosen = photograph("astronaut", dtype), kernel(words)
    result = apply(image, convolving(chosen, stride=2, stretch=True), method=method)
    signed = convcli.convolve(image, chosen, out_dtype="float64", exact=True)[::2, ::2]
    full = full_scale(image.dtype)
    if chosen.is_derivative:
        wanted = full / 2 + signed * full / (2 * np.abs(signed).max())
    else:
        wanted = (signed - signed.min()) * full / np.ptp(signed)
    assert (result.dtype, result.shape) == (image.dtype, wanted.shape)
    assert_same_picture(result, wanted)


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
def test_a_stretch_leaves_alpha_and_flat_images_alone(method):
    image = np.dstack([PHOTOS["astronaut"], PHOTOS["camera"]])
    for alpha in ("weight", "keep"):
        options = {"alpha": alpha, "method": method}
        for words in ("gaussian:1", "gaussian-x:1"):
            plain = convcli.convolve(image, kernel(words), **options)
            result = apply(image, convolving(kernel(words), stretch=True), **options)
            assert np.abs(result[..., 3].astype(int) - plain[..., 3]).max() <= 1
    for flat in (np.full((30, 40), 77, np.uint8), np.full((30, 40), 0.3), np.full((9, 9), np.nan)):
        full = full_scale(flat.dtype)
        for words, level in (("gaussian:2", 0.0), ("gaussian-xx:2", round(full / 2 + 0.01, 1))):
            result = apply(flat, convolving(kernel(words), stretch=True), method=method)
            wanted = math.floor(level + 0.5) if full > 1 else level
            assert (result == wanted).all() or np.isnan(flat).all()
