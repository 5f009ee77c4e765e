"""From the samples of a TIFF page, as tifffile decodes them, to pixels: TIFF 6.0's rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvcliError
from convcli.image import tiff_layout as layout_of
from convcli.image.deep import upright
from convcli.image.picture import WITH_ALPHA, form_of, named
from convcli.image.tiff_layout import Layout

if TYPE_CHECKING:
    from convcli.types import Pixels

_GREYS = (layout_of.WHITE_IS_ZERO, layout_of.BLACK_IS_ZERO)

# Rows that are converted at a time, so that temporary floats stay small.
_BAND_ROWS = 256

# The largest samples that a page of 32-bit integers can have: Pillow writes them signed.
_LARGEST, _SMALLEST = 2**31 - 1, -(2**31)
TOO_LARGE = f"has integer samples above {_LARGEST}; convert it to floats first"
_TOO_SMALL = f"has integer samples below {_SMALLEST}; convert it to floats first"


def mode_of(layout: Layout, takes_bands: bool = False) -> str:
    """Return the mode that holds every sample of a page; see `convcli.image.picture.form_of`.

    `takes_bands` tells whether samples beyond the colours are wanted, too.

    Raises
    ------
    ConvcliError
        If no mode does, or if the file does not say what its samples mean.
    """
    refusal = _refusal(layout)
    if refusal:
        raise ConvcliError(refusal)
    bits, alpha = layout.bits[0], "A" if layout.alpha is not None else ""
    photometric = layout.photometric
    if photometric == layout_of.CMYK:
        return "CMYK"
    if photometric in (layout_of.CIELAB, layout_of.ICCLAB):
        return "LAB"
    if is_banded(layout) or (takes_bands and _has_bands(layout)):
        return named(str(layout.samples), _suffix(layout))
    if photometric in (layout_of.PALETTE, layout_of.RGB) or layout.colours == 3:
        return named(f"RGB{alpha}", _suffix(layout) if photometric == layout_of.RGB else ";8")
    if layout.formats[0] == layout_of.FLOAT:
        return named(f"L{alpha}", _suffix(layout))
    if layout.formats[0] == layout_of.SIGNED or bits > 16:
        return "I"
    return f"L{alpha}" if bits <= 8 else "LA;16" if alpha else "I;16"


def is_banded(layout: Layout) -> bool:
    """Return whether a page has more bands than a grey and an alpha, of which none is a colour."""
    without_alpha = layout.samples - (layout.alpha is not None)
    return layout.photometric in _GREYS and without_alpha > 2


def _has_bands(layout: Layout) -> bool:
    """Return whether a page has samples beyond its colours that are no alpha."""
    is_plain = layout.photometric in (*_GREYS, layout_of.RGB) and layout.alpha is None
    wide = layout.bits[0] > 16 and layout.formats[0] != layout_of.FLOAT
    return is_plain and layout.samples > layout.colours and not wide


def _suffix(layout: Layout) -> str:
    """Return the suffix of modes for the samples of a page."""
    bits, kind = layout.bits[0], layout.formats[0]
    if kind == layout_of.FLOAT:
        return ";64F" if bits == 64 else ";32F"
    return ";16S" if kind == layout_of.SIGNED else ";8" if bits <= 8 else ";16"


def _refusal(layout: Layout) -> str:
    """Return why a page is not read whatever is installed, or "" if it is."""
    advice = "which convcli cannot read; convert it"
    to_integers = (
        f"{advice} to integers of 8 or 16 bits, to floats of 32 or 64 bits, or to one 32-bit "
        "integer per pixel"
    )
    photometric, bits = layout.photometric, layout.bits
    if photometric not in (0, 1, 2, 3, 5, 6, 8, 9):
        name = layout.colour
        return f"is a TIFF whose colours are of the kind {name!r}, {advice} to grey or RGB first"
    if layout.samples > layout_of.MOST_SAMPLES:
        return (
            f"is a TIFF of {layout.samples} bands, more than the {layout_of.MOST_SAMPLES} that are "
            "read; save the bands that you need first"
        )
    if len(bits) != layout.samples or layout.samples < layout.colours:
        return "is damaged: it does not have the number of samples that its colours need"
    formats = set(layout.formats)
    is_lab = photometric in (layout_of.CIELAB, layout_of.ICCLAB)
    if len(set(bits)) > 1 or len(formats) != 1:
        return f"is a TIFF of {layout}, {advice} to samples of one kind"
    is_grey = photometric in _GREYS
    is_plain = is_grey or photometric == layout_of.RGB
    is_one = is_grey and not is_banded(layout)
    kind, depth = formats.pop(), bits[0]
    held = {
        layout_of.UNSIGNED: (*range(1, 17), 32, 64) if is_one else range(1, 17),
        layout_of.SIGNED: (8, 16, 32, 64) if is_one else (8, 16) if is_plain else (),
        layout_of.FLOAT: (16, 32, 64) if is_plain else (),
    }
    if depth not in held.get(kind, ()):
        return f"is a TIFF of {layout}, {to_integers}"
    if (is_lab or photometric == layout_of.YCBCR) and depth != 8:
        return f"is a TIFF of {depth}-bit {layout.colour} colour, {advice} to 8 bits or to RGB"
    if photometric == layout_of.CMYK and (depth not in (8, 16) or layout.ink_set != 1):
        return (
            f"is a TIFF of {layout.samples} inks that are not CMYK of 8 or 16 bits, {advice} first"
        )
    if layout.is_associated and (
        kind != layout_of.UNSIGNED or depth > 16 or photometric > layout_of.RGB
    ):
        return (
            f"is a TIFF of {layout.colour}, {layout}, multiplied by their alpha, which convcli "
            "cannot divide again; save it with unassociated alpha or without alpha"
        )
    if photometric == layout_of.PALETTE and len(layout.colour_map) != 3 << depth:
        return "is damaged: the length of its colour map does not fit its samples"
    return _refusal_of_coding(layout)


def _refusal_of_coding(layout: Layout) -> str:
    """Return why readers disagree about a page or none decodes it, or ""."""
    if layout.predictor != 1 and layout.compression not in (
        *layout_of.DICTIONARIES, layout_of.JPEG, layout_of.OLD_JPEG, *layout_of.FAX,
    ):  # fmt: skip
        return (
            "is a TIFF with a predictor but without the compression that it belongs to, which "
            "readers understand in several ways; save it again without a predictor"
        )
    is_float = layout.formats[0] == layout_of.FLOAT
    if layout.compression in layout_of.DICTIONARIES and (
        layout.predictor not in (1, 2, 3) or (layout.predictor == 3 and not is_float)
    ):
        return f"has a predictor ({layout.predictor}) that its samples cannot have; it is damaged"
    if layout.compression == layout_of.JPEG and (
        layout.photometric in (layout_of.PALETTE, layout_of.CIELAB, layout_of.ICCLAB)
        or (layout.extra and not layout.in_planes)
    ):
        return f"is a JPEG in a TIFF of {layout.colour}, {layout}; convert it to grey or RGB first"
    if layout.photometric != layout_of.YCBCR or layout.colours == 1:
        return ""
    if layout.compression in (layout_of.JPEG, layout_of.OLD_JPEG):
        if not layout.has_usual_ycbcr:
            return "is a JPEG in a TIFF whose YCbCr is not BT.601 of full range; convert it to RGB"
        return ""
    subsampling, references = layout.subsampling, layout.black_white
    if layout.compression not in (
        layout_of.RAW, layout_of.PACKBITS, *layout_of.DICTIONARIES
    ):  # fmt: skip
        return (
            "is a TIFF of YCbCr colour in a compression that convcli cannot read; convert it to RGB"
        )
    if layout.is_subsampled and (
        not {*subsampling} <= {1, 2, 4} or layout.in_planes or layout.samples != 3
        or layout.predictor != 1 or layout.value(266, 1) != 1
    ):  # fmt: skip
        return "is a TIFF of YCbCr colour that is subsampled in an unusual way; convert it to RGB"
    if (
        len(layout.coefficients) != 3 or len(references) != 6
        or not all(0 < value < 1 for value in layout.coefficients)
        or any(not abs(white - black) > 0 for black, white in _pairs(references))
    ):  # fmt: skip
        return "is damaged: its YCbCr colours are defined by numbers that cannot be"
    return ""


def _pairs(values: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))


def pixels(samples: Pixels, layout: Layout, mode: str, orientation: int) -> Pixels:
    """Turn samples, ``(H, W, S)``, into upright pixels of a mode.

    The mode is that of `mode_of`, or that without its ";16". The colours of a JPEG in YCbCr are RGB
    already, unless they are in planes.

    Raises
    ------
    ConvcliError
        If the mode cannot hold a sample.
    """
    import numpy as np

    channels, dtype = form_of(mode)
    height, width = samples.shape[:2]
    shape = (height, width, channels) if channels > 1 else (height, width)
    result = np.empty(shape, dtype)
    with np.errstate(all="ignore"):  # not-a-number and infinity are samples like others
        for top in range(0, height, _BAND_ROWS):
            band = _converted(samples[top : top + _BAND_ROWS], layout, mode)
            result[top : top + _BAND_ROWS] = band.reshape(result[top : top + _BAND_ROWS].shape)
    return upright(result, orientation)


def _converted(band: Pixels, layout: Layout, mode: str) -> Pixels:
    """Turn the samples of some rows into pixels."""
    import numpy as np

    bits, alpha = layout.bits[0], layout.alpha
    colour = band if mode[0].isdigit() else _colours(band, layout)
    if mode in ("I;16", "I") or mode[0].isdigit() or mode.endswith(";16S") or layout.is_float:
        if layout.photometric == layout_of.WHITE_IS_ZERO:
            colour = _turned(colour, layout)
        if mode == "I" and (colour.max() > _LARGEST or colour.min() < _SMALLEST):
            raise ConvcliError(TOO_LARGE if colour.max() > _LARGEST else _TOO_SMALL)
        if alpha is None or mode not in WITH_ALPHA:
            return colour
        return np.concatenate([colour, band[..., alpha : alpha + 1]], axis=-1)
    target = 16 if mode.endswith(";16") else 8
    opacity = band[..., alpha : alpha + 1] if alpha is not None else None
    if opacity is not None and layout.is_associated:
        colour = _divided(colour, opacity, target)
    else:
        colour = _scaled(colour, 8 if layout.photometric == layout_of.PALETTE else bits, target)
    if layout.photometric == layout_of.WHITE_IS_ZERO:
        colour = np.bitwise_not(colour)
    if opacity is None or mode not in WITH_ALPHA:
        return colour
    return np.concatenate([colour, _scaled(opacity, bits, target)], axis=-1)


def _colours(band: Pixels, layout: Layout) -> Pixels:
    """Return the samples that are colours, in the colour space of the mode."""
    import numpy as np

    photometric = layout.photometric
    colour = band[..., : layout.colours]
    # The JPEG decoder has converted the colours of YCbCr already, unless they are in planes.
    is_rgb = layout.compression in (layout_of.JPEG, layout_of.OLD_JPEG) and not layout.in_planes
    if photometric == layout_of.PALETTE:
        return _looked_up(colour[..., 0], layout)
    if photometric == layout_of.YCBCR and layout.colours == 3 and not is_rgb:
        return _rgb_of(colour, layout)
    if photometric == layout_of.CIELAB:  # whose a* and b* are signed
        return np.bitwise_xor(colour, np.array([0, 128, 128], np.uint8))
    return colour


def _turned(grey: Pixels, layout: Layout) -> Pixels:
    """Turn white-is-zero into black-is-zero.

    TIFF 6.0 defines it for unsigned integers. Signed ones are mapped likewise, the largest to the
    smallest; floats are taken for 0 to 1, as ImageMagick takes them.
    """
    import numpy as np

    kind = layout.formats[0]
    if kind == layout_of.SIGNED:
        return np.bitwise_not(grey)
    if kind == layout_of.FLOAT:
        return np.subtract(1, grey, dtype=np.float32)
    inverted: Pixels = np.bitwise_xor(grey, grey.dtype.type((1 << layout.bits[0]) - 1))
    return inverted


def _scaled(samples: Pixels, bits: int, target: int) -> Pixels:
    """Scale samples to the whole range of 8 or 16 bits; from 16 to 8 as Pillow does."""
    import numpy as np

    if bits == target:
        return samples
    if bits > target:
        return (samples >> (bits - target)).astype(np.uint8)
    most, factor = (1 << bits) - 1, (1 << target) - 1
    return ((samples.astype(np.uint32) * factor + most // 2) // most).astype(f"u{target // 8}")


def _divided(colour: Pixels, alpha: Pixels, target: int) -> Pixels:
    """Divide colours by the alpha that they were multiplied by (TIFF 6.0, section 18)."""
    import numpy as np

    most = (1 << target) - 1
    whole = colour * (float(most) / np.maximum(alpha, 1))
    return np.minimum(np.rint(whole), most).astype(f"u{target // 8}")


def _looked_up(index: Pixels, layout: Layout) -> Pixels:
    """Look colours up in the colour map, whose samples have 16 bits, in old files 8."""
    import numpy as np

    table = np.array(layout.colour_map, np.uint16).reshape(3, -1).T
    colours: Pixels = (table if table.max() < 256 else table >> 8).astype(np.uint8)
    return colours[index]


def _rgb_of(samples: Pixels, layout: Layout) -> Pixels:
    """Convert YCbCr to RGB (TIFF 6.0, section 21)."""
    import numpy as np

    red, green, blue = layout.coefficients
    ranges = zip(_pairs(layout.black_white), (255, 127, 127), strict=True)
    luma, *chroma = (
        (samples[..., at] - float(black)) * (coding / (white - black))
        for at, ((black, white), coding) in enumerate(ranges)
    )
    reds = luma + (2 - 2 * red) * chroma[1]
    blues = luma + (2 - 2 * blue) * chroma[0]
    greens = (luma - blue * blues - red * reds) / green
    return np.clip(np.rint(np.stack([reds, greens, blues], -1)), 0, 255).astype(np.uint8)


def joined(units: list[Any], layout: Layout) -> Pixels:
    """Put subsampled strips or tiles of YCbCr together, each chroma for all pixels that share it.

    `units` are their bytes. A data unit holds the luma of its pixels row by row, then Cb and Cr.
    """
    import numpy as np

    across, down = layout.subsampling
    width, height = layout.segment
    columns = math.ceil(layout.width / width)
    result = np.empty((layout.height, layout.width, 3), np.uint8)
    for number, data in enumerate(units):
        top, left = number // columns * height, number % columns * width
        rows = math.ceil((height if layout.tile else min(height, layout.height - top)) / down)
        per_row = math.ceil(width / across)
        unit = np.frombuffer(data, np.uint8)
        needed = rows * per_row * (across * down + 2)
        if unit.size < needed:
            raise ConvcliError("is truncated or damaged: not all of its samples are there")
        unit = unit[:needed].reshape(rows, per_row, across * down + 2)
        luma = unit[..., :-2].reshape(rows, per_row, down, across).swapaxes(1, 2)
        chroma = unit[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
        part = result[top : top + height, left : left + width]
        part[..., 0] = luma.reshape(rows * down, -1)[: part.shape[0], : part.shape[1]]
        part[..., 1:] = chroma[: part.shape[0], : part.shape[1]]
    return result
