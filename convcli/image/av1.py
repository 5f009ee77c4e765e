"""The colour that an AV1 bitstream states, for an AVIF without a box that does (nclx).

Section numbers are those of the AV1 Bitstream & Decoding Process Specification, version 1.0.0
with errata 1; boxes are those of ISO/IEC 14496-12, section 8.11.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import BinaryIO

_SEQUENCE_HEADER = 1  # section 6.2.2, obu_type
_TEMPORAL_DELIMITER = 2

# Bytes of an item in which its sequence header has to begin and end: it has some 10 to 20.
_START = 512

# Items of which one has to have it.
_MOST_ITEMS = 64


def colour_of(meta: bytes, file: BinaryIO) -> tuple[int, int] | None:
    """Return colour primaries and transfer characteristics by the sequence header.

    Parameters
    ----------
    meta : bytes
        The content of the box ``meta``.
    file : binary file
        The AVIF; is left at any place.

    Returns
    -------
    (int, int) or None
        By ITU-T H.273; None if the bitstream does not state them.
    """
    with suppress(struct.error, LookupError, EOFError, OverflowError):  # damaged
        for start in chain(_in_configurations(meta), _in_items(meta, file)):
            if (header := _sequence_header(start)) is not None:
                return _stated(_Bits(header))
    return None


def _in_configurations(meta: bytes) -> Iterator[bytes]:
    """Yield what the boxes av1C hold after their four bytes: often nothing."""
    at = meta.find(b"av1C")
    while at >= 4:
        (size,) = struct.unpack_from(">I", meta, at - 4)
        yield meta[at + 8 : at - 4 + size]
        at = meta.find(b"av1C", at + 4)


def _in_items(meta: bytes, file: BinaryIO) -> Iterator[bytes]:
    """Yield the start of each item: the primary one first, then (of a grid) the others.

    An item for alpha comes after those of the colours.
    """
    boxes = _boxes(meta, 4)  # after version and flags
    location, primary = boxes[b"iloc"], boxes.get(b"pitm", bytes(6))
    wide = primary[0] > 0
    (first,) = struct.unpack_from(">I" if wide else ">H", primary, 4)
    places = sorted(_places(location), key=lambda place: (place[0] != first, place[0]))
    for _, method, offset, size in places[:_MOST_ITEMS]:
        if method == 0:
            file.seek(offset)
            yield file.read(min(size or _START, _START))
        elif method == 1:
            yield boxes.get(b"idat", b"")[offset:][:_START]


def _boxes(content: bytes, at: int) -> dict[bytes, bytes]:
    """Return the contents of boxes by their types."""
    found = {}
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if size < 8:
            break
        found[kind] = content[at + 8 : at + size]
        at += size
    return found


def _places(location: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, construction method, offset and size of the first extent of each item."""
    version = location[0]
    sizes = [location[4] >> 4, location[4] & 15, location[5] >> 4, location[5] & 15]
    offset_size, length_size, base_size, index_size = sizes
    at = 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > len(location):
            raise EOFError
        return int.from_bytes(location[at - size : at], "big")

    wide = 4 if version == 2 else 2
    for _ in range(number(wide)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # the file that has it: this one
        base = number(base_size)
        extents = number(2)
        start = at
        if extents:
            number(index_size if version else 0)
            yield item, method, base + number(offset_size), number(length_size)
        at = start + extents * (at - start)


def _sequence_header(data: bytes) -> bytes | None:
    """Return the content of the sequence header with which data begin (section 5.3)."""
    at = 0
    while at < len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] & 4, data[at] & 2
        if data[at] & 0x80 or kind not in (_SEQUENCE_HEADER, _TEMPORAL_DELIMITER):
            return None
        at += 2 if extended else 1
        size = len(data) - at
        if sized:
            size = 0
            for place in range(8):  # leb128, section 4.10.5
                size |= (data[at] & 127) << 7 * place
                at += 1
                if data[at - 1] < 128:
                    break
        if kind == _SEQUENCE_HEADER:
            return data[at : at + size]
        at += size
    return None


class _Bits:
    """Reads numbers of some bits each, the most significant first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int = 1) -> int:
        end = self.at + count
        if end > 8 * len(self.data):
            raise EOFError
        number = int.from_bytes(self.data[: (end + 7) // 8], "big") >> -end % 8
        self.at = end
        return number & (1 << count) - 1


def _stated(bits: _Bits) -> tuple[int, int] | None:
    """Read a sequence header up to its description of colour (sections 5.5.1 and 5.5.2)."""
    profile = bits.take(3)
    bits.take()  # still_picture
    if reduced := bits.take():
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width, height = bits.take(4) + 1, bits.take(4) + 1
    bits.take(width + height)
    if not reduced and bits.take():  # frame_id_numbers_present_flag
        bits.take(7)
    bits.take(3)
    if not reduced:
        _skip_tools(bits)
    bits.take(3)  # enable_superres, enable_cdef, enable_restoration
    if bits.take() and profile == 2:  # high_bitdepth
        bits.take()
    if profile != 1:
        bits.take()  # mono_chrome
    return (bits.take(8), bits.take(8)) if bits.take() else None


def _skip_operating_points(bits: _Bits) -> None:
    """Skip timing_info, decoder_model_info and the operating points (5.5.3 to 5.5.5)."""
    delay_bits = 0
    if bits.take():  # timing_info_present_flag
        bits.take(64)
        if bits.take():  # equal_picture_interval
            _skip_uvlc(bits)
        if bits.take():  # decoder_model_info_present_flag
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    has_delay = bits.take()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:  # seq_level_idx
            bits.take()
        if delay_bits and bits.take():
            bits.take(2 * delay_bits + 1)
        if has_delay and bits.take():
            bits.take(4)


def _skip_uvlc(bits: _Bits) -> None:
    """Skip a number of variable length (section 4.10.3)."""
    zeros = 0
    while not bits.take():
        zeros += 1
    if zeros < 32:
        bits.take(zeros)


def _skip_tools(bits: _Bits) -> None:
    """Skip the coding tools that only sequences of frames have."""
    bits.take(4)
    order_hint = bits.take()
    if order_hint:
        bits.take(2)
    # seq_choose_screen_content_tools, or seq_force_screen_content_tools
    if (bits.take() or bits.take()) and not bits.take():
        bits.take()  # seq_force_integer_mv
    if order_hint:
        bits.take(3)
