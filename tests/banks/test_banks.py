"""The built-in banks, cascades, and banks in files."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import convcli
from convcli import ConvcliError
from convcli.banks.bank import bank_of
from convcli.banks.cascades import CASCADES
from convcli.banks.files import read_bank
from convcli.banks.named import NAMED, named_bank

IMAGE = np.random.default_rng(0).random((2, 50, 41))


@pytest.mark.parametrize("name", NAMED)
def test_every_bank_has_a_name_for_each_map(name):
    bank = named_bank(name)
    assert len(bank.names) == len(set(bank.names)) == len(bank.weights)
    assert bank.weights.ndim == 4
    assert np.isfinite(bank.weights).all()


def test_a_gabor_kernel_answers_its_own_wave_alone():
    bank = named_bank("gabor:4,2")
    y, x = np.mgrid[:120, :120].astype(np.float64)
    for number, (even, odd) in enumerate(bank.pairs):
        length, angle = 4.0 * 2 ** (number // 4), math.pi * (number % 4) / 4
        wave = np.cos(2 * math.pi * (x * math.cos(angle) - y * math.sin(angle)) / length)
        maps = convcli.conv2d(wave[None], bank.weights)
        energy = [float(np.hypot(maps[a], maps[b]).mean()) for a, b in bank.pairs]
        assert energy[number] == pytest.approx(1, abs=0.02)
        assert int(np.argmax(energy)) == number
        assert bank.names[even] == f"{length:g}px-{math.degrees(angle):g}deg-even"
        assert bank.names[odd].endswith("-odd")
    constant = convcli.conv2d(np.ones((1, 60, 60)), bank.weights)
    assert np.abs(constant).max() < 1e-12


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_steerable_filters_take_derivatives_along_the_angle(angle):
    y, x = np.mgrid[20:-21:-1, -20:21].astype(np.float64)  # y grows upwards
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = x * c + y * s
    first, second = convcli.conv2d(along[None], named_bank("steerable:2", angle).weights)
    assert np.allclose(first, 1)
    assert np.allclose(second, 0, atol=1e-12)
    _, second = convcli.conv2d(along[None] ** 2, named_bank("steerable:2", angle).weights)
    assert np.allclose(second, 2)


def test_haar_keeps_the_energy():
    bank = named_bank("haar")
    x = np.random.default_rng(0).standard_normal((1, 40, 60))
    maps = convcli.conv2d(x, bank.weights, stride=bank.stride)
    assert (maps**2).sum() == pytest.approx((x**2).sum())


def test_laws_masks_but_the_first_ignore_constants():
    maps = convcli.conv2d(np.ones((1, 9, 9)), named_bank("laws").weights)
    assert np.allclose(maps[0], 1)
    assert np.allclose(maps[1:], 0)


@pytest.mark.parametrize("name", CASCADES)
@pytest.mark.parametrize("levels", [1, 2, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_planes_of_a_cascade_add_up_to_the_image(name, levels, dtype):
    x = IMAGE.astype(dtype)
    planes = CASCADES[name](x, levels)
    assert len(planes) == levels + 1
    total = sum(plane.samples for plane in planes)
    assert np.abs(total - x).max() <= 8 * np.finfo(dtype).eps


def test_a_starlet_is_the_a_trous_algorithm():
    """Level 2 smooths by the B-spline with gaps of a pixel, resolved against the whole image."""
    from scipy import ndimage

    taps = np.array([1, 4, 6, 4, 1]) / 16
    wide = np.array([1, 0, 4, 0, 6, 0, 4, 0, 1]) / 16
    smooth = IMAGE
    for line in (taps, wide):
        smooth = ndimage.correlate1d(ndimage.correlate1d(smooth, line, 1), line, 2)
    from convcli.banks.cascades import starlet

    found = starlet(IMAGE, 2, border="reflect")[-1].samples
    assert np.allclose(found, smooth, atol=1e-14)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gabor:x", "typed as gabor:ANGLES,SCALES"),
        ("gabor:0", "ANGLES must be"),
        ("gabor:4,9", "at most 8 scales"),
        ("gabor:1,2,3", "too many numbers"),
        ("gabor:4000,8", "at most 4096 maps"),
        ("laws:3", "too many numbers"),
        ("steerable:0", "sigma of steerable"),
        ("nothing", "unknown bank 'nothing'"),
    ],
)
def test_wrong_names_are_refused(text, words):
    with pytest.raises(ConvcliError, match=words):
        named_bank(text)
    with pytest.raises(ConvcliError, match="for steerable"):
        named_bank("haar", 30)


WEIGHTS = np.random.default_rng(1).standard_normal((6, 3, 5, 5)).astype(np.float32)


def test_files_give_the_kernels_that_they_hold(tmp_path):
    np.save(tmp_path / "a.npy", WEIGHTS)
    np.savez(tmp_path / "a.npz", **{"conv1.weight": WEIGHTS, "conv1.bias": np.zeros(6)})
    np.savez_compressed(tmp_path / "b.npz", one=WEIGHTS, two=WEIGHTS[:2])
    for path, layer in (("a.npy", None), ("a.npz", None), ("b.npz", "one")):
        bank = read_bank(tmp_path / path, layer)
        assert np.array_equal(bank.weights, WEIGHTS)
        assert bank.weights.dtype == np.float32
        assert bank.names == ("1", "2", "3", "4", "5", "6")
    with pytest.raises(ConvcliError, match=r"several layers.*one 6 x 3 x 5 x 5, two 2 x 3 x 5 x 5"):
        read_bank(tmp_path / "b.npz")
    with pytest.raises(ConvcliError, match="no layer 'three'"):
        read_bank(tmp_path / "b.npz", "three")


def test_safetensors_by_the_name_of_a_layer(tmp_path):
    save = pytest.importorskip("safetensors.numpy").save_file
    save({"features.0.weight": WEIGHTS, "fc": np.zeros(3, np.float32)}, tmp_path / "a.safetensors")
    for layer in (None, "features.0.weight"):
        assert np.array_equal(read_bank(tmp_path / "a.safetensors", layer).weights, WEIGHTS)
    with pytest.raises(ConvcliError, match=r"no layer 'x' .*features.0.weight 6 x 3 x 5 x 5"):
        read_bank(tmp_path / "a.safetensors", "x")


def test_nothing_is_unpickled(tmp_path):
    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self):
            return open, (str(canary), "w")

    np.save(tmp_path / "a.npy", np.array([Bomb()], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", np.array([Bomb()], object), allow_pickle=True)
    for name in ("b.npy", "b.npz", "b.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npy", "a.npz", "b.npy", "b.npz", "b.safetensors", "c.npy", "c.txt"):
        with pytest.raises(ConvcliError, match="bank "):
            read_bank(tmp_path / name)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.zeros(3), "has the shape"),
        (np.zeros((0, 1, 3, 3)), "not empty"),
        (np.full((1, 3, 3), np.nan), "NaN or infinity"),
        (np.zeros((3, 3), complex), "real numbers"),
        (np.zeros((3, 3), object), "real numbers"),
    ],
)
def test_arrays_that_are_no_banks_are_refused(weights, words):
    with pytest.raises(ConvcliError, match=words):
        bank_of(weights, "x")
