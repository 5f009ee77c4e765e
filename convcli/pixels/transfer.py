"""Transfer functions: from code values to light and back, by the standards that define them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from convcli.types import Floats, Pixels


class Transfer(NamedTuple):
    """A transfer function with the parameters of ICC.1:2022, section 10.18, type 4.

    From a code value X, 0 to 1, to light Y on the same scale:
    ``Y = (a X + b)**g + e`` for X >= d, and ``Y = c X + f`` below, which continues below 0.

    Attributes
    ----------
    name : str
        For messages: "sRGB", "gamma 1.8".
    g, a, b, c, d, e, f : float
        The parameters.
    """

    name: str
    g: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0
    f: float = 0.0

    @property
    def has_toe(self) -> bool:
        """Whether it is straight near 0; the inverse of a bare power is infinitely steep there."""
        return self.d > 0 or self.g == 1

    def light(self, code: Floats) -> Floats:
        """Return the light of code values from 0 to 1."""
        if not self.has_toe:
            return np.asarray(np.sign(code) * np.abs(self.a * code) ** self.g)
        if self.g == 1 and self.d <= 0:
            return self.a * code + self.b + self.e
        curved = (self.a * np.maximum(code, self.d) + self.b) ** self.g + self.e
        return np.where(code < self.d, self.c * code + self.f, curved)

    def code(self, light: Floats) -> Floats:
        """Return the code values of light from 0 to 1: the inverse of `light`."""
        if not self.has_toe:
            return np.asarray(np.sign(light) * np.abs(light) ** (1 / self.g) / self.a)
        if self.g == 1 and self.d <= 0:
            return (light - self.b - self.e) / self.a
        bend = self.c * self.d + self.f
        curved = (np.maximum(light - self.e, 0) ** (1 / self.g) - self.b) / self.a
        return np.where(light < bend, (light - self.f) / self.c, curved)

    @property
    def is_invertible(self) -> bool:
        """Whether every code value has light of its own, more for a larger code value."""
        if not (0.1 <= self.g <= 10 and self.a > 0 and self.d <= 1):
            return False
        if self.d <= 0:  # without a toe only a bare power, or a straight line
            return self.g == 1 or self.b == self.e == self.f == 0
        start = self.a * self.d + self.b
        return (
            self.c > 0 and start >= 0 and start**self.g + self.e >= self.c * self.d + self.f - 0.01
        )


SRGB = Transfer("sRGB", 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1."""

LINEAR = Transfer("linear", 1.0)

# ITU-T H.273, table 3, for BT.709, BT.601 and BT.2020: 4.5 L below beta, alpha L**0.45 - alpha + 1
# above, with the digits at which both parts meet.
_ALPHA, _BETA = 1.09929682680944, 0.018053968510807
BT709 = Transfer("BT.709", 1 / 0.45, 1 / _ALPHA, 1 - 1 / _ALPHA, 1 / 4.5, 4.5 * _BETA)

# The same for SMPTE ST 240: 4 L below beta.
_ALPHA_240, _BETA_240 = 1.111572195921731, 0.022821585529445
SMPTE240 = Transfer(
    "SMPTE 240M", 1 / 0.45, 1 / _ALPHA_240, 1 - 1 / _ALPHA_240, 1 / 4, 4 * _BETA_240
)

# CIE 1976 L* as a code value (ECI-RGB v2): L* = 116 Y**(1/3) - 16, and 903.3 Y below 0.008856.
LSTAR = Transfer("L*", 3.0, 100 / 116, 16 / 116, 100 / 903.2963, 0.08)

# ISO 22028-2, ROMM RGB (ProPhoto): 16 L below 1/512, L**(1/1.8) above.
ROMM = Transfer("ROMM RGB", 1.8, 1.0, 0.0, 1 / 16, 1 / 32)

# SMPTE ST 428-1 (digital cinema): L = 52.37 / 48 X**2.6.
ST428 = Transfer("SMPTE ST 428", 2.6, (52.37 / 48) ** (1 / 2.6))


def power(exponent: float) -> Transfer:
    """Return a bare power, such as that of a gAMA chunk."""
    return LINEAR if exponent == 1 else Transfer(f"gamma {exponent:.4g}", exponent)


BY_H273 = {
    **dict.fromkeys((1, 6, 14, 15), BT709),
    4: power(2.2),
    5: power(2.8),
    7: SMPTE240,
    8: LINEAR,
    13: SRGB,
    17: ST428,
}
"""By the transfer characteristics of ITU-T H.273, table 3."""

NOT_INVERTED = {
    9: "logarithmic",
    10: "logarithmic",
    11: "xvYCC",
    12: "BT.1361",
    16: "PQ",
    18: "HLG",
}
"""Names of those that are not decoded."""

# What a table of an ICC profile is compared with, and how far it may be from a code value (half
# an 8-bit level) or from light (a step of the 16 bits in which it is stored).
_KNOWN = (SRGB, LINEAR, BT709, LSTAR, ROMM)
_CLOSE = 0.5 / 255
_STEP = 1 / 65535
_POINTS = 1025  # between few entries a table is straight


def has_inverse(transfer: Transfer) -> bool:
    """Return whether a transfer function has an inverse; its parameters may be of any type."""
    try:
        return bool(transfer.is_invertible)
    except (TypeError, ValueError, ArithmeticError):
        return False


def of_table(table: Floats) -> Transfer | None:
    """Return the transfer function that a table of light, 0 to 1, holds, if it is a known one."""
    codes = np.linspace(0, 1, max(len(table), _POINTS))
    table = np.interp(codes, np.linspace(0, 1, len(table)), table)
    middle = float(np.interp(0.5, codes, table))
    guesses = [*_KNOWN]
    if 0 < middle < 1:
        guesses.append(power(round(float(np.log(middle) / np.log(0.5)), 3)))
    for guess in guesses:
        is_close = np.abs(guess.code(table) - codes) <= _CLOSE
        if (is_close | (np.abs(guess.light(codes) - table) <= _STEP)).all():
            return guess
    return None


def to_light(transfer: Transfer, code: Pixels, full: float) -> Floats:
    """Decode code values, 0 to `full`, to light on the same scale."""
    if code.dtype.kind == "u":
        return _light_table(transfer, code.dtype.str)[code]
    return transfer.light(code / full) * full


def to_code(transfer: Transfer, light: Floats, full: float) -> Floats:
    """Encode light, 0 to `full`."""
    return transfer.code(light / full) * full


# A table for 16 bits takes 512 kB, and every image of a batch may state another function.
@lru_cache(maxsize=8)
def _light_table(transfer: Transfer, dtype: Any) -> Floats:
    full = np.iinfo(dtype).max
    return transfer.light(np.arange(full + 1) / full) * full
