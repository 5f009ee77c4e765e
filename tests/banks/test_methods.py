"""Every method of a filter bank computes what the seven nested loops say."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import convcli
from convcli.banks import contract, direct, plan
from convcli.banks.convolution import run_plan
from convcli.banks.layer import convolution_layer, transposed_layer
from convcli.banks.plan import plan_layer
from convcli.loops.compiled import machine_code

# Promise: 1e-5 of the range.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@st.composite
def layers(draw, transposed=False):
    """Draw the shapes and parameters of a layer."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    each, maps = draw(st.integers(1, 3)), draw(st.integers(1, 11))
    pairs = {
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilation": draw(st.tuples(st.integers(1, 2), st.integers(1, 3))),
        "padding": draw(st.tuples(st.integers(0, 3), st.integers(0, 3))),
    }
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, pairs["dilation"], strict=True)]
    size = [draw(st.integers(e, e + 9)) for e in extent]
    x = (draw(st.integers(1, 2)), groups * each, *size)
    dtype = draw(st.sampled_from(["float32", "float64"]))
    if not transposed:
        weight = (groups * maps, each, *kernel)
        border = draw(st.sampled_from(["constant", "reflect", "mirror", "nearest", "wrap"]))
        return x, weight, np.dtype(dtype), {**pairs, "groups": groups, "border": border}
    pairs["padding"] = tuple(
        min(p, (e - 1) // 2) for p, e in zip(pairs["padding"], extent, strict=True)
    )
    limits = [max(s, d) - 1 for s, d in zip(pairs["stride"], pairs["dilation"], strict=True)]
    more = tuple(draw(st.integers(0, limit)) for limit in limits)
    weight = (groups * each, maps, *kernel)
    return x, weight, np.dtype(dtype), {**pairs, "groups": groups, "output_padding": more}


def computed(layer, method, x, weight, bias, workers=2):
    out = np.full(layer.out_shape, np.nan, layer.dtype)
    work = contract.load(method)(layer, x, weight, bias, out, workers)
    for piece in work.pieces:
        work.fill(piece)
    return out


def filled(rng, x, weight, maps, dtype):
    return (
        rng.standard_normal(x).astype(dtype),
        rng.standard_normal(weight).astype(dtype),
        rng.standard_normal(maps).astype(dtype),
    )


PADDING = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap",
           "constant": "constant"}  # fmt: skip
"""numpy's words for the borders."""


def by_scipy(layer, x, weight, bias):
    """Correlate by scipy in float64, channel by channel, and take what the strides keep."""
    channels, maps = layer.channels // layer.groups, layer.maps // layer.groups
    out = np.zeros(layer.out_shape)
    spread = np.zeros((*weight.shape[:2], *layer.extent))
    spread[:, :, :: layer.dilation[0], :: layer.dilation[1]] = weight
    around = list(zip(layer.before, layer.after, strict=True))
    for n, m in np.ndindex(layer.images, layer.maps):
        for c in range(channels):
            plane = x[n, m // maps * channels + c].astype(np.float64)
            wide = np.pad(plane, around, PADDING[layer.border])
            found = signal.correlate(wide, spread[m, c], "valid", "direct")
            out[n, m] += found[:: layer.stride[0], :: layer.stride[1]]
    return out + bias[:, None, None]


@pytest.mark.parametrize("method", contract.METHODS)
@settings(max_examples=25, deadline=None)
@given(drawn=layers(), seed=st.integers(0, 9))
def test_methods_equal_scipy(method, drawn, seed):
    x, weight, dtype, parameters = drawn
    if method.startswith("winograd"):
        weight = (*weight[:2], 3, 3)
        x = (*x[:2], *(max(3, n) for n in x[2:]))
        parameters = {**parameters, "stride": 1, "dilation": 1}
    if method == "definition":
        x, weight = (1, *x[1:]), (parameters["groups"], *weight[1:])
    layer = convolution_layer(x, weight, dtype, **parameters)
    arrays = filled(np.random.default_rng(seed), x, weight, weight[0], dtype)
    expected = by_scipy(layer, *arrays)
    found = computed(layer, method, *arrays)
    assert found.shape == expected.shape
    scale = max(1, np.abs(expected).max())
    assert np.abs(found - expected).max() <= TOLERANCE[str(dtype)] * scale


@settings(max_examples=25, deadline=None)
@given(drawn=layers(transposed=True), seed=st.integers(0, 9))
def test_a_transposed_layer_is_the_definition(drawn, seed):
    x, weight, dtype, parameters = drawn
    x, weight = (1, *x[1:]), (weight[0], min(2, weight[1]), *weight[2:])
    layer = transposed_layer(x, weight, dtype, **parameters)
    arrays = filled(np.random.default_rng(seed), x, weight, layer.maps, dtype)
    expected = computed(layer, "definition", *arrays)
    found = computed(layer, "direct", *arrays)
    scale = max(1, np.abs(expected).max())
    assert np.abs(found - expected).max() <= TOLERANCE[str(dtype)] * scale


@settings(max_examples=25, deadline=None)
@given(drawn=layers(), seed=st.integers(0, 9))
def test_transposed_is_the_adjoint(drawn, seed):
    """<conv(x), y> = <x, conv_transpose(y)>: that is what transposed means."""
    x, weight, _, parameters = drawn
    parameters = {key: value for key, value in parameters.items() if key != "border"}
    rng = np.random.default_rng(seed)
    samples, weights = rng.standard_normal(x), rng.standard_normal(weight)
    forward = convcli.conv2d(samples, weights, **parameters)
    y = rng.standard_normal(forward.shape)
    layer = convolution_layer(x, weight, np.dtype(np.float64), **parameters)
    axes = zip(layer.size, layer.out_size, layer.stride, layer.extent, layer.before, strict=True)
    missing = tuple(
        size - ((out - 1) * step + extent - 2 * before) for size, out, step, extent, before in axes
    )
    if any(m >= max(s, d) for m, s, d in zip(missing, layer.stride, layer.dilation, strict=True)):
        return  # rows that no result reads cannot all be asked for
    backward = convcli.conv_transpose2d(y, weights, output_padding=missing, **parameters)
    assert np.vdot(forward, y) == pytest.approx(np.vdot(samples, backward), rel=1e-9, abs=1e-9)


def test_rows_that_no_weight_reaches_are_the_bias():
    x, weight = np.ones((1, 1, 1, 4), np.float32), np.ones((1, 1, 1, 2), np.float32)
    found = convcli.conv_transpose2d(x, weight, [3], stride=(4, 1), output_padding=(3, 0))
    assert found[0, 0].tolist() == [[4, 5, 5, 5, 4], *[[3] * 5] * 3]
    only = {"stride": (3, 1), "padding": (1, 0), "output_padding": (2, 0)}
    assert convcli.conv_transpose2d(x, weight, [3], **only)[0, 0].tolist() == [[3] * 5]


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (40, 33), (130, 200)])
@pytest.mark.parametrize("maps", [1, 2, 5, 8, 13])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (6, 5)])
def test_pieces_cover_the_result_once(size, maps, kernel):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, *size)).astype(np.float32)
    weight = rng.standard_normal((maps, 3, *kernel)).astype(np.float32)
    whole = convcli.conv2d(x, weight, padding="same", method="direct", workers=1)
    parts = convcli.conv2d(x, weight, padding="same", method="direct", workers=5)
    assert np.array_equal(whole, parts)
    exact = convcli.conv2d(x.astype(np.float64), weight, padding="same", method="im2col")
    assert np.abs(whole - exact).max() <= 1e-5 * max(1, np.abs(exact).max())


@pytest.mark.parametrize("width", [1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 130])
@pytest.mark.parametrize("kernel", [(1, 3), (2, 2), (3, 3), (4, 1), (5, 4), (9, 9)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_any_length_that_share_samples(width, kernel, dtype):
    """Tiles of registers overlap at the end of a row, and of the last rows."""
    rng = np.random.default_rng(0)
    for height, around in ((2, (1, 0)), (13, (4, 4)), (40, (0, 0))):
        extent = [length - 2 * each for length, each in zip(kernel, around, strict=True)]
        shape = (2, 3, max(height, extent[0]), width + max(0, extent[1] - 1))
        layer = convolution_layer(
            shape, (3, 1, *kernel), np.dtype(dtype), padding=around, groups=3
        )  # fmt: skip
        arrays = filled(rng, shape, (3, 1, *kernel), 3, dtype)
        expected = by_scipy(layer, *arrays)
        scale = max(1, np.abs(expected).max())
        for workers in (1, 9):
            found = computed(layer, "direct", *arrays, workers)
            assert np.abs(found - expected).max() <= TOLERANCE[dtype] * scale


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (37, 41)])
@pytest.mark.parametrize("maps", [16, 24, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pointwise_layers_are_cut_anywhere(size, maps, dtype):
    rng = np.random.default_rng(0)
    shapes = (2, 10, *size), (2 * maps, 5, 1, 1)
    layer = convolution_layer(*shapes, np.dtype(dtype), groups=2)
    x, weight, bias = filled(rng, *shapes, 2 * maps, dtype)
    parts = np.einsum("ngchw,gmc->ngmhw", x.reshape(2, 2, 5, *size), weight.reshape(2, maps, 5))
    expected = parts.reshape(layer.out_shape) + bias[:, None, None]
    for workers in (1, 5):
        found = computed(layer, "direct", x, weight, bias, workers)
        assert np.abs(found - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()


@pytest.mark.parametrize("method", ["direct", "winograd", "winograd_4x4"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [64, 300])
def test_many_channels_round_little(method, dtype, channels):
    """auto takes F(4x4, 3x3) up to 512 channels; samples are positive, as after a rectifier."""
    rng = np.random.default_rng(0)
    x = rng.random((channels, 19, 30))
    weight = rng.standard_normal((20, channels, 3, 3))
    exact = convcli.conv2d(x, weight, padding=1, method="im2col")
    found = convcli.conv2d(x.astype(dtype), weight, padding=1, method=method, workers=1)
    assert np.abs(found - exact).max() <= TOLERANCE[dtype] / 2 * np.abs(exact).max()


def test_weights_that_outnumber_the_samples_are_shared_by_maps():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 40, 3, 4)).astype(np.float32)
    for forward, shape in ((True, (37, 40, 3, 3)), (False, (40, 37, 4, 3))):
        weight = rng.standard_normal(shape).astype(np.float32)
        bias = rng.standard_normal(37).astype(np.float32)
        if forward:
            whole, parts = (
                convcli.conv2d(x, weight, bias, padding=1, method="direct", workers=w)
                for w in (1, 3)
            )
        else:
            layer = transposed_layer(x.shape, shape, x.dtype, stride=2)
            whole, parts = (computed(layer, "direct", x, weight, bias, w) for w in (1, 3))
        assert np.array_equal(whole, parts)


@pytest.mark.parametrize("few", [0, 1000], ids=["laid out first", "laid out by threads"])
@pytest.mark.parametrize("packed", [1, 1 << 22])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_are_laid_out_first_or_by_the_threads(few, packed, dtype, monkeypatch):
    monkeypatch.setattr(direct, "_FEW_CHUNKS", few)
    monkeypatch.setattr(direct, "_packed_bytes", lambda: packed)
    rng = np.random.default_rng(0)
    for size, kernel, maps, channels, parameters in [
        ((37, 41), (3, 3), 24, 3, {"padding": 1}),
        ((9, 70), (2, 5), 16, 1, {"groups": 3, "stride": (1, 2), "dilation": (2, 1)}),
        ((33, 40), (1, 1), 32, 7, {"groups": 2}),
        ((3, 5), (3, 5), 16, 5, {}),
    ]:
        groups = parameters.get("groups", 1)
        shapes = (2, groups * channels, *size), (groups * maps, channels, *kernel)
        layer = convolution_layer(*shapes, np.dtype(dtype), **parameters)
        arrays = filled(rng, *shapes, groups * maps, dtype)
        expected = by_scipy(layer, *arrays)
        direct._layout.cache_clear()
        assert direct._layout(layer).turns == (few > 0)
        for workers in (1, 8):
            found = computed(layer, "direct", *arrays, workers)
            assert np.abs(found - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()
    direct._layout.cache_clear()


@pytest.mark.parametrize(
    ("told", "bytes_"),
    [({"return_value": 1 << 21}, 1 << 20), ({"return_value": 0}, 1 << 19),
     ({"return_value": -1}, 1 << 19), ({"side_effect": ValueError}, 1 << 19)],
)  # fmt: skip
def test_half_of_the_second_level_cache_if_the_system_tells(told, bytes_, monkeypatch):
    monkeypatch.setattr(os, "sysconf", mock.Mock(**told), raising=False)
    assert direct._packed_bytes.__wrapped__() == bytes_
    monkeypatch.delattr(os, "sysconf")
    assert direct._packed_bytes.__wrapped__() == 1 << 19


@pytest.mark.parametrize("method", ["direct", "im2col", "winograd", "winograd_4x4", "fft"])
def test_nan_reaches_what_the_kernel_reaches(method):
    """As in a network: also by a weight of 0, but never by one that the kernel does not have."""
    x = np.ones((1, 1, 40, 80), np.float32)
    x[0, 0, 20, 40] = np.nan
    for rows in (3,) if method.startswith("winograd") else (3, 4, 7):
        weight = np.zeros((1, 1, rows, 3), np.float32)
        found = np.isnan(convcli.conv2d(x, weight, padding="same", method=method))[0, 0]
        above = (rows - 1) // 2
        expected = np.zeros_like(found)
        expected[20 - (rows - 1 - above) : 20 + above + 1, 39:42] = True
        assert np.array_equal(found, expected)


def test_a_table_lists_every_method():
    layer = convolution_layer((1, 4, 20, 20), (4, 4, 3, 3), np.dtype("float32"))
    assert list(plan.plan_layer(layer).predicted) == list(contract.METHODS)


def test_a_small_layer_waits_for_no_compiler_until_enough_is_lost(monkeypatch):
    monkeypatch.setattr(machine_code, "is_loaded", lambda *_: False)
    monkeypatch.setattr(machine_code, "is_kept", lambda *_: False)
    monkeypatch.setattr(machine_code, "can_be_kept", lambda: True)
    monkeypatch.setattr(machine_code, "_missed", {})
    x, weight = np.zeros((3, 60, 80), np.float32), np.zeros((24, 3, 5, 5), np.float32)
    layer = convolution_layer(x.shape, weight.shape, np.dtype(np.float32))
    chosen = plan_layer(layer)
    assert chosen.method != "direct"
    assert 0 < chosen.missed < 0.1
    run_plan(chosen, x, weight)
    assert machine_code.missed("bank", "float32") == chosen.missed
    machine_code.miss("bank", "float32", 10)
    assert plan_layer(layer).method == "direct"
