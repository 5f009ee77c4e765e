"""Derivatives and differences of Gaussians against scipy.ndimage, Gabor kernels against skimage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
from skimage import data
from skimage.filters import gabor_kernel

import convcli
from convcli import ConvcliError, kernel
from convcli.kernels.kernel import kernel_from
from convcli.kernels.named import named_kernel

PHOTO = data.camera()[100:196, 150:262].astype(float)
ORDERS = {"x": (0, 1), "y": (1, 0), "xx": (0, 2), "xy": (1, 1), "yy": (2, 0)}


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.7])
@pytest.mark.parametrize("axes", ORDERS)
def test_derivatives_are_scipys_less_what_that_gives_for_a_flat_image(axes, sigma):
    def filtered(image, order):
        return scipy.ndimage.gaussian_filter(image, sigma, order, mode="reflect")

    of_white = filtered(np.ones((50, 50)), ORDERS[axes])[0, 0]
    assert (abs(of_white) > 1e-6) == (len({*axes}) < len(axes))  # after cutting, of g'' alone
    wanted = filtered(PHOTO, ORDERS[axes]) - of_white * filtered(PHOTO, (0, 0))
    result = convcli.convolve(PHOTO, kernel(f"gaussian-{axes}:{sigma}"), exact=True)
    np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("axes", ORDERS)
def test_derivatives_of_gaussians_are_stored_as_one_column_and_one_row(axes):
    made = named_kernel(f"gaussian-{axes}:30")
    assert made.rank == 1
    assert made.is_derivative
    assert kernel_from(np.asarray(made)).rank == 1


@pytest.mark.parametrize("sigmas", [(1.0, 1.6), (2.0, 0.7), (3.0, 4.8)])
def test_dog_is_a_difference_of_scipys_gaussians(sigmas):
    one, other = (scipy.ndimage.gaussian_filter(PHOTO, sigma, mode="reflect") for sigma in sigmas)
    made = kernel("dog:{},{}".format(*sigmas))
    result = convcli.convolve(PHOTO, made, exact=True)
    np.testing.assert_allclose(result, one - other, rtol=0, atol=1e-10)
    assert (made.rank, made.is_derivative) == (2, True)


@pytest.mark.parametrize("numbers", [(8, 30, 3), (5, 0, 2.2), (4, 90, 4), (11.3, 217, 2.6)])
def test_gabor_kernels_are_skimages_of_another_scale_and_without_a_mean(numbers):
    wavelength, angle, sigma = numbers
    half = math.ceil(3 * sigma)
    theirs = gabor_kernel(1 / wavelength, math.radians(-angle), 1, sigma, sigma, n_stds=9)
    y, x = (n // 2 for n in theirs.shape)
    theirs = theirs[y - half : y + half + 1, x - half : x + half + 1]
    envelope = np.abs(theirs)
    even = theirs.real - envelope * (theirs.real.sum() / envelope.sum())
    wave = theirs / envelope
    for name, weights, own in (("gabor", even, wave.real), ("gabor-odd", theirs.imag, wave.imag)):
        made = kernel(f"{name}:{wavelength},{angle},{sigma}")
        wanted = weights / (weights * own).sum()
        np.testing.assert_allclose(made.weights, wanted, rtol=0, atol=1e-13)
        assert made.is_derivative
        assert made.rank == kernel_from(wanted).rank


@pytest.mark.parametrize("angle", range(-360, 800, 90))
@pytest.mark.parametrize("name", ["gabor", "gabor-odd"])
def test_waves_along_an_axis_are_separable(name, angle):
    made = named_kernel(f"{name}:6,{angle},4")
    assert made.rank == 1
    assert made.weights[12, 12] == pytest.approx(made.weights.max() if name == "gabor" else 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("gaussian-x:0.1", "sigma of the kernel gaussian-x must be at least 0.2, not 0.1"),
        ("gaussian-xx:nan", "not nan"),
        ("gaussian-yy:1e9", "more than 200001 samples"),
        ("gaussian-xy:1,2", "write it as gaussian-xy:SIGMA"),
        ("gaussian-z", "did you mean 'gaussian'"),
        ("dog:2,2", "two sigmas of the kernel dog must differ, and both are 2"),
        ("dog:1,0", "sigma of the kernel dog must be .* not 0"),
        ("dog:1,2,3", "write it as dog:SIGMA,SIGMA"),
        ("gabor:1", "gabor wavelength must be at least 2 pixels, not 1"),
        ("gabor:8,inf", "gabor angle must be .* not inf"),
        ("gabor-odd:8,0,0", "gabor-odd sigma must be .* not 0"),
        ("gabor:8,0,1e6", "gabor sigma must be at most 33332, not 1e[+]06"),
        ("gabor-odd:2", "'gabor-odd': almost nothing is left of a wave of 2 pixels"),
        ("gabor:8,0,1e-300", "almost nothing is left"),
        ("a\0b.npy", "is not a kernel"),
        (3, "words must be a text .* not 3"),
        ([[1.0]], "words must be a text"),
    ],
)
def test_bad_words_are_refused(words, message):
    with pytest.raises(ConvcliError, match=message):
        kernel(words)


def test_python_takes_the_words_of_the_command_line(tmp_path):
    (tmp_path / "one.csv").write_text("1,2\n3,4\n")
    assert kernel(str(tmp_path / "one.csv")).weights.tolist() == [[1, 2], [3, 4]]
    assert kernel("1 2; 3 4").weights.tolist() == [[1, 2], [3, 4]]
    np.testing.assert_array_equal(
        kernel("motion:25,30").weights, named_kernel("motion:25,30").weights
    )
