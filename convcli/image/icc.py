"""Transfer functions of ICC profiles, where they are simple: ICC.1:2022 (profile version 4.4)."""

from __future__ import annotations

import struct

import numpy as np

from convcli.errors import ConvcliError
from convcli.pixels.transfer import LINEAR, Transfer, of_table, power

# The tags with the curves of RGB and of grey, and those of profiles that use tables.
_RGB = (b"rTRC", b"gTRC", b"bTRC")
_GREY = (b"kTRC",)
_TABLES = (b"A2B0", b"A2B1", b"A2B2", b"D2B0")

# Section 7.2: the header has 128 bytes; its colour space and connection space.
_HEADER = 128

# The number of parameters of a parametric curve by its type (section 10.18).
_PARAMETERS = (1, 3, 4, 5, 7)

# The most entries of a table: one for every 16-bit value.
_MOST_ENTRIES = 65536


def transfer_of(profile: bytes) -> Transfer:
    """Return the transfer function of a profile for RGB or grey.

    Raises
    ------
    ConvcliError
        If the profile has none that is simple; the message is a reason: "has ...".
    """
    try:
        return _transfer_of(profile, _tags(profile))
    except (struct.error, IndexError):
        raise ConvcliError("is damaged") from None


def _transfer_of(profile: bytes, tags: dict[bytes, bytes]) -> Transfer:
    names = _GREY if profile[16:20] == b"GRAY" else _RGB
    if any(name in tags for name in _TABLES):
        raise ConvcliError("has tables in place of curves")
    if profile[20:24] != b"XYZ " or any(name not in tags for name in names):
        raise ConvcliError("has no curves of light")
    curves = [_curve(tags[name]) for name in names]
    if any(curve != curves[0] for curve in curves):
        raise ConvcliError("has a curve of its own for each channel")
    return curves[0]


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return the content of the tags by their signatures (section 7.3)."""
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    tags = {}
    for number in range(min(count, 200)):
        name, at, size = struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * number)
        tags[name] = profile[at : at + size]
    return tags


def _curve(content: bytes) -> Transfer:
    """Read a curve: a gamma, a table, or parameters."""
    kind = content[:4]
    if kind == b"curv":  # section 10.6
        (count,) = struct.unpack_from(">I", content, 8)
        if count == 0:
            return LINEAR
        if count == 1:
            (gamma,) = struct.unpack_from(">H", content, 12)
            return _usable(power(gamma / 256))
        if count > _MOST_ENTRIES:
            raise ConvcliError("is damaged")
        entries = np.array(struct.unpack_from(f">{count}H", content, 12)) / 65535
        found = of_table(entries)
        if found is None:
            raise ConvcliError("has curves that are no known transfer function")
        return found
    if kind == b"para":
        (number,) = struct.unpack_from(">H", content, 8)
        if number >= len(_PARAMETERS):
            raise ConvcliError("is damaged")
        given = struct.unpack_from(f">{_PARAMETERS[number]}i", content, 12)
        return _usable(_parametric(number, [value / 65536 for value in given]))
    raise ConvcliError("has no curves of light")


def _parametric(number: int, given: list[float]) -> Transfer:
    """Return a parametric curve; types 0 to 3 are special cases of type 4."""
    g, a, b, c, d, e, f = (given + [0.0] * 7)[:7]
    if number == 0:
        return power(g)
    if number in (1, 2):  # (a X + b)**g + c from X = -b/a, and c below
        offset = c if number == 2 else 0.0
        start = -b / a if a else 0.0
        return Transfer(f"gamma {g:.4g}", g, a, b, 0.0, max(start, 0.0), offset, offset)
    return Transfer(f"gamma {g:.4g} with a straight part", g, a, b, c, d, e, f)


def _usable(curve: Transfer) -> Transfer:
    if not curve.is_invertible:
        raise ConvcliError("has curves that cannot be inverted")
    # The parameters of sRGB and others are rounded in a profile: their own have more digits.
    codes = np.linspace(0, 1, 1025)
    return of_table(np.asarray(curve.light(codes))) or curve
