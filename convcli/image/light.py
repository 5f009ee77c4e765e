"""Which transfer function the metadata of an image state, for filtering in linear light."""

from __future__ import annotations

import struct
from typing import Any

from convcli.errors import ConvcliError
from convcli.image import icc
from convcli.pixels.transfer import BY_H273, NOT_INVERTED, SRGB, Transfer, power

# Transfer characteristics "unspecified" in H.273.
_UNSPECIFIED = 2

# What some files state and convcli does not read, by its name among what is lost.
_NOT_READ = ("transfer function", "gamma", "colour profile", "incomplete colour profile")


def stated(metadata: dict[str, Any]) -> tuple[Transfer, str]:
    """Return the transfer function of an image, and what states it: "" if nothing does.

    A PNG's code points come before its profile, that before sRGB, and gAMA comes last (W3C PNG,
    third edition, section 4.3). Without any of them an image is sRGB.

    Raises
    ------
    ConvcliError
        If it cannot be decoded. The message is a predicate.
    """
    if (points := metadata.get("code_points")) and points[1] != _UNSPECIFIED:
        if points[1] not in BY_H273:
            name = NOT_INVERTED.get(points[1], "unknown")
            raise _refusal(f"its code points state transfer characteristics {points[1]} ({name})")
        return BY_H273[points[1]], "its code points"
    if profile := metadata.get("icc_profile"):
        try:
            return icc.transfer_of(profile), "its colour profile"
        except ConvcliError as reason:
            raise _refusal(f"its colour profile {reason}") from None
    for name in metadata.get("lost", ()):
        if name in _NOT_READ:
            raise _refusal(f"its {name} cannot be read")
    chunks = metadata.get("gamma", {})
    if b"sRGB" in chunks:
        return SRGB, "its sRGB chunk"
    if b"gAMA" in chunks:
        (gamma,) = struct.unpack(">I", chunks[b"gAMA"])
        curve = power(100_000 / gamma) if gamma else None
        if curve is None or not curve.is_invertible:
            raise _refusal(f"its gAMA chunk states {gamma / 100_000:g}")
        return curve, "its gAMA chunk"
    return SRGB, ""


def _refusal(reason: str) -> ConvcliError:
    return ConvcliError(f"--linear cannot decode this image: {reason}; leave --linear out")
