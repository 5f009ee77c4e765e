"""Object files of x86-64 Linux, laid out so that they run wherever they are mapped."""

from __future__ import annotations

import struct
from typing import NamedTuple

# System V ABI, AMD64 supplement 1.0, and the ELF-64 Object File Format 1.5.
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_RELOCATABLE, _X86_64 = 1, 62
_SYMBOLS, _RELOCATIONS, _NO_CONTENT = 2, 4, 8
_WRITABLE, _ALLOCATED = 1, 2
# What the exceptions of numba's functions say, by absolute addresses: no loop raises one.
_MESSAGES = b".data.rel.ro"
_ABSOLUTE_64, _RELATIVE_32, _CALL_32 = 1, 2, 4


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


def laid_out(code: bytes, entry: str) -> tuple[bytes, int]:
    """Put an object's sections behind each other and link them to each other.

    Parameters
    ----------
    code : bytes
        A relocatable object whose code reaches its own sections only, relative to itself.
    entry : str
        Name of the function to be called.

    Returns
    -------
    image : bytes
        To be mapped at the beginning of a page, readable and executable.
    offset : int
        Where in it the function begins.

    Raises
    ------
    NotImplementedError
        If it is another kind of object, or needs a symbol from elsewhere.
    """
    header = _HEADER.unpack_from(code)
    ident, kind, machine, table, count = *header[:3], header[6], header[12]
    if ident[:6] != b"\x7fELF\2\1" or (kind, machine) != (_RELOCATABLE, _X86_64):
        raise NotImplementedError("not a relocatable object for x86-64")
    sections = [
        _Section(*_SECTION.unpack_from(code, table + n * _SECTION.size)) for n in range(count)
    ]
    words = _content(code, sections[header[13]])
    image, starts, messages = bytearray(), dict[int, int](), set[int]()
    for number, section in enumerate(sections):
        if section.flags & _ALLOCATED:
            if words.startswith(_MESSAGES + b"\0", section.name):
                messages.add(number)
            elif section.flags & _WRITABLE and section.size:
                raise NotImplementedError("the code has variables")
            image += bytes(-len(image) % max(section.alignment, 1))
            starts[number] = len(image)
            empty = section.kind == _NO_CONTENT
            image += bytes(section.size) if empty else _content(code, section)

    (symbols,) = (section for section in sections if section.kind == _SYMBOLS)
    names = _content(code, sections[symbols.link])
    places, offset = [], None
    for name, _, _, number, value, _ in _SYMBOL.iter_unpack(_content(code, symbols)):
        word = names[name : names.index(b"\0", name)].decode()
        place = starts[number] + value if number in starts else None
        places.append((word, place))
        if word == entry:
            offset = place
    if offset is None:
        raise NotImplementedError(f"there is no {entry}")

    for section in sections:
        if section.kind != _RELOCATIONS or section.info not in starts:
            continue
        for where, info, addend in _RELOCATION.iter_unpack(_content(code, section)):
            (word, place), how = places[info >> 32], info & 0xFFFFFFFF
            if how == _ABSOLUTE_64 and section.info in messages:
                continue
            if how not in (_RELATIVE_32, _CALL_32) or place is None:
                raise NotImplementedError(f"relocation {how} of {word}")
            at = starts[section.info] + where
            struct.pack_into("<i", image, at, place + addend - at)
    return bytes(image), offset


def _content(code: bytes, section: _Section) -> bytes:
    return code[section.offset : section.offset + section.size]
