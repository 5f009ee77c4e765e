"""JPEG with any sampling of colour (4:4:0, 4:1:1, ...), of which Pillow writes three kinds.

Each component is encoded by Pillow as a grey JPEG of its own size, and becomes a scan of its own:
in a scan of one component the blocks are in the order of a grey JPEG (ITU-T T.81, section A.2.2),
so its entropy-coded data are taken as they are.
"""

from __future__ import annotations

import io
import math
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from PIL import Image, JpegImagePlugin

if TYPE_CHECKING:
    from convcli.types import Pixels

# Markers of ITU-T T.81, table B.1.
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOF0, SOF1, _DHT, _SOS, _DQT = 0xC0, 0xC1, 0xC4, 0xDA, 0xDB

# Colour samples of Pillow's `subsampling`, by their step in pixels along rows and columns.
_BY_PILLOW = {(1, 1): 0, (2, 1): 1, (2, 2): 2}

# Rows of a component that are converted at a time.
_BAND_ROWS = 64


class Component(NamedTuple):
    """How a component is sampled: its step in pixels along rows and columns; its table."""

    across: int
    down: int
    table: int


def sampling_of(file: JpegImagePlugin.JpegImageFile) -> dict[str, Any]:
    """Return the settings with which colour is sampled as in an opened JPEG.

    Either Pillow's ``subsampling``, or ``components`` for `write`; of CMYK only ``subsampled``,
    whether it is: `write` does not write it, and Pillow would subsample K as well.
    """
    layers = [(h, v, table) for _, h, v, table in file.layer]
    if file.mode == "CMYK":
        return {"subsampled": True} if len({layer[:2] for layer in layers}) > 1 else {}
    if file.mode != "RGB" or len(layers) != 3 or any(0 in layer[:2] for layer in layers):
        return {}
    widest = max(h for h, _, _ in layers)
    tallest = max(v for _, v, _ in layers)
    # libjpeg reads no file whose steps are not whole pixels.
    first, *others = [Component(widest // h, tallest // v, table) for h, v, table in layers]
    step = others[0][:2]
    if first[:2] == (1, 1) and others[1][:2] == step and step in _BY_PILLOW:
        return {"subsampling": _BY_PILLOW[step]}
    return {"components": (first, *others)}


def write(pixels: Pixels, file: BinaryIO, settings: dict[str, Any]) -> None:
    """Write an image in RGB, its components sampled as ``settings["components"]`` has it."""
    settings = dict(settings)
    components: tuple[Component, ...] = settings.pop("components")
    tables = settings.pop("qtables")
    across = max(part.across for part in components)
    down = max(part.down for part in components)
    header, frame = b"", b""
    scans: list[bytes | memoryview] = []
    marker = SOF0
    quantisation: dict[int, bytes] = {}
    for number, part in enumerate(components, 1):
        encoded = io.BytesIO()
        _channel(pixels, number - 1, part).save(
            encoded, "JPEG", qtables=[tables[part.table]], optimize=True, **settings
        )
        settings = {}  # metadata are written once
        segments, data = parts_of(encoded.getbuffer())
        header = header or b"".join(
            segment(mark, content) for mark, content in segments if mark not in _CODING
        )
        for mark, content in segments:
            if mark == _DQT:  # the number of the table is in the lower half of the first byte
                numbered = bytes([content[0] & 0xF0 | part.table]) + content[1:]
                quantisation[part.table] = segment(_DQT, numbered)
            elif mark == SOF1:  # a table of 16 bits
                marker = SOF1
            elif mark == _DHT:
                scans.append(segment(_DHT, content))
        factors = across // part.across << 4 | down // part.down
        frame += bytes([number, factors, part.table])
        scans += [segment(_SOS, bytes([1, number, 0, 0, 63, 0])), data]
    size = struct.pack(">BHHB", 8, *pixels.shape[:2], len(components))
    file.write(SOI + header + b"".join(quantisation.values()))
    file.write(segment(marker, size + frame))
    for scan in (*scans, EOI):
        file.write(scan)


def _channel(pixels: Pixels, index: int, part: Component) -> Image.Image:
    """Return a component as it is sampled, made in bands: whole images take 8 bytes a pixel."""
    import numpy as np

    height, width = pixels.shape[:2]
    channel = Image.new("L", (math.ceil(width / part.across), math.ceil(height / part.down)))
    rows = _BAND_ROWS * part.down
    for top in range(0, height, rows):
        band = Image.fromarray(np.ascontiguousarray(pixels[top : top + rows]))
        samples = band.convert("YCbCr").getchannel(index)
        if part[:2] != (1, 1):
            samples = samples.reduce(part[:2])
        channel.paste(samples, (0, top // part.down))
    return channel


_CODING = (_DQT, SOF0, SOF1, _DHT, _SOS)


def parts_of(content: memoryview) -> tuple[list[tuple[int, bytes]], memoryview]:
    """Take a JPEG of one scan apart: its segments, and its entropy-coded data."""
    segments = []
    at = len(SOI)
    mark = 0
    while mark != _SOS:
        mark = content[at + 1]
        (size,) = struct.unpack_from(">H", content, at + 2)
        segments.append((mark, bytes(content[at + 4 : at + 2 + size])))
        at += 2 + size
    return segments, content[at : -len(EOI)]


def segment(mark: int, content: bytes) -> bytes:
    """Return a segment of a marker and what it says."""
    return bytes([0xFF, mark]) + struct.pack(">H", 2 + len(content)) + content
