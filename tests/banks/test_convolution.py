"""`conv2d` and its kin: shapes, the texts' numbers, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import convcli
from convcli import ConvcliError
from convcli.banks.arrays import are_finite
from convcli.loops.compiled import machine_code

X = np.zeros((2, 4, 9, 8), np.float32)
W = np.zeros((6, 4, 3, 3), np.float32)


@pytest.mark.parametrize("method", ["direct", "im2col", "winograd", "fft"])
def test_one_image_and_several(method):
    rng = np.random.default_rng(0)
    x, weight = rng.random((3, 4, 9, 8)), rng.random((6, 4, 3, 3))
    several = convcli.conv2d(x, weight, method=method)
    assert several.shape == (3, 6, 7, 6)
    for image, maps in zip(x, several, strict=True):
        assert np.array_equal(convcli.conv2d(image, weight, method=method), maps)


def test_the_dtype_is_that_of_the_input():
    assert convcli.conv2d(X, W).dtype == np.float32
    assert convcli.conv2d(X.astype(np.float64), W).dtype == np.float64
    assert convcli.conv2d(X.astype(">f4"), W).dtype == np.float32


@pytest.mark.parametrize("even", [(2, 2), (4, 3), (3, 6)])
def test_same_keeps_the_size(even):
    weight = np.zeros((1, 4, *even), np.float32)
    assert convcli.conv2d(X, weight, padding="same").shape == (2, 1, 9, 8)
    assert convcli.conv2d(X, weight, padding="valid").shape == (
        2, 1, 10 - even[0], 9 - even[1],
    )  # fmt: skip


def test_depthwise_and_convolve_share_their_numbers():
    """`convolve` on (H, W, C) is `conv2d` with a group for each channel, and the kernel flipped."""
    rng = np.random.default_rng(0)
    image = rng.random((40, 50, 3)).astype(np.float32)
    kernel = rng.standard_normal((5, 7)).astype(np.float32)
    weight = np.broadcast_to(kernel[::-1, ::-1], (3, 1, 5, 7))
    x = np.ascontiguousarray(image.transpose(2, 0, 1))
    for border in ("reflect", "mirror", "nearest", "wrap", "constant"):
        one = convcli.convolve(image, kernel, border=border, method="numba")
        other = convcli.conv2d(x, weight, padding="same", groups=3, border=border)
        assert np.abs(one.transpose(2, 0, 1) - other).max() <= 1e-6 * np.abs(one).max()


def test_separable_is_its_two_steps():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 50, 40)).astype(np.float32)
    depthwise = rng.standard_normal((12, 1, 3, 3)).astype(np.float32)
    pointwise = rng.standard_normal((5, 12, 1, 1)).astype(np.float32)
    bias = rng.standard_normal(5).astype(np.float32)
    for parameters in ({"padding": 1}, {"stride": 2}, {"dilation": 2, "padding": "same"}):
        two = convcli.conv2d(convcli.conv2d(x, depthwise, groups=6, **parameters), pointwise, bias)
        one = convcli.separable_conv2d(x, depthwise, pointwise, bias, **parameters)
        assert one.shape == two.shape
        assert np.abs(one - two).max() <= 1e-5 * np.abs(two).max()


# Shapes and counts as textbooks on convolutional networks give them.
def test_parameters_of_a_dense_a_separable_and_a_grouped_layer():
    assert np.prod((256, 256, 3, 3)) == 589_824
    assert np.prod((256, 1, 3, 3)) + np.prod((256, 256, 1, 1)) == 67_840
    assert np.prod((256, 256 // 4, 3, 3)) == 147_456
    dense = convcli.plan_conv2d((256, 16, 16), (256, 256, 3, 3), padding=1)
    grouped = convcli.plan_conv2d((256, 16, 16), (256, 64, 3, 3), padding=1, groups=4)
    depthwise = convcli.plan_conv2d((256, 16, 16), (256, 1, 3, 3), padding=1, groups=256)
    pointwise = convcli.plan_conv2d((256, 16, 16), (256, 256, 1, 1))
    products = [p.layer.multiplications // 256 for p in (dense, grouped, depthwise, pointwise)]
    assert products == [589_824, 147_456, 2_304, 65_536]
    saved = products[0] / (products[2] + products[3])
    assert saved == pytest.approx(9 * 256 / (9 + 256))


def test_two_layers_of_a_batch():
    x = np.zeros((16, 3, 224, 224), np.float32)
    first = convcli.conv2d(x, np.zeros((64, 3, 7, 7), np.float32), stride=2, padding=3)
    assert first.shape == (16, 64, 112, 112)
    second = convcli.conv2d(first[:1], np.zeros((128, 64, 3, 3), np.float32), padding=1)
    assert second.shape == (1, 128, 112, 112)


def test_a_transposed_layer_doubles_the_size():
    x, weight = np.ones((256, 16, 16), np.float32), np.ones((256, 128, 4, 4), np.float32)
    maps = convcli.conv_transpose2d(x, weight, stride=2, padding=1)
    assert maps.shape == (128, 32, 32)
    assert np.all(maps[:, 1:-1, 1:-1] == 1024)  # each pixel sees 2 x 2 samples of 256 channels


def test_winograd_and_separable_layers_save_products():
    plan = convcli.plan_conv2d((64, 56, 56), (64, 64, 3, 3), padding=1)
    products = str(plan).splitlines()[3]
    assert "definition, direct, im2col 115,605,504;" in products
    assert "winograd 51,380,224 (2.25 times fewer)" in products
    assert "winograd_4x4 28,901,376 (4 times fewer)" in products
    assert "a separable layer instead 14,651,392 (7.89 times fewer)" in products
    assert pytest.approx(7.89, abs=0.005) == 9 * 64 / (9 + 64)  # K^2 C_out / (K^2 + C_out)


REFUSED = {
    "a shape of x": (lambda: convcli.conv2d(X[0, 0], W), "x must be"),
    "a shape of weight": (lambda: convcli.conv2d(X, W[0]), "weight must be"),
    "channels": (lambda: convcli.conv2d(X[:, :3], W), r"needs 4 channels.*\(2, 3, 9, 8\) has 3"),
    "groups that do not divide": (
        lambda: convcli.conv2d(X, W, groups=3),
        r"3 groups do not divide 4 channels .*\(2, 4, 9, 8\), weight \(6, 4, 3, 3\)",
    ),
    "no groups": (lambda: convcli.conv2d(X, W, groups=0), "groups must be"),
    "a stride of 0": (lambda: convcli.conv2d(X, W, stride=0), "stride must be at least 1"),
    "half a stride": (lambda: convcli.conv2d(X, W, stride=1.5), "stride must be a whole number"),
    "negative padding": (lambda: convcli.conv2d(X, W, padding=-1), "padding must be at least 0"),
    "a word for padding": (lambda: convcli.conv2d(X, W, padding="full"), "'full'"),
    "same with a stride": (
        lambda: convcli.conv2d(X, W, padding="same", stride=2), "needs a stride of 1",
    ),
    "a large kernel": (lambda: convcli.conv2d(X, W, dilation=5), "spans 11 x 11 pixels"),
    "a border": (lambda: convcli.conv2d(X, W, border="round"), "unknown border 'round'"),
    "a method": (lambda: convcli.conv2d(X, W, method="numpy"), "unknown method 'numpy'"),
    "a list for a method": (lambda: convcli.conv2d(X, W, method=["fft"]), "unknown method"),
    "winograd of 5x5": (
        lambda: convcli.conv2d(X, np.zeros((1, 4, 5, 5)), method="winograd"), "cannot compute",
    ),
    "NaN in the weights": (lambda: convcli.conv2d(X, W * np.nan), "NaN or infinity"),
    "objects": (lambda: convcli.conv2d(X, W.astype(object)), "real numbers"),
    "complex numbers": (lambda: convcli.conv2d(X * 1j, W), "real numbers"),
    "integers": (lambda: convcli.conv2d(X.astype(np.uint8), W), "float32 or float64"),
    "a ragged list": (lambda: convcli.conv2d([[1.0], [1.0, 2.0]], W), "differ in length"),
    "a masked input": (lambda: convcli.conv2d(np.ma.array(X), W), "masked"),
    "a masked weight": (lambda: convcli.conv2d(X, np.ma.array(W)), "masked"),
    "a masked map": (lambda: convcli.relu(np.ma.array(X)), "masked"),
    "a masked map to pool": (lambda: convcli.max_pool2d(np.ma.array(X), 2), "masked"),
    "nothing": (lambda: convcli.conv2d(X[:0], W), "must not be empty"),
    "weights beyond float32": (
        lambda: convcli.conv2d(X, W.astype(float) + 1e300), "infinity as float32",
    ),
    "a list for a border": (lambda: convcli.conv2d(X, W, border=["wrap"]), "unknown border"),
    "a word for relu": (lambda: convcli.relu("a"), "real numbers"),
    "half a shape": (lambda: convcli.plan_conv2d((3.5, 9, 9), W.shape), "whole numbers"),
    "a dtype": (lambda: convcli.plan_conv2d(X.shape, W.shape, "int8"), "float32 or float64"),
    "much padding": (
        lambda: convcli.conv2d(X, W, padding=10**9), r"of shape \(2, 6, 2000000007, .* needs about",
    ),
    "a short bias": (lambda: convcli.conv2d(X, W, np.zeros(5)), "each of the 6 maps"),
    "channels of a transposed layer": (
        lambda: convcli.conv_transpose2d(X, W), "needs 6 channels",
    ),
    "output padding": (
        lambda: convcli.conv_transpose2d(X, np.zeros((4, 1, 3, 3)), output_padding=1),
        "output_padding",
    ),
    "padding that leaves nothing": (
        lambda: convcli.conv_transpose2d(X, np.zeros((4, 1, 3, 3)), padding=9), "leaves nothing",
    ),
    "pointwise kernels of 3x3": (
        lambda: convcli.separable_conv2d(X, np.zeros((4, 1, 3, 3)), W), "1 x 1",
    ),
}  # fmt: skip


def test_a_stride_beyond_the_input_gives_one_result():
    rng = np.random.default_rng(0)
    x, weight = rng.random((4, 9, 8)), rng.random((2, 4, 3, 3))
    for method in ("direct", "im2col", "fft", "definition"):
        found = convcli.conv2d(x, weight, stride=10**20, method=method)
        assert np.allclose(found[:, 0, 0], np.tensordot(weight, x[:, :3, :3], 3))
        assert found.shape == (2, 1, 1)


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_shapes(case):
    call, words = REFUSED[case]
    with pytest.raises(ConvcliError, match=words):
        call()


def test_maps_that_do_not_fit_are_refused_before_they_are_allocated(monkeypatch):
    monkeypatch.setattr("convcli.memory.available", lambda: 1 << 20)
    x = np.zeros((1, 1, 2000, 2000), np.float32)
    with pytest.raises(ConvcliError, match=r"needs about 1\.0 GB of memory"):
        convcli.conv2d(x, np.zeros((64, 1, 1, 1), np.float32))


@pytest.mark.parametrize(
    ("x", "weight", "parameters", "wanted"),
    [
        ((1, 64, 112, 112), (64, 1, 9, 9), {"padding": 4, "groups": 64}, "direct"),
        ((1, 64, 112, 112), (64, 64, 3, 3), {"padding": 1}, "winograd_4x4"),
        ((1, 256, 56, 56), (256, 256, 3, 3), {"padding": 1}, "winograd"),
        ((1, 256, 56, 56), (256, 256, 1, 1), {}, "direct"),
        ((1, 512, 14, 14), (512, 512, 3, 3), {"padding": 1}, "im2col"),
        ((1, 1, 800, 1200), (4, 1, 101, 101), {"padding": 50}, "fft"),
    ],
)
def test_auto_takes_what_is_fastest_here(x, weight, parameters, wanted, monkeypatch):
    monkeypatch.setattr(machine_code, "is_kept", lambda *_names: True)
    assert convcli.plan_conv2d(x, weight, workers=2, **parameters).method == wanted


def test_a_short_layer_is_not_spread():
    """Starting a second thread takes longer than all of the work."""
    assert convcli.plan_conv2d((3, 20, 20), (8, 3, 3, 3), workers=2).workers == 1
    assert convcli.plan_conv2d((64, 112, 112), (64, 64, 3, 3), workers=2).workers == 2


def test_the_oracle_is_never_chosen():
    plan = convcli.plan_conv2d((1, 1, 1), (1, 1, 1, 1))
    assert plan.predicted["definition"] < plan.predicted[plan.method]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_numbers_are_finite_and_others_are_not(dtype):
    """Their squares are not."""
    values = np.full((2, 3), np.finfo(dtype).max, dtype)
    assert are_finite(values)
    assert are_finite(values[:0])
    for odd in (np.nan, np.inf, -np.inf):
        values[1, 2] = odd
        assert not are_finite(values)
