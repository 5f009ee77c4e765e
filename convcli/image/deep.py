"""Samples that Pillow does not keep, as 16-bit colour: by imagecodecs and tifffile."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from numbers import Rational
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError, reason_of
from convcli.image.content import whole
from convcli.image.metadata import BLOCKS, RESOLUTION, exif_of

if TYPE_CHECKING:
    from pathlib import Path

    from convcli.image.picture import Picture
    from convcli.types import Pixels

BY_PILLOW = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F")
"""Modes of TIFFs that Pillow reads and writes."""

_PACKAGES = ("imagecodecs", "tifffile")

# Tags that are written by arguments of tifffile, or not at all.
_OTHERWISE = {Tag.XResolution, Tag.YResolution, Tag.ResolutionUnit, Tag.Predictor,
              Tag.NewSubfileType, *BLOCKS}  # fmt: skip

# Types of values in TIFF 6.0, section 2.
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _DOUBLE = 1, 2, 3, 4, 5, 7, 12

# tifffile's names of libtiff's compressions.
_COMPRESSIONS = {"tiff_lzw": "lzw", "tiff_adobe_deflate": "adobe_deflate",
                 "tiff_deflate": "adobe_deflate", "packbits": "packbits", "zstd": "zstd",
                 "lzma": "lzma"}  # fmt: skip

# From stored to upright pixels, by EXIF orientation: whether to swap the axes, then the steps
# along rows and columns.
_UPRIGHT = {2: (0, 1, -1), 3: (0, -1, -1), 4: (0, -1, 1), 5: (1, 1, 1), 6: (1, 1, -1),
            7: (1, -1, -1), 8: (1, -1, 1)}  # fmt: skip


@cache
def installed() -> bool:
    """Return whether the extra is installed."""
    return all(map(find_spec, _PACKAGES))


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Report a package that cannot be imported, which is not damage of the image."""
    try:
        yield
    except Exception as error:  # a package may raise any kind
        raise ConvcliError(
            f"needs the package {package}, which cannot be imported "
            f"({reason_of(error)}); reinstall it with the extra 'deep'"
        ) from error


def is_deep(image: Image.Image) -> bool:
    """Return whether Pillow would reduce 16-bit samples to 8 bits: it does for all but grey."""
    if image.mode.startswith(("I", "F")) or image.format == "BMP":  # "BGR;16" has 16 per pixel
        return False
    if image.format == "TIFF":  # see `convcli.image.tiff_reading`
        return False
    if image.format == "PPM":  # its decoder gets the largest sample, if that is not 255
        return any(isinstance(given, tuple) and given[-1] > 255 for given in _arguments(image))
    return any(";16" in str(given) for given in _arguments(image))


def avif_bits(content: bytes) -> int:
    """Return the bits per channel of an AVIF, of which Pillow decodes 8.

    They are the flags high_bitdepth and twelve_bit in the third byte of the AV1 configuration
    (box av1C).
    """
    at = content.find(b"av1C") + 6
    flags = content[at] if 6 <= at < len(content) else 0
    return 12 if flags & 0x60 == 0x60 else 10 if flags & 0x40 else 8


def _arguments(image: Image.Image) -> list[Any]:
    """Return the arguments of the decoder, which describe the samples, for each tile."""
    tiles = getattr(image, "tile", [])  # (codec, box, offset, arguments)
    return [tile[3] for tile in tiles]


def mode_of(image: Image.Image, holds: Callable[[str], bool], mode: str) -> str | None:
    """Return the mode in which all 16 bits are kept, or None if that is not possible.

    `holds` tells whether the format of the result can hold a mode.
    """
    # Pillow converts grey with alpha to RGBA.
    grey = any("LA;16" in str(given) for given in _arguments(image))
    deep = "LA;16" if grey else f"{mode};16"
    return deep if image.format == "PNG" and holds(deep) and installed() else None


def holds(picture: Picture) -> bool:
    """Return whether an image has samples or bands that Pillow does not write in a TIFF."""
    return picture.mode not in BY_PILLOW


def samples(source: Path | bytes, image: Image.Image, mode: str, orientation: int) -> Pixels:
    """Decode a PNG with all its bits, and turn it upright."""
    import numpy as np

    from convcli.image.picture import MODES

    with needs("imagecodecs"):
        import imagecodecs
    content = whole(source)
    pixels = np.asarray(imagecodecs.png_decode(content))
    channels = MODES[mode][0]
    right = pixels.ndim == 3 and pixels.dtype == np.uint16 and pixels.shape[2] == channels
    if not right or sorted(pixels.shape[:2]) != sorted(image.size):
        raise ConvcliError(f"is damaged: its pixels are not {channels} samples of 16 bits")
    return upright(pixels, orientation)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn pixels upright, by the orientation of EXIF."""
    import numpy as np

    swapped, rows, columns = _UPRIGHT.get(orientation, (0, 1, 1))
    turned = pixels.swapaxes(0, 1) if swapped else pixels
    return np.ascontiguousarray(turned[::rows, ::columns])


def tiff(picture: Picture, settings: dict[str, Any]) -> tuple[bytes, bool]:
    """Encode an image as a TIFF of one page; return it, and whether it has all the metadata."""
    import numpy as np

    from convcli.image.picture import kind_of

    with needs("tifffile"):
        import tifffile
    tags = exif_of(settings.get("exif", b""))
    content = io.BytesIO()
    compression = _COMPRESSIONS.get(settings.get("compression", ""))
    stated = settings.get("dpi") or [tags[key] for key in sorted(RESOLUTION & set(tags))]
    resolution = tuple(value for value in map(float, stated) if 0 < value < math.inf)
    pixels = picture.pixels
    kind = kind_of(picture.mode)
    if picture.mode == "LA;16":
        pixels, kind = pixels[..., [0, 0, 0, 1]], "RGBA"
    if picture.mode.endswith(";16S"):
        limits = np.iinfo(np.int16)
        pixels = np.nan_to_num(np.rint(pixels)).clip(limits.min, limits.max).astype(np.int16)
    is_colour = kind.startswith("RGB")
    others = 0 if pixels.ndim == 2 else pixels.shape[2] - (3 if is_colour else 1)
    usual = "rgb" if is_colour else "minisblack"
    extra = ("unassalpha",) if kind.endswith("A") else ("unspecified",) * others
    photometric, extra = settings.get("bands", (usual, extra))
    tifffile.imwrite(
        content,
        pixels,
        byteorder="<",
        photometric=photometric,
        planarconfig="contig" if pixels.ndim == 3 else None,
        extrasamples=extra,
        resolution=resolution if len(resolution) == 2 else None,
        resolutionunit=tags.get(Tag.ResolutionUnit, 2) if len(resolution) == 2 else None,
        iccprofile=settings.get("icc_profile"),
        compression=compression,
        predictor=compression not in (None, "packbits"),
        subfiletype=tags.get(Tag.NewSubfileType, 0),
        metadata=None,
        software=False,
        extratags=[tag for key, value in tags.items() if (tag := _tag(key, value))],
    )
    return content.getvalue(), BLOCKS.isdisjoint(tags)


def _tag(key: int, value: Any) -> tuple[int, int, int | None, Any, bool] | None:
    """Return a tag for tifffile, if it is text, bytes (XMP) or numbers."""
    if key in _OTHERWISE:
        return None
    if isinstance(value, (str, bytes)):
        text = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        kind = _BYTE if key == Tag.XMLPacket else _UNDEFINED if key == Tag.IPTCNAA else _ASCII
        return key, kind, None, text, True
    values = value if isinstance(value, tuple) else (value,)
    if all(isinstance(each, int) and 0 <= each < 1 << 32 for each in values):
        kind = _SHORT if max(values, default=0) < 1 << 16 else _LONG
        return key, kind, len(values), values, True
    if all(isinstance(each, Rational) and each.denominator for each in values):
        pairs = tuple(part for each in values for part in (each.numerator, each.denominator))
        return key, _RATIONAL, len(values), pairs, True
    if all(isinstance(each, float) for each in values):
        return key, _DOUBLE, len(values), values, True
    return None
