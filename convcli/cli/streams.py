"""The program's streams, any of which may be closed or full, and what C libraries print."""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from contextlib import suppress
from typing import Any

# The number of the stream that descriptor 2 was before `keep_apart`, and of the other end of the
# pipe that it is now.
_standard_error: int | None = None
_said: int | None = None


def keep_apart() -> None:
    """Keep what C libraries print on descriptor 2 off `sys.stderr`, which is convcli's alone.

    libtiff's messages would break the progress bar, and convcli reports the same errors in one
    line with the name of the image. They go into a pipe, which takes 64 kB and drops the rest.
    Not on Windows: Python writes to a console there by other means than the descriptor.
    """
    global _standard_error, _said
    # The numbers of closed streams (`2>&-`) would be given to the next files that are opened,
    # and messages would be written into an image.
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    if sys.stderr and sys.platform != "win32":
        _standard_error = os.dup(2)
        ours = io.BufferedWriter(_Unfailing(_standard_error, "w"))
        _said, into = os.pipe()
        os.set_blocking(_said, False)
        os.set_blocking(into, False)
        os.dup2(into, 2)
        os.close(into)
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        # rich takes the width of the terminal from `sys.__stderr__`.
        sys.stderr = sys.__stderr__ = io.TextIOWrapper(  # type: ignore[misc]
            ours, encoding, errors, line_buffering=True
        )
        # A crash of a C library is not silent either: its name, and what Python was at.
        faulthandler.enable(sys.stderr, all_threads=faulthandler.is_enabled())
    os.close(nowhere)


def last_line() -> str:
    """Return the last line that a C library has printed since `keep_apart`."""
    with suppress(OSError):
        if _said is not None:
            lines = os.read(_said, 1 << 16).decode(errors="replace").splitlines()
            return next(filter(None, map(str.strip, reversed(lines))), "")
    return ""


def join_again() -> None:
    """Show what C libraries print: descriptor 2 becomes what it was before `keep_apart`."""
    if _standard_error is not None:
        os.dup2(_standard_error, 2)


def replace_closed() -> None:
    """Let closed streams (`<&-`) be empty to read from, and take what is written to them.

    Only standard output stays None, because its loss may matter.
    """
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open to the end
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - open to the end


def escape_unknown() -> None:
    """Let standard output escape what its encoding lacks: on Windows it has 256 letters, mostly."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def show_colours() -> None:
    """Let the console of Windows show colours; it prints their codes unless it is asked."""
    if sys.platform == "win32":
        # There it comes with Typer, which does not say that it has to be 0.4.6 or newer.
        with suppress(ImportError, AttributeError):
            import colorama

            colorama.just_fix_windows_console()


class _Unfailing(io.FileIO):
    """Standard error that may be full or have no reader without stopping the work."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)
