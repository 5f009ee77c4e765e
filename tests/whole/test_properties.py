"""Properties that hold for every image and kernel, tested by hypothesis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import convcli
from convcli.filtering import convolution
from convcli.words import BORDERS
from tests.oracles import assert_same_picture, scipy_convolve
from tests.plans import planned

METHODS = ["numpy", "numba", "fft"]

images = arrays.arrays(
    np.float64,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-100, 100, width=32),
)
kernels = arrays.arrays(
    np.float64,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-4, 4, width=16),
)
borders = st.sampled_from(BORDERS)
methods = st.sampled_from(METHODS)
quick = settings(max_examples=60, deadline=None)


@quick
@given(images, kernels, borders, methods, st.booleans())
def test_equals_scipy(image, kernel, border, method, correlate):
    result = convcli.convolve(image, kernel, border=border, method=method, correlate=correlate)
    assert_same_picture(result, scipy_convolve(image, kernel, border, 0.0, correlate), 1e-9)


@quick
@given(images, kernels, borders, methods, st.floats(-3, 3), st.floats(-3, 3))
def test_is_linear(image, kernel, border, method, a, b):
    other = image[::-1, ::-1]

    def filtered(picture):
        return convcli.convolve(picture, kernel, border=border, method=method)

    together = filtered(a * image + b * other)
    np.testing.assert_allclose(together, a * filtered(image) + b * filtered(other), atol=1e-6)


@quick
@given(images, kernels, methods, st.integers(-20, 20), st.integers(-20, 20))
def test_moves_with_the_picture_under_wrap(image, kernel, method, down, right):
    def filtered(picture):
        return convcli.convolve(picture, kernel, border="wrap", method=method)

    moved = filtered(np.roll(image, (down, right), (0, 1)))
    np.testing.assert_allclose(moved, np.roll(filtered(image), (down, right), (0, 1)), atol=1e-9)


@quick
@given(
    st.integers(0, 255), st.floats(0.3, 9), st.sampled_from(BORDERS[:-1]), methods,
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
)  # fmt: skip
def test_a_flat_picture_stays_as_it_is(level, sigma, border, method, shape):
    image = np.full(shape, level, np.uint8)
    result = convcli.blur(image, sigma, border=border, method=method)
    np.testing.assert_array_equal(result, image)


@quick
@given(images, kernels, kernels)
def test_convolving_twice_is_convolving_with_the_convolved_kernel(image, first, second):
    """Under wrap, where no edge interferes; odd sizes, whose middle is unambiguous."""
    first = first[: first.shape[0] - 1 | 1, : first.shape[1] - 1 | 1]
    second = second[: second.shape[0] - 1 | 1, : second.shape[1] - 1 | 1]
    size = (first.shape[0] + second.shape[0] - 1, first.shape[1] + second.shape[1] - 1)
    both = np.fft.irfft2(np.fft.rfft2(first, size) * np.fft.rfft2(second, size), size)
    once = convcli.convolve(image, both, border="wrap")
    twice = convcli.convolve(convcli.convolve(image, first, border="wrap"), second, border="wrap")
    np.testing.assert_allclose(twice, once, atol=1e-6)


@pytest.mark.parametrize("form", ["dense", "separable"])
@pytest.mark.parametrize("method", METHODS)
def test_any_cut_into_pieces_gives_the_same_picture(method, form, monkeypatch):
    """Tiles of any size, also smaller than the halo, give the same image."""
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (23, 29, 3), dtype=np.uint8)
    kernel = rng.normal(size=(5, 8))
    whole = convcli.convolve(image, kernel, method=method)
    for regions, tile in [
        ((1, 29), (1, 1)),
        ((7, 5), (3, 4)),
        ((23, 29), (2, 29)),
        ((23, 1), (23, 1)),
    ]:

        def cut(*arguments, regions=regions, tile=tile, **options):
            plan = planned(*arguments, **{**options, "form": form})
            return replace(plan, regions=regions, tile=tile, executor="threads", workers=2)

        monkeypatch.setattr(convolution, "plan_for", cut)
        pieces = convcli.convolve(image, kernel, method=method)
        off = np.abs(pieces.astype(int) - whole.astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.001
