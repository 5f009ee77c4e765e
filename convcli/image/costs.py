"""What codecs cost: the predicted time of reading and of writing an image."""

from __future__ import annotations

# Nanoseconds a byte of the samples to decode and to encode: processor time for photographs of 0.8
# to 6.5 MB, best of four, the middle one of five; others took from half to 1.5 times as long. PNG
# is encoded on every core. A file of its own takes some time whatever is in it: it is synced.
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
    """Predict the seconds that a photograph takes to be read."""
    return _OPENING + 1e-9 * _CODECS[format_name][0] * size_bytes


def writing_cost(format_name: str, size_bytes: int, workers: int) -> float:
    """Predict the seconds that a photograph takes to be written."""
    seconds = 1e-9 * _CODECS[format_name][1] * size_bytes
    return _SYNCING + seconds / (workers if format_name == "PNG" else 1)
