"""OpenEXR images, by the OpenEXR package: channels of half and float samples, all kept by name."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import mode_for
from convcli.image.costs import DEEPER
from convcli.image.decoding import result_mode
from convcli.image.headers import OnDecode, Stated
from convcli.image.picture import Grey, Picture
from convcli.words import Depth

if TYPE_CHECKING:
    from convcli.image.encoder import Encoder
    from convcli.types import Pixels

# Channels that are colours, in the order of our modes; any others come after them.
_COLOURS = {("R", "G", "B"): "RGB;32F", ("R", "G", "B", "A"): "RGBA;32F", ("Y",): "F"}

# Attributes that describe how this file is stored, and not the image.
_OF_STORAGE = ("channels", "type", "tiles", "chunkCount", "version", "preview")
_WINDOWS = ("dataWindow", "displayWindow")

_DAMAGED = "is truncated, damaged or of a kind that cannot be read"

# The package prints warnings to Python's standard output, where images and JSON go.
_lock = threading.Lock()


def read(
    source: Path | bytes,
    target_format: str,
    results: tuple[Grey | None, Depth | None],
    on_decode: OnDecode | None,
) -> Picture:
    """Read an image; the parameters are those of `convcli.image.tiff_reading.read`."""
    import numpy as np

    exr = _package("read")
    with _named(source) as name, _damage():
        with _quiet():
            header = _opened(exr, name, header_only=True).header()
        width, height = _checked(exr, header)
        names = [channel.name for channel in header["channels"]]
        on_size = 2 * 4 * width * height * len(names) * (DEEPER if results[1] else 1)
        if on_decode:
            on_decode(on_size, Stated((height, width)))
        memory.check(on_size)
        with _quiet():
            channels = _opened(exr, name, separate_channels=True).channels()
    found = {name: np.asarray(channels[name].pixels) for name in names if name in channels}
    if [found[name].shape for name in found] != [(height, width)] * len(names):
        raise ConvcliError(_DAMAGED)
    kept = {name: pixels for name, pixels in found.items() if pixels.dtype.kind != "f"}
    floats = [name for name in "RGBAY" if name in found and name not in kept]
    floats += [name for name in found if name not in floats and name not in kept]
    if not floats:
        raise ConvcliError("has no channel of floats, and integers (UINT) are not filtered")
    mode = _COLOURS.get(tuple(floats), f"{len(floats)};32F")
    if mode == "RGBA;32F" and target_format != "EXR":  # multiplied, as no other format says
        mode = "4;32F"
    mode_for(target_format, result_mode(mode, *results))
    samples: Pixels = np.empty((height, width, len(floats)), np.float32)
    for at, name in enumerate(floats):
        samples[..., at] = found[name]
    stored = [(name, found[name].dtype.name) for name in floats]
    encoding = {"header": header, "channels": stored, "kept": kept}
    notes = _notes(floats, kept, header, target_format)
    return Picture(samples[..., 0] if mode == "F" else samples, mode, "EXR", {}, encoding, notes)


def _notes(
    names: list[str], kept: dict[str, Any], header: dict[str, Any], target_format: str
) -> tuple[str, ...]:
    notes = []
    if target_format != "EXR":
        alpha = " and colours multiplied by its alpha" if "A" in names else ""
        notes.append(f"wrote linear light{alpha}, as OpenEXR stores them")
        if kept:
            notes.append(f"dropped its channels of integers ({', '.join(kept)})")
    elif kept:
        notes.append(f"left its channels of integers as they are ({', '.join(kept)})")
    if target_format == "EXR" and "tiles" in header:
        notes.append("wrote scan lines instead of tiles")
    if "preview" in header:
        notes.append("dropped its preview")
    return tuple(notes)


def _checked(exr: Any, header: dict[str, Any]) -> tuple[int, int]:
    """Return width and height, or refuse what the header describes."""
    if header.get("type", exr.scanlineimage) not in (exr.scanlineimage, exr.tiledimage):
        raise ConvcliError("is deep OpenEXR (several samples a pixel); flatten it first")
    least, most = header["dataWindow"]
    width, height = (int(high) - int(low) + 1 for low, high in zip(least, most, strict=True))
    if min(width, height) < 1:
        raise ConvcliError("is empty: it has no pixels")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ConvcliError(f"has more than {limit} pixels; --max-pixels raises the limit")
    for channel in header["channels"]:
        if (channel.xSampling, channel.ySampling) != (1, 1):
            raise ConvcliError(
                f"has a subsampled channel ({channel.name!r}), which convcli cannot filter; "
                "convert it to RGB"
            )
    return width, height


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write an image with the channels, sample types and attributes of the file that it is from."""
    import numpy as np

    exr = _package("write")
    encoder.settings_for(picture)
    pixels = picture.pixels[..., np.newaxis] if picture.pixels.ndim == 2 else picture.pixels
    is_own = picture.format == "EXR"
    if not is_own:
        if picture.mode == "RGBA;32F":
            raise ConvcliError(
                "has an alpha, by which OpenEXR's colours are multiplied; write TIFF instead"
            )
        encoder.note("wrote its samples as they are; OpenEXR's are linear light, and 1 is white")
    stored = picture.encoding.get("channels", []) if is_own else []
    if len(stored) != pixels.shape[2]:
        usual = next((each for each in _COLOURS if len(each) == pixels.shape[2]), ())
        names = usual or [f"band{at}" for at in range(pixels.shape[2])]
        kind = stored[0][1] if stored else "float32"
        stored = [(name, kind) for name in names]
    header = dict(picture.encoding.get("header", {})) if is_own else {}
    least, most = header.get("dataWindow", ((0, 0), (-1, -1)))
    fits = (most[1] - least[1] + 1, most[0] - least[0] + 1) == pixels.shape[:2]
    dropped = {*_OF_STORAGE, *(() if fits else _WINDOWS)}
    header = {key: value for key, value in header.items() if key not in dropped}
    if encoder.strip:
        header = {key: header[key] for key in ("compression", *_WINDOWS) if key in header}
    header["type"] = exr.scanlineimage
    with np.errstate(over="ignore"):  # halves end at 65504; what is larger becomes infinity
        channels = {
            name: np.ascontiguousarray(pixels[..., at], kind)
            for at, (name, kind) in enumerate(stored)
        }
    kept = picture.encoding.get("kept", {}) if is_own and len(stored) > 1 else {}
    if fits:
        channels |= kept
    elif kept:
        encoder.note(f"dropped its channels of integers ({', '.join(kept)}), of another size")
    with tempfile.NamedTemporaryFile(suffix=".exr") as made:
        with _quiet():
            exr.File(header, channels).write(made.name)
        file.write(Path(made.name).read_bytes())


def _package(verb: str) -> Any:
    try:
        import OpenEXR
    except Exception as error:
        raise ConvcliError(f"is OpenEXR; to {verb} it, install the extra 'exr'") from error
    return OpenEXR


def _opened(exr: Any, name: str, **how: bool) -> Any:
    """Open the only part of a file."""
    found = exr.File(name, **how)
    parts = len(found.parts)
    if parts > 1:
        raise ConvcliError(f"has {parts} parts; save the one to use as a file of its own")
    if parts < 1:
        raise ConvcliError(_DAMAGED)
    return found


@contextmanager
def _damage() -> Iterator[None]:
    """Report what the package raises, of many types, as damage."""
    try:
        yield
    except (ConvcliError, MemoryError):
        raise
    except Exception as error:
        raise ConvcliError(_DAMAGED) from error


@contextmanager
def _named(source: Path | bytes) -> Iterator[str]:
    """Give the name of a file with this content: the package takes no bytes before 3.5."""
    if isinstance(source, Path):
        yield str(source)
        return
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(source)
        file.flush()
        yield file.name


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what this thread prints; what others print goes where it should."""
    with _lock, contextlib.redirect_stdout(_Others(sys.stdout)):
        yield


class _Others:
    """Standard output for all threads but this one."""

    def __init__(self, output: Any) -> None:
        self._output, self._own = output, threading.get_ident()

    def write(self, text: str) -> int:
        """Write the text of other threads."""
        own = threading.get_ident() == self._own or self._output is None
        return len(text) if own else self._output.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)
