"""Notes on how reading changed an image: bits, modes and samples that were not kept."""

from __future__ import annotations

from PIL import Image

from convcli.image import bmp, deep
from convcli.image.picture import CONVERTED, MODES, WITH_ALPHA
from convcli.image.tiff_layout import (
    BLACK_IS_ZERO,
    FLOAT,
    PALETTE,
    SIGNED,
    WHITE_IS_ZERO,
    Layout,
)

_KINDS = {SIGNED: "signed ", FLOAT: "float "}


def depth_notes(file: Image.Image, keeps_16_bits: bool, bits: int) -> list[str]:
    """Note the bits per channel that are lost or added; for a file that is not decoded yet.

    `bits` is the depth of an AVIF, and 8 for any other file.
    """
    if deep.is_deep(file) and not keeps_16_bits:
        return [_reduced(16)]
    if file.format == "BMP":
        return bmp.notes(file)
    return [_reduced(bits)] if bits > 8 else []


def _reduced(bits: int) -> str:
    hint = "" if deep.installed() or bits < 16 else "; the extra 'deep' keeps 16 in PNG and TIFF"
    return f"reduced {bits}-bit channels to 8 bits{hint}"


def conversion_notes(image: Image.Image, file: Image.Image, mode: str) -> list[str]:
    """Note what is lost between a decoded frame and the mode in which it is filtered.

    `image` is the frame, `file` the opened file that it comes from.
    """
    notes = []
    # All GIFs have palettes; writing a palette again is noted by the encoder.
    if (image.mode == "P" and file.format != "GIF") or image.mode in CONVERTED:
        notes.append(f"converted mode {image.mode} to {mode}")
    if "transparency" in image.info and mode not in WITH_ALPHA:
        notes.append("dropped its transparent colour")
    if file.format == "MPO" and getattr(file, "n_frames", 1) > 1:
        notes.append("read the first of its images and dropped the others")
    return notes


def tiff_notes(layout: Layout, mode: str) -> list[str]:
    """Note how the samples of a TIFF differ from those of the mode in which it is filtered."""
    bits, kind = layout.bits[0], _KINDS.get(layout.formats[0], "")
    notes = []
    if mode == "I;16" and bits < 16:
        notes.append(f"stored {bits}-bit samples in 16 bits, with values up to {2**bits - 1}")
    elif mode in ("I", "F") and bits != 32:
        notes.append(f"stored {kind}{bits}-bit samples in 32 bits")
    elif MODES[mode][1] == "uint8" and bits > 8 and layout.photometric != PALETTE:
        notes.append(_reduced(bits))
    elif mode.endswith(";16") and bits < 16:
        notes.append(f"scaled {bits}-bit channels to 16 bits")
    if layout.photometric == WHITE_IS_ZERO and mode in ("I", "F"):
        notes.append(f"inverted its {kind}samples, in which white is zero")
    kept = 1 if mode in WITH_ALPHA else 0
    extra = layout.samples - layout.colours - kept
    if extra:
        word = "sample" if extra == 1 else "samples"
        bands = f" ({layout.samples} bands)"
        notes.append(f"dropped {extra} extra {word} of each pixel{bands}")
    return notes


def tiff_conversion_notes(layout: Layout, mode: str) -> list[str]:
    """Note what `conversion_notes` does, for a TIFF that Pillow does not decode."""
    if layout.photometric == PALETTE:
        return [f"converted mode P to {mode}"]
    is_grey = layout.photometric <= BLACK_IS_ZERO
    return ["converted mode 1 to L"] if is_grey and layout.bits[0] == 1 else []
