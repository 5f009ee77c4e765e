"""Transfer functions against colour standards written out independently, and their inverses."""

from __future__ import annotations

import numpy as np
import pytest

import convcli
from convcli.pixels import transfer
from convcli.pixels.transfer import BY_H273, SRGB, Transfer, of_table, power

CODES = np.linspace(0, 1, 4001)


def bt709(light):
    """The OETF of Rec. ITU-R BT.709, item 1.2, inverted below by interpolation."""
    return np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)


def lstar(light):
    """CIE 15: L* / 100."""
    return np.where(light > 216 / 24389, 1.16 * np.cbrt(light) - 0.16, 24389 / 2700 * light)


ENCODED = {
    "sRGB": (SRGB, lambda y: np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)),
    "BT.709": (BY_H273[1], bt709),
    "BT.2020": (BY_H273[14], bt709),
    "SMPTE 240M": (
        BY_H273[7],
        lambda y: np.where(y < 0.0228, 4 * y, 1.1115 * y**0.45 - 0.1115),
    ),
    "gamma 2.2": (BY_H273[4], lambda y: y ** (1 / 2.2)),
    "gamma 2.8": (BY_H273[5], lambda y: y ** (1 / 2.8)),
    "linear": (BY_H273[8], lambda y: y),
    "SMPTE ST 428": (BY_H273[17], lambda y: (48 * y / 52.37) ** (1 / 2.6)),
    "L*": (transfer.LSTAR, lstar),
    "ROMM RGB": (transfer.ROMM, lambda y: np.where(y < 1 / 512, 16 * y, y ** (1 / 1.8))),
}


@pytest.mark.parametrize("name", ENCODED)
def test_light_is_encoded_as_the_standard_has_it(name):
    curve, expected = ENCODED[name]
    np.testing.assert_allclose(curve.code(CODES), expected(CODES), atol=5e-4)


@pytest.mark.parametrize("name", ENCODED)
def test_decoding_is_the_inverse(name):
    curve, _ = ENCODED[name]
    assert curve.is_invertible
    wide = np.concatenate([-CODES[1:20], CODES, 1 + CODES])
    np.testing.assert_allclose(curve.code(curve.light(wide)), wide, atol=1e-7)


@pytest.mark.parametrize("name", sorted(set(ENCODED) - {"SMPTE ST 428", "SMPTE 240M"}))
def test_a_table_of_a_known_function_is_recognised(name):
    curve, _ = ENCODED[name]
    table = np.rint(curve.light(np.linspace(0, 1, 1024)) * 65535) / 65535
    found = of_table(table)
    codes = np.linspace(0.01, 1, 256)
    assert np.abs(found.code(curve.light(codes)) - codes).max() <= 0.5 / 255


@pytest.mark.parametrize("table", [
    [1.0, 0.0], [0.0, 0.9, 1.0, 0.2, 1.0], [0.0] * 9, np.linspace(0, 1, 99)[::-1],
    np.sin(CODES * 3) / 3 + 0.1,
])  # fmt: skip
def test_other_tables_are_not(table):
    assert of_table(np.asarray(table)) is None


@pytest.mark.parametrize(
    "curve",
    [
        Transfer("", 0.0), Transfer("", -2.2), Transfer("", 50.0), Transfer("", 2.2, a=0.0),
        Transfer("", 2.2, 1.0, -0.5, 0.0, 0.5),  # flat below 0.5
        Transfer("", 2.2, 1.0, 0.5), Transfer("", 2.2, e=0.2),
        Transfer("", float("nan")), Transfer("", 2.2, d=2.0, c=1.0),
    ],
)  # fmt: skip
def test_what_cannot_be_inverted_is_known(curve):
    assert not curve.is_invertible


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", ENCODED)
def test_a_filter_in_light_that_changes_nothing_changes_nothing(name, dtype):
    curve, _ = ENCODED[name]
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    image = (np.linspace(0, 1, 64 * 64).reshape(64, 64) * full).astype(dtype)
    result = convcli.convolve(image, [[1]], linear=curve, exact=True)
    np.testing.assert_allclose(result, image, atol=0 if full > 1 else 1e-4)


@pytest.mark.parametrize("method", ["numpy", "numba", "fft", "tiled"])
@pytest.mark.parametrize("exponent", [1.0, 1.8, 2.2, 2.8])
def test_half_of_the_light_has_the_level_that_the_function_gives(method, exponent):
    checkerboard = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    blurred = convcli.blur(
        checkerboard, 6, linear=power(exponent), method=method, border="wrap", exact=True
    )
    np.testing.assert_array_equal(blurred, round(255 * 0.5 ** (1 / exponent)))
