"""The last line of a run that a C library ends: it calls exit(), which no Python code notices."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from convcli import memory
from convcli.cli import streams
from convcli.errors import inert

# Addresses that importing numpy 2.4.6 takes on Linux, with OpenBLAS' buffer for one thread.
_NUMPY = 90_000_000

# What the C library calls at the end; it must not be freed.
_kept: list[Any] = []


def status_of_failure() -> int:
    """Return the exit status of a run that failed; of `compare` 1 means that images differ."""
    return 2 if sys.argv[1:2] == ["compare"] else 1


def watch() -> None:
    """Report an end of the process in one line, unless `leave` ends it.

    OpenBLAS, for one, prints a line and ends the process where it finds no memory.
    """
    with suppress(Exception):  # no memory for ctypes, or a C library without this function
        import ctypes

        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_report)
        if not ctypes.CDLL(None).__cxa_atexit(call, None, None):  # Itanium C++ ABI, 3.3.6.3
            _kept.append(call)


class _NumpyFits:
    """Looks at the memory before numpy is imported, and finds no module itself."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        space = memory.address_space() if name == "numpy" else None
        if space is not None and space < _NUMPY:
            raise MemoryError


def check_numpy_fits() -> None:
    """Let importing numpy raise `MemoryError` under a low ``ulimit -v``.

    With a few megabytes less than it needs, numpy's initialisation tries to allocate for ever, or
    OpenBLAS ends the process.
    """
    if memory.address_space() is not None:
        sys.meta_path.insert(0, _NumpyFits)


def leave(status: int) -> None:
    """End the process with nothing but what is left in the streams of Python."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _report(_argument: int | None) -> None:
    from convcli.files.writing import remove_unfinished

    remove_unfinished()
    reason = inert(streams.last_line()) or "there may be too little memory"
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"convcli: a C library ended the program: {reason}\n")
        sys.stderr.flush()
    os._exit(status_of_failure())
