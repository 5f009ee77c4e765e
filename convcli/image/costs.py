"""What codecs cost: the time of reading and of writing an image, and the memory of writing it."""

from __future__ import annotations

from typing import NamedTuple

from convcli.image.isa_l import isa_l


class _Speed(NamedTuple):
    """Nanoseconds per byte of the samples to decode and to encode.

    `grey` is for images of one channel (and one with alpha), `colour` for others.
    """

    read_grey: float
    read_colour: float
    write_grey: float
    write_colour: float


# Wall time on two cores that were otherwise idle: the least of four, the median of three
# photographs of 6 megapixels. What was written was blurred by sigma 3 before. 24 megapixels took
# 0.6 to 1.1 times as long, and 1 megapixel 1.0 to 1.5 times: smaller photographs have more detail
# per pixel (Intel Xeon with AMX, Pillow 13.0, isal 1.9.1). With other detail PNG takes 0.4 to 3
# times as long. PNG and JPEG are encoded on every core, and these are the figures of one. AVIF
# keeps both cores busy, whatever the number of workers.
_CODECS: dict[str, _Speed] = {
    "PNG": _Speed(6.0, 5.2, 4.4, 3.1),
    "JPEG": _Speed(2.4, 1.1, 1.7, 1.15),
    "TIFF": _Speed(0.6, 1.5, 1.0, 1.7),
    "WEBP": _Speed(20.4, 5.8, 64.0, 22.0),
    "AVIF": _Speed(6.5, 6.5, 180.0, 80.0),
    "BMP": _Speed(0.6, 1.5, 1.3, 1.8),
    "PPM": _Speed(0.22, 0.22, 0.85, 0.85),
    "GIF": _Speed(9.1, 3.8, 12.0, 13.0),
    "PAM": _Speed(0.22, 0.22, 0.85, 0.85),
    "Y4M": _Speed(0.22, 0.22, 0.85, 0.85),
    "EXR": _Speed(3.1, 3.2, 12.5, 12.5),
    "NPY": _Speed(0.02, 0.02, 1.0, 1.0),
}

# A PNG that Pillow inflates by zlib, and that zlib deflates, because ISA-L is not installed.
_ZLIB = _Speed(9.5, 8.6, 8.8, 8.2)

# Bytes of samples that one core encodes at a time; see png_blocks and jpeg_encoding. (A strip of a
# JPEG in colour is three times as large.)
_STRIPS = {"PNG": 1 << 20, "JPEG": 1 << 21}

DEEPER = 5
"""How many times the memory of an 8-bit result one of another depth takes: it is computed in
float64, which is then rounded."""

_OPENING = 0.0005
_SYNCING = 0.004


class _Memory(NamedTuple):
    """Bytes per pixel that a codec takes at its peak.

    `decoded` and `frames_decoded` include the image, and what the decoder keeps of an animation.
    `grey` and `colour` are what the encoder takes besides the image. Of an animation (or pages)
    it takes `once` and `each` for every frame.
    """

    decoded: float
    frames_decoded: float
    grey: float
    colour: float
    once: float = 0.0
    each: float = 0.0


# The growth of the peak resident memory (VmHWM in /proc) while a photograph was read (6 megapixels
# of RGB, the costliest kind that was tried: a progressive JPEG, a lossless WebP), and while one was
# written (16 megapixels; RGB or RGBA, whichever took more). For animations 4, 6 and 8 frames of 1
# to 4 megapixels. Whole runs took 0.9 to 1.3 times what the sums say. WebP takes the most for
# noise: its `grey` and `colour` are those of noise at quality 100 and lossless, which differ by
# less than a tenth (a photograph took 11.1 and 14.5). Flat colour takes AVIF 21 instead of 28.5.
_MEMORY: dict[str, _Memory] = {
    "PNG": _Memory(4.0, 20.0, 0.4, 0.5, 12.0, 8.5),
    "JPEG": _Memory(7.1, 0.0, 0.2, 4.2),
    "TIFF": _Memory(8.3, 24.0, 0.1, 4.1, 8.0, 0.0),
    "WEBP": _Memory(23.4, 28.0, 34.0, 40.0, 24.0, 4.5),
    "AVIF": _Memory(12.4, 27.0, 18.3, 28.5, 120.0, 7.0),
    "BMP": _Memory(8.3, 0.0, 0.1, 4.1),
    "PPM": _Memory(8.3, 0.0, 0.1, 4.1),
    "GIF": _Memory(8.3, 12.0, 2.3, 6.5, 20.0, 0.0),
    "PAM": _Memory(8.3, 0.0, 0.1, 4.1),
    "Y4M": _Memory(8.3, 0.0, 0.1, 4.1),
    "EXR": _Memory(16.0, 0.0, 4.0, 4.1),
    "NPY": _Memory(4.0, 0.0, 0.1, 0.1),
}


def reading_cost(format_name: str, size_bytes: int, is_grey: bool = False) -> float:
    """Predict the seconds that reading a photograph takes, besides those of opening the file."""
    speed = _speed(format_name)
    return _OPENING + 1e-9 * size_bytes * (speed.read_grey if is_grey else speed.read_colour)


def writing_cost(format_name: str, size_bytes: int, workers: int, is_grey: bool = False) -> float:
    """Predict the seconds that writing a photograph takes."""
    speed = _speed(format_name)
    seconds = 1e-9 * size_bytes * (speed.write_grey if is_grey else speed.write_colour)
    strip = _STRIPS.get(format_name)
    if strip:
        strips = -(-size_bytes // (strip * (1 if is_grey or format_name == "PNG" else 3))) or 1
        seconds *= -(-strips // workers) / strips
    return _SYNCING + seconds


def _speed(format_name: str) -> _Speed:
    return _ZLIB if format_name == "PNG" and not isa_l() else _CODECS[format_name]


def memory_of(formats: tuple[str, str], channels: int, pixels: int, frames: int) -> int:
    """Predict the bytes that reading, filtering and writing an image take at their peak.

    Parameters
    ----------
    formats : (str, str)
        Those of the file and of the result.
    channels : int
        Bytes per pixel in memory: 1 for grey, 4 for colours.
    pixels, frames : int
        Pixels of a frame, and number of frames or pages.
    """
    source, target = (_MEMORY[name] for name in formats)
    if frames > 1:  # it is read while it is written
        most = source.frames_decoded + target.once + target.each * frames
        return round(pixels * channels / 4 * most)
    encoder = target.grey if channels == 1 else target.colour
    # The image and its result are there while it is filtered; only the result when it is written.
    most = max(source.decoded * channels / 4, 2 * channels, channels + encoder)
    return round(pixels * most)
