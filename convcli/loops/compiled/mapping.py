"""Files of machine code: written with a checksum, checked, and mapped into this process."""

from __future__ import annotations

import mmap
import os
import stat
import struct
import sys
from contextlib import suppress
from importlib.util import source_hash
from pathlib import Path
from typing import Any

import numpy as np

from convcli.files.writing import new_file
from convcli.loops.compiled.calling import ENTRY

# The end of a file: length of the image and offset of the function in it, both 0 where there is no
# image, and a checksum of everything before. The hash of sources, of 64 bits, finds damage and
# versions as well as those of hashlib, which would load OpenSSL first: 2.7 ms.
_END = struct.Struct("<QQ8s")

# The owners of the machine code that is in use: mapped files, and llvmlite's engines.
_owners: list[Any] = []


def load(path: Path | None, *, is_ours: bool = False) -> int | None:
    """Map a file that is complete, and return the address of its function.

    With `is_ours` it belongs to the package, as the modules beside it that are run. Any other has
    to be private.
    """
    if path is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | (0 if is_ours else os.O_NOFOLLOW))
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        content = file.read() if is_ours or is_private(os.fstat(descriptor)) else b""
        if len(content) < _END.size:
            return None
        length, offset, checksum = _END.unpack_from(content, len(content) - _END.size)
        if _checksum(content[: -_END.size], length, offset) != checksum:
            return None
        if length:
            with suppress(OSError):  # a file system may forbid it
                readable = mmap.PROT_READ | mmap.PROT_EXEC
                memory = mmap.mmap(descriptor, length, mmap.MAP_PRIVATE, readable)
                image = np.frombuffer(memory, np.uint8)
                _owners.append(image)
                address: int = image.__array_interface__["data"][0] + offset
                return address
    return link(content[length : -_END.size])


def is_private(status: os.stat_result) -> bool:
    """Say whether no other user can write to a file, or change what is in a folder."""
    # Code from here is executed. Root's may be, as the program itself, which is often root's.
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _checksum(content: bytes, length: int, offset: int) -> bytes:
    return source_hash(content + _END.pack(length, offset, b""))


def keep(path: Path | None, code: bytes) -> None:
    """Write an object, preceded by an image that can be mapped, where one can be made."""
    if path is None:
        return
    image, offset = b"", 0
    if sys.platform == "linux":
        from convcli.loops.compiled.elf import laid_out

        with suppress(NotImplementedError):
            image, offset = laid_out(code, ENTRY)
    content = image + code
    end = _END.pack(len(image), offset, _checksum(content, len(image), offset))
    with suppress(OSError):
        path.unlink(missing_ok=True)  # its permissions, which may be what is wrong, would be kept
        with new_file(path, mode=0o600) as file:
            file.write(content + end)


def link(code: bytes) -> int:
    """Map an object into this process and return the address of its function."""
    import llvmlite.binding as llvm

    from convcli.loops.compiled.compiling import target_machine

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _owners.append(engine)
    return int(engine.get_function_address(ENTRY))
