"""What codecs cost: the time of reading and of writing an image, and the memory of writing it."""

from __future__ import annotations

from typing import NamedTuple

# Nanoseconds per byte of the samples to decode and to encode: processor time, best of four, the
# median of five photographs of 0.8 to 6.5 MB; the others took 0.5 to 1.5 times as long. PNG is
# encoded on every core. Each file also takes a fixed time to open, and to sync after writing.
_CODECS: dict[str, tuple[float, float]] = {
    "PNG": (9.0, 10.5),
    "JPEG": (1.8, 1.4),
    "TIFF": (1.6, 1.3),
    "WEBP": (6.0, 30.0),
    "AVIF": (9.0, 230.0),
    "BMP": (1.5, 1.0),
    "PPM": (1.4, 1.0),
    "GIF": (3.3, 26.0),
    "PAM": (0.5, 1.0),
    "Y4M": (0.5, 1.0),
    "EXR": (9.0, 20.0),
    "NPY": (0.2, 1.0),
}
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


def reading_cost(format_name: str, size_bytes: int) -> float:
    """Predict the seconds that reading a photograph takes."""
    return _OPENING + 1e-9 * _CODECS[format_name][0] * size_bytes


def writing_cost(format_name: str, size_bytes: int, workers: int) -> float:
    """Predict the seconds that writing a photograph takes."""
    seconds = 1e-9 * _CODECS[format_name][1] * size_bytes
    return _SYNCING + seconds / (workers if format_name == "PNG" else 1)


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
