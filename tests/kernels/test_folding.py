"""Kernels far larger than the image: folded, they give the same result."""

from __future__ import annotations

import numpy as np
import pytest

import convcli
from convcli.filtering import convolution
from convcli.kernels.folding import folded
from convcli.kernels.gaussian import gaussian_kernel
from convcli.kernels.kernel import Kernel, kernel_from
from convcli.running.recipe import halo_of
from convcli.words import BORDERS

SIZES = [(1, 1), (1, 5), (4, 1), (3, 2), (6, 7)]
SHAPES = [(1, 40), (17, 1), (13, 20), (20, 13), (14, 15)]


@pytest.mark.parametrize("correlate", [True, False])
@pytest.mark.parametrize("border", BORDERS)
def test_a_folded_kernel_gives_the_same(border, correlate, monkeypatch):
    rng = np.random.default_rng(0)
    pairs = [(rng.random(size), rng.normal(size=shape)) for size in SIZES for shape in SHAPES]
    how = {"border": border, "border_value": 3.0, "correlate": correlate, "method": "numpy"}
    ours = [convcli.convolve(image, kernel, exact=True, **how) for image, kernel in pairs]
    monkeypatch.setattr(convolution, "folded", lambda kernels, halo, *_: (kernels, halo))
    for (image, kernel), our in zip(pairs, ours, strict=True):
        unfolded = convcli.convolve(image, kernel, exact=True, **how)
        np.testing.assert_allclose(our, unfolded, rtol=0, atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_a_line_of_n_samples_takes_at_most_2_n_and_1_weights(border, size):
    column, row = np.arange(1.0, 31.0), np.arange(3.0, 27.0)
    factored = Kernel("k", (30, 24), given_factors=((column, row),))
    dense = kernel_from(np.outer(column, row), "k")
    halo = halo_of((30, 24), correlate=False)
    (one, other), (above, below, left, right) = folded((factored, dense), halo, size, border)
    assert one.shape == other.shape == (above + 1 + below, left + 1 + right)
    assert one.shape == (2 * size[0] + 1, 2 * size[1] + 1)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-12)
    assert one.sum() == other.sum() == dense.sum()


def test_others_stay_as_they_are():
    kernels, halo = (kernel_from(np.ones((9, 7))),), (4, 4, 3, 3)
    assert folded(kernels, halo, (4, 3), "reflect") == (kernels, halo)


def test_a_blur_by_way_of_a_grid_is_called_as_it_was_asked_for():
    plans = []
    convcli.blur(np.zeros((5, 5), np.uint8), 50.0, on_plan=plans.append)
    assert plans[0].kernel == "gaussian 401 x 401"


def test_a_plan_tells_of_it():
    plan = convcli.plan((48, 64), "uint8", gaussian_kernel(5000))
    assert "gaussian 40001 x 40001 folded to 129 x 97" in str(plan)
