"""Notes on how reading changed an image: bits, modes and samples that were not kept."""

from __future__ import annotations

from PIL import Image
from PIL.ExifTags import Base as Tag

from convcli.image import bmp, deep
from convcli.image.picture import CONVERTED, MODES, WITH_ALPHA


def depth_notes(file: Image.Image, keeps_16_bits: bool, bits: int) -> list[str]:
    """Note the bits per channel that are lost or added; for a file that is not decoded yet.

    `bits` is the depth of an AVIF, and 8 for any other file.
    """
    if deep.is_deep(file) and not keeps_16_bits:
        hint = "" if deep.installed() else "; the extra 'deep' keeps 16 in PNG and TIFF"
        return [f"reduced 16-bit channels to 8 bits{hint}"]
    if file.format == "BMP":
        return bmp.notes(file)
    if bits > 8:
        return [f"reduced {bits}-bit channels to 8 bits"]
    if file.mode.startswith("I;16") and file.format == "TIFF":
        own = file.tag_v2.get(Tag.BitsPerSample, (16,))[0]  # type: ignore[attr-defined]
        if own < 16:
            return [f"stored {own}-bit samples in 16 bits, with values up to {2**own - 1}"]
    return []


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


def tiff_notes(file: Image.Image, mode: str) -> list[str]:
    """Note samples of a TIFF that were widened or dropped."""
    if file.format != "TIFF":
        return []
    tags = file.tag_v2  # type: ignore[attr-defined]
    notes = []
    if mode == "I" and tags.get(Tag.BitsPerSample, (1,))[0] == 16:
        notes.append("stored signed 16-bit samples in 32 bits")
    extra = tags.get(Tag.SamplesPerPixel, 1) - MODES[mode][0]
    if extra > 0 and file.mode != "P" and mode not in ("L", "I;16"):
        notes.append(f"dropped {extra} extra samples of each pixel")
    return notes
