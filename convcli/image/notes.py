"""Notes on how reading changed an image: bits, modes and samples that were not kept."""

from __future__ import annotations

from PIL import Image

from convcli.image import deep
from convcli.image.picture import CONVERTED, WITH_ALPHA


def depth_notes(file: Image.Image, keeps_16_bits: bool, bits: int) -> list[str]:
    """Note the bits per channel that are lost or added; for a file that is not decoded yet.

    `bits` is the depth of an AVIF, and 8 for any other file.
    """
    if deep.is_deep(file) and not keeps_16_bits:
        return [reduced(16)]
    if file.format == "BMP":
        from convcli.image import bmp

        return bmp.notes(file)
    return [reduced(bits)] if bits > 8 else []


def reduced(bits: int) -> str:
    """Note that channels of so many bits became 8."""
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
