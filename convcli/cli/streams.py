"""The program's streams, any of which may be closed or full, and what C libraries print."""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from typing import Any

# The number of the stream that descriptor 2 was before `keep_apart`.
_standard_error: int | None = None


def keep_apart() -> None:
    """Discard what C libraries print on descriptor 2, and keep `sys.stderr` for convcli.

    libtiff's messages would break the progress bar, and convcli reports the same errors in one
    line with the name of the image.
    """
    global _standard_error
    # The numbers of closed streams (`2>&-`) would be given to the next files that are opened,
    # and messages would be written into an image.
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    if sys.stderr:
        _standard_error = os.dup(2)
        ours = io.BufferedWriter(_Unfailing(_standard_error, "w"))
        os.dup2(nowhere, 2)
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        # rich takes the width of the terminal from `sys.__stderr__`.
        sys.stderr = sys.__stderr__ = io.TextIOWrapper(  # type: ignore[misc]
            ours, encoding, errors, line_buffering=True
        )
        if faulthandler.is_enabled():
            faulthandler.enable(sys.stderr)
    os.close(nowhere)


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


class _Unfailing(io.FileIO):
    """Standard error that may be full or have no reader without stopping the work."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)
