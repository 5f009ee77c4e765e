"""Which transfer function the metadata of an image state, for filtering in linear light."""

from __future__ import annotations

import struct
from numbers import Real
from typing import Any

from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError
from convcli.image import icc
from convcli.image.metadata import exif_of
from convcli.pixels.transfer import BY_H273, NOT_INVERTED, SRGB, Transfer, power

# Transfer characteristics "unspecified" in H.273.
_UNSPECIFIED = 2

# The range of code points: 0 is narrow, 16 to 235 at 8 bits.
_NARROW = b"\0"

# Gamma and ColorSpace in EXIF data (CIPA DC-008, tags 42240 and 40961).
_USUAL_GAMMA = 2.2
_SRGB = 1

# What some files state and convcli does not read, by its name among what is lost.
_NOT_READ = ("transfer function", "gamma", "colour profile", "incomplete colour profile")


def stated(metadata: dict[str, Any]) -> tuple[Transfer, str]:
    """Return the transfer function of an image, and what states it: "" if nothing does.

    A PNG's code points come before its profile, that before sRGB, and gAMA comes last (W3C PNG,
    third edition, section 4.3). Then come EXIF data. Without any of them an image is sRGB.

    Raises
    ------
    ConvcliError
        If it cannot be decoded. The message is a predicate.
    """
    points = metadata.get("code_points", b"")
    if points[3:4] == _NARROW:
        raise _refusal("its code points state a narrow range, in which black is not 0")
    if points and points[1] != _UNSPECIFIED:
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
    return _by_exif(metadata.get("exif", b""))


def _by_exif(exif: bytes) -> tuple[Transfer, str]:
    """Return the transfer function that EXIF data state; most state none, and sRGB is assumed.

    2.2 is what cameras write beside Adobe RGB (DCF 2.0), whose gamma that is. Of another number
    programs do not agree whether it encodes or decodes.
    """
    block = exif_of(exif).get_ifd(IFD.Exif) if exif else {}
    if (gamma := block.get(Tag.Gamma)) is None:
        return SRGB, ""
    if not isinstance(gamma, Real) or not abs(float(gamma) - _USUAL_GAMMA) < 0.01:
        raise _refusal(f"its EXIF data state a gamma of {gamma}")
    is_srgb = block.get(Tag.ColorSpace) == _SRGB
    return (SRGB if is_srgb else power(_USUAL_GAMMA)), "its EXIF data"


def _refusal(reason: str) -> ConvcliError:
    return ConvcliError(f"--linear cannot decode this image: {reason}; leave --linear out")
