"""What encoding a frame takes: an image in a mode of the format, settings, and notes."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from PIL.ExifTags import Base as Tag

from convcli.files.formats import LOSSY, check_size, mode_for, spelt
from convcli.image.buffers import image_over, signed_lab
from convcli.image.metadata import BLOCKS, exif_of, with_tag
from convcli.image.metadata_settings import metadata_settings
from convcli.image.picture import WITH_ALPHA, Picture

# Formats whose encoders take RGB as four bytes per pixel and ignore the fourth.
_ENCODED_PADDED = ("JPEG", "WEBP")

# Quality for images that come from another format; a JPEG keeps its own tables. At 90 most
# people no longer see a difference, and cameras write about that.
_QUALITY = 90

# The longest duration of a frame, in milliseconds: GIF counts hundredths of a second in 16 bits,
# WebP milliseconds in 24, APNG divides two numbers of 16 bits.
_LONGEST = {"GIF": 655_350, "WEBP": 2**24 - 1, "PNG": 65_535_000}
_LARGEST_PART = 65_535

# Formats that store whole milliseconds: WebP, and AVIF as Pillow writes it.
_WHOLE = ("WEBP", "AVIF")

# The most plays: GIF counts repeats in 16 bits, WebP plays in 16, APNG in 31.
_MOST_PLAYS = {"GIF": 2**16, "WEBP": 2**16 - 1, "PNG": 2**31 - 1}

# The most dots per inch: BMP counts dots per metre in a signed number of 32 bits (wingdi.h), and
# Pillow's metre has 39.3701 inches. (JPEG's limit is in `metadata_settings`, as a JPEG may
# have a resolution in its EXIF data.)
_FINEST = {"BMP": int((2**31 - 1) / 39.3701)}

# TIFF 6.0, section 14: dictionary coders compress the differences along a row. LZW compresses a
# blurred photograph to 43 % of its size with differences and to 90 % without.
_PREDICTED = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "zstd", "lzma")
_DIFFERENCES = 2


@dataclass
class Encoder:
    """A format with the options for writing it; collects notes on what the format drops.

    Attributes
    ----------
    format : str
        A key of `convcli.files.formats.FORMATS`.
    quality, png_level, workers, strip
        As for `convcli.image.write`.
    notes : list of str
        Notes on all frames so far, in order, each once.
    """

    format: str
    quality: int | None = None
    png_level: int | None = None
    workers: int = 1
    strip: bool = False
    notes: list[str] = field(default_factory=list)

    def note(self, *notes: str) -> None:
        """Add notes, each once for all frames."""
        for each in notes:
            if each not in self.notes:
                self.notes.append(each)

    def settings_for(self, frame: Picture) -> dict[str, Any]:
        """Return Pillow's settings for saving a frame, and note what is dropped.

        Raises
        ------
        ConvcliError
            If the format cannot hold the frame.
        """
        mode = mode_for(self.format, frame.mode)
        check_size(self.format, frame.pixels.shape[1], frame.pixels.shape[0])
        settings: dict[str, Any] = {}
        dropped: list[str] = []
        if not self.strip:
            settings, dropped = metadata_settings(frame.metadata, self.format, mode, frame.mode)
        self.note(*frame.notes, *dropped)
        finest = _FINEST.get(self.format, math.inf)
        if (stated := float(max(settings.get("dpi", (0,))))) > finest:
            settings["dpi"] = tuple(min(each, finest) for each in settings["dpi"])
            self.note(
                f"reduced its resolution of {stated:.0f} dpi to {finest}, the most that "
                f"{spelt(self.format)} can store"
            )
        if self.format == "GIF" and mode in WITH_ALPHA and _is_partly_clear(frame):
            self.note("rounded its alpha to 0 or 255, the only values that GIF can store")
        if frame.frame.get("duration", 0) > self.longest:
            most = f"{self.longest / 1000:g} s"
            self.note(
                f"shortened a frame to {most}, the longest that {spelt(self.format)} can store"
            )
        settings |= self._compression_of(frame)
        if self.format == "WEBP" and mode in WITH_ALPHA:
            settings["exact"] = True  # keep the colours of transparent pixels
        if "compression" in settings and BLOCKS & set(exif_of(settings.get("exif", b""))):
            del settings["compression"]  # libtiff does not write both
            self.note("dropped its compression to keep its EXIF block; libtiff cannot write both")
        if settings.get("compression") in _PREDICTED and frame.pixels.dtype.kind == "u":
            settings["exif"] = with_tag(settings.get("exif", b""), Tag.Predictor, _DIFFERENCES)
        return settings

    def _compression_of(self, frame: Picture) -> dict[str, Any]:
        """Return the settings that decide how much is lost: the file's own, or a quality."""
        if self.format == frame.format and self.quality is None and frame.encoding:
            settings = dict(frame.encoding)
            if settings.pop("subsampled", False) and frame.mode == "CMYK":
                self.note("wrote its colours in full resolution; CMYK in JPEG is not subsampled")
            if frame.mode == "L":  # these concern colour
                settings.pop("subsampling", None)
                settings.pop("components", None)
            return settings
        if self.format in LOSSY:
            return {"quality": _QUALITY if self.quality is None else self.quality}
        return {}

    @property
    def longest(self) -> float:
        """The longest duration of a frame that the format can store, in milliseconds."""
        return _LONGEST.get(self.format, math.inf)

    def duration_of(self, frame: Picture) -> float:
        """Return the duration of a frame in milliseconds, up to the longest."""
        wanted: float = min(frame.frame.get("duration", 0), self.longest)
        if self.format in _WHOLE and wanted != round(wanted):
            self.note(f"rounded durations to milliseconds, the unit of {spelt(self.format)}")
        if self.format != "PNG":
            return wanted
        from fractions import Fraction  # takes 2 ms, for animated PNG alone

        # Seconds are stored as a fraction of two numbers of 16 bits, which Pillow finds.
        parts = Fraction(wanted / 1000).limit_denominator(_LARGEST_PART)
        if parts.numerator <= _LARGEST_PART:
            return wanted
        self.note("rounded durations to fractions of two 16-bit numbers, as PNG stores them")
        divisor = int(1000 * _LARGEST_PART / wanted)
        return 1000 * round(divisor * wanted / 1000) / divisor

    def plays_of(self, picture: Picture) -> int:
        """Return how often an animation is played, up to the most; 0 stands for ever."""
        wanted: int = picture.frame.get("plays", 1)
        most = _MOST_PLAYS.get(self.format, wanted)
        if wanted > most:
            self.note(
                f"reduced {wanted} plays to {most}, the most that {spelt(self.format)} can store"
            )
        return min(wanted, most)

    def image_of(self, frame: Picture) -> Image.Image:
        """Make a Pillow image of a frame, in a mode that the format holds."""
        import numpy as np

        from convcli.pixels.padded import Padded

        mode = mode_for(self.format, frame.mode)
        pixels = frame.pixels
        size = (pixels.shape[1], pixels.shape[0])
        if isinstance(frame.samples, Padded):
            image = image_over(frame.samples.buffer, "RGB", size)
            if self.format in _ENCODED_PADDED and frame.frames == 1:
                return image
        else:
            if frame.mode == "I":
                limits = np.iinfo(np.int32)
                pixels = np.clip(np.rint(pixels), limits.min, limits.max).astype(np.int32)
            if frame.mode == "I;16" and sys.byteorder == "big":  # Pillow's I;16 is little-endian
                pixels = pixels.byteswap()
            if frame.mode == "LAB":
                pixels = signed_lab(pixels)
            image = Image.frombuffer(frame.mode, size, np.ascontiguousarray(pixels))
        return image if image.mode == mode else image.convert(mode)


def _is_partly_clear(picture: Picture) -> bool:
    """Return whether any pixel is neither opaque nor transparent."""
    alpha = picture.pixels[..., -1]
    return bool(((alpha > 0) & (alpha < 255)).any())
