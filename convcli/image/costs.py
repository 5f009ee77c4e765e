"""What codecs cost: the predicted time of reading and of writing an image."""

from __future__ import annotations

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
}
_OPENING = 0.0005
_SYNCING = 0.004


def reading_cost(format_name: str, size_bytes: int) -> float:
    """Predict the seconds that reading a photograph takes."""
    return _OPENING + 1e-9 * _CODECS[format_name][0] * size_bytes


def writing_cost(format_name: str, size_bytes: int, workers: int) -> float:
    """Predict the seconds that writing a photograph takes."""
    seconds = 1e-9 * _CODECS[format_name][1] * size_bytes
    return _SYNCING + seconds / (workers if format_name == "PNG" else 1)
