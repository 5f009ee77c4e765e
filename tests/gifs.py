"""GIFs put together by hand: any screen, offsets, palettes and disposals, which no writer makes."""

from __future__ import annotations

import struct


def gif(size, frames, palette=(), *, loop=None, version=b"GIF89a", code_size=None, background=0):
    """Return a GIF. Each frame is a tuple: left, top, width, height, indices, disposal (None: no
    control block), transparent index or None, and maybe a palette of its own and "interlaced".
    """
    content = [version, struct.pack("<HH", *size)]
    content += [bytes([0x70 | flags_of(palette), background, 0]), table_of(palette)]
    if loop is not None:
        content.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loop, 0))
    for left, top, width, height, indices, disposal, transparent, *rest in frames:
        if disposal is not None:
            flags = disposal << 2 | (transparent is not None)
            content.append(b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 10, transparent or 0, 0))
        own = rest[0] if rest else ()
        flags = flags_of(own)
        if len(rest) > 1:
            flags |= 0x40
            order = [y for first, step in ((0, 8), (4, 8), (2, 4), (1, 2))
                     for y in range(first, height, step)]  # fmt: skip
            indices = [i for y in order for i in indices[y * width : (y + 1) * width]]
        content.append(struct.pack("<cHHHHB", b",", left, top, width, height, flags))
        content.append(table_of(own))
        bits = ((flags_of(own) or flags_of(palette)) & 7) + 1
        content.append(compressed(indices, code_size or max(2, bits)))
    return b"".join(content) + b";"


def flags_of(palette):
    return 0x80 | max(len(palette) - 1, 1).bit_length() - 1 if palette else 0


def table_of(palette):
    if not palette:
        return b""
    return b"".join(map(bytes, palette)).ljust(3 << (flags_of(palette) & 7) + 1, b"\0")


def compressed(indices, bits):
    """Return indices as codes of a constant size: the table is cleared before it would grow."""
    codes = []
    for number, index in enumerate(indices):
        if number % ((1 << bits) - 2) == 0:
            codes.append(1 << bits)
        codes.append(index)
    codes.append((1 << bits) + 1)
    whole = sum(code << (bits + 1) * place for place, code in enumerate(codes))
    data = whole.to_bytes((len(codes) * (bits + 1) + 7) // 8, "little")
    parts = (data[start : start + 255] for start in range(0, len(data), 255))
    return bytes([bits]) + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
