"""TIFFs of any layout, written by `struct` from the text of TIFF 6.0."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np

NONE, FAX4, LZW, OLD_JPEG, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD = (
    1, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000
)  # fmt: skip

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8, 13: 4, 16: 8}
_FORMS = {1: "B", 3: "H", 4: "I", 12: "d", 13: "I", 16: "Q"}

_CODECS = {
    NONE: bytes,
    LZW: lambda data: imagecodecs.lzw_encode(data),
    DEFLATE: lambda data: zlib.compress(data, 1),
    OLD_DEFLATE: lambda data: zlib.compress(data, 1),
    PACKBITS: lambda data: imagecodecs.packbits_encode(data),
    LZMA: lambda data: imagecodecs.lzma_encode(data, level=0),
    ZSTD: lambda data: imagecodecs.zstd_encode(data, level=1),
}

_DTYPES = {1: "u", 2: "i", 3: "f"}


def file_of(*pages, order="<", big=False, names=None):
    """Join pages, each ``(tags, segments)``; tags are ``{code: (type, values)}``.

    `names` are the tags of the segments' offsets and sizes, if they are not the right ones.
    """
    mark = b"II" if order == "<" else b"MM"
    pointer, entry, count = ("Q", "HHQ", "Q") if big else ("I", "HHI", "H")
    room = struct.calcsize(order + pointer)
    if big:
        out = bytearray(mark + struct.pack(order + "HHHQ", 43, 8, 0, 0))
        link = 8
    else:
        out = bytearray(mark + struct.pack(order + "HI", 42, 0))
        link = 4
    for tags, segments in pages:
        tags = dict(tags)
        places = []
        for segment in segments:
            out += bytes(len(out) % 2)
            places.append(len(out))
            out += segment
        offsets, sizes = names or ((324, 325) if 322 in tags else (273, 279))
        kind = 16 if big else 4
        tags.setdefault(offsets, (kind, places))
        tags.setdefault(sizes, (kind, [len(segment) for segment in segments]))
        entries = b""
        for code, (kind, values) in sorted(tags.items()):
            if isinstance(values, bytes):
                data = values
            elif kind == 5:
                data = b"".join(struct.pack(order + "II", *pair) for pair in values)
            else:
                data = struct.pack(f"{order}{len(values)}{_FORMS[kind]}", *values)
            number = len(data) // _SIZES[kind]
            if len(data) > room:
                out += bytes(len(out) % 2)
                place = struct.pack(order + pointer, len(out))
                out += data
            else:
                place = data.ljust(room, b"\0")
            entries += struct.pack(order + entry, code, kind, number) + place
        out += bytes(len(out) % 2)
        struct.pack_into(order + pointer, out, link, len(out))
        out += struct.pack(order + count, len(tags)) + entries
        link = len(out)
        out += bytes(room)
    return bytes(out)


def page_of(samples, photometric, **settings):
    """Return the tags and segments of a page: see `segments_of` for most settings."""
    height, width, count = samples.shape
    bits, form = settings.get("bits", 8), settings.get("form", 1)
    rows, tile = settings.get("rows", 4), settings.get("tile")
    tags = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * count),
        259: (3, [settings.get("compression", NONE)]), 262: (3, [photometric]), 277: (3, [count]),
        284: (3, [2 if settings.get("planes") else 1]), 339: (3, [form] * count),
    }  # fmt: skip
    if tile:
        tags |= {322: (4, [tile]), 323: (4, [tile])}
    else:
        tags[278] = (4, [rows])
    if settings.get("predictor", 1) != 1:
        tags[317] = (3, [settings["predictor"]])
    if settings.get("extra"):
        tags[338] = (3, list(settings["extra"]))
    if settings.get("orientation", 1) != 1:
        tags[274] = (3, [settings["orientation"]])
    return tags | settings.get("tags", {}), segments_of(samples, photometric, **settings)


def segments_of(
    samples, photometric, *, order="<", compression=NONE, predictor=1, planes=False, tile=None,
    rows=4, bits=8, form=1, **_,
):  # fmt: skip
    """Cut ``(H, W, S)`` into strips or tiles and encode them."""
    parts = [samples[..., at : at + 1] for at in range(samples.shape[2])] if planes else [samples]
    found = []
    for part in parts:
        height, width = part.shape[:2]
        for top in range(0, height, tile or rows):
            for left in range(0, width, tile or width):
                piece = part[top : top + (tile or rows), left : left + (tile or width)]
                if tile:
                    right, below = tile - piece.shape[1], tile - piece.shape[0]
                    piece = np.pad(piece, ((0, below), (0, right), (0, 0)), mode="edge")
                if compression == JPEG:
                    found.append(_jpeg(piece, photometric, planes))
                elif compression == FAX4:
                    found.append(b"")
                else:
                    data = bytes_of(piece, order, predictor, bits, form)
                    found.append(_CODECS[compression](data))
    return found


def bytes_of(piece, order, predictor, bits, form):
    """Pack the samples of a segment."""
    if bits not in (8, 16, 32, 64):
        each = piece.astype(np.uint64)[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint64)
        return np.packbits((each & 1).astype(np.uint8).reshape(len(piece), -1), axis=1).tobytes()
    dtype = np.dtype(f"{_DTYPES[form]}{bits // 8}")
    piece = piece.astype(dtype)
    if predictor == 2:
        whole = piece.view(f"u{bits // 8}")
        piece = np.concatenate([whole[:, :1], np.diff(whole, axis=1)], axis=1)
    if predictor == 3:  # Adobe's note on floats: bytes by significance, then their differences
        planes = piece.astype(dtype.newbyteorder(">")).view(np.uint8)
        planes = planes.reshape(*piece.shape, bits // 8).reshape(len(piece), -1, bits // 8)
        row = np.ascontiguousarray(planes.swapaxes(1, 2)).reshape(len(piece), -1)
        step = piece.shape[2]
        return np.concatenate([row[:, :step], row[:, step:] - row[:, :-step]], axis=1).tobytes()
    return piece.astype(piece.dtype.newbyteorder(order)).tobytes()


def _jpeg(piece, photometric, planes):
    piece = np.ascontiguousarray(piece.astype(np.uint8))
    if planes or piece.shape[2] == 1:
        return imagecodecs.jpeg8_encode(piece[..., 0], level=100)
    space = {2: "RGB", 6: "YCBCR", 5: "CMYK"}.get(photometric, "UNKNOWN")
    return imagecodecs.jpeg8_encode(
        piece, level=100, colorspace=space, outcolorspace=space, subsampling="444"
    )
